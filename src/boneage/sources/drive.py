"""Files of Google Drive by their sharing link: what it says, and the file behind it."""

import re
from pathlib import Path

from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, write_error
from boneage.core.runtime import package
from boneage.sources.kinds import fault_of

MOUNTED = "/content/drive"
"""Where Colab shows a mounted Drive."""

_ID = r"[A-Za-z0-9_-]{10,100}"
_OF_FILE = re.compile(
    rf"(?:drive:|https://(?:drive|docs)\.google\.com/(?:\S*/d/|\S*[?&]id=))(?P<id>{_ID})(?:[/?&#]\S*)?"
)
# As long as the ids that Drive gives out; shorter words are names of folders.
_BARE_ID = re.compile(r"(?=\S*[0-9])(?=\S*[A-Z])[A-Za-z0-9_-]{25,60}")


def file_id(text: str) -> str | None:
    """The id of a file on Drive, from its sharing link, ``drive:<id>`` or the id itself; None for a path.

    Raises:
        BoneAgeError: The link of a Drive folder, or another web address.
    """
    text = text.strip()
    if "/folders/" in text and text.startswith("https://"):
        raise BoneAgeError(
            f"{text}: the link of a folder; put its radiographs into one zip and give the zip's link, or "
            f"mount the Drive and give the folder's path ({MOUNTED}/MyDrive/...)"
        )
    if found := _OF_FILE.fullmatch(text):
        return found["id"]
    if re.match(r"\w+://|drive:", text):
        raise BoneAgeError(
            f"{text}: not the sharing link of a file on Google Drive; name a folder, a zip, or such a link"
        )
    return text if _BARE_ID.fullmatch(text) and not Path(text).exists() else None


def absolute(text: str, base: Path | str = ".") -> str:
    """A path from the base folder on, ``~`` resolved; what names a file on Drive stays as it is."""
    return text if file_id(text) else str((Path(base) / Path(text).expanduser()).resolve())


def fetch_zip(drive_id: str, folder: Path | str) -> Path:
    """The zip or tar.gz with this id, fetched into a folder once.

    Raises:
        BoneAgeError: It is not shared, is no archive, or the disk is full.
    """
    path = make_folder(folder) / f"drive-{drive_id}.zip"
    if not path.is_file():
        part = path.with_suffix(".part")
        download(drive_id, part, path.name)
        if fault := fault_of(part, path.name):
            part.unlink()
            raise BoneAgeError(
                f"Drive file {drive_id}: neither a zip nor a tar.gz, as {fault}; put the radiographs in one "
                "zip, share it, and give its link"
            )
        part.replace(path)
    return path


def download(drive_id: str, part: Path, name: str) -> None:
    """Fetches a file into a part file; a download that was cut goes on where it stopped.

    Raises:
        BoneAgeError: It cannot be fetched, with what to do; or the disk is full.
    """
    # Only who fetches from Drive waits for its import.
    gdown = package("gdown", "pip install gdown, or download the file and name it as data")
    try:
        found = gdown.download(id=drive_id, output=str(part), resume=True)
    except OSError as error:
        if error.errno is not None:
            raise write_error(part, error) from None
        # What requests raises is an OSError too, but without a number.
        raise _refused(name, error) from None
    except Exception as error:
        raise _refused(name, error) from None
    if not found or not part.is_file():
        raise _refused(name, "nothing came")


def _refused(name: str, error: object) -> BoneAgeError:
    reason = " ".join(str(error).split())[:200]
    return BoneAgeError(
        f"{name}: cannot be fetched from Google Drive ({reason}); share the file with "
        "'anyone with the link', or mount the Drive and name the file as data"
    )
