"""Phantom atlas: drawn left hands in the Digital Hand Atlas's own tree; nothing is downloaded."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.files import (
    LIVING_SECONDS,
    atomic_write,
    make_folder,
    one_at_a_time,
    remove_leftovers,
    write_text,
)
from boneage.core.parallel import on_all_cores
from boneage.core.tables import SEXES, write_table
from boneage.phantom.drawing import ANOMALIES, check_drawing, draw_hand, lay_out
from boneage.phantom.ossification import MATURE_YEARS, tempo_spread
from boneage.sources.dha import RACE_OF_CODE

# A reviewer's term for it.
_REASON_OF = {
    "ring": "ring",
    "bracelet": "bracelet",
    "unreadable": "skeleton unknown",
    "growth": "growth abnormality",
}

LARGEST_ATLAS = 9000
"""Most images in an atlas: case numbers have four digits, from 1000."""

READER_DIFFERENCE_YEARS = 0.63
"""Root mean square difference between the Digital Hand Atlas's two readers."""

STAMP_NAME = "phantom.json"
REVIEW_NAME = "review.csv"
_TABLES = ("readings.csv", "phantom.csv", "centres.csv", REVIEW_NAME)
_DRAWING_VERSION = 2
_FIRST_NUMBER = 1000


def write_phantom_atlas(
    folder: Path | str,
    per_group: int,
    seed: int,
    anomalies: float | Mapping[str, float] = 0.0,
    ages: Sequence[int] = range(19),
    height: int = 1400,
) -> Path:
    """Draws a whole atlas: ``per_group`` images for each race, sex and year of age.

    Writes ``JPEGimages/ASIF/ASIF00/1000.jpg`` and so on, ``readings.csv`` (image number, reading 1, reading
    2; years), ``phantom.csv`` (the ground truth of each image), ``centres.csv`` (position and fusion of each
    growth centre) and ``review.csv`` (the decisions of a reviewer who sees every anomaly). The same arguments
    give the same bytes. An interrupted run continues; a finished atlas is left alone.

    A child's bone age is its age plus a tempo with the spread of
    :func:`boneage.phantom.ossification.tempo_spread`; the two readings scatter around the bone age.

    Args:
        folder: Created if absent.
        per_group: Images for each of the 8 groups and each year of age.
        seed: Draws the children.
        anomalies: Share of images with an anomaly, split evenly over the kinds, or a share per kind.
        ages: Whole years of age, 0 to 18.
        height: Height of the images in pixels.

    Returns:
        The folder.

    Raises:
        BoneAgeError: An argument out of range, a folder with other contents or an atlas of other arguments,
            or a failed write.
    """
    folder = Path(folder)
    shares = _anomaly_shares(anomalies)
    ages = _checked_ages(ages)
    _check_atlas(per_group, seed, ages, height)
    _claim(
        folder, {"per_group": per_group, "seed": seed, "anomalies": shares, "ages": ages, "height": height}
    )
    # Of a table that was to replace one that is whole, and then is not written again.
    remove_leftovers(folder, LIVING_SECONDS)
    plan = plan_atlas(per_group, seed, shares, ages)
    if _missing(folder, plan["image"]) or _missing(folder, _TABLES):
        with one_at_a_time(folder):
            _draw_missing(folder, plan, height)
    return folder


def _draw_missing(folder: Path, plan: pd.DataFrame, height: int) -> None:
    # While others wait, none of these is being written.
    remove_leftovers(folder / "JPEGimages", pattern="*/*/.*.jpg")
    rows = {row["image"]: row for row in plan.to_dict("records")}

    def draw(image: str) -> None:
        _write_image(folder / image, rows[image], height)

    if missing := _missing(folder, plan["image"]):
        for _ in on_all_cores(draw, missing, "Drawing the atlas"):
            pass
    for name, table in zip(_TABLES, _atlas_tables(plan, height), strict=True):
        write_table(folder / name, table)


