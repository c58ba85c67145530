"""Any file of a radiograph to grey, with the facts about it.

A file is looked at in three steps, each cheaper than the next: its size on disk, its header (so that a
small file that declares a huge picture is refused before anything is decoded), and its structure (so that
a file cut short is refused, which decoders do not do by themselves). Only then is it decoded.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.images.dicom import START_BYTES, looks_like_dicom, read_dicom
from boneage.images.grey_range import to_uint8
from boneage.images.limits import LARGEST_FILE_BYTES, too_many_bytes
from boneage.images.raster import read_raster

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "DICOM": (".dcm", ".dicom", ".dic"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
}
IMAGE_SUFFIXES = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
"""Suffixes, in small letters, of what :func:`read_grey` reads, or refuses with a reason of its own.

A DICOM file often has none, or the end of its UID: :func:`is_image` looks inside.
"""


@dataclass(frozen=True)
class ImageFacts:
    """What an image was when it came in.

    Attributes:
        format: JPEG, PNG, TIFF, BMP, WEBP or DICOM.
        width: Pixels, as seen (turned by EXIF where it says so).
        height: Pixels, as seen.
        bit_depth: Bits a channel.
        mode: Pillow's name of the colour layout (L, RGB, P, CMYK ...), or DICOM's photometric interpretation.
        bytes: Size of the file.
        sha256: Hash of the file, 64 hexadecimal digits.
        note: What was done to make it grey, or what looks odd; often empty.
    """

    format: str
    width: int
    height: int
    bit_depth: int
    mode: str
    bytes: int
    sha256: str
    note: str


def is_image(path: Path) -> bool:
    """Whether a file is an image by its suffix or, without one that is known, a DICOM file by its start."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with open(path, "rb") as file:
            return looks_like_dicom(file.read(START_BYTES))
    except OSError:
        return False


def read_grey(data: bytes, name: str) -> tuple[np.ndarray, ImageFacts]:
    """Decodes an image of any kind to grey, turned upright by its EXIF tag, at its own bit depth.

    Colour becomes luma (ITU-R BT.601), CMYK goes through RGB, and what is transparent becomes black, unless
    that is all of it. A DICOM file is shown as it says (:func:`boneage.images.dicom.read_dicom`).

    Args:
        data: The file's bytes.
        name: How an error names the file; its suffix is compared with what the file is.

    Returns:
        The grey image, uint8 or uint16 of shape (height, width), and the facts about the file.

    Raises:
        BoneAgeError: Empty, too big, not a picture, a kind that is not read, animated, fewer than 32
            pixels a side, more than 100 megapixels, cut short or damaged. Damage inside a JPEG's coded
            data is found only where it breaks the structure of the file.
    """
    if not data:
        raise BoneAgeError(f"{name}: empty file; fetch it again")
    if len(data) > LARGEST_FILE_BYTES:
        raise too_many_bytes(name, len(data))
    if looks_like_dicom(data):
        grey, kind, mode, bit_depth, notes = read_dicom(data, name)
    else:
        grey, kind, mode, bit_depth, notes = read_raster(data, name)
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES[kind] and not (kind == "DICOM" and suffix not in IMAGE_SUFFIXES):
        notes.append(f"a {kind} by its content, not by its name")
    height, width = grey.shape
    digest = hashlib.sha256(data).hexdigest()
    return grey, ImageFacts(kind, width, height, bit_depth, mode, len(data), digest, ", ".join(notes))


def read_file(path: Path) -> np.ndarray:
    """An image file, such as preprocessing makes, as uint8, (height, width).

    Raises:
        BoneAgeError: It is gone, or as in :func:`read_grey`.
    """
    try:
        return to_uint8(read_grey(path.read_bytes(), path.name)[0])
    except OSError as error:
        raise BoneAgeError(f"{path.name}: cannot be read ({error.strerror}); run preprocess again") from None
