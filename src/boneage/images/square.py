"""A radiograph's file to a square grey image."""

import stat
from pathlib import Path

import cv2
import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.objects import Object
from boneage.images.grey_range import to_uint8
from boneage.images.limits import LARGEST_FILE_BYTES, too_many_bytes
from boneage.images.reading import ImageFacts, read_grey

# Level 1 with run-length strategy: smaller and faster on radiographs than the default.
PNG_ENCODING = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)

BAR_FRAME = 12
"""The bars of a square take the median grey level of a frame of the image as deep as its short side divided
by this."""


def square_of_file(source: Path | Object, name: str, size: int, pad: str) -> tuple[bytes, ImageFacts, int]:
    """The square image as PNG, the file's facts, and its modification time in nanoseconds.

    Raises:
        BoneAgeError: As :func:`boneage.images.reading.read_grey`, or ``source`` cannot be read; names
            ``name``.
    """
    data, modified = read_source(source, name)
    grey, facts = read_grey(data, name)
    return to_png(square(to_uint8(grey), size, pad)), facts, modified


def to_png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image, PNG_ENCODING)[1].tobytes()


def read_source(source: Path | Object, name: str) -> tuple[bytes, int]:
    """A radiograph's file or object, and its modification time in nanoseconds.

    Raises:
        Unanswered: The service of an object answers nobody, or not us.
        BoneAgeError: No such file, not a file, too large, or it cannot be read; names ``name``.
    """
    if isinstance(source, Object):
        if source.size > LARGEST_FILE_BYTES:
            raise too_many_bytes(name)
        return source.read(), source.modified
    try:
        # Asked before reading, so that a file that changes meanwhile looks changed to the next run.
        status = source.stat()
        # Reading a pipe or a device would block for ever.
        if not stat.S_ISREG(status.st_mode):
            raise BoneAgeError(f"{name}: not a file; name the image itself")
        if status.st_size > LARGEST_FILE_BYTES:
            raise too_many_bytes(name)
        return source.read_bytes(), status.st_mtime_ns
    except FileNotFoundError:
        raise BoneAgeError(f"{name}: no such file; put it there or leave the case out") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BoneAgeError(f"{name}: cannot be read ({reason}); check the file") from None


def square(image: np.ndarray, size: int, pad: str = "background") -> np.ndarray:
    """Fits an image into the centre of a square, keeping its aspect ratio.

    Uses area interpolation to shrink and cubic interpolation to enlarge.

    Args:
        image: uint8, (height, width).
        size: Side of the square in pixels.
        pad: Grey level of the bars: "background" is the image's own, "black" 0, "white" 255.
    """
    if image.shape == (size, size):
        return image.copy()
    scale = size / max(image.shape)
    height, width = (max(1, round(side * scale)) for side in image.shape)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(image, (width, height), interpolation=interpolation)
    top, left = (size - height) // 2, (size - width) // 2
    canvas = np.full((size, size), _bar_level(scaled, pad), np.uint8)
    canvas[top : top + height, left : left + width] = scaled
    return canvas


def _bar_level(image: np.ndarray, pad: str) -> int:
    """0, 255, or the median of a frame of the image (:data:`BAR_FRAME`).

    The frame is deeper than a bright collimator or film edge, and takes in all four sides, since any one may
    be blank film, a ruler or the forearm.
    """
    if pad != "background":
        return {"black": 0, "white": 255}[pad]
    depth = max(1, min(image.shape) // BAR_FRAME)
    frame = (image[:depth], image[-depth:], image[:, :depth], image[:, -depth:])
    counts = np.sum([cv2.calcHist([side], [0], None, [256], [0, 256]) for side in frame], axis=0)
    return int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
