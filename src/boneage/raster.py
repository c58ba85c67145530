"""JPEG and PNG files to grey."""

import io
import re
import struct
import zlib

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

from boneage.errors import BoneAgeError
from boneage.limits import check_size, too_many_pixels

# What is told apart by name; only the first two are read.
_FORMATS = ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTH_OFFSET = 24
_JPEG_START_OF_SCAN = 0xDA
_JPEG_END = b"\xff\xd9"
# 0xFF followed by what cannot stand after the first scan has begun. A stuffed zero can, and fill, restarts,
# and what comes between the scans of a progressive file (DHT, SOS, DQT, DNL, DRI, COM).
_JPEG_STRAY_MARKER = re.compile(rb"\xff[^\x00\xc4\xd0-\xd7\xda-\xdd\xfe\xff]")


def read_raster(data: bytes, name: str) -> tuple[np.ndarray, str, str, int, list[str]]:
    """Decodes a file that is no DICOM.

    Args:
        data: The file's bytes.
        name: How an error names the file.

    Returns:
        The grey image, uint8 or uint16 of shape (height, width); its format, Pillow's name of its colour
        layout, its bits a channel, and what was done to make it grey.

    Raises:
        BoneAgeError: As in :func:`boneage.reading.read_grey`.
    """
    header = _open_header(data, name)
    kind, mode = str(header.format), header.mode
    bit_depth = data[_PNG_DEPTH_OFFSET] if kind == "PNG" else 8
    _check_whole(kind, data, name)
    grey, notes = _decode(data, header, bit_depth, name)
    return grey, kind, mode, bit_depth, notes


def _open_header(data: bytes, name: str) -> Image.Image:
    """Reads the header alone (Pillow decodes no pixel on opening) and refuses what should not be decoded."""
    try:
        header = Image.open(io.BytesIO(data), formats=_FORMATS)
        kind, size, frames = str(header.format), header.size, getattr(header, "n_frames", 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels(name) from None
    except Exception:  # A hostile header can trip a parser in any way; whatever the way, it is no photo.
        raise BoneAgeError(
            f"{name}: not a photo (text, a web page, or a damaged header); fetch it again or save it as PNG"
        ) from None
    if kind == "MPO" or frames > 1:
        raise BoneAgeError(
            f"{name}: holds several pictures (animated or MPO); save the one to use as JPEG or PNG"
        )
    if kind not in ("JPEG", "PNG"):
        raise BoneAgeError(f"{name}: {kind} is not read; save it as PNG")
    check_size(*size, name)
    return header


def _check_whole(kind: str, data: bytes, name: str) -> None:
    fault = _jpeg_fault(data) if kind == "JPEG" else _png_fault(data)
    if fault:
        raise BoneAgeError(f"{name}: {fault}; fetch it again")


def _jpeg_fault(data: bytes) -> str:
    """What is broken in a JPEG's structure (ITU-T T.81, annex B); empty where nothing is.

    Decoders fill what is missing with grey and say nothing; here it is found without decoding.
    """
    position = 2
    marker = 0
    while marker != _JPEG_START_OF_SCAN:
        while data[position : position + 2] == b"\xff\xff":
            position += 1
        if len(data) < position + 4:
            return "cut short before its picture begins"
        start, marker, length = struct.unpack_from(">BBH", data, position)
        if start != 0xFF or length < 2:
            return "damaged in its header"
        position += 2 + length
    end = data.find(_JPEG_END, position)
    if end < 0:
        return "cut short (the end of the JPEG is missing)"
    return "damaged inside its picture" if _JPEG_STRAY_MARKER.search(data, position, end) else ""


def _png_fault(data: bytes) -> str:
    """What is broken in a PNG's chunks (each has a CRC-32); empty where nothing is."""
    position = len(_PNG_SIGNATURE)
    view = memoryview(data)
    kind = b""
    while kind != b"IEND":
        if len(data) < position + 12:
            return "cut short (the end of the PNG is missing)"
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if len(data) < end + 4:
            return "cut short (the end of the PNG is missing)"
        if zlib.crc32(view[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return "damaged (a checksum inside the PNG does not fit)"
        position = end + 4
    return ""


def _decode(data: bytes, header: Image.Image, bit_depth: int, name: str) -> tuple[np.ndarray, list[str]]:
    """The grey photo, and what was done to make it grey."""
    notes = []
    try:
        if header.mode == "CMYK":
            # OpenCV assumes one of the two polarities of CMYK; Pillow asks the file.
            grey = np.asarray(ImageOps.exif_transpose(header).convert("RGB").convert("L"))
            notes.append("CMYK made grey")
        else:
            grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
            if grey is None:
                raise ValueError
            if header.mode in ("RGB", "RGBA", "P", "PA"):
                notes.append("colour made grey")
        if "A" in header.mode or ("transparency" in header.info and bit_depth <= 8):
            alpha = np.asarray(ImageOps.exif_transpose(header.convert("RGBA")).getchannel("A"))
            if alpha.min() < 255:
                grey = cv2.multiply(grey, alpha.astype(grey.dtype), scale=1 / 255)
                notes.append("transparent parts made black")
        if "exif" in header.info and header.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            notes.append("turned by its EXIF tag")
    except Exception:  # As for the header: whatever the decoder trips over, the photo is damaged.
        raise BoneAgeError(f"{name}: damaged, it cannot be decoded; fetch it again") from None
    return grey, notes
