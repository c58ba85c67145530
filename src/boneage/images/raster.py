"""JPEG, PNG, TIFF, BMP and WebP files to grey."""

import io
import re
import struct
import warnings

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

from boneage.core.errors import BoneAgeError
from boneage.images.grey_range import to_uint8
from boneage.images.limits import SMALLEST_SIDE, check_size, too_many_pixels

_READ = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
# Recognised for the error message, but not read.
_FORMATS = (*_READ, "GIF")
_OTHERS = {
    b"%PDF": "PDF",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"8BPS": "Photoshop",
    b"PK\x03\x04": "zip archive or office document",
    b"\x1f\x8b": "gzip archive",
}
_HEIF_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"avif")
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TIFF_ROWS, _TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_PLANES, _TIFF_SAMPLES = 257, 258, 262, 284, 339
# If less than this share is visible, the transparency is not meant.
_LEAST_SEEN = 0.01
_LONGEST_REASON = 100
_PNG_DEPTH_OFFSET = 24
_JPEG_START_OF_SCAN = 0xDA
_JPEG_END = b"\xff\xd9"
# 0xFF followed by a byte that cannot occur after the first scan has begun. What can: a stuffed zero, fill
# bytes, restarts, and segments between the scans of a progressive file (DHT, SOS, DQT, DNL, DRI, COM).
_JPEG_STRAY_MARKER = re.compile(rb"\xff[^\x00\xc4\xd0-\xd7\xda-\xdd\xfe\xff]")


def read_raster(data: bytes, name: str) -> tuple[np.ndarray, str, str, int, list[str]]:
    """Decodes a file that is not DICOM.

    Returns:
        The grey image, uint8 or uint16 (height, width); format; Pillow's colour mode; bits per channel; notes
        on the conversion.

    Raises:
        BoneAgeError: As :func:`boneage.images.reading.read_grey`.
    """
    header = _open_header(data, name)
    kind, mode = str(header.format), header.mode
    bit_depth = _bit_depth(header, data)
    _check_whole(header, data, name)
    grey, notes = _decode(data, header, bit_depth, name)
    return grey, kind, mode, bit_depth, notes


