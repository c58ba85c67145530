"""Reports what a stage left out: how many rows, and the commonest reason."""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from boneage.core.errors import BoneAgeError, one_line
from boneage.core.tables import SKIPPED_TABLE, read_table, write_table

# The parts in which two rows with the same fault may differ.
_QUOTED_VALUE = re.compile(
    r"""(?<!\w)(?:'[^']*'|"[^"]*")(?!\w)  # quoted text
    | (?<!\S)/[^:]*(?=:\ )               # a path, perhaps with spaces
    | \S*/\S*                           # a shorter one
    | \S*\.[A-Za-z]\w{1,4}\b\S*         # a file
    | \S*\d\S* | \bnan\b                # a number, an id
    """,
    re.VERBOSE,
)


def leave_out(
    path: Path, skipped: pd.DataFrame, kept: int, what: str = "", noted: Collection[str] = ()
) -> None:
    """Writes the table of what a stage left out, and prints a summary if it is not empty.

    Args:
        path: ``skipped-<stage>.csv``.
        skipped: ``tables.SKIPPED_TABLE``.
        kept: Number of rows not left out.
        what: What the stage makes, in the plural, if it must make at least one.
        noted: Items in the table that were kept and only have a remark.

    Raises:
        BoneAgeError: The stage made nothing, with the commonest reason; or the folder is read-only, or the
            disk is full.
    """
    write_table(path, skipped)
    is_noted = skipped["item"].isin(list(noted))
    lost, remarks = skipped[~is_noted], skipped[is_noted]
    if len(lost):
        print(one_line(f"left out: {in_words(lost, kept + len(lost))}; each with its reason in {path}"))
    if len(remarks):
        # An item may have several remarks; count items.
        said = in_words(remarks.drop_duplicates("item"), kept)
        print(one_line(f"kept, but with a remark: {said}; each in {path}"))
    if what and kept == 0:
        why = in_words(skipped, len(skipped)) if len(skipped) else "nothing, because there was no input"
        raise BoneAgeError(f"no {what}: left out {why}; see {path}")


def left_something_out(path: Path) -> bool:
    """Whether a stage left something out by its ``skipped-<stage>.csv``, or that cannot be told."""
    try:
        return len(read_table(path, SKIPPED_TABLE)) > 0
    except BoneAgeError:
        return True


def in_words(skipped: pd.DataFrame, of: int) -> str:
    """How many were left out, and the commonest reason with its number: ``59 of 60 (57: no image)``.

    Reasons that differ only in the values they quote count as one; the first is quoted.

    Args:
        skipped: ``tables.SKIPPED_TABLE``, at least one row.
        of: Number of all rows, those left out included.
    """
    alike = skipped["reason"].map(lambda reason: _QUOTED_VALUE.sub("#", reason))
    counts = alike.value_counts(sort=False)
    commonest = counts.idxmax()
    example = skipped["reason"][alike == commonest].iloc[0]
    return f"{len(skipped)} of {of} ({counts.max()}: {example})"
