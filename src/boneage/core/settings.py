"""Every choice of a run in one frozen object, with presets, checked overrides, and JSON in and out."""

import dataclasses
import difflib
import json
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boneage.core.errors import BoneAgeError
from boneage.core.files import write_text

SOURCES = ("phantom", "dha", "rsna")
UNITS = ("months", "years")
PADS = ("background", "black", "white")
LABEL_KINDS = ("reading", "age_group")
BACKENDS = ("tensorflow", "jax")
WIDTHS = ("full", "tiny")
WEIGHTS = ("imagenet", "scratch")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

VARIANTS = {
    "": "plain",
    "sex": "sex as a second input",
    "months": "a head over month bins",
    "views": "the mean of six views, turned and mirrored",
}
"""What can be trained, or estimated, otherwise than in the two tables; each is a run of its own."""

TOTAL = 7393
"""Photos in the grown set of the method: 389 or 390 in each of the 19 years."""
MOST_PHOTOS = 200_000
"""Its tables take up to 335 bytes a photo before they are larger than a table that is read may be."""

TRAIN_SIZES = (32, 1024)
"""The smallest and the largest side in pixels of the photos that the networks see."""


@dataclass(frozen=True)
class Settings:
    """What a run reads, makes and trains.

    Raises:
        BoneAgeError: A value of the wrong type, or outside its range.
    """

    # Where the radiographs come from: drawn here, the Digital Hand Atlas, or the RSNA challenge.
    source: str = "dha"
    # A folder or a zip with the source's files, or the sharing link of a zip on Google Drive; empty lets the
    # manifest fetch them (or draws phantoms).
    data: str = ""
    # What the source's tables of bone ages are in: months or years; empty finds it, and says what it found.
    unit: str = ""
    # Everything that is made goes below this folder.
    work: str = "work"
    # Where it is on a slow disk (Google Drive), a fast folder for what is large and can be made again: the
    # source's files, photos, packed photos. Empty keeps them in the work folder.
    cache: str = ""
    # Drives every random choice: the drawing, the split, the training.
    seed: int = 2026

    # Phantoms drawn for each year of age, sex and race (152 such groups).
    phantoms_per_group: int = 2
    # Share of them drawn with a ring, a bracelet, unreadable bones, or growth out of step.
    phantom_anomalies: float = 0.0

    # Side of the square photos that a person reviews, in pixels.
    photo_size: int = 928
    # Shade of the bars that make a photo square: the photo's own background, or a fixed one.
    pad: str = "background"

    # Whose decisions the review board writes; two people on one log get a name each.
    reviewer: str = ""
    # A review log recorded earlier, for when no person is at hand; drawn hands bring one of their own.
    recorded_review: str = ""
    # Photos in the grown set, all splits together; 0 grows nothing.
    total: int = TOTAL
    # Whether a mirrored left hand would be a wrong hand, so that nothing is flipped.
    laterality_matters: bool = False

    # The label: the radiologists' reading where there is one, or always the atlas folder's year of age.
    label: str = "reading"
    # Shares of the cases, drawn before anything is grown; the rest is for training.
    validation_share: float = 0.15
    test_share: float = 0.15

    # Side of the photos that the networks see, in pixels.
    train_size: int = 256
    # Each number is a run of its own, with its own learning-rate schedule.
    epochs: tuple[int, ...] = (10, 18)
    # Small, because a few hundred photos give few steps an epoch otherwise. Networks that need larger ones
    # take a multiple of it (``networks.Network.batch``).
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    # The networks as published, or narrow and shallow ones that two processor cores can train.
    width: str = "full"
    # What a network begins with: "" takes ImageNet weights where they can be had, and says so where they
    # cannot; "imagenet" stops there; "scratch" asks for none. Some networks have no such weights.
    weights: str = ""
    # The numbers that the sums are done in; the mixed ones keep the weights in float32.
    precision: str = "float32"
    # Whether to train all the same where few cases are left, none to validate or test, or many were lost.
    accept_losses: bool = False
    # "" takes KERAS_BACKEND, else TensorFlow, else JAX.
    backend: str = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(
                self, field.name, _checked_type(field.name, field.type, getattr(self, field.name))
            )
        _check_one_of("source", self.source, SOURCES)
        _check_one_of("unit", self.unit, ("", *UNITS))
        _check_one_of("pad", self.pad, PADS)
        _check_one_of("label", self.label, LABEL_KINDS)
        _check_one_of("backend", self.backend, ("", *BACKENDS))
        _check_one_of("width", self.width, WIDTHS)
        _check_one_of("precision", self.precision, PRECISIONS)
        _check_one_of("weights", self.weights, ("", *WEIGHTS))
        if self.width == "tiny" and self.weights == "imagenet":
            raise BoneAgeError("weights: tiny networks have no ImageNet weights; set width to full")
        _check_range("seed", self.seed, 0, 2**32 - 1)
        _check_range("phantoms_per_group", self.phantoms_per_group, 1, 1000)
        _check_range("photo_size", self.photo_size, 32, 4096)
        _check_range("phantom_anomalies", self.phantom_anomalies, 0.0, 1.0)
        _check_range("total", self.total, 0, MOST_PHOTOS)
        _check_range("train_size", self.train_size, *TRAIN_SIZES)
        _check_range("batch_size", self.batch_size, 1, 4096)
        _check_range("learning_rate", self.learning_rate, 1e-7, 1.0)
        _check_range("weight_decay", self.weight_decay, 0.0, 1.0)
        _check_range("validation_share", self.validation_share, 0.0, 0.5)
        _check_range("test_share", self.test_share, 0.0, 0.4)
        if not self.epochs or len(set(self.epochs)) != len(self.epochs):
            raise BoneAgeError(f"epochs: {self.epochs} must name each run's epochs once, e.g. 10 18")
        for epochs in self.epochs:
            _check_range("epochs", epochs, 1, 1000)

    @classmethod
    def preset(cls, name: str, **overrides: object) -> "Settings":
        """The settings of a preset (``demo`` or ``colab``) with some of them overridden.

        Raises:
            BoneAgeError: No such preset, an unknown setting, or a value that does not fit.
        """
        _check_one_of("preset", name, tuple(PRESETS))
        return cls(**PRESETS[name]).replace(**overrides)

    def replace(self, **overrides: Any) -> "Settings":
        """A copy with some settings changed.

        Raises:
            BoneAgeError: An unknown setting, or a value that does not fit.
        """
        known = [field.name for field in dataclasses.fields(self)]
        unknown = sorted(set(overrides) - set(known))
        if unknown:
            meant = difflib.get_close_matches(unknown[0].lower(), known, 1)
            advice = f"did you mean {meant[0]}?" if meant else f"the settings are {', '.join(known)}"
            raise BoneAgeError(f"{', '.join(unknown)}: no such setting; {advice}")
        return dataclasses.replace(self, **overrides)

    def to_json(self) -> str:
        """The settings as JSON text, which :meth:`from_json` reads back to an equal object."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Reads what :meth:`to_json` wrote.

        Raises:
            BoneAgeError: Not JSON, not an object, an unknown setting, or a value that does not fit.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise BoneAgeError(f"not JSON ({error})") from None
        except (ValueError, RecursionError):
            raise BoneAgeError("not JSON of this project") from None
        if not isinstance(values, dict):
            raise BoneAgeError("not a JSON object")
        return cls().replace(**values)

    @classmethod
    def load(cls, path: Path | str) -> "Settings":
        """Reads a settings file.

        Raises:
            BoneAgeError: See :meth:`from_json`; the file is named.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, BoneAgeError) as error:
            raise BoneAgeError(f"{path}: {error}; mend the file or delete it to start afresh") from None

    def save(self, path: Path | str) -> Path:
        """Writes the settings as JSON, whole or not at all."""
        return write_text(path, self.to_json() + "\n")


