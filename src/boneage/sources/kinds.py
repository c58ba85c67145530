"""Whether a file is of the kind that its name says, or a web page sent in its place."""

import re
from collections.abc import Sequence
from pathlib import Path

from boneage.core.errors import BoneAgeError
from boneage.core.tables import read_table
from boneage.sources.archives import BY_HAND, foreign_archive, is_archive
from boneage.sources.spellings import column_name

ARCHIVES = (".zip", ".gz", ".tgz", ".tar")
FOREIGN_ARCHIVES = (".7z", ".rar", ".bz2", ".xz", ".zst")
"""Suffixes of unsupported archives."""
ALL_ARCHIVES = (*ARCHIVES, *FOREIGN_ARCHIVES)

TABLES = (".csv", ".tsv")

_LITTER = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "phantom.json")

_KIND_IN_WORDS = dict.fromkeys(ARCHIVES, "an archive") | dict.fromkeys(TABLES, "a table")

# First bytes by suffix; DICOM's come after a preamble.
_SIGNATURES: dict[str, tuple[bytes, ...]] = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".tif": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    ".bmp": (b"BM",),
    ".npy": (b"\x93NUMPY",),
    ".npz": (b"PK\x03\x04",),
    ".keras": (b"PK\x03\x04",),
    ".h5": (b"\x89HDF\r\n\x1a\n",),
}
_DICOM_PREAMBLE = 128

_BEFORE_A_PAGE = b"\xef\xbb\xbf\xff\xfe \t\r\n"
_PAGE = re.compile(rb"<(!doctype\s+html|html|head|body|script|meta|title)\b", re.IGNORECASE)
_START_BYTES = 2**16

# What pages sent in place of a file say, and what to do; the first match counts.
_PAGES = (
    (
        r"quota exceeded|too many users have|download quota",
        "Google Drive's page for a file with too many downloads; try again tomorrow, or copy it to "
        "your own Drive, mount that and give the file as data",
    ),
    (
        r"virus scan|scan this file for viruses|download anyway",
        "Google Drive's page for a file too large for its virus scan; download it "
        "in a browser and give the file as data",
    ),
    (
        r"captcha|checking your browser|enable javascript",
        "a page that checks for a human visitor; download the file in a browser",
    ),
    (
        r"sign in|log ?in|password|captive|wi-?fi|hotspot|accept the terms|authenticat",
        "a sign-in page of the site or of this network; open the address in a browser",
    ),
)


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or one that an operating system or a program left."""
    return name.startswith((".", "~$")) or name.endswith(".lock") or name.lower() in _LITTER


def page_in_words(start: bytes) -> str | None:
    """Describes a web page that came in place of a file, with what to do; None if it is not a page.

    Args:
        start: The first bytes of the file.
    """
    # Without zero bytes, UTF-16 reads as ASCII.
    start = start.replace(b"\0", b"").lstrip(_BEFORE_A_PAGE)
    if not (start.startswith(b"<") and _PAGE.search(start)):
        return None
    text = start.decode("utf-8", "replace").lower()
    return next((words for pattern, words in _PAGES if re.search(pattern, text)), "a web page")


def fault_of(path: Path, name: str, columns: Sequence[str] = (), rows: int | None = None) -> str | None:
    """What is wrong with a file for its name; None if it is of the kind that the suffix says.

    Args:
        name: The name it should have.
        columns: Columns a table must have; case and punctuation are ignored.
        rows: Number of rows a table must have, if known.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(_START_BYTES)
    except OSError as error:
        raise BoneAgeError(f"{path}: cannot be read ({error.strerror})") from None
    suffix = Path(name).suffix.lower()
    if not start:
        return "it is empty"
    if suffix not in (".html", ".htm") and (page := page_in_words(start)):
        return f"it is not {_KIND_IN_WORDS.get(suffix, f'a {suffix} file')} but {page}"
    if suffix in ARCHIVES:
        if foreign := foreign_archive(path):
            return f"it is a {foreign} archive, which is not supported: {BY_HAND}"
        return None if is_archive(path) else "it is not an archive"
    if suffix in TABLES:
        return _fault_of_table(path, columns, rows)
    if suffix == ".dcm":
        return None if start[_DICOM_PREAMBLE:].startswith(b"DICM") else "it is not a DICOM file"
    signatures = _SIGNATURES.get(suffix, (b"",))
    return None if start.startswith(signatures) else f"it does not begin like a {suffix} file"


def _fault_of_table(path: Path, columns: Sequence[str], rows: int | None) -> str | None:
    try:
        table = read_table(path, ())
    except BoneAgeError as error:
        return f"it is not a table ({str(error).removeprefix(f'{path}: ')})"
    there = {column_name(name) for name in table.columns}
    missing = [name for name in columns if column_name(name) not in there]
    if missing:
        return f"it is another table: column {', '.join(missing)} is missing"
    if len(table.columns) < 2 or table.empty:
        return "it is not a table with several columns and at least one row"
    if not table.iloc[-1, -1] and not path.read_bytes().endswith(b"\n"):
        return "its last row is cut off"
    if rows is not None and len(table) != rows:
        return f"it has {len(table)} rows, the manifest says {rows}"
    return None
