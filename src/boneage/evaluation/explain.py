"""Heat maps: which parts of an image a prediction comes from, and how much of a map lies on growth centres.

A heat map shows where a network looks, not whether what it sees there is right. On drawn hands, whose growth
centres are known, the share of the map on them is a measure of that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

import cv2
import keras
import matplotlib
import numpy as np
import pandas as pd
from scipy.ndimage import distance_transform_edt

from boneage.core.backends import gradient
from boneage.core.columns import Column, Table
from boneage.core.errors import BoneAgeError
from boneage.core.pictures import Picture
from boneage.core.tables import SEXES
from boneage.images.sheets import sheet_of
from boneage.images.square import square
from boneage.networks.layers import POOLED
from boneage.networks.maps import attention_by_place, outputs_of, years_by_place
from boneage.phantom.drawing import draw_hand, hand_region

CENTRE_RADIUS = 0.03
"""Radius of a growth centre as a share of a drawn image's longer side.

On drawn hands of 2 to 14 years, nine in ten epiphyses and carpals lie completely in a disc of this radius.
"""

CENTRES = Table(
    "Heat maps and growth centres of one network",
    [
        Column("Bone Age", "Age of the drawn hand in years.", ".1f"),
        Column("Male", "Whether it is a boy's."),
        Column("On the hand", "Share of the heat map on the hand.", ".2f", unit="share"),
        Column("On centres", "Share on growth centres.", ".2f", "On growth centres", "share"),
        Column(
            "Even over the hand",
            "The same for a map as coarse that is even over the hand.",
            ".2f",
            unit="share",
        ),
        Column(
            "At best",
            "The same for a map on the place that covers most of a growth centre.",
            ".2f",
            unit="share",
        ),
    ],
    about="One row per drawn hand.",
)

# Years: most epiphyses have appeared at two, most growth plates have closed at seventeen.
_YOUNGEST, _OLDEST = 2.0, 17.0

# Perceptually uniform, also for colour-blind readers (van der Walt and Smith, 2015).
_COLOURS = "viridis"
# Opacity at the map's peak, low enough for the bones to stay visible.
_STRENGTH = 0.6

# Images at a time, as in ``networks.maps``: attention needs memory for patches squared.
_LOT = 8


def heat_map(model: keras.Model, images: np.ndarray, male: np.ndarray | None = None) -> np.ndarray:
    """The contribution of each place of an image to the prediction, as a share of all.

    For the attention network the attention weights, for the vision transformer attention rollout
    (:func:`roll_out`), for the others the absolute years that each place adds or takes: Grad-CAM
    (:func:`grad_cam`), or with a linear head the class activation map, which is then the same. The ReLU of
    Grad-CAM is left out, because evidence for a younger age counts as much as for an older one.

    Args:
        model: A network with its head, as ``training.build_model`` makes it.
        images: (images, size, size), 0 to 255.
        male: Whether each is male, (images,); used if the model takes the sex.

    Returns:
        float, (images, height, width) of the last feature maps or patches; not negative, sum 1 for each
        image. Uniform if the image does not affect the prediction, as before training.

    Raises:
        BoneAgeError: The model takes the sex, and ``male`` is missing.
    """
    attention = attention_by_place(model, images)
    if attention is not None:
        return _shares(attention)
    if _transformer(model) is not None:
        return _shares(roll_out(model, images))
    if _head_is_linear(model):
        return _shares(np.abs(years_by_place(model, images)))
    return _shares(np.abs(grad_cam(model, images, male)))


def _shares(maps: np.ndarray) -> np.ndarray:
    maps = maps.astype(float)
    total = maps.sum(axis=(1, 2), keepdims=True)
    even = np.full_like(maps, 1 / maps[0].size)
    return np.divide(maps, total, out=even, where=total > 0)


def _head_is_linear(model: keras.Model) -> bool:
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    return all(layer.activation is keras.activations.linear for layer in dense)


def grad_cam(model: keras.Model, images: np.ndarray, male: np.ndarray | None = None) -> np.ndarray:
    """Grad-CAM of the prediction: the last feature maps, weighted by their gradients, with signs.

    Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization",
    ICCV 2017, with the prediction in years instead of a class score and without the ReLU. The head sees only
    the means of the maps, so only the head is differentiated. With a linear head this is the class activation
    map, ``networks.maps.years_by_place``.

    Args:
        model: A network with its head.
        images: (images, size, size), 0 to 255.
        male: Whether each is male, (images,); used if the model takes the sex.

    Returns:
        (images, height, width) in years.

    Raises:
        BoneAgeError: The model takes the sex, and ``male`` is missing.
    """
    asks_for_sex = len(model.inputs) == 2
    if asks_for_sex and male is None:
        raise BoneAgeError(f"{model.name}: takes the sex as input; pass male, too")
    maps = outputs_of(model, model.get_layer(POOLED).input, images)
    head = keras.Model([model.get_layer(POOLED).output, *model.inputs[1:]], model.output)
    sex = [keras.ops.reshape(keras.ops.cast(male, "float32"), (-1, 1))] if asks_for_sex else []
    slopes = gradient(lambda means: head([means, *sex], training=False), maps.mean(axis=(1, 2)))
    years: np.ndarray = np.einsum("phwm,pm->phw", maps, slopes) / (maps.shape[1] * maps.shape[2])
    return years


def roll_out(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The share of each input patch in the mean of the last patches of a vision transformer.

    Attention rollout (Abnar and Zuidema, "Quantifying attention flow in transformers", ACL 2020): in each
    block a patch is half itself, by the shortcut, and half what it attends to, averaged over heads; the
    matrices of the blocks are multiplied. It covers the attention only, neither the content of a patch nor
    the head. The class token has no place and is left out.

    Args:
        model: A vision transformer with its head.
        images: (images, size, size), 0 to 255; size is a multiple of the patch side.

    Returns:
        (images, rows of patches, columns of patches), not negative.
    """
    backbone = _transformer(model)
    before = model.layers[model.layers.index(backbone) - 1]
    seen = outputs_of(model, before.output, images)
    lots = [_roll_out(backbone, seen[start : start + _LOT]) for start in range(0, len(seen), _LOT)]
    parts: np.ndarray = np.concatenate(lots)
    side = round(parts.shape[1] ** 0.5)
    return parts.reshape(-1, side, side)


