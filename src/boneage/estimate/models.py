"""A folder of networks that can be passed on: no pickle, no code, no image, no id.

``models/<name>/`` holds ``model.json`` (what each network is, the hash of every ``.npz``), a ``.npz`` of
weights per network, ``cases.npz`` (:class:`boneage.estimate.ensemble.Reference`), and a card, ``README.md``.
A network is built from the registry and given its weights, so a file from elsewhere cannot run code.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import keras
import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boneage.core.errors import BoneAgeError
from boneage.core.files import sha256_of, write_bytes, write_text
from boneage.core.settings import TRAIN_SIZES, VARIANTS
from boneage.core.tables import MONTHS_PER_YEAR, OLDEST_YEARS
from boneage.estimate.card import card_of
from boneage.estimate.ensemble import Ensemble, Member, Reference, read_images
from boneage.estimate.estimating import UNKNOWN, estimate_hands
from boneage.estimate.hands import check_hands
from boneage.estimate.runs import ensemble_of_runs
from boneage.networks import NETWORKS, check_size
from boneage.networks.layers import POOLED
from boneage.phantom.drawing import draw_hand
from boneage.training import build_model

SHIPPED = Path(__file__).resolve().parents[3] / "models"
"""Where the repository keeps its own."""

FACTS, CASES, CARD = "model.json", "cases.npz", "README.md"

LARGEST_CHANGE_YEARS = 0.01
"""How far half precision on disk may move an estimate; a network that it moves farther is kept in single."""

_LARGEST_UNPACKED_BYTES = 2**30
_CHECKED_AGES = np.linspace(1.0, 18.0, 18)


class _MemberFacts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field(max_length=200)
    network: Literal[tuple(NETWORKS)]  # type: ignore[valid-type]
    width: Literal["full", "tiny"]
    variant: Literal[tuple(VARIANTS)]  # type: ignore[valid-type]
    size: int = Field(ge=TRAIN_SIZES[0], le=TRAIN_SIZES[1])
    mean_years: float = Field(ge=0, le=OLDEST_YEARS)
    std_years: float = Field(gt=0, le=OLDEST_YEARS)
    sha256: str


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal[1]
    title: str = Field(max_length=200)
    source: str = Field(max_length=200)
    members: list[_MemberFacts] = Field(min_length=1, max_length=64)
    cases_sha256: str


def write_models(
    ensemble: Ensemble,
    folder: Path,
    robustness: pd.DataFrame | None = None,
    outside: pd.DataFrame | None = None,
) -> Path:
    """Writes an ensemble into a folder of its own.

    Weights are kept in half precision where that moves no estimate of a drawn hand by more than
    :data:`LARGEST_CHANGE_YEARS`, else in single.

    Args:
        ensemble: The networks, and their cases.
        folder: Is made.
        robustness: What the card says of changed images; see ``evidence.held_out_robustness``.
        outside: What it says of another source; see ``evidence.outside_errors``.

    Raises:
        BoneAgeError: Its cases are not known, or the disk is full.
    """
    if ensemble.reference is None:
        raise BoneAgeError(
            f"{folder}: not written, as the training cases are not known; {ensemble.notices[0]}"
        )
    members = []
    for number, member in enumerate(ensemble.members):
        path = write_bytes(folder / _weights_name(number), _packed_weights(member))
        mean, std = _moments(member.model)
        members.append(
            _MemberFacts(
                **{name: getattr(member, name) for name in ("title", "network", "width", "variant", "size")},
                mean_years=mean,
                std_years=std,
                sha256=sha256_of(path),
            )
        )
    cases = write_bytes(folder / CASES, _packed_cases(ensemble.reference))
    facts = _Facts(
        format=1,
        title=ensemble.title,
        source=ensemble.source,
        members=members,
        cases_sha256=sha256_of(cases),
    )
    write_text(folder / CARD, card_of(ensemble, ensemble.reference, folder.name, robustness, outside))
    # Last, as it marks a complete folder.
    write_text(folder / FACTS, json.dumps(facts.model_dump(), indent=1) + "\n")
    return folder


def read_models(folder: Path) -> Ensemble:
    """Reads what :func:`write_models` wrote.

    Raises:
        BoneAgeError: A file is missing, damaged, not the one that was written, or of no known network.
    """
    path = folder / FACTS
    try:
        facts = _Facts.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BoneAgeError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (ValidationError, ValueError, RecursionError):
        raise BoneAgeError(f"{path}: not the facts of a model; get that folder again") from None
    members = [_read_member(folder / _weights_name(number), one) for number, one in enumerate(facts.members)]
    reference = _read_cases(folder / CASES, facts.cases_sha256, members)
    return Ensemble(facts.title, tuple(members), reference, facts.source)


def shipped_models() -> Path:
    """The folder of the models that come with the repository.

    Raises:
        BoneAgeError: There is none, or more than one.
    """
    found = sorted(path.parent for path in SHIPPED.glob(f"*/{FACTS}"))
    if not found:
        raise BoneAgeError(
            "no trained network comes with this copy; train one (`python -m boneage run --preset colab`) and "
            "name it: --run work/…/runs/NAME"
        )
    if len(found) > 1:
        raise BoneAgeError(f"several models: name one with --run: {', '.join(map(str, found))}")
    return found[0]


def _weights_name(number: int) -> str:
    return f"network-{number}.npz"


def _moments(model: keras.Model) -> tuple[float, float]:
    years = model.get_layer("years")
    # The head over months has the ages of its bins among its weights.
    return (
        (float(years.offset), float(years.scale)) if isinstance(years, keras.layers.Rescaling) else (9.0, 3.0)
    )


def _built(network: str, size: int, mean: float, std: float, width: str, variant: str) -> keras.Model:
    return build_model(network, size, mean, std, 0, width, "scratch", variant)


def _packed_weights(member: Member) -> bytes:
    weights = member.model.get_weights()
    copy = _built(member.network, member.size, *_moments(member.model), member.width, member.variant)
    with np.errstate(over="ignore"):
        half = [one.astype(np.float16) for one in weights]
    copy.set_weights([one.astype(np.float32) for one in half])
    hands = [draw_hand(age, "FM"[at % 2], at, height=400).image for at, age in enumerate(_CHECKED_AGES)]
    copied = Member(member.title, member.network, member.width, member.variant, copy)
    said = [read_images(Ensemble("", (one,), None), hands, "F").votes for one in (member, copied)]
    moved = float(np.abs(said[0] - said[1]).max())
    kept = half if moved <= LARGEST_CHANGE_YEARS else [one.astype(np.float32) for one in weights]
    return _npz({f"{at:04d}": one for at, one in enumerate(kept)})


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _packed_cases(reference: Reference) -> bytes:
    every = {f"features-{at}": one.astype(np.float16) for at, one in enumerate(reference.features)}
    # A month is finer than any reading.
    every["months"] = np.rint(reference.years * 12).astype(np.int16)
    return _npz({**every, "male": reference.male, "held_out": reference.held_out.astype(np.float32)})


def _arrays(path: Path, sha256: str) -> dict[str, np.ndarray]:
    if sha256_of(path) != sha256:
        raise BoneAgeError(f"{path}: not the file that {FACTS} tells of; get that folder again")
    try:
        with zipfile.ZipFile(path) as file:
            if sum(one.file_size for one in file.infolist()) > _LARGEST_UNPACKED_BYTES:
                raise ValueError
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        # What is no array comes as bytes.
        if not all(isinstance(one, np.ndarray) for one in arrays.values()):
            raise ValueError
        return arrays
    except Exception:  # A damaged or hostile file can make its readers raise anything.
        raise BoneAgeError(f"{path}: damaged; get that folder again") from None


def _read_member(path: Path, facts: _MemberFacts) -> Member:
    arrays = _arrays(path, facts.sha256)
    check_size(facts.network, facts.size)
    model = _built(facts.network, facts.size, facts.mean_years, facts.std_years, facts.width, facts.variant)
    weights = [arrays[name] for name in sorted(arrays)]
    shapes = [one.shape for one in model.weights]
    if [one.shape for one in weights] != [tuple(one) for one in shapes] or not all(
        np.issubdtype(one.dtype, np.floating) and np.isfinite(one).all() for one in weights
    ):
        raise BoneAgeError(f"{path}: not the weights of {facts.network}; get that folder again")
    model.set_weights([one.astype(np.float32) for one in weights])
    return Member(facts.title, facts.network, facts.width, facts.variant, model)


def _read_cases(path: Path, sha256: str, members: Sequence[Member]) -> Reference:
    arrays = _arrays(path, sha256)
    try:
        features = tuple(arrays[f"features-{at}"] for at in range(len(members)))
        months, male, held_out = arrays["months"], arrays["male"], arrays["held_out"]
        widths = [member.model.get_layer(POOLED).output.shape[-1] for member in members]
        whole = (
            male.dtype == bool
            and (len(members), *male.shape) == (len(members), *months.shape) == held_out.shape
            and [one.shape for one in features] == [(len(months), width) for width in widths]
            and all(np.isfinite(one).all() for one in features)
            and bool(np.all((months >= 0) & (months <= OLDEST_YEARS * MONTHS_PER_YEAR)))
            # Every network was trained on some cases and tested on others.
            and bool(np.all(np.isnan(held_out).any(axis=1) & np.isfinite(held_out).any(axis=1)))
            and not np.isinf(held_out).any()
        )
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise BoneAgeError(f"{path}: not the cases of {len(members)} networks; get that folder again")
    return Reference(months / 12.0, male.astype(bool), held_out.astype(float), features)


def load_ensemble(folders: Sequence[Path] = ()) -> Ensemble:
    """The networks in a folder of models, in run folders, or those that come with the repository.

    Args:
        folders: Run folders, or one folder of models; none for the repository's.

    Raises:
        BoneAgeError: There are none, or they cannot be read.
    """
    folders = list(folders) or [shipped_models()]
    for folder in folders:
        if not folder.is_dir():
            raise BoneAgeError(f"{folder}: no such folder; name a run (work/…/runs/NAME) or a model folder")
    models = [folder for folder in folders if (folder / FACTS).is_file()]
    if models and len(folders) > 1:
        raise BoneAgeError(
            f"{models[0]}: a folder of models cannot be combined with others; name it alone, or name runs"
        )
    ensemble = read_models(models[0]) if models else ensemble_of_runs(folders)
    # What is drawn, fitted or imported once is so now, and the first radiograph does not wait for it.
    hands = check_hands(draw_hand(10.0, "F", 1, height=300).image)
    estimate_hands(hands, ensemble, [UNKNOWN] * len(hands))
    return ensemble
