"""Limits on the size of an image file, checked before anything is decoded."""

from boneage.core.errors import BoneAgeError

LARGEST_FILE_BYTES = 256 * 2**20
LARGEST_PIXELS = 100_000_000
SMALLEST_SIDE = 32


def too_many_bytes(name: str) -> BoneAgeError:
    """The error for a file that is too large, as it is or unpacked."""
    return BoneAgeError(f"{name}: larger than {LARGEST_FILE_BYTES // 2**20} MiB; reduce it")


def check_size(width: int, height: int, name: str) -> None:
    """Refuses an image by the size in pixels that its header declares.

    Raises:
        BoneAgeError: More than 100 megapixels, or fewer than 32 pixels a side.
    """
    if width * height > LARGEST_PIXELS:
        raise too_many_pixels(name)
    if min(width, height) < SMALLEST_SIDE:
        raise BoneAgeError(
            f"{name}: {width} x {height} pixels, too small to show a hand; fetch the image itself,"
            " not a thumbnail"
        )


def too_many_pixels(name: str) -> BoneAgeError:
    """The error for a file that declares too many pixels."""
    return BoneAgeError(
        f"{name}: declares more than {LARGEST_PIXELS // 10**6} megapixels, more than any radiograph;"
        " reduce it"
    )
