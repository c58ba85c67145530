"""What is written of estimates: a table as CSV and as JSON, a page per hand, a FHIR Observation per hand."""

import itertools
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from boneage.core.errors import BoneAgeError, one_line
from boneage.core.files import make_folder, write_text, writing
from boneage.core.tables import ESTIMATE_TABLE, read_table, write_table
from boneage.estimate.ensemble import Ensemble
from boneage.estimate.estimating import age_in_words
from boneage.estimate.fhir import NOTICE, observation
from boneage.estimate.files import Estimated
from boneage.estimate.page import heats_of, page_of

_NUMBERS = ("bone_age", "low", "high", "spread", "strangeness", "difference", "z_score")
_LONGEST_STEM = 48
# Hands whose heat maps are made in one go.
_LOT = 8


def estimate_table(estimated: Iterable[Estimated]) -> pd.DataFrame:
    """``ESTIMATE_TABLE`` of what was said."""
    return ESTIMATE_TABLE.frame(_row(one) for one in estimated)


def _row(one: Estimated) -> dict[str, Any]:
    said = one.estimate
    return {
        "file": one.file,
        "hand": one.place,
        "votes": "; ".join(f"{vote:.2f}" for vote in said.votes),
        "nearest": "; ".join(f"{case.bone_age:.1f} {case.sex}" for case in said.nearest),
        "age": said.age,
        "notes": "; ".join(said.notes),
        "warnings": "; ".join(said.warnings),
        "reason": said.refusal,
        "page": one.page,
        **{name: getattr(said, name) for name in ("status", "likeness", "sex")},
        **{name: round(getattr(said, name), 4) for name in _NUMBERS},
    }


def estimate_json(estimated: Sequence[Estimated], ensemble: Ensemble) -> str:
    """The same as JSON: numbers that are not known are null, lists are lists."""
    rows = []
    for one, row in zip(estimated, map(_row, estimated), strict=True):
        said = one.estimate
        votes = zip((member.title for member in ensemble.members), said.votes, strict=False)
        lists = {
            "votes": [{"network": name, "bone_age": round(vote, 4)} for name, vote in votes],
            "nearest": [{"bone_age": case.bone_age, "sex": case.sex} for case in said.nearest],
            "notes": list(said.notes),
            "warnings": list(said.warnings),
        }
        missing = {name: None for name in _NUMBERS if math.isnan(row[name])}
        rows.append(row | missing | lists)
    facts = {"notice": NOTICE, "networks": ensemble.title, "unit": "years", "estimates": rows}
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def write_estimates(
    estimated: Iterable[Estimated], ensemble: Ensemble, folder: Path, fhir: bool = False
) -> list[Estimated]:
    """Writes ``estimates.csv``, ``estimates.json``, and for each hand a page that loads nothing.

    Pages that an earlier table in the folder names go with that table. The tables are written again after
    every few hands, so that a run that is stopped leaves no page without a row.

    Args:
        estimated: From :func:`boneage.estimate.files.estimate_files`; taken one by one.
        ensemble: The networks.
        folder: Where they go.
        fhir: Whether to write a FHIR Observation for each estimate as well.

    Returns:
        What was said, without the images.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    make_folder(folder)
    kept: list[Estimated] = []
    estimated = iter(estimated)
    lot = list(itertools.islice(estimated, _LOT))
    for path in _pages(folder):
        with writing(path):
            path.unlink(missing_ok=True)
    while True:
        try:
            for one, heat in zip(lot, heats_of(lot, ensemble), strict=True):
                name = file_name(len(kept) + 1, one)
                page = f"{name}.html" if one.hand is not None else ""
                kept.append(replace(one, hand=None, page=page))
                if page:
                    write_text(folder / page, page_of(one, heat, ensemble))
                if fhir and not one.estimate.refusal:
                    said = observation(one.estimate, f"convolutional networks: {ensemble.title}")
                    text = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
                    write_text(folder / f"{name}.fhir.json", text)
        finally:
            write_table(folder / ESTIMATE_TABLE.file, estimate_table(kept))
            write_text(folder / "estimates.json", estimate_json(kept, ensemble))
        if not (lot := list(itertools.islice(estimated, _LOT))):
            return kept


def _pages(folder: Path) -> set[Path]:
    """Pages and Observations of the table in a folder, if they are named as :func:`file_name` names them."""
    try:
        table = read_table(folder / ESTIMATE_TABLE.file, ["page"])
    except BoneAgeError:
        return set()
    pages = [page for page in table["page"] if re.fullmatch(r"[0-9]{4,}(-[A-Za-z0-9-]+)?\.html", page)]
    return {folder / page for page in pages} | {(folder / page).with_suffix(".fhir.json") for page in pages}


def file_name(number: int, one: Estimated) -> str:
    """A name for a hand's files: safe on any system, and unique by its number."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{Path(one.file).stem} {one.place.split(' ')[0]}").strip("-")
    return "-".join(filter(None, (f"{number:04d}", words[:_LONGEST_STEM])))


def line_of(one: Estimated) -> str:
    """What is said of a hand, on one line for a terminal."""
    said = one.estimate
    if said.refusal:
        return one_line(f"{one.title}: refused: {said.refusal}")
    age = age_in_words(said.bone_age)
    if not math.isnan(said.low):
        age += f" (90 % interval {age_in_words(said.low)} to {age_in_words(said.high)})"
    more = [said.likeness] if said.likeness else []
    if not math.isnan(said.difference):
        # Without the mean, which is not the age itself, a difference and its z-score may seem at odds.
        mean = f" (mean at that age {said.mean_of_age:.1f})"
        z = "" if math.isnan(said.z_score) else f", z {said.z_score:+.1f}{mean}"
        more.append(f"{said.difference:+.1f} years from age {said.age:g}{z}")
    words = "; ".join([*more, *said.notes, *(f"doubtful: {one}" for one in said.warnings)])
    return one_line(f"{one.title}: {age}{'; ' * bool(words)}{words}")
