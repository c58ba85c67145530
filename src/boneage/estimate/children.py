"""A table of the children's sexes and ages, for radiographs of more than one child."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from boneage.core.errors import BoneAgeError
from boneage.core.tables import CHILD_TABLE, read_table
from boneage.estimate.estimating import Child
from boneage.sources.spellings import canonical_id, read_sexes


def read_children(path: Path, files: Iterable[str]) -> dict[str, Child]:
    """``CHILD_TABLE`` as a person wrote it: what is known of the child of each file.

    Args:
        path: The table. Other columns are ignored, and so are rows of other radiographs.
        files: The radiographs, as :class:`boneage.estimate.files.Radiographs` names them.

    Returns:
        The children of the files that have a row.

    Raises:
        BoneAgeError: It cannot be read, a cell is impossible, a row means several files, a file has two rows,
            or no file has one.
    """
    table = read_table(path, [column.name for column in CHILD_TABLE.columns])
    sexes, ambiguous = read_sexes(table["sex"].tolist(), "sex")
    if ambiguous:
        raise BoneAgeError(f"{path}: {ambiguous}")
    named = defaultdict(list)
    for file in files:
        for name in {file, _in_its_folder(file), canonical_id(file)}:
            named[name].append(file)
    children: dict[str, Child] = {}
    for cell, sex_cell, sex, age in zip(table["file"], table["sex"], sexes, table["age"], strict=True):
        meant = named.get(cell) or named.get(_in_its_folder(cell), [])
        where = f"{path}, {cell!r}"
        if len(meant) > 1:
            raise BoneAgeError(f"{where}: means {' and '.join(meant[:2])}; write the folder too")
        if sex is None and sex_cell:
            raise BoneAgeError(f"{where}: sex: {sex_cell!r} must be F or M, or left empty")
        try:
            child = Child(sex or "", float(age) if age else None)
        except ValueError:
            raise BoneAgeError(f"{where}: age: {age!r} must be a number of years, or left empty") from None
        except BoneAgeError as error:
            raise BoneAgeError(f"{where}: {error}") from None
        for file in meant:
            if file in children:
                raise BoneAgeError(f"{where}: {file} has two rows; keep one")
            children[file] = child
    if not children:
        example = next(iter(named), "")
        raise BoneAgeError(f"{path}: no row is of these radiographs; name them in `file` as here: {example}")
    return children


def _in_its_folder(name: str) -> str:
    """A file's id with its folder, if it names one: of that folder's file alone, not of its namesakes."""
    path = unicodedata.normalize("NFKC", name).strip().replace("\\", "/").removeprefix("./")
    folder, slash, _ = path.rpartition("/")
    return folder + slash + canonical_id(path)