def _transformer(model: keras.Model) -> keras.Model | None:
    """KerasHub's ViTBackbone inside a model, found by its encoder; else None."""
    for layer in model.layers:
        if isinstance(layer, keras.Model) and "vit_encoder" in [one.name for one in layer.layers]:
            return layer
    return None


def _roll_out(backbone: keras.Model, seen: np.ndarray) -> np.ndarray:
    tokens = backbone.get_layer("vit_patching_and_embedding")(seen)
    itself = np.eye(tokens.shape[1], dtype=np.float32)
    flow = itself
    for block in backbone.get_layer("vit_encoder").encoder_layers:
        asked = block.layer_norm_1(tokens)
        _, attention = block.mha(asked, asked, return_attention_scores=True)
        mixing = np.asarray(keras.ops.cast(keras.ops.mean(attention, axis=1), "float32"))
        flow = (itself + mixing) / 2 @ flow
        tokens = block(tokens)
    # The head takes the mean of the patches; the first token is the class token.
    of_patches: np.ndarray = flow[:, 1:, 1:].mean(axis=1)
    return of_patches


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image with a heat map in colour on top.

    Colour starts at the share of a uniform map, and is strongest at the map's peak or at twice the uniform
    share, whichever is higher, so a nearly uniform map looks uniform.

    Args:
        image: uint8, (size, size).
        heat: Its heat map, (height, width), from :func:`heat_map`.

    Returns:
        uint8, (size, size, 3), red, green, blue.
    """
    even = heat.mean()
    above = np.maximum(heat - even, 0.0)
    level = cv2.resize(above / max(above.max(), even), image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    colour = matplotlib.colormaps[_COLOURS](level)[..., :3] * 255
    share = _STRENGTH * level[..., np.newaxis]
    mixed: np.ndarray = np.rint((1 - share) * image[..., np.newaxis] + share * colour)
    return mixed.astype(np.uint8)


def heat_sheet(
    model: keras.Model, images: np.ndarray, captions: Sequence[str], male: np.ndarray | None = None
) -> Picture:
    """A sheet of images, each followed by its heat map.

    Args:
        model: A network with its head.
        images: uint8, (images, size, size).
        captions: The caption of each.
        male: Whether each is male, (images,); used if the model takes the sex.

    Raises:
        BoneAgeError: The model takes the sex, and ``male`` is missing.
    """
    maps = heat_map(model, images, male)
    pairs = [
        pair
        for image, heat, caption in zip(images, maps, captions, strict=True)
        for pair in (
            (caption, np.repeat(image[..., np.newaxis], 3, axis=-1)),
            ("where it looks", overlay(image, heat)),
        )
    ]
    return sheet_of(pairs, "Images, each followed by its heat map", columns=4)


@dataclass(frozen=True)
class CentreMass:
    """The share of a heat map on growth centres, and what to compare it with.

    Attributes:
        on_hand: Share of the map on the hand, 0 to 1.
        on_centres: Share on growth centres.
        even_over_hand: The same for a map of the same resolution that is uniform over the hand.
        at_best: The same for the best map of that resolution; below 1, as a place is larger than a centre.
    """

    on_hand: float
    on_centres: float
    even_over_hand: float
    at_best: float


def mass_on_growth_centres(heat: np.ndarray, centres: np.ndarray, hand: np.ndarray) -> CentreMass:
    """The share of a map on growth centres; each place is spread evenly over its square of the image.

    Args:
        heat: (height, width), sum 1, from :func:`heat_map`.
        centres: bool, (size, size): the growth centres, from :func:`near`.
        hand: bool, (size, size): the hand.
    """
    covered, of_hand = (_share_of_places(mask, heat.shape) for mask in (centres, hand))
    even = float((of_hand * covered).sum() / of_hand.sum())
    on_hand, on_centres = (float((heat * places).sum()) for places in (of_hand, covered))
    return CentreMass(on_hand, on_centres, even, float(covered.max()))


def _share_of_places(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The share of each place of a map that a mask covers, (height, width), 0 to 1."""
    return cv2.resize(mask.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)


