"""The nine networks of the results tables: their names, their order, and how each is built.

Only :func:`build_features` imports Keras, so tables and reports stay quick. Nothing here touches files.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boneage.core.errors import BoneAgeError

if TYPE_CHECKING:
    import keras


class WeightsError(BoneAgeError):
    """The pretrained weights are not available."""


@dataclass(frozen=True)
class Network:
    """One network of the registry.

    Attributes:
        key: Its name in files, folders and on the command line, and of the module that builds it.
        title: Its name in the tables.
        notebook: The notebook that trains it.
        imagenet: Whether ImageNet weights are published for it.
        multiple: The image side must be a multiple of this many pixels.
        learning_rate_factor: Multiplies the learning rate of the settings.
        batch_factor: Multiplies the batch size of the settings.
    """

    key: str
    title: str
    notebook: str
    imagenet: bool = False
    multiple: int = 1
    learning_rate_factor: float = 1.0
    batch_factor: int = 1


# Without batch normalisation a deep network needs smaller steps. VGG's factor is the best of 1/3, 1/10 and
# 1/30 for VGG16 from scratch, by validation MAE on real radiographs. EfficientNetV2S's were chosen the same
# way (from scratch, 128 px, 18 epochs): batches of 32 gave 1.46 years at three times the learning rate and
# 1.59 at the rate itself; batches of 8 gave 1.81, and learnt nothing in six epochs at three times the rate.
_IN_TABLE_ORDER = (
    Network("vgg19", "VGG19", "04_vgg19", imagenet=True, learning_rate_factor=0.1),
    Network("vgg16", "VGG16", "05_vgg16", imagenet=True, learning_rate_factor=0.1),
    Network("cnn", "CNN", "06_cnn"),
    Network("unet", "U-Net", "07_unet"),
    Network("attention", "Attention Mechanism", "08_attention"),
    Network(
        "efficientnetv2s",
        "EfficientNetV2S",
        "09_efficientnetv2s",
        imagenet=True,
        learning_rate_factor=3.0,
        batch_factor=4,
    ),
    Network("resnet50", "Resnet50", "10_resnet50", imagenet=True),
    Network(
        "vision_transformer",
        "Vision-Transformer",
        "11_vision_transformer",
        imagenet=True,
        multiple=16,
        learning_rate_factor=0.3,
    ),
    Network("yolo", "Yolo", "12_yolo", imagenet=True),
)

NETWORKS: dict[str, Network] = {network.key: network for network in _IN_TABLE_ORDER}
"""Every network by key, in the tables' order."""

SMALLEST_SIZE = 32
"""The smallest image side in pixels: the networks halve it up to five times."""


def find(key: str) -> Network:
    """The network with that key.

    Raises:
        BoneAgeError: There is none.
    """
    if key not in NETWORKS:
        raise BoneAgeError(f"network {key}: must be one of {', '.join(NETWORKS)}")
    return NETWORKS[key]


def check_size(key: str, size: int) -> None:
    """Checks that a network takes images of ``size`` pixels a side.

    Raises:
        BoneAgeError: It does not, or there is no such network.
    """
    multiple = find(key).multiple
    if size >= SMALLEST_SIZE and size % multiple == 0:
        return
    nearest = max(SMALLEST_SIZE, round(size / multiple) * multiple)
    of = f" and a multiple of {multiple}" if multiple > 1 else ""
    raise BoneAgeError(
        f"network {key}: images of {size} px; the side must be at least {SMALLEST_SIZE}{of}, so set "
        f"train_size to {nearest}"
    )


def build_features(
    key: str, images: "keras.KerasTensor", width: str = "full", weights: str = "scratch"
) -> "keras.KerasTensor":
    """Image features, pooled to one vector an image by a layer named ``pooled``.

    Args:
        key: Key of the network.
        images: Grey images, float, (batch, size, size, 1), 0 (black) to 255; the network scales them itself.
        width: ``"full"``, or ``"tiny"`` for a narrow, shallow copy that trains on two processor cores.
        weights: ``"imagenet"`` (full width only; downloaded), or ``"scratch"``.

    Returns:
        (batch, features).

    Raises:
        WeightsError: The weights are not available.
        BoneAgeError: There is no such network, or it does not take images of that size.
    """
    check_size(key, images.shape[1])
    if weights == "imagenet" and not (find(key).imagenet and width == "full"):
        raise WeightsError(f"network {key} ({width}): there are no ImageNet weights for it")
    return importlib.import_module(f"boneage.networks.{key}").features(images, width, weights)