PRESETS: dict[str, dict[str, Any]] = {
    # Small enough for two cores and no GPU, drawn here: nothing is fetched.
    "demo": {
        "source": "phantom",
        "work": "work/demo",
        "phantoms_per_group": 3,
        "phantom_anomalies": 0.06,
        "total": 500,
        "train_size": 96,
        "width": "tiny",
        # So few steps must be long ones: at a third of it, half of the networks had hardly begun to learn.
        "learning_rate": 0.003,
        "epochs": (5, 10),
    },
    # The whole atlas on a Colab GPU.
    "colab": {
        "source": "dha",
        "work": "work/atlas",
        "train_size": 256,
        "epochs": (10, 18),
    },
}


def _checked_type(name: str, kind: object, value: object) -> object:
    if typing.get_origin(kind) is tuple:
        if isinstance(value, list | tuple) and all(type(item) is int for item in value):
            return tuple(value)
        raise BoneAgeError(f"{name}: {value!r} must be a list of whole numbers")
    if isinstance(value, Path) and kind is str:
        return str(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or value != value:
        wanted = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise BoneAgeError(f"{name}: {value!r} must be {wanted[typing.cast(type, kind)]}")
    return value


def _check_one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise BoneAgeError(f"{name}: {value!r} must be one of {', '.join(filter(None, choices))}")


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise BoneAgeError(f"{name}: {value} must be between {least} and {most}")
