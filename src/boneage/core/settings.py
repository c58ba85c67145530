"""All settings of a run in one frozen object, with presets, checked overrides and JSON."""

import difflib
import html
import json
import os
import re
import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from boneage.core.errors import BoneAgeError
from boneage.core.files import write_text

Pad = Literal["background", "black", "white"]
Backend = Literal["tensorflow", "jax"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]

DETECTORS = ("anomalies", "images", "phantom")
"""The packages that decide what the detectors find: the latter two read images and know how hands grow."""

PADS: tuple[str, ...] = get_args(Pad)
BACKENDS: tuple[str, ...] = get_args(Backend)
PRECISIONS: tuple[str, ...] = get_args(Precision)

VARIANTS = {
    "": "plain",
    "sex": "sex as a second input",
    "month_bins": "month bins in place of one number",
    "tta": "test-time augmentation",
}
"""Runs of their own beside the two tables: trained or predicted in another way."""

EXPORTS = {
    "keras": "model.keras",
    "savedmodel": "saved_model",
    "onnx": "model.onnx",
    "litert": "model.tflite",
}
"""The formats in which a network can be exported, and the name of each's file or folder."""

TOTAL = 7393
"""Images in the augmented set of the method: 389 or 390 in each of the 19 years."""

TRAIN_SIZES = (32, 1024)
"""Smallest and largest side of the networks' input images, in pixels."""


def _each_once(epochs: tuple[int, ...]) -> tuple[int, ...]:
    if not epochs or len(set(epochs)) != len(epochs):
        raise BoneAgeError(f"epochs: {reprlib.repr(epochs)} must name each run's epochs once, e.g. 10 18")
    return epochs


def _can_be_a_path(text: str) -> str:
    if b"\0" in os.fsencode(text):
        raise ValueError("no path holds a NUL")
    return text


def _is_no_address(text: str) -> str:
    if re.match(r"\s*\w+://", text):
        raise BoneAgeError(
            "work and cache must be folders that this machine reaches by a path, not addresses"
        )
    return text


Text = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, Path) else value),
    AfterValidator(_can_be_a_path),
]
Folder = Annotated[Text, AfterValidator(_is_no_address)]
Epochs = Annotated[
    tuple[Annotated[int, Field(strict=True, ge=1, le=1000)], ...],
    Field(strict=False),
    AfterValidator(_each_once),
]