def _missing(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if not _is_there(folder / name)]


def plan_atlas(per_group: int, seed: int, shares: Mapping[str, float], ages: Sequence[int]) -> pd.DataFrame:
    """The children of an atlas, before anything is drawn: one row per image.

    Returns:
        Columns ``number, image, race, sex, age_group, age, tempo, bone_age, anomaly, seed, reading_1,
        reading_2``; ages and readings in years, ``anomaly`` empty if none.
    """
    groups = [(race, sex, year) for race in RACE_OF_CODE for sex in SEXES for year in ages]
    rows = []
    for place in range(len(groups) * per_group):
        race, sex, year = groups[place // per_group]
        number = _FIRST_NUMBER + place
        rng = np.random.default_rng([seed, number])
        # Truncated to 3 decimals, not rounded: a child is as old as its folder says until its birthday.
        age = year + np.floor((place % per_group + rng.random()) / per_group * 1000.0) / 1000.0
        # A single number decides, so that the shares change who has an anomaly and nothing else.
        kind = int(np.searchsorted(np.cumsum(list(shares.values())), rng.random(), side="right"))
        anomaly = [*shares, ""][kind]
        tempo = tempo_spread(age, sex) * float(np.clip(rng.standard_normal(), -2.5, 2.5))
        if anomaly == "growth":
            tempo = _out_of_step(age, sex, rng)
        bone_age = float(np.clip(age + tempo, 0.0, MATURE_YEARS[sex]))
        first, second = _readings(bone_age, sex, rng)
        group = f"{race}{sex}"
        rows.append(
            {
                "number": str(number),
                "image": f"JPEGimages/{group}/{group}{year:02d}/{number}.jpg",
                "race": RACE_OF_CODE[race],
                "sex": sex,
                "age_group": year,
                "age": age,
                "tempo": round(tempo, 3),
                "bone_age": round(bone_age, 3),
                "anomaly": anomaly,
                "seed": int(rng.integers(2**31)),
                "reading_1": first,
                "reading_2": second,
            }
        )
    return pd.DataFrame(rows)


def _out_of_step(age: float, sex: str, rng: np.random.Generator) -> float:
    """A tempo of 3 to 5 years, ahead or behind, that the skeleton can show."""
    size = rng.uniform(3.0, 5.0)
    ahead, behind = age + size <= MATURE_YEARS[sex], age - size >= 0.0
    return size if ahead and (not behind or rng.random() < 0.5) else -size


def _readings(bone_age: float, sex: str, rng: np.random.Generator) -> tuple[float, float]:
    """Two readers' ages in years, to the quarter, :data:`READER_DIFFERENCE_YEARS` apart; closer on babies."""
    spread = 1.08 * READER_DIFFERENCE_YEARS / np.sqrt(2.0) * min(1.0, 0.2 + bone_age / 5.0)
    read = bone_age + rng.normal(0.0, spread, 2)
    first, second = np.clip(np.round(read * 4.0) / 4.0, 0.0, MATURE_YEARS[sex])
    return float(first), float(second)


def _anomaly_shares(anomalies: float | Mapping[str, float]) -> dict[str, float]:
    if not isinstance(anomalies, int | float | Mapping):
        raise BoneAgeError(f"anomalies: {anomalies!r} must be a share from 0 to 1, or one per kind")
    if not isinstance(anomalies, Mapping):
        anomalies = dict.fromkeys(ANOMALIES, anomalies / len(ANOMALIES)) if anomalies else {}
    unknown = sorted(set(anomalies) - set(ANOMALIES))
    if unknown:
        raise BoneAgeError(f"anomalies: {', '.join(unknown)} must be among {', '.join(ANOMALIES)}")
    shares = {kind: float(anomalies[kind]) for kind in ANOMALIES if kind in anomalies}
    if not all(share >= 0.0 for share in shares.values()) or not sum(shares.values()) <= 1.0 + 1e-9:
        raise BoneAgeError(f"anomalies: {anomalies} must be shares of at least 0 that add up to at most 1")
    return shares


def _checked_ages(ages: Sequence[int]) -> list[int]:
    years = list(ages)
    whole = all(isinstance(year, int | np.integer) and 0 <= year <= 18 for year in years)
    if not years or not whole or len(set(years)) != len(years):
        raise BoneAgeError(f"ages: {years} must be whole years from 0 to 18, without repeats")
    return [int(year) for year in years]


def _check_atlas(per_group: int, seed: int, ages: Sequence[int], height: int) -> None:
    if not isinstance(per_group, int) or per_group < 1:
        raise BoneAgeError(f"per_group: {per_group!r} must be a whole number of at least 1")
    total = per_group * len(ages) * len(RACE_OF_CODE) * len(SEXES)
    if total > LARGEST_ATLAS:
        most = LARGEST_ATLAS // (total // per_group)
        raise BoneAgeError(
            f"per_group: {per_group} makes {total} images, too many for four-digit numbers; at most {most}"
        )
    check_drawing(0.0, "F", seed, None, None, height)


def _claim(folder: Path, arguments: dict) -> None:
    """Writes the stamp, or checks that the folder has the same one."""
    stamp = folder / STAMP_NAME
    text = json.dumps({"drawing": _DRAWING_VERSION, **arguments}, indent=1) + "\n"
    if os.path.exists(stamp):
        try:
            known = stamp.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            known = ""
        if known != text:
            raise BoneAgeError(
                f"{folder}: holds a phantom atlas with other settings; choose another folder, or delete it"
            )
        return
    if os.path.exists(folder / "JPEGimages"):
        raise BoneAgeError(f"{folder}: holds images that were not drawn here; choose an empty folder")
    make_folder(folder)
    write_text(stamp, text)


def _is_there(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _write_image(path: Path, row: dict, height: int) -> None:
    hand = draw_hand(row["bone_age"], row["sex"], row["seed"], row["anomaly"] or None, row["age"], height)
    # Not fsynced: an image lost in a power cut is drawn again.
    with atomic_write(path, sync=False) as file:
        file.write(cv2.imencode(".jpg", hand.image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def _atlas_tables(plan: pd.DataFrame, height: int) -> tuple[pd.DataFrame, ...]:
    """Readings, ground truth, growth centres and review log of an atlas."""
    boxes, centres = [], []
    for row in plan.itertuples():
        scene = lay_out(row.bone_age, row.sex, row.seed, row.anomaly or None, row.age, height)
        boxes.append(" ".join(map(str, scene.anomaly_box or ())))
        centres += [
            (row.number, name, round(x, 1), round(y, 1), round(scene.fusion[name], 3))
            for name, (x, y) in scene.centres.items()
        ]
    readings = plan[["number", "reading_1", "reading_2"]].set_axis(
        ["image number", "reading 1", "reading 2"], axis=1
    )
    truth = plan[["number", "sex", "race", "age_group", "age", "bone_age", "tempo", "anomaly", "seed"]]
    truth = truth.rename(columns={"number": "image number"}).assign(box=boxes)
    where = pd.DataFrame(centres, columns=["image number", "centre", "x", "y", "fusion"])
    return readings, truth, where, _review(plan)


def _review(plan: pd.DataFrame) -> pd.DataFrame:
    """The review log of a reviewer who sees every anomaly."""
    reasons = plan["anomaly"].map(_REASON_OF).fillna("")
    return pd.DataFrame(
        {
            "time": "2026-01-01T00:00:00.000+00:00",
            "case_id": plan["number"],
            "decision": np.where(reasons == "", "keep", "reject"),
            "reason": reasons,
            "corrections": "[]",
            "augmentations": "",
            "note": "",
            "reviewer": "recorded",
        }
    )
