"""A trained network in the formats of other programs, each checked against the network itself.

Keras (3.13) exports random layers as they act in training, where an estimate moves by years, so what acts in
training only is left out first, and what this package adds to Keras is written out in Keras's own operations.
Beside the files, ``network.json`` says what an image must be like and what comes out.
"""

import contextlib
import io
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from boneage.core.backends import read_litert, read_saved_model, write_litert
from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, sha256_of, write_bytes, write_text
from boneage.core.runtime import package, reason_of
from boneage.core.settings import EXPORTS
from boneage.core.tables import OLDEST_YEARS
from boneage.estimate.ensemble import Member
from boneage.estimate.fhir import NOTICE
from boneage.estimate.hands import SIDE
from boneage.estimate.models import CARD, FACTS, LARGEST_CHANGE_YEARS, read_models
from boneage.estimate.runs import member_of, validation_images
from boneage.evaluation import read_run
from boneage.images.square import BAR_FRAME, square
from boneage.networks.inputs import LocalContrast
from boneage.phantom.drawing import draw_hand
from boneage.report.card import CARD as RUN_CARD
from boneage.report.card import card_of_run
from boneage.training.degrade import Degraded
from boneage.training.model_files import read_back

FOLDER, ABOUT = "export", "network.json"
"""Where an export goes by default, below its run, and the file in it that says how to use the others."""

CHECKED_IMAGES = 50

_IMAGE = (
    "one left hand, upright, bones bright; grey, float32, 0 (black) to 255 (white), (batch, size, size, 1). "
    "Scaled to fit and centred in a square of `through` pixels, then in one of `size`, with area "
    "interpolation to shrink and cubic interpolation to enlarge. The bars have the median grey level of the "
    "four strips along the sides of the scaled image, as deep as its short side divided by `bars`."
)
_SEX = {
    "input": "male",
    "F": 0.0,
    "M": 1.0,
    "words": "float32, (batch, 1); if it is not known, the estimate is the mean of what comes out for both",
}

_TRAINING_ONLY = (
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.Dropout,
    Degraded,
)

_Reads = Callable[[list[np.ndarray]], np.ndarray]
"""From images (images, size, size, 1) and perhaps sexes (images, 1), float32, to years (images, 1)."""


class _Format(NamedTuple):
    write: Callable[[keras.Model, Path], None]
    read: Callable[[Path], _Reads]
    needs: tuple[str, ...] = ()


def export(folder: Path, out: Path | None, formats: Sequence[str] = ()) -> Iterator[tuple[Path, str]]:
    """Exports a run, or each network of a folder of models.

    Args:
        folder: A finished run or a folder of models.
        out: The folder of the files, for several networks of a folder each; by default below ``folder``.
        formats: Of :data:`boneage.core.settings.EXPORTS`; by default each whose packages are installed.

    Yields:
        Each file, and what it is in words.

    Raises:
        BoneAgeError: No such network, a package is missing, ``out`` holds something else, the disk is full;
            or, once the others are made, a format cannot be made or says something else than the network.
    """
    for name in formats:
        _check_installed(name)
    formats = formats or [one for one in EXPORTS if _is_installed(one)]
    if (folder / FACTS).is_file():
        members: Sequence[Member] = read_models(folder).members
        own, card = np.empty(0, np.uint8), _text_of(folder / CARD)
    else:
        run = read_run(folder)
        members, own = [member_of(run)], validation_images(run, CHECKED_IMAGES)
        card = _text_of(folder / RUN_CARD) or card_of_run(run)
    out = out or folder / FOLDER
    failures = []
    for number, member in enumerate(members):
        of_member = out if len(members) == 1 else out / f"network-{number}"
        for path, made in _export_member(member, of_member, formats, own, card):
            if isinstance(made, BoneAgeError):
                print(f"failed: {made.line()}")
                failures.append(made)
            else:
                yield path, made
    if failures:
        of = f"{len(failures)} files were not made; the first: " if len(failures) > 1 else ""
        raise BoneAgeError(f"{of}{failures[0]}")


