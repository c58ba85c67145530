"""Files on Google Drive, by sharing link or id."""

import contextlib
import errno
import glob
import re
from collections.abc import Iterator
from pathlib import Path

from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, write_error
from boneage.core.runtime import package
from boneage.sources.kinds import fault_of

MOUNTED = "/content/drive"
"""Where Colab mounts Drive."""

LARGEST_BYTES = 32 * 2**30
"""Most bytes fetched for one file; the largest of the manifest, RSNA's training images, has 9.6 GB."""

_ID = r"[A-Za-z0-9_-]{10,100}"
_OF_FILE = re.compile(
    rf"(?:drive:|https://(?:drive|docs)\.google\.com/(?:\S*/d/|\S*[?&]id=))(?P<id>{_ID})(?:[/?&#]\S*)?"
)
# As long as Drive's own ids; shorter words are folder names.
_BARE_ID = re.compile(r"(?=\S*[0-9])(?=\S*[A-Z])[A-Za-z0-9_-]{25,60}")


def file_id(text: str) -> str | None:
    """The id of a file on Drive, from its sharing link, ``drive:<id>`` or the id itself; None for a path.

    Raises:
        BoneAgeError: The link of a Drive folder, or another web address.
    """
    text = text.strip()
    if "/folders/" in text and text.startswith("https://"):
        raise BoneAgeError(
            f"{text}: this is the link of a folder; put the radiographs into one zip and give its link, or "
            f"mount the Drive and give the folder's path ({MOUNTED}/MyDrive/...)"
        )
    if found := _OF_FILE.fullmatch(text):
        return found["id"]
    if re.match(r"\w+://|drive:", text):
        # Whoever put a password into it does not want to see it in a log.
        shown = re.sub(r"//[^/]*@", "//...@", text)
        raise BoneAgeError(
            f"{shown}: not the sharing link of a file on Google Drive; give a folder, a zip, or such a link"
        )
    return text if _BARE_ID.fullmatch(text) and not Path(text).exists() else None


def absolute(text: str, base: Path | str = ".") -> str:
    """An absolute path, ``~`` expanded; references to Drive files are returned unchanged.

    Raises:
        BoneAgeError: It begins with the home of a user who is not there.
    """
    try:
        return text if file_id(text) else str((Path(base) / Path(text).expanduser()).resolve())
    except RuntimeError:
        raise BoneAgeError(f"{text}: no such home folder; write the whole path") from None


def fetch_zip(drive_id: str, folder: Path | str) -> Path:
    """Fetches the zip or tar.gz with this id into a folder, once.

    Raises:
        BoneAgeError: Not shared, not an archive, or the disk is full.
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


def download(drive_id: str, part: Path, name: str, largest_bytes: int = LARGEST_BYTES) -> None:
    """Fetches a file into ``part``, resuming an interrupted download.

    Raises:
        BoneAgeError: It cannot be fetched, it is over ``largest_bytes``, or the disk is full.
    """
    # Imported late: only fetching from Drive needs it.
    gdown = package("gdown", "pip install gdown, or download the file and give it as data")
    try:
        with _no_larger_file(largest_bytes):
            found = gdown.download(id=drive_id, output=str(part), resume=True)
    except OSError as error:
        if error.errno == errno.EFBIG:
            for begun in part.parent.glob(f"{glob.escape(part.name)}*"):
                begun.unlink()
            raise _refused(name, f"larger than {largest_bytes / 2**20:.6g} MiB") from None
        if error.errno is not None:
            raise write_error(part, error) from None
        # Errors of requests are OSErrors too, but without a number.
        raise _refused(name, error) from None
    except Exception as error:
        raise _refused(name, error) from None
    if not found or not part.is_file():
        raise _refused(name, "nothing received")


@contextlib.contextmanager
def _no_larger_file(largest_bytes: int) -> Iterator[None]:
    """Has the system refuse to let a file of this process grow larger, since gdown sets no limit."""
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    hard = before[1]
    allowed = largest_bytes if hard == resource.RLIM_INFINITY else min(largest_bytes, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _refused(name: str, error: object) -> BoneAgeError:
    reason = " ".join(str(error).split())[:200]
    return BoneAgeError(
        f"{name}: cannot be fetched from Google Drive ({reason}); share the file with "
        "'anyone with the link', or mount the Drive and give the file as data"
    )
