"""The nine networks of the two tables: their names, their order, and how each is built.

Nothing here imports Keras before :func:`build_features` is called, so that tables and reports stay quick,
and nothing here knows of files.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boneage.core.errors import BoneAgeError

if TYPE_CHECKING:
    import keras


class WeightsError(BoneAgeError):
    """The weights that a network should begin with cannot be had."""


@dataclass(frozen=True)
class Network:
    """One row of the two tables.

    Attributes:
        key: The name in files, folders and on the command line, and of the module that builds it.
        title: The name in the tables.
        notebook: The notebook that teaches and trains it.
        imagenet: Whether weights learnt on ImageNet are published for it.
        multiple: The side of its images must be a multiple of this many pixels.
        rate: The share of the settings' learning rate that it is trained with.
        batch: How many times the settings' batch size its batches are.
    """

    key: str
    title: str
    notebook: str
    imagenet: bool = False
    multiple: int = 1
    rate: float = 1.0
    batch: int = 1


# Without batch normalisation a deep network bears smaller steps only. VGG's share is the best of a third, a
# tenth and a thirtieth for VGG16 from scratch, by the validation cases of real radiographs. So was
# EfficientNetV2S's chosen, from scratch at 128 px, 18 epochs: in batches of 32 at three times the rate 1.46
# years, at the rate itself 1.59; in batches of 8 at the rate itself 1.81, and at three times the rate it had
# learnt nothing in six epochs.
_IN_TABLE_ORDER = (
    Network("vgg19", "VGG19", "04_vgg19", imagenet=True, rate=0.1),
    Network("vgg16", "VGG16", "05_vgg16", imagenet=True, rate=0.1),
    Network("cnn", "CNN", "06_cnn"),
    Network("unet", "U-Net", "07_unet"),
    Network("attention", "Attention Mechanism", "08_attention"),
    Network("efficientnetv2s", "EfficientNetV2S", "09_efficientnetv2s", imagenet=True, rate=3.0, batch=4),
    Network("resnet50", "Resnet50", "10_resnet50", imagenet=True),
    Network(
        "vision_transformer",
        "Vision-Transformer",
        "11_vision_transformer",
        imagenet=True,
        multiple=16,
        rate=0.3,
    ),
    Network("yolo", "Yolo", "12_yolo", imagenet=True),
)

NETWORKS: dict[str, Network] = {network.key: network for network in _IN_TABLE_ORDER}
"""Every network by key, in the tables' order."""

SMALLEST_SIZE = 32
"""The smallest side in pixels of the images that the networks take: they halve it up to five times."""


def find(key: str) -> Network:
    """The network of that key.

    Raises:
        BoneAgeError: There is none.
    """
    if key not in NETWORKS:
        raise BoneAgeError(f"network {key}: must be one of {', '.join(NETWORKS)}")
    return NETWORKS[key]


def check_size(key: str, size: int) -> None:
    """Makes sure that a network takes images of that side.

    Raises:
        BoneAgeError: There is no such network, or it takes none of that size.
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
    """The features of images under a network, pooled to one vector an image.

    The layer that pools is named ``pooled`` and takes the mean over a map, (batch, height, width, features).

    Args:
        key: A network.
        images: Grey images, float, (batch, size, size, 1), 0 (black) to 255. Scaling them as the
            network's weights expect is the network's own affair.
        width: ``"full"``, or ``"tiny"`` for a narrow and shallow one that two processor cores can train.
        weights: ``"imagenet"`` (full width only; they are fetched), or ``"scratch"``.

    Returns:
        (batch, features).

    Raises:
        WeightsError: The weights cannot be had.
        BoneAgeError: There is no such network, or it takes no images of that size.
    """
    check_size(key, images.shape[1])
    if weights == "imagenet" and not (find(key).imagenet and width == "full"):
        raise WeightsError(f"network {key} ({width}): there are no ImageNet weights for it")
    return importlib.import_module(f"boneage.networks.{key}").features(images, width, weights)
