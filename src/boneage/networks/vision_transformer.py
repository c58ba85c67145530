"""The vision transformer (Dosovitskiy et al., ICLR 2021) from KerasHub: ViT-B/16, or a small one."""

import keras
from keras import ops

from boneage.networks.hub import keras_hub
from boneage.networks.inputs import contrast_channels, scaled_channels
from boneage.networks.layers import convolution, pooled, standardised
from boneage.networks.published import fetched

PRESET = "vit_base_patch16_224_imagenet"
PATCH = 16

STEM = {"full": (24, 48, 96), "tiny": (16, 32, 64)}
"""Filters of the convolutions, each of which halves the picture, before a network from scratch cuts it."""

SIZES = {
    "published": {"num_layers": 12, "num_heads": 12, "hidden_dim": 768, "mlp_dim": 3072},
    "full": {"num_layers": 12, "num_heads": 3, "hidden_dim": 192, "mlp_dim": 768},
    "tiny": {"num_layers": 2, "num_heads": 2, "hidden_dim": 48, "mlp_dim": 96},
}
"""ViT-B/16, for which there are ImageNet weights, and the networks from scratch by their width."""


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The mean of the patch tokens after the last block; see ``networks.build_features``.

    The class token stays in the sequence, as the weights expect, but the head takes the mean of the patches:
    both did equally well in the original (appendix D.3), and a mean can be traced back to places.

    From scratch ViT-B/16 learnt nothing from 633 radiographs in 18 epochs. So there the full network is as
    small as DeiT-Ti (Touvron et al., ICML 2021), and its patches are cut from the maps of three convolutions,
    after Xiao et al., "Early convolutions help transformers see better", NeurIPS 2021.
    """
    size = images.shape[1]
    if weights == "imagenet":
        hub = keras_hub()
        published = fetched(lambda: hub.models.ViTBackbone.from_preset(PRESET))
        tokens = resized(published, size)(scaled_channels(images, 1 / 127.5, -1.0))
    else:
        maps = contrast_channels(images)
        for filters in STEM[width]:
            maps = convolution(maps, filters, stride=2)
        tokens = backbone(maps.shape[1], width, PATCH // 2 ** len(STEM[width]), maps.shape[-1])(maps)
    side = size // PATCH
    patches = keras.layers.Cropping1D((1, 0))(tokens)
    return standardised(pooled(keras.layers.Reshape((side, side, tokens.shape[-1]))(patches)))


def backbone(size: int, kind: str, patch: int = PATCH, channels: int = 3) -> keras.Model:
    """One of ``SIZES`` with random weights, for images or maps (batch, size, size, channels)."""
    shape = (size, size, channels)
    return keras_hub().models.ViTBackbone(image_shape=shape, patch_size=patch, **SIZES[kind])


def resized(model: keras.Model, size: int) -> keras.Model:
    """The same vision transformer for another image size, with interpolated position embeddings.

    After Dosovitskiy et al., section 3.2.

    Args:
        model: A ViTBackbone with a class token.
        size: The new image side in pixels, a multiple of the patch side.
    """
    config = {**model.get_config(), "image_shape": (size, size, 3)}
    config.pop("name", None)
    other = type(model).from_config(config)
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        if ours.path.endswith("position_embedding/embeddings"):
            theirs = resized_positions(theirs, size // PATCH)
        ours.assign(theirs)
    return other


def resized_positions(table: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """Position embeddings for another grid of patches, by bilinear interpolation without smoothing.

    Args:
        table: (1 + grid x grid, features), the class token first, which stays.
        side: Side of the new grid.

    Returns:
        (1 + side x side, features).
    """
    table = ops.convert_to_tensor(table)
    class_token, positions = table[:1], table[1:]
    old = round(positions.shape[0] ** 0.5)
    grid = ops.reshape(positions, (1, old, old, -1))
    grid = ops.image.resize(grid, (side, side), interpolation="bilinear", data_format="channels_last")
    return ops.concatenate([class_token, ops.reshape(grid, (side * side, -1))], axis=0)