def _export_member(
    member: Member, out: Path, formats: Sequence[str], own: np.ndarray, card: str
) -> Iterator[tuple[Path, str | BoneAgeError]]:
    """As :func:`export`, or why a format was not made."""
    if member.variant == "tta":
        raise BoneAgeError(
            f"{member.title}: test-time augmentation reads an image many times, which no file of a network "
            "does; export the plain run"
        )
    _make_room(out)
    drawn = _drawn_hands(CHECKED_IMAGES - len(own), member.size)
    images = np.concatenate([own.reshape(-1, *drawn.shape[1:]), drawn])
    about = {**about_network(member), "checked": _checked_words(len(own), len(drawn)), "files": {}}
    write_text(out / RUN_CARD, card)
    # The file that tells of the others is there from the first, so that a later export knows its own.
    write_text(out / ABOUT, _text(about))
    for name in formats:
        try:
            moved, digests = _made(name, member, images, out)
        except BoneAgeError as error:
            yield out / EXPORTS[name], error
            continue
        about["files"][name] = {"largest_difference_years": moved, "sha256": digests}
        write_text(out / ABOUT, _text(about))
        yield out / EXPORTS[name], f"{member.title}, within {moved:.6f} years on {CHECKED_IMAGES} images"
    yield out / ABOUT, "what an image must be like, and what comes out"


def _made(name: str, member: Member, images: np.ndarray, out: Path) -> tuple[float, dict[str, str]]:
    """Makes one format: how far it is off at most, in years, and the SHA-256 of each of its files.

    Raises:
        BoneAgeError: It cannot be made, or says something else than the network; nothing is written then.
    """
    form, file = _FORMATS[name], EXPORTS[name]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / file
        with _quiet():
            try:
                form.write(bare(member.model, batch=1 if name == "litert" else None), made)
                said = _said(form.read(made), member, images)
            # Converters raise anything of what they do not know.
            except Exception as error:
                why = f"cannot be made of this network ({reason_of(error)})"
                raise BoneAgeError(f"{out / file}: {why}; choose another --format") from None
        moved = float(np.abs(said - member.read(images, _sexes(images))[0]).max())
        # Not "more than", which a NaN is not.
        if not moved <= LARGEST_CHANGE_YEARS:
            why = f"not written, as it says {moved:.2f} years more or less than the network"
            raise BoneAgeError(f"{out / file}: {why}; choose another --format")
        files = sorted(one for one in (made, *made.rglob("*")) if one.is_file())
        digests = {}
        for one in files:
            path = write_bytes(out / one.relative_to(folder), one.read_bytes())
            digests[str(one.relative_to(folder))] = sha256_of(path)
    return moved, digests


def bare(model: keras.Model, batch: int | None = None) -> keras.Model:
    """A network as it estimates, of Keras's own layers and operations; it shares the weights.

    Args:
        model: As :func:`boneage.training.build_model` makes it.
        batch: How many images it takes; None for any number.
    """

    def call(layer: keras.Layer, *given: Any, **options: Any) -> Any:
        if isinstance(layer, _TRAINING_ONLY):
            return given[0]
        return layer.call(*given) if isinstance(layer, LocalContrast) else layer(*given, **options)

    inputs = [keras.Input(batch_shape=(batch, *one.shape[1:]), name=one.name) for one in model.inputs]
    shaped = keras.tree.pack_sequence_as(model.input, inputs)
    copy = keras.models.clone_model(model, shaped, clone_function=lambda layer: layer, call_function=call)
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], copy.output, name=model.name)


def about_network(member: Member) -> dict[str, Any]:
    """What an image must be like and what comes out, for programs and for people."""
    return {
        "format": 1,
        "title": member.title,
        "notice": NOTICE,
        "image": {
            "input": "image",
            "size": member.size,
            "through": SIDE,
            "bars": BAR_FRAME,
            "words": _IMAGE,
        },
        "sex": _SEX if member.takes_sex else None,
        "output": {"unit": "years", "range": [0, OLDEST_YEARS], "words": "float32, (batch, 1)"},
    }


def _text_of(path: Path) -> str:
    with contextlib.suppress(OSError, ValueError):
        return path.read_text(encoding="utf-8")
    return ""


def _text(about: dict[str, Any]) -> str:
    return json.dumps(about, indent=1) + "\n"


