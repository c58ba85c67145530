"""Networks of KerasHub, which is imported only where one of them is built."""

from types import ModuleType

from boneage.errors import BoneAgeError


def keras_hub() -> ModuleType:
    """The package ``keras_hub``.

    Raises:
        BoneAgeError: It is not installed, or it cannot be imported beside this Keras and its backend.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise BoneAgeError(
            f"keras-hub: cannot be imported ({' '.join(str(error).split())}); run `pip install keras-hub`, "
            "and where there is no TensorFlow `pip install 'keras-hub>=0.32'`"
        ) from None
    return keras_hub