class Settings(BaseModel):
    """What a run reads, makes and trains.

    A field's description is its only documentation: the command line, docs/verbs.md and the notebooks show
    it.

    Raises:
        BoneAgeError: Unknown setting, or a value of the wrong type or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    source: Literal["phantom", "dha", "rsna"] = Field(
        "dha",
        description="Where the radiographs come from: drawn here (phantom), the Digital Hand Atlas (dha), "
        "or the RSNA challenge (rsna).",
    )
    data: Text = Field(
        "",
        description="A folder or a zip with the radiographs, a folder in a bucket (s3://bucket/folder or "
        "gs://bucket/folder), or the sharing link of a zip on Google Drive; empty draws phantoms or fetches "
        "the RSNA challenge. The Digital Hand Atlas must be your own copy.",
    )
    unit: Literal["", "months", "years"] = Field(
        "", description="Unit of the bone ages in the source's tables; empty detects it and says so."
    )
    work: Folder = Field("work", description="Folder for all output.")
    cache: Folder = Field(
        "",
        description="A fast folder for large files that can be made again (the source's files, images, "
        "packed images), for when the work folder's disk is slow, like Google Drive; empty keeps them in the "
        "work folder.",
    )
    split_seed: int = Field(
        2026,
        ge=0,
        le=2**32 - 1,
        description="Seed of every random choice about the data: drawn hands, split, augmentation plan.",
    )
    train_seed: int = Field(
        2026,
        ge=0,
        le=2**32 - 1,
        description="Seed of every random choice in training: initial weights, batch order, random "
        "transforms; a verb takes it for this command only.",
    )

    phantoms_per_group: int = Field(
        2, ge=1, le=1000, description="Phantoms drawn for each year of age, sex and race (152 such groups)."
    )
    phantom_anomalies: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the phantoms drawn with a ring, a bracelet, unreadable bones, or growth out of "
        "step.",
    )

    image_size: int = Field(
        928,
        ge=32,
        le=4096,
        description="Side of the square images for review, in pixels; the anomaly detectors need at least "
        "256.",
    )
    pad: Pad = Field(
        "background",
        description="Grey level of the bars that make an image square: the image's own background, or a "
        "fixed one.",
    )

    reviewer: Text = Field("", description="Reviewer's name in the log, for when several people share it.")
    recorded_review: Text = Field(
        "",
        description="An existing review log, for runs without a reviewer; phantoms come with one.",
    )
    # A plan row takes up to 335 bytes, and the plan must stay below the largest table that is read.
    total: int = Field(
        TOTAL,
        ge=0,
        le=200_000,
        description="Images in the augmented set, all splits together; 0 for no augmentation.",
    )
    laterality_matters: bool = Field(
        False, description="Never flip, because a mirrored left hand would be a right hand."
    )

    label: Literal["reading", "age_group"] = Field(
        "reading",
        description="The label: the radiologists' reading if there is one, or always the atlas folder's year "
        "of age.",
    )
    validation_share: float = Field(
        0.15,
        ge=0,
        le=0.5,
        description="Share of the cases for validation, drawn before augmentation.",
    )
    test_share: float = Field(
        0.15,
        ge=0,
        le=0.4,
        description="Share of the cases for testing, drawn before augmentation.",
    )

    train_size: int = Field(
        256,
        ge=TRAIN_SIZES[0],
        le=TRAIN_SIZES[1],
        description="Side of the networks' input images, in pixels.",
    )
    epochs: Epochs = Field(
        (10, 18),
        description="Epochs to train; each number is a run of its own, with its own learning-rate schedule "
        "and table.",
    )
    batch_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="Images per step; 0 takes 8 on a CPU, and on a GPU up to 64 if enough steps remain. "
        "Networks that need larger batches take a multiple of it.",
    )
    learning_rate: float = Field(
        1e-3,
        ge=1e-7,
        le=1,
        description="Peak learning rate for batches of 8; for others it grows with the square root of "
        "their size.",
    )
    weight_decay: float = Field(1e-2, ge=0, le=1, description="Weight decay of the optimiser (AdamW).")
    width: Literal["full", "tiny"] = Field(
        "full",
        description="The networks as published, or narrow and shallow ones that two CPU cores can train.",
    )
    weights: Literal["", "imagenet", "phantom", "scratch"] = Field(
        "",
        description="Initial weights: ImageNet's, those learnt from drawn hands (phantom; run pretrain "
        "first), or random ones (scratch); empty takes ImageNet's if available and says so if not. Some "
        "networks have none of ImageNet's.",
    )
    hands: int = Field(
        3000, ge=20, le=1_000_000, description="Hands drawn for pretraining; nine in ten are trained on."
    )
    degradation: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of the training images degraded in each way, drawn anew each time: blur, half the "
        "resolution, noise (twice the share), JPEG, exposure. From scratch, a few hundred images then "
        "learn slowly.",
    )
    precision: Precision = Field(
        "float32", description="Numeric precision; the mixed ones keep the weights in float32."
    )
    accept_losses: bool = Field(
        False,
        description="Train even if few cases are left, none for validation or test, or many were lost; for "
        "this command only.",
    )
    backend: Literal["", Backend] = Field(
        "", description="Keras backend; empty takes KERAS_BACKEND, else TensorFlow, else JAX."
    )

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_in_one_line(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            settings = handler(values)
        except ValidationError as error:
            raise BoneAgeError(_said(error, values)) from None
        if settings.width == "tiny" and settings.weights == "imagenet":
            raise BoneAgeError("weights: tiny networks have no ImageNet weights; set width to full")
        return settings

    def _repr_html_(self) -> str:
        head = "<tr><th>setting</th><th>value</th><th>meaning</th></tr>"
        rows = (
            f"<tr><td>{name}</td><td>{html.escape(str(value))}</td><td>{field.description}</td></tr>"
            for (name, value), field in zip(self, Settings.model_fields.values(), strict=True)
        )
        return f"<table>{head}{''.join(rows)}</table>"

    @classmethod
    def preset(cls, name: str, /, **overrides: object) -> "Settings":
        """A preset's settings (``demo`` or ``colab``) with some overridden.

        Raises:
            BoneAgeError: No such preset, unknown setting, or invalid value.
        """
        if name not in PRESETS:
            raise BoneAgeError(f"preset: {name!r} must be one of {', '.join(PRESETS)}")
        return cls(**PRESETS[name]).replace(**overrides)

    def replace(self, /, **overrides: object) -> "Settings":
        """A copy with some settings changed.

        Raises:
            BoneAgeError: Unknown setting, or invalid value.
        """
        return Settings(**{**self.model_dump(), **overrides})

    def to_json(self) -> str:
        return json.dumps(self.model_dump(), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Reads what :meth:`to_json` wrote.

        Raises:
            BoneAgeError: Not JSON, not an object, unknown setting, or invalid value.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise BoneAgeError(f"not JSON ({error})") from None
        except (ValueError, RecursionError):
            raise BoneAgeError("not JSON of this project") from None
        if not isinstance(values, dict):
            raise BoneAgeError("not a JSON object")
        return cls(**values)

    @classmethod
    def load(cls, path: Path | str) -> "Settings":
        """Reads a settings file.

        Raises:
            BoneAgeError: As :meth:`from_json`, naming the file.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            raise BoneAgeError(
                f"{path}: not UTF-8 text; correct the file, or delete it to start again"
            ) from None
        except (OSError, BoneAgeError) as error:
            raise BoneAgeError(f"{path}: {error}; correct the file, or delete it to start again") from None

    def save(self, path: Path | str) -> Path:
        """Writes the settings as JSON, atomically."""
        return write_text(path, self.to_json() + "\n")