def _open_header(data: bytes, name: str) -> Image.Image:
    """Reads the header only (Pillow decodes nothing on opening) and refuses what should not be decoded."""
    # Of a damaged tag, or of a size that is checked below.
    warnings.filterwarnings("ignore", module=Image.__package__)
    try:
        header = Image.open(io.BytesIO(data), formats=_FORMATS)
        kind, size, frames = str(header.format), header.size, getattr(header, "n_frames", 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels(name) from None
    except Exception:  # A hostile header can make a parser raise anything.
        raise BoneAgeError(f"{name}: {_why_not_opened(data)}") from None
    if kind == "MPO" or frames > 1:
        raise BoneAgeError(
            f"{name}: holds several images (pages, animated or MPO); save the one to use as PNG"
        )
    if kind not in _READ:
        raise BoneAgeError(f"{name}: {kind} is not supported; save it as PNG")
    check_size(*size, name)
    return header


def _why_not_opened(data: bytes) -> str:
    for start, kind in _OTHERS.items():
        if data.startswith(start):
            return f"{kind} is not supported; save the image as PNG"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "HEIC or AVIF is not supported; save it as JPEG or PNG"
    if data.startswith(_TIFF_STARTS):
        return "a TIFF that is cut short, damaged or of an unsupported kind; save it as PNG"
    if data.startswith(b"\xff\xd8\xff") and len(data) > 2 * SMALLEST_SIDE:
        return "a JPEG that is cut short, damaged, lossless or 12-bit; fetch it again or save it as PNG"
    return "not an image (text, a web page, or a damaged header); fetch it again or save it as PNG"


def _bit_depth(header: Image.Image, data: bytes) -> int:
    if header.format == "PNG":
        return data[_PNG_DEPTH_OFFSET]
    if header.format == "TIFF":
        return int(header.tag_v2.get(_TIFF_BITS, (1,))[0])
    return 1 if header.mode == "1" else 8


def _check_whole(header: Image.Image, data: bytes, name: str) -> None:
    fault = ""
    if header.format == "JPEG":
        fault = _jpeg_fault(data)
    else:
        try:
            # A fresh image: verifying or loading changes it (a TIFF is turned upright, a PNG used up).
            image = Image.open(io.BytesIO(data), formats=[header.format])
            # Pillow leaves rows black that no strip of a TIFF holds.
            if header.format == "TIFF" and max(one[1][3] for one in image.tile) < image.tag_v2[_TIFF_ROWS]:
                raise ValueError("rows are missing")
            image.verify() if header.format == "PNG" else image.load()
        except Exception as error:
            fault = f"cut short or damaged ({' '.join(str(error).split())[:_LONGEST_REASON]})"
    if fault:
        raise BoneAgeError(f"{name}: {fault}; fetch it again")


def _jpeg_fault(data: bytes) -> str:
    """What is broken in a JPEG's structure (ITU-T T.81, annex B); empty if nothing is.

    Pillow checks nothing of a JPEG without decoding, and OpenCV fills what is missing with grey.
    """
    position = 2
    marker = 0
    while marker != _JPEG_START_OF_SCAN:
        while data[position : position + 2] == b"\xff\xff":
            position += 1
        if len(data) < position + 4:
            return "cut short before the image data"
        start, marker, length = struct.unpack_from(">BBH", data, position)
        if start != 0xFF or length < 2:
            return "damaged header"
        position += 2 + length
    end = data.find(_JPEG_END, position)
    if end < 0:
        return "cut short (the end of the JPEG is missing)"
    return "damaged image data" if _JPEG_STRAY_MARKER.search(data, position, end) else ""


def _decode(data: bytes, header: Image.Image, bit_depth: int, name: str) -> tuple[np.ndarray, list[str]]:
    """The grey image, and notes on the conversion."""
    notes = []
    try:
        in_planes = header.format == "TIFF" and header.tag_v2.get(_TIFF_PLANES) == 2
        if in_planes and bit_depth > 8 and header.mode in ("RGB", "RGBA"):
            # OpenCV takes the planes for pixels, and Pillow cannot read all of these.
            raise BoneAgeError(f"{name}: 16-bit colour in separate planes is not supported; save it as PNG")
        has_tag = header.format == "TIFF" or "exif" in header.info
        turned = has_tag and header.getexif().get(ExifTags.Base.Orientation, 1) != 1
        if header.mode == "CMYK":
            # OpenCV assumes one polarity of CMYK; Pillow looks it up in the file.
            grey = np.asarray(ImageOps.exif_transpose(header).convert("RGB").convert("L"))
            notes.append("CMYK converted to grey")
        else:
            grey = _luma(data, header, bit_depth)
            if header.mode in ("RGB", "RGBA", "RGBX", "P", "PA", "YCbCr", "LAB"):
                notes.append("colour converted to grey")
        if "A" in header.mode.removesuffix("AB") or ("transparency" in header.info and bit_depth <= 8):
            alpha = np.asarray(ImageOps.exif_transpose(header.convert("RGBA")).getchannel("A"))
            grey, done = _without_transparent(grey, alpha)
            notes += done
        if turned:
            notes.append("turned by its EXIF orientation")
    except BoneAgeError:
        raise
    except Exception:  # As for the header.
        raise BoneAgeError(f"{name}: damaged, cannot be decoded; fetch it again") from None
    return grey, notes


def _luma(data: bytes, header: Image.Image, bit_depth: int) -> np.ndarray:
    """The grey image at its own depth, turned upright; inverted if a TIFF says that 0 is white."""
    deep_colour = header.format == "TIFF" and bit_depth > 8 and header.mode in ("RGB", "RGBA")
    if header.format in ("JPEG", "PNG") or deep_colour:
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
        if grey is None:
            raise ValueError
        return grey
    image = ImageOps.exif_transpose(header)
    signed = header.format == "TIFF" and header.tag_v2.get(_TIFF_SAMPLES, (1,))[0] == 2
    # Pillow takes whole numbers of 8 bits for unsigned, and of 32 for signed.
    if signed and image.mode == "L" and bit_depth == 8:
        return to_uint8(np.asarray(image).view(np.int8).astype(np.int16))
    if image.mode not in ("F", "I") and not image.mode.startswith("I;16"):
        return np.asarray(image.convert("RGB").convert("L") if image.mode != "L" else image)
    values = np.asarray(image)
    if image.mode == "I" and bit_depth == 32 and not signed:
        values = values.view(np.uint32)
    if header.format == "TIFF" and header.tag_v2.get(_TIFF_PHOTOMETRIC) == 0:
        # Pillow inverts at 8 bits, but not at more.
        values = -values if values.dtype.kind == "f" else values.max() - values
    return values.astype(np.uint16) if image.mode.startswith("I;16") else to_uint8(values)


def _without_transparent(grey: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The image with transparent parts black, and notes."""
    if alpha.min() == 255:
        return grey, []
    if alpha.min() == alpha.max() or np.mean(alpha > 0) < _LEAST_SEEN:
        return grey, ["fully transparent; transparency ignored"]
    seen = cv2.multiply(grey, alpha.astype(grey.dtype), scale=1 / 255)
    return seen, ["transparent parts made black"]
