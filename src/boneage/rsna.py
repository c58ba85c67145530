"""The RSNA Pediatric Bone Age Challenge 2017: its label tables and photos become a case table.

Halabi et al., The RSNA Pediatric Bone Age Machine Learning Challenge, Radiology 2018;290:498-503.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from boneage.errors import BoneAgeError
from boneage.sources import (
    Listing,
    age_fault,
    case_table,
    header_of,
    list_files,
    number_of,
    read_normalised,
    shown,
)
from boneage.tables import MONTHS_PER_YEAR, is_safe_id, skipped_table

# The training part says id, boneage, male; the validation part Image ID, male, Bone Age (months).
_COLUMNS = {"id": ("id", "imageid"), "months": ("boneage", "boneagemonths"), "male": ("male",)}
_SEX_OF_MALE = {"true": "M", "1": "M", "false": "F", "0": "F"}


def read_rsna(folder: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads the challenge's photos and labels from wherever they lie below a folder.

    Every CSV with the challenge's header is read (bone age in months) and joined to the photos
    ``<id>.png``, ``.jpg`` or ``.jpeg``. The challenge gives no race and no chronological age.

    Args:
        folder: The folder with the unpacked archives.

    Returns:
        The case table (``tables.CASE_COLUMNS``, bone age in years, race ``Unknown``, no age group and no
        single readings), and the table of what was left out with the reason.

    Raises:
        BoneAgeError: No label table, no photo, or no photo with a label.
    """
    listing = list_files(folder)
    tables = [path for path in listing.csv_files() if _is_label_header(header_of(path))]
    if not tables:
        raise BoneAgeError(
            f"{listing.folder}: no label table found; put the challenge's CSV (id,boneage,male) below it"
        )
    photos = _photos_by_id(listing)
    cases = _labelled(tables, photos, listing)
    labelled = {case["case_id"] for case in cases}
    named = {item for item, _ in listing.skipped}
    for case_id in sorted(set(photos) - labelled - named):
        listing.skip(photos[case_id], "photo without a label; add its row to the label table")
    if not cases:
        raise BoneAgeError(
            f"{listing.folder}: no photo has a label; photos must be named <id>.png or <id>.jpg, "
            f"with the ids of {shown(tables[0], listing.folder)}"
        )
    return case_table(cases), skipped_table(listing.skipped)


def _is_label_header(header: set[str]) -> bool:
    return all(header.intersection(names) for names in _COLUMNS.values())


def _photos_by_id(listing: Listing) -> dict[str, Path]:
    photos: dict[str, Path] = {}
    for path in listing.photos():
        if path.stem in photos:
            first = shown(photos[path.stem], listing.folder)
            listing.skip(path, f"second photo with id {path.stem}; {first} is used, remove one of them")
        else:
            photos[path.stem] = path
    return photos


def _labelled(tables: list[Path], photos: dict[str, Path], listing: Listing) -> list[dict[str, object]]:
    cases: dict[str, dict[str, object]] = {}
    for table in tables:
        name = shown(table, listing.folder)
        for row in read_normalised(table, _COLUMNS).itertuples(index=False):
            years = number_of(row.months) / MONTHS_PER_YEAR
            sex = _SEX_OF_MALE.get(row.male.lower())
            if not is_safe_id(row.id):
                reason = "id is not 1 to 64 letters and digits; correct it in the table"
            elif row.id in cases:
                reason = "second label with this id; the first is used, remove one of them"
            elif fault := age_fault(row.months, years):
                reason = fault
            elif sex is None:
                reason = f"male is {row.male!r}; write True or False"
            elif row.id not in photos:
                reason = "label without a photo; fetch the photo or remove the row"
            else:
                cases[row.id] = _case(row.id, photos[row.id], sex, years)
                continue
            listing.skipped.append((row.id, f"{name}: {reason}"))
    return list(cases.values())


def _case(case_id: str, photo: Path, sex: str, years: float) -> dict[str, object]:
    return {
        "case_id": case_id,
        "photo": str(photo),
        "source": "rsna",
        "sex": sex,
        "race": "Unknown",
        "age_group": pd.NA,
        "bone_age": years,
        "reading_1": np.nan,
        "reading_2": np.nan,
    }
