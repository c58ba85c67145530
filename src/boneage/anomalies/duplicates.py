"""Photos that show the same radiograph twice, by a perceptual hash (the library ImageHash)."""

import numpy as np
from PIL import Image

from boneage.anomalies.hand import Hand
from boneage.anomalies.suspicion import Suspicion
from boneage.core.runtime import package

HASH_BITS = 256

# Of 1025 children the two most alike differ in 24 bits. A copy saved again, smaller, brighter or darker
# differs in 10 to 20, one turned by two degrees in 40: that one this hash cannot tell from another child.
_MOST_BITS = 22
_ROWS_AT_ONCE = 1024


def photo_hash(hand: Hand) -> np.ndarray:
    """The perceptual hash of a photo without its uniform bars, (256,) bool.

    Raises:
        BoneAgeError: The library ImageHash is not installed.
    """
    rows, columns = np.flatnonzero(hand.content.any(axis=1)), np.flatnonzero(hand.content.any(axis=0))
    picture = hand.small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return picture_hash(np.rint(picture).astype(np.uint8))


def picture_hash(picture: np.ndarray) -> np.ndarray:
    """The perceptual hash of a picture, uint8 (height, width), as (256,) bool.

    Raises:
        BoneAgeError: The library ImageHash is not installed.
    """
    imagehash = package("imagehash", "near-duplicates need it; pip install --no-deps ImageHash and run again")
    side = round(HASH_BITS**0.5)
    return imagehash.phash(Image.fromarray(picture), hash_size=side).hash.ravel()


def near_duplicates(hashes: np.ndarray) -> list[tuple[int, int, int]]:
    """Photos that are nearly the same as an earlier one.

    Args:
        hashes: bool, (n, 256), in the table's order.

    Returns:
        For each such photo its row, that of the earlier photo most like it, and in how many bits they differ.
    """
    signs = np.where(hashes, np.float32(1), np.float32(-1))
    found = []
    for start in range(0, len(signs), _ROWS_AT_ONCE):
        block = signs[start : start + _ROWS_AT_ONCE]
        stop = start + len(block)
        apart = (signs.shape[1] - block @ signs[:stop].T) / 2
        # A photo is compared with earlier ones only, so that one of each pair is named.
        apart[np.arange(stop) >= np.arange(start, stop)[:, None]] = np.inf
        for row in np.flatnonzero(apart.min(axis=1) <= _MOST_BITS):
            earlier = int(apart[row].argmin())
            found.append((start + int(row), earlier, int(apart[row, earlier])))
    return found


def duplicate_suspicion(other: str, bits: int) -> Suspicion:
    """The suspicion of a photo that differs in few bits from that of an earlier case."""
    why = f"nearly the same photo as case {other}: {bits} of {HASH_BITS} bits of their hashes differ"
    return Suspicion("near-duplicate", 1.0 - bits / (2 * _MOST_BITS), why)
