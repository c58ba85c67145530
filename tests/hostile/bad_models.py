"""Model files that would do harm if they could, made from a sound one."""

import copy
import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def bad_models(sound: bytes, marker: Path) -> dict[str, Callable[[], bytes]]:
    """Makers of hostile files, by name; each would leave the marker, or read or fill what is not its own."""
    command = f"touch {marker}"
    os_system = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    get_file = {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    }

    def layer(place: str, name: str, /, **config: object) -> Callable[[], bytes]:
        one = {"module": place, "class_name": name, "registered_name": name}
        return lambda: with_layer(sound, {**one, "config": {"name": "evil", **config}})

    def as_config(config: object) -> Callable[[], bytes]:
        return lambda: changed(sound, {CONFIG: json.dumps(config).encode()})

    return {
        "a lambda": lambda: lambda_layer(sound, command),
        "a Lambda layer that fetches a file": layer(
            "keras.layers", "Lambda", function=get_file, arguments={"origin": f"file://{marker}"}
        ),
        "os.system as an activation": layer("keras.layers", "Activation", activation=os_system),
        "os.system as a registered object": as_config(
            {"module": "os", "class_name": "system", "config": command, "registered_name": "boneage>Degraded"}
        ),
        "os.system under the name of a layer": layer("os", "Dense", command=command),
        "a registered name that is another": lambda: with_layer(
            sound,
            {
                "module": "keras.layers",
                "class_name": "Dense",
                "registered_name": "keras>Lambda",
                "config": {"units": 1},
            },
        ),
        "eval as a builtin": layer(
            "keras.layers",
            "Lambda",
            function={"module": "builtins", "class_name": "function", "config": "eval"},
        ),
        "a function of another package": layer(
            "keras.layers",
            "Activation",
            activation={"module": "keras.saving", "class_name": "function", "config": "load_model"},
        ),
        "a SavedModel": layer("keras.layers", "TFSMLayer", filepath=str(marker.parent)),
        "a PyTorch module": layer(
            "keras.layers",
            "TorchModuleWrapper",
            module={"class_name": "__bytes__", "config": {"value": pickle.dumps(Touches(marker)).hex()}},
        ),
        "a layer larger than any memory": layer("keras.layers", "Dense", units=2**45),
        "a vocabulary of another's file": layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
        "a module to be imported": as_config(
            {"module": "evil", "class_name": "Evil", "config": {}, "registered_name": "Evil"}
        ),
        "a compiled lambda": lambda: with_compile(
            sound, {"class_name": "__lambda__", "config": {"value": ""}}
        ),
        "paths that climb": lambda: changed(sound, {f"../../../../../..{marker}": b"", "assets/a": b""}),
        "more members than there should be": lambda: changed(sound, {"assets/evil.py": b"print()"}),
        "weights in a pickle": lambda: changed(
            sound, {WEIGHTS: None, "model.weights.npz": object_array(marker)}
        ),
        "a pickle": lambda: pickle.dumps(Touches(marker)),
        "a zip bomb": lambda: changed(sound, {WEIGHTS: bytes(2**28)}, zipfile.ZIP_DEFLATED),
        "a bomb in its weights": lambda: changed(sound, {WEIGHTS: hdf5(huge)}),
        "weights in another file": lambda: changed(sound, {WEIGHTS: hdf5(external)}),
        "weights by a link to another file": lambda: changed(sound, {WEIGHTS: hdf5(linked)}),
        "a configuration without end": lambda: changed(sound, {CONFIG: b"[" * 200_000}),
        "a configuration of another kind": as_config([1, "2", None]),
        "no weights": lambda: changed(sound, {WEIGHTS: b"no HDF5"}),
        "no configuration": lambda: changed(sound, {CONFIG: None}),
        "an HDF5 file": lambda: hdf5(lambda file: file.create_dataset("a", data=np.zeros(3))),
        "cut short": lambda: sound[: len(sound) // 2],
        "nothing": lambda: b"",
    }


class Touches:
    """Leaves the marker when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def changed(sound: bytes, members: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> bytes:
    """The archive with some members replaced, added, or left out where they are None."""
    with zipfile.ZipFile(io.BytesIO(sound)) as file:
        every = {name: file.read(name) for name in file.namelist()} | members
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, data in every.items():
            if data is not None:
                file.writestr(name, data)
    return stream.getvalue()


def config_of(sound: bytes) -> dict:
    with zipfile.ZipFile(io.BytesIO(sound)) as file:
        return json.loads(file.read(CONFIG))


def with_layer(sound: bytes, layer: dict) -> bytes:
    """The model with one more layer, which reads its input."""
    config = copy.deepcopy(config_of(sound))
    image = config["config"]["layers"][0]["name"]
    shape = config["config"]["layers"][0]["config"]["batch_shape"]
    tensor = {
        "class_name": "__keras_tensor__",
        "config": {"shape": shape, "dtype": "float32", "keras_history": [image, 0, 0]},
    }
    node = {"args": [tensor], "kwargs": {}}
    config["config"]["layers"].insert(1, {**layer, "name": "evil", "inbound_nodes": [node]})
    return changed(sound, {CONFIG: json.dumps(config).encode()})


def with_compile(sound: bytes, loss: dict) -> bytes:
    config = config_of(sound) | {"compile_config": {"optimizer": "adam", "loss": loss}}
    return changed(sound, {CONFIG: json.dumps(config).encode()})


def lambda_layer(sound: bytes, command: str) -> bytes:
    """A layer of bytecode, as Keras itself writes it."""
    layer = keras.layers.Lambda(lambda x: x, name="evil")
    layer.function = eval(f"lambda x: (__import__('os').system({command!r}), x)[1]")
    return with_layer(sound, keras.saving.serialize_keras_object(layer))


def object_array(marker: Path) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, evil=np.array([Touches(marker)], object))
    return stream.getvalue()


def hdf5(write: Callable[[h5py.File], object]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        write(file)
    return stream.getvalue()


def huge(file: h5py.File) -> None:
    """An array of two terabytes, of which nothing is written."""
    file.create_dataset("layers/dense/vars/0", shape=(2**39,), dtype="f4", chunks=(2**20,))


def external(file: h5py.File) -> None:
    file.create_dataset("layers/dense/vars/0", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def linked(file: h5py.File) -> None:
    file["layers/dense"] = h5py.ExternalLink("elsewhere.h5", "/")
