"""Model files, read without trusting them: a run may come from elsewhere.

Keras's safe mode refuses a function that comes as bytecode, but what else a file may name, and so have called
or read, has changed from version to version (CVE-2025-1550, CVE-2025-8747). So before Keras opens a file, it
must be an archive of the three members that Keras writes, unpack to no more than it is, name no class that
the networks are not built of, and hold weights that refer to no other file.
"""

import json
import zipfile
from pathlib import Path
from typing import IO, Any

import h5py
import keras

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {_CONFIG, _WEIGHTS, "metadata.json"}
_LARGEST_CONFIG_BYTES = 16 * 2**20

KNOWN_CLASSES = frozenset(
    (
        *("Activation", "Add", "AdamW", "BatchNormalization", "Concatenate", "Conv2D", "Conv2DTranspose"),
        *("CosineDecay", "Cropping1D", "CSPNetBackbone", "DTypePolicy", "Degraded", "Dense"),
        *("DepthwiseConv2D", "Dropout", "Functional", "GlobalAveragePooling2D", "GlorotUniform", "HeNormal"),
        *("InputLayer", "LocalContrast", "LossScaleOptimizer", "MaxPooling2D", "Multiply", "Ones"),
        *("RandomRotation", "RandomTranslation", "RandomZoom", "Rescaling", "Reshape", "Softmax"),
        *("VarianceScaling", "ViTBackbone", "ZeroPadding2D", "Zeros", "__keras_tensor__", "function"),
    )
)
"""The classes that a model of :mod:`boneage.networks`, compiled or not, is built of."""

_PACKAGES = ("builtins", "boneage", "keras", "keras_hub")


class ModelFileError(Exception):
    """Why a model file cannot be read."""


def read_model(path: Path, compiled: bool = False) -> keras.Model:
    """Reads a model that :func:`boneage.training.checkpoint.save_model` wrote.

    Args:
        path: The file.
        compiled: Whether with its optimiser, to go on training.

    Raises:
        ModelFileError: It is damaged, or not such a model; nothing that it names was run.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, path.stat().st_size)
            _check_classes(json.loads(archive.read(_CONFIG)))
            with archive.open(_WEIGHTS) as weights:
                _check_weights(weights, archive.getinfo(_WEIGHTS).file_size)
        return keras.saving.load_model(path, compile=compiled, safe_mode=True)
    except Exception as error:  # A damaged or hostile file can make Keras raise anything.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelFileError(reason) from None


def read_back(path: Path) -> keras.Model:
    """Reads a model that this process has just written, of whatever layers, and so does not check it."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _check_members(archive: zipfile.ZipFile, file_bytes: int) -> None:
    names = archive.namelist()
    if set(names) != _MEMBERS or len(names) != len(_MEMBERS):
        raise ValueError(f"its members are not {', '.join(sorted(_MEMBERS))}")
    # Keras stores them as they are.
    if sum(one.file_size for one in archive.infolist()) > file_bytes:
        raise ValueError("it unpacks to more than its size")
    if archive.getinfo(_CONFIG).file_size > _LARGEST_CONFIG_BYTES:
        raise ValueError(f"its {_CONFIG} is too large")
    # Keras reads weights here and there in the archive, and so never comes to compare its checksums.
    if damaged := archive.testzip():
        raise ValueError(f"{damaged} is damaged")


def _check_classes(config: object) -> None:
    for one in _dictionaries(config):
        named = one.get("class_name")
        if named is None and not one.keys() & {"module", "registered_name"}:
            continue
        package = str(one.get("module") or "keras").split(".")[0]
        # What is registered goes before what is named.
        registered = str(one.get("registered_name") or named)
        if named not in KNOWN_CLASSES or package not in _PACKAGES or registered.split(">")[-1] != named:
            raise ValueError(f"it names {one.get('module')}.{named}, which is part of no network")
        if named == "function" and package != "builtins":
            raise ValueError(f"it names a function of {one.get('module')}, which is part of no network")


def _dictionaries(value: object) -> list[dict[str, Any]]:
    found, left = [], [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            found.append(one)
            left += one.values()
        elif isinstance(one, list):
            left += one
    return found


def _check_weights(file: IO[bytes], file_bytes: int) -> None:
    """Refuses an HDF5 file that refers to other files, or whose arrays are larger than itself."""
    links: list[tuple[str, object]] = []
    with h5py.File(file, "r") as weights:
        weights.visititems_links(lambda name, link: links.append((name, link)))
        if any(not isinstance(link, h5py.HardLink) for _, link in links):
            raise ValueError("its weights lie in another file")
        found = [weights[name] for name, _ in links]
        arrays = [one for one in found if isinstance(one, h5py.Dataset)]
        if any(one.is_virtual or one.external for one in arrays):
            raise ValueError("its weights lie in another file")
        if sum(one.nbytes for one in arrays) > file_bytes:
            raise ValueError("its weights unpack to more than their size")
