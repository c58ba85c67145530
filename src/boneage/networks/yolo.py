"""CSPDarknet53, the backbone of YOLOv4 (Bochkovskiy, Wang and Liao, 2020), from KerasHub.

The neck and the heads, which find boxes, are left out. Its blocks follow the Cross Stage Partial Network
(Wang et al., CVPR Workshops 2020).
"""

from typing import Any

import keras

from boneage.networks.hub import keras_hub
from boneage.networks.inputs import contrast_channels, scaled_channels
from boneage.networks.layers import pooled
from boneage.networks.published import fetched, settled

PRESET = "csp_darknet_53_ra_imagenet"

# Mean and standard deviation of ImageNet's colours, 0 to 1, with which timm's weights were trained.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALE = tuple(1 / (255 * one) for one in DEVIATION)
OFFSET = tuple(-mean / one for mean, one in zip(MEAN, DEVIATION, strict=True))

SIZES: dict[str, dict[str, Any]] = {
    "full": {
        "stem_filters": 32,
        "stackwise_depth": [1, 2, 8, 8, 4],
        "stackwise_num_filters": [64, 128, 256, 512, 1024],
    },
    "tiny": {
        "stem_filters": 8,
        "stackwise_depth": [1, 1, 1, 1],
        "stackwise_num_filters": [16, 32, 64, 128],
    },
}


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The last feature maps of CSPDarknet53, averaged; see ``networks.build_features``."""
    size = images.shape[1]
    if weights == "imagenet":
        hub = keras_hub()
        model = fetched(lambda: hub.models.CSPNetBackbone.from_preset(PRESET, image_shape=(size, size, 3)))
        return pooled(model(scaled_channels(images, SCALE, OFFSET)))
    return pooled(settled(backbone(size, width))(contrast_channels(images)))


def backbone(size: int, width: str) -> keras.Model:
    """The backbone with random weights, for images (batch, size, size, 3)."""
    sizes = SIZES[width]
    return keras_hub().models.CSPNetBackbone(
        image_shape=(size, size, 3),
        stem_kernel_size=3,
        stem_strides=1,
        stem_padding="same",
        stackwise_strides=[2] * len(sizes["stackwise_depth"]),
        bottle_ratio=(0.5, 1.0),
        block_ratio=(1.0, 0.5),
        expand_ratio=(2.0, 1.0),
        stage_type="csp",
        block_type="dark_block",
        down_growth=True,
        **sizes,
    )
