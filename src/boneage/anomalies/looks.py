"""What each image gave, kept: a search that was stopped goes on, and later only new images are seen."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boneage.anomalies.anomaly import Anomaly
from boneage.core.files import digest_of_source, write_arrays
from boneage.core.settings import DETECTORS


@dataclass(frozen=True, eq=False)
class Look:
    """What one image gave: its anomalies, and what the comparison with other images needs."""

    anomalies: list[Anomaly]
    pattern: np.ndarray
    hash: np.ndarray


def look_key(image: Path) -> str:
    """What tells whether a look at an image still holds: its file and the detectors; empty without a file."""
    try:
        facts = image.stat()
    except OSError:
        return ""
    return f"{image.stem} {facts.st_size} {facts.st_mtime_ns} {_detectors()}"


def read_looks(path: Path) -> dict[str, Look]:
    """The looks that were kept, by their key; none where they cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            keys, found, patterns, hashes = (kept[name] for name in ("keys", "found", "patterns", "hashes"))
        rows = zip(keys.tolist(), found.tobytes().splitlines(), patterns, hashes, strict=True)
        return {key: Look(_anomalies(text), pattern, bits) for key, text, pattern, bits in rows}
    except Exception:  # A file that was cut short or swapped can trip its reader in any way.
        return {}


def keep_looks(path: Path, looks: Mapping[str, Look]) -> None:
    """Writes looks; see :func:`read_looks`.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    if not looks:
        return
    every = looks.values()
    texts = [json.dumps([dataclasses.asdict(one) for one in look.anomalies], default=float) for look in every]
    write_arrays(
        path,
        keys=np.array(list(looks)),
        # One after the other: an array of strings gives each the room of the longest.
        found=np.frombuffer("\n".join(texts).encode(), np.uint8),
        patterns=np.stack([look.pattern for look in every]),
        hashes=np.stack([look.hash for look in every]),
    )


def _anomalies(text: bytes) -> list[Anomaly]:
    return [Anomaly(**{**one, "box": one["box"] and tuple(one["box"])}) for one in json.loads(text)]


@functools.cache
def _detectors() -> str:
    return digest_of_source(DETECTORS)
