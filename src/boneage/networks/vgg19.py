"""VGG19 (Simonyan and Zisserman, ICLR 2015) from Keras: VGG16 with three more convolutions."""

import keras

from boneage.networks.vgg16 import vgg


def features(images: keras.KerasTensor, width: str, weights: str) -> keras.KerasTensor:
    """The last feature maps of VGG19, averaged; see ``networks.build_features``."""
    return vgg(keras.applications.VGG19, images, width, weights)
