"""The networks that estimate, and what is known of the cases that they learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import keras
import numpy as np

from boneage.core.backends import graphs_released
from boneage.estimate.likeness import Known, known
from boneage.evaluation.explain import heat_map
from boneage.images.square import square
from boneage.networks.layers import POOLED
from boneage.training.batches import model_input
from boneage.training.predictions import tta_images

_BATCH = 8
# A compiled network takes half the time, but compiling it as long as reading some sixty images: with so many
# in one go, more are likely to come.
_MANY = 16
# Places of a heat map that several networks share.
_MAP_SIDE = 16


@dataclass(frozen=True, eq=False)
class Member:
    """A network of an ensemble.

    Attributes:
        title: In words, such as ``CNN, 18 epochs, sex as a second input``.
        network: Its key in the registry.
        width: ``full`` or ``tiny``.
        variant: One of ``settings.VARIANTS``.
        model: As ``training.build_model`` makes it.
    """

    title: str
    network: str
    width: str
    variant: str
    model: keras.Model

    @property
    def size(self) -> int:
        """Side in pixels of the images that it takes."""
        return int(self.model.inputs[0].shape[1])

    @property
    def takes_sex(self) -> bool:
        return len(self.model.inputs) == 2

    @cached_property
    def _both(self) -> keras.Model:
        return keras.Model(self.model.input, [self.model.output, self.model.get_layer(POOLED).output])

    def _look(self, images: np.ndarray, sex: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Years, (images,), and features, (images, features)."""
        compiled = len(images) >= _MANY or self._both.predict_function is not None
        lots = []
        for start in range(0, len(images), _BATCH):
            lot = slice(start, start + _BATCH)
            given = model_input(images[lot], None if sex is None else sex[lot])
            # Always as many at once, since another number would be compiled anew.
            if compiled and lot.stop <= len(images):
                lots.append(self._both.predict_on_batch(given))
            else:
                lots.append([keras.ops.convert_to_numpy(one) for one in self._both(given, training=False)])
        years, features = (np.concatenate(of_lots) for of_lots in zip(*lots, strict=True))
        return years[:, 0].astype(float), features

    def read(self, images: np.ndarray, male: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What it says of images, and what it sees in them.

        Args:
            images: uint8, (images, size, size).
            male: Whether each is male, (images,); used if it takes the sex.

        Returns:
            Years, (images,), and features, (images, features).
        """
        sex = male if self.takes_sex else None
        views = [images, *tta_images(self.model, images)] if self.variant == "tta" else [images]
        with graphs_released():
            said = [self._look(one, sex) for one in views]
        # Test-time augmentation averages over its views without the image as it is, as the run's record did.
        years: np.ndarray = np.mean([one[0] for one in said[1:] or said], axis=0)
        return years, said[0][1]


@dataclass(frozen=True, eq=False)
class Reference:
    """The cases that an ensemble learnt from: ages, sexes and features, and nothing else of any child.

    Attributes:
        years: Bone age, (cases,).
        male: bool, (cases,).
        held_out: Years that each network said of the cases that it was not trained on, (networks, cases);
            NaN of the others.
        features: What each network sees in each case, for each network (cases, features).
    """

    years: np.ndarray
    male: np.ndarray
    held_out: np.ndarray
    features: tuple[np.ndarray, ...]

    @property
    def trained(self) -> np.ndarray:
        """Whether each network was trained on each case: bool, (networks, cases)."""
        trained: np.ndarray = np.isnan(self.held_out)
        return trained

    @cached_property
    def known(self) -> tuple[Known, ...]:
        """What each network saw in the cases that it was trained on."""
        return tuple(known(seen, mask) for seen, mask in zip(self.features, self.trained, strict=True))


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Networks whose mean is the estimate.

    Attributes:
        title: What it is, in words.
        members: The networks.
        reference: Their cases; None if they could not be found, and then there is neither interval nor
            comparison.
        source: Where the cases come from, in words.
        notices: What a user should know.
    """

    title: str
    members: tuple[Member, ...]
    reference: Reference | None
    source: str = ""
    notices: tuple[str, ...] = ()

    @property
    def takes_sex(self) -> bool:
        """Whether any of its networks takes the sex."""
        return any(member.takes_sex for member in self.members)


@dataclass(frozen=True, eq=False)
class Reading:
    """What an ensemble says of some images.

    Attributes:
        votes: Years, (sexes, networks, images): one sex if it is known or does not matter, else girls, boys.
        features: For each network (images, features).
    """

    votes: np.ndarray
    features: tuple[np.ndarray, ...]


def read_images(ensemble: Ensemble, images: Sequence[np.ndarray], sex: str = "") -> Reading:
    """Has every network read every image.

    Args:
        ensemble: The networks.
        images: uint8, square.
        sex: ``F``, ``M``, or empty if it is not known.
    """
    sexes = [sex == "M"] if sex or not ensemble.takes_sex else [False, True]
    sizes = {member.size for member in ensemble.members}
    fitted = {size: np.stack([square(one, size) for one in images]) for size in sizes}
    votes, features = [], []
    for member in ensemble.members:
        of_member = [
            member.read(fitted[member.size], np.full(len(images), male))
            for male in (sexes if member.takes_sex else sexes[:1])
        ]
        votes.append([of_member[min(at, len(of_member) - 1)][0] for at in range(len(sexes))])
        features.append(of_member[0][1])
    return Reading(np.moveaxis(np.array(votes), 0, 1), tuple(features))


def heat_maps(ensemble: Ensemble, images: Sequence[np.ndarray], male: np.ndarray) -> np.ndarray:
    """Where the networks look on images, on average: (images, 16, 16), not negative, with the sum 1 for each.

    Args:
        ensemble: The networks.
        images: uint8, square.
        male: bool, (images,); an unknown sex is taken for a girl's, which hardly moves a map.
    """
    total = np.zeros((len(images), _MAP_SIDE, _MAP_SIDE))
    for member in ensemble.members:
        fitted = np.stack([square(one, member.size) for one in images])
        for place, heat in zip(total, heat_map(member.model, fitted, male), strict=True):
            place += cv2.resize(heat, place.shape, interpolation=cv2.INTER_LINEAR).clip(0)
    shares: np.ndarray = total / np.maximum(total.sum(axis=(1, 2), keepdims=True), 1e-12)
    return shares