def near(
    points: Iterable[tuple[float, float]], shape: tuple[int, int], radius: float = CENTRE_RADIUS
) -> np.ndarray:
    """The pixels near any of the points.

    Args:
        points: x, y in pixels.
        shape: Height and width of the image.
        radius: As a share of the image's longer side.

    Returns:
        bool, (height, width).
    """
    apart = np.ones(shape, bool)
    for x, y in points:
        apart[min(round(y), shape[0] - 1), min(round(x), shape[1] - 1)] = False
    if apart.all():
        return np.zeros(shape, bool)
    near: np.ndarray = distance_transform_edt(apart) <= radius * max(shape)
    return near


@dataclass(frozen=True, eq=False)
class DrawnHand:
    """A drawn hand at a network's image size, with its growth centres.

    Attributes:
        bone_age: Years.
        male: Whether it is a boy's.
        image: uint8, (size, size).
        centres: bool, square: pixels near a growth centre.
        hand: bool, of the same shape: hand and forearm.
    """

    bone_age: float
    male: bool
    image: np.ndarray
    centres: np.ndarray
    hand: np.ndarray


def drawn_hands(size: int, count: int = 32, seed: int = 0, radius: float = CENTRE_RADIUS) -> list[DrawnHand]:
    """Drawn hands for judging heat maps, evenly spaced from 2 to 17 years, girls and boys in turn.

    Args:
        size: Image side in pixels.
        count: Number of hands.
        seed: Seeds the drawing.
        radius: Radius of a growth centre as a share of the drawn image's longer side.
    """
    ages = np.linspace(_YOUNGEST, _OLDEST, count)
    return [
        _drawn(float(age), SEXES[place % 2], seed + place, size, radius) for place, age in enumerate(ages)
    ]


def _drawn(age: float, sex: str, seed: int, size: int, radius: float) -> DrawnHand:
    drawing = draw_hand(age, sex, seed)
    shape = drawing.image.shape
    centres, hand = (
        square(mask.astype(np.uint8), max(shape), "black") > 0
        for mask in (near(drawing.centres.values(), shape, radius), hand_region(age, sex, seed))
    )
    return DrawnHand(age, sex == "M", square(drawing.image, size), centres, hand)


def growth_centre_table(model: keras.Model, hands: Sequence[DrawnHand]) -> pd.DataFrame:
    """The share of a network's heat maps on the growth centres of drawn hands.

    Meaningful only for networks trained on drawn hands.

    Args:
        model: A network with its head.
        hands: From :func:`drawn_hands`, of the model's size.

    Returns:
        ``CENTRES``: one row per hand; the last four are shares, as in :class:`CentreMass`.
    """
    images, male = np.stack([hand.image for hand in hands]), np.array([hand.male for hand in hands])
    maps = heat_map(model, images, male)
    rows = [
        (hand.bone_age, hand.male, *astuple(mass_on_growth_centres(heat, hand.centres, hand.hand)))
        for heat, hand in zip(maps, hands, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(CENTRES))