def _checked_words(own: int, drawn: int) -> str:
    words = [f"{own} validation images of the run"] * bool(own) + [f"{drawn} drawn hands"] * bool(drawn)
    return f"each file against the network on {' and '.join(words)}"


def _make_room(out: Path) -> None:
    """Empties the folder of an earlier export.

    Raises:
        BoneAgeError: It holds something else.
    """
    make_folder(out)
    if any(out.iterdir()) and not (out / ABOUT).is_file():
        raise BoneAgeError(f"{out}: holds other files; name another folder with --out")
    for name in EXPORTS.values():
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)


def _drawn_hands(count: int, size: int) -> np.ndarray:
    ages = np.linspace(0.5, 18.0, count)
    hands = [draw_hand(age, "FM"[at % 2], at, height=400).image for at, age in enumerate(ages)]
    drawn: np.ndarray = np.array([square(one, size) for one in hands], np.uint8).reshape(-1, size, size)
    return drawn


def _sexes(images: np.ndarray) -> np.ndarray:
    male: np.ndarray = np.arange(len(images)) % 2 == 1
    return male


def _said(read: _Reads, member: Member, images: np.ndarray) -> np.ndarray:
    given = [images[..., np.newaxis].astype(np.float32)]
    if member.takes_sex:
        given.append(_sexes(images)[:, np.newaxis].astype(np.float32))
    years: np.ndarray = read(given)[:, 0].astype(float)
    return years


def _is_installed(name: str) -> bool:
    try:
        _check_installed(name)
    except BoneAgeError as error:
        print(f"{name} left out: {error}")
        return False
    return True


def _check_installed(name: str) -> None:
    for needed in _FORMATS[name].needs:
        package(needed, f"run `pip install {' '.join(_FORMATS[name].needs)}`")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Converters tell of every step, some past Python's own streams; none of it concerns the user."""
    log, silent = logging.getLogger("tf2onnx"), io.StringIO()
    level, terminal = log.level, os.dup(2)
    log.setLevel(logging.CRITICAL + 1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(silent),
            contextlib.redirect_stderr(silent),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(terminal, 2)
        os.close(nowhere)
        os.close(terminal)
        log.setLevel(level)


def _write_keras(model: keras.Model, path: Path) -> None:
    model.save(path)


def _read_keras(path: Path) -> _Reads:
    model = read_back(path)
    return lambda given: model.predict(given if len(given) > 1 else given[0], batch_size=16, verbose=0)


def _write_saved_model(model: keras.Model, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False)


def _write_onnx(model: keras.Model, path: Path) -> None:
    import onnx

    _teach_erfc()
    # Keras asks for a model that was called.
    model(keras.tree.map_structure(lambda one: np.zeros((1, *one.shape[1:]), np.float32), model.input))
    model.export(path, format="onnx", verbose=False)
    # tf2onnx leaves a constant that it has folded, a vision transformer's places, among the inputs.
    made = onnx.load(path)
    used = {name for node in made.graph.node for name in node.input}
    for one in [one for one in made.graph.input if one.name not in used]:
        made.graph.input.remove(one)
    onnx.save(made, path)


def _teach_erfc() -> None:
    """Tells tf2onnx (1.17) of the one operation of a vision transformer that it does not know."""
    from tf2onnx.handler import tf_op

    @tf_op("Erfc")
    class Erfc:
        @classmethod
        def version_9(cls, graph: Any, node: Any, **_: Any) -> None:
            one = graph.make_const(f"{node.name}_one", np.array(1, np.float32)).output[0]
            graph.remove_node(node.name)
            erf = graph.make_node("Erf", node.input).output[0]
            graph.make_node("Sub", [one, erf], name=node.name, outputs=node.output)


def _read_onnx(path: Path) -> _Reads:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    # As in LiteRT, the order of what our networks take.
    names = sorted(one.name for one in session.get_inputs())
    return lambda given: session.run(None, dict(zip(names, given, strict=True)))[0]


_FORMATS = {
    "keras": _Format(_write_keras, _read_keras),
    "savedmodel": _Format(_write_saved_model, read_saved_model),
    "onnx": _Format(_write_onnx, _read_onnx, ("tf2onnx", "onnxruntime")),
    "litert": _Format(write_litert, read_litert),
}