PRESETS: dict[str, dict[str, Any]] = {
    # Phantoms, nothing fetched; small enough for two cores and no GPU.
    "demo": {
        "source": "phantom",
        "work": "work/demo",
        "phantoms_per_group": 2,
        "phantom_anomalies": 0.06,
        "total": 400,
        "train_size": 64,
        "width": "tiny",
        # With so few steps, at a third of this rate half of the networks had hardly begun to learn.
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

_SCHEMA: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]


def choices(name: str) -> list[str]:
    """The values that a setting chooses from; empty if it is free."""
    named = _SCHEMA[name].get("enum", [])
    return [choice for choice in named if choice]


def allowed(name: str) -> str:
    """A setting's allowed values in words: ``a whole number between 1 and 1000``."""
    field = _SCHEMA[name]
    if named := choices(name):
        return f"one of {', '.join(named)}"
    if field["type"] == "array":
        return f"a list of whole numbers between {field['items']['minimum']} and {field['items']['maximum']}"
    kind = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
    between = f" between {field['minimum']} and {field['maximum']}" if "minimum" in field else ""
    return kind[field["type"]] + between


def _said(error: ValidationError, values: dict[str, object]) -> str:
    """The first problem in words: the setting, its value and what is allowed."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        meant = difflib.get_close_matches(name.lower(), _SCHEMA, 1)
        # A word of a name will do: `seed` may be the one or the other.
        meant = meant or [one for one in _SCHEMA if difflib.get_close_matches(name.lower(), one.split("_"))]
        advice = f"did you mean {' or '.join(meant)}?" if meant else f"the settings are {', '.join(_SCHEMA)}"
        return f"{name[:60]}: no such setting; {advice}"
    return f"{name}: {reprlib.repr(values[name])} must be {allowed(name)}"
