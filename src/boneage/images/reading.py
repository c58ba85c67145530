"""A radiograph's file to grey, with facts about it.

A file is checked in three steps of rising cost before it is decoded: its size on disk; its header, so that a
small file that declares a huge image is refused; and its structure, since decoders accept truncated files.
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
"""Lower-case suffixes of what :func:`read_grey` reads, or refuses with a reason of its own.

DICOM files often have none, or the end of their UID, so :func:`is_image` looks inside.
"""


@dataclass(frozen=True)
class ImageFacts:
    """An image file as it came in.

    Attributes:
        format: JPEG, PNG, TIFF, BMP, WEBP or DICOM.
        width: Pixels, after EXIF orientation.
        height: As width.
        bit_depth: Bits per channel.
        mode: Pillow's colour mode (L, RGB, P, CMYK ...), or DICOM's photometric interpretation.
        bytes: Size of the file.
        sha256: Hash of the file, 64 hexadecimal digits.
        note: Conversions and oddities; often empty.
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
    """Whether a file is an image by its suffix or, with no known suffix, a DICOM file by its first bytes."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with open(path, "rb") as file:
            return looks_like_dicom(file.read(START_BYTES))
    except OSError:
        return False


def read_grey(data: bytes, name: str) -> tuple[np.ndarray, ImageFacts]:
    """Decodes an image to grey at its own bit depth, turned upright by its EXIF orientation.

    Colour becomes luma (ITU-R BT.601), CMYK by way of RGB; transparent parts become black, unless everything
    is transparent. DICOM is displayed as the file specifies (:func:`boneage.images.dicom.read_dicom`).

    Args:
        data: The file's bytes.
        name: Names the file in errors; its suffix is compared with the content.

    Returns:
        The grey image, uint8 or uint16 (height, width), and the file's facts.

    Raises:
        BoneAgeError: Empty, too large, not an image, unsupported, animated, fewer than 32 pixels a side, more
            than 100 megapixels, cut short or damaged. Damage in a JPEG's coded data is found only if it
            breaks the file's structure.
    """
    if not data:
        raise BoneAgeError(f"{name}: empty file; fetch it again")
    if len(data) > LARGEST_FILE_BYTES:
        raise too_many_bytes(name)
    if looks_like_dicom(data):
        grey, kind, mode, bit_depth, notes = read_dicom(data, name)
    else:
        grey, kind, mode, bit_depth, notes = read_raster(data, name)
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES[kind] and not (kind == "DICOM" and suffix not in IMAGE_SUFFIXES):
        notes.append(f"content is {kind}, unlike the file name")
    height, width = grey.shape
    digest = hashlib.sha256(data).hexdigest()
    return grey, ImageFacts(kind, width, height, bit_depth, mode, len(data), digest, ", ".join(notes))


def read_file(path: Path) -> np.ndarray:
    """Reads an image file, such as preprocessing makes, as uint8 (height, width).

    Raises:
        BoneAgeError: It is gone, or as :func:`read_grey`.
    """
    try:
        return to_uint8(read_grey(path.read_bytes(), path.name)[0])
    except OSError as error:
        raise BoneAgeError(f"{path.name}: cannot be read ({error.strerror}); run preprocess again") from None
