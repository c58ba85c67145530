"""The case table of the source that the settings name."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from boneage.core.errors import BoneAgeError, one_line
from boneage.core.files import write_text
from boneage.core.settings import Settings
from boneage.sources import dha, local, manifest, rsna
from boneage.sources.web import Web


def read_source(settings: Settings, folder: Path, large: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reads a source into a case table; archives below its folder are unpacked first.

    Args:
        settings: The source, the unit of its bone ages, and which age is the label.
        folder: Where its radiographs lie.
        large: Where archives are unpacked, and readings fetched.

    Returns:
        See :meth:`boneage.sources.listing.Listing.case_table`.

    Raises:
        BoneAgeError: It holds no radiograph, or a table of bone ages may be in months as well as years.
    """
    unpacked = {} if settings.source == "phantom" else local.unpack_below(folder, large)
    if settings.source == "rsna":
        return rsna.read_rsna(folder, settings.unit, unpacked)
    readings = _fetched_readings(settings, folder, large, unpacked)
    return dha.read_atlas(folder, readings, settings.source, settings.unit, unpacked)


def tell_units(path: Path, cases: pd.DataFrame) -> None:
    """Says what each table of bone ages was taken for and why, and writes it beside the case table."""
    units = cases.attrs["units"]
    for one in units:
        print(one_line(f"{one['table']}: bone ages in {one['unit']} ({one['why']})"))
    write_text(path.with_suffix(".json"), json.dumps({"units": units}, indent=1) + "\n")


def _fetched_readings(
    settings: Settings, folder: Path, large: Path, unpacked: Mapping[Path, Path | str]
) -> Path | None:
    """The atlas's published readings where its images come without any; None where they have their own."""
    if settings.source != "dha" or settings.label != "reading" or dha.find_readings(folder, unpacked):
        return None
    try:
        return manifest.fetch("la_dha.csv", large / "data", record=large / "fetched.csv", web=Web(attempts=2))
    except BoneAgeError as error:
        print(f"no readings, so the label is the atlas folder's year of age: {error}")
        return None
