"""The nine networks of the two tables: their names, their order, and how each is built.

Nothing here imports Keras before :func:`build` is called, so that tables and reports stay quick, and
nothing here knows of files.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boneage.errors import BoneAgeError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Network:
    """One row of the two tables.

    Attributes:
        key: The name in files, folders and on the command line.
        title: The name in the tables.
        notebook: The notebook that teaches and trains it.
        module: The module of this package whose ``features`` builds it, or "" while there is none.
    """

    key: str
    title: str
    notebook: str
    module: str = ""


_IN_TABLE_ORDER = (
    Network("vgg19", "VGG19", "04_vgg19"),
    Network("vgg16", "VGG16", "05_vgg16"),
    Network("cnn", "CNN", "06_cnn", "cnn"),
    Network("unet", "U-Net", "07_unet"),
    Network("attention", "Attention Mechanism", "08_attention"),
    Network("efficientnetv2s", "EfficientNetV2S", "09_efficientnetv2s"),
    Network("resnet50", "Resnet50", "10_resnet50"),
    Network("vision_transformer", "Vision-Transformer", "11_vision_transformer"),
    Network("yolo", "Yolo", "12_yolo"),
)

NETWORKS: dict[str, Network] = {network.key: network for network in _IN_TABLE_ORDER}
"""Every network by key, in the tables' order."""


def find(key: str) -> Network:
    """The network of that key.

    Raises:
        BoneAgeError: There is none.
    """
    if key not in NETWORKS:
        raise BoneAgeError(f"network {key}: must be one of {', '.join(NETWORKS)}")
    return NETWORKS[key]


def buildable() -> list[str]:
    """The keys of the networks that can be trained, in the tables' order."""
    return [key for key, network in NETWORKS.items() if network.module]


def build_features(key: str, photos: "keras.KerasTensor") -> "keras.KerasTensor":
    """The features of photos under a network, pooled to one vector a photo.

    Args:
        key: A network.
        photos: Grey photos, float, (batch, size, size, 1), 0 (black) to 255. Scaling them as the
            network's weights expect is the network's own affair.

    Returns:
        (batch, features).

    Raises:
        BoneAgeError: There is no such network, or it is not built yet.
    """
    network = find(key)
    if not network.module:
        raise BoneAgeError(f"network {key}: cannot be trained yet; choose from {', '.join(buildable())}")
    return importlib.import_module(f"boneage.networks.{network.module}").features(photos)
