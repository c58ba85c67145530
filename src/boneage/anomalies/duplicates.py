"""Images of the same radiograph, by perceptual hash (ImageHash)."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from boneage.anomalies.anomaly import Anomaly
from boneage.anomalies.hand import Hand
from boneage.core.runtime import package

HASH_BITS = 256

# The two most similar of 1025 children differ in 24 bits. A copy saved again, smaller, brighter or darker
# differs in 10 to 20. One rotated by two degrees differs in 40: this hash cannot tell it from another child.
_MOST_BITS = 22
# Hashes compared at a time with how many others: as many as the processor's cache holds.
_BLOCK = (64, 1024)


def image_hash(hand: Hand) -> np.ndarray:
    """Perceptual hash of an image without its uniform bars, (256,) bool.

    Raises:
        BoneAgeError: The library ImageHash is not installed.
    """
    rows, columns = np.flatnonzero(hand.content.any(axis=1)), np.flatnonzero(hand.content.any(axis=0))
    picture = hand.small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return picture_hash(np.rint(picture).astype(np.uint8))


def picture_hash(picture: np.ndarray) -> np.ndarray:
    """Perceptual hash of a picture, uint8 (height, width), as (256,) bool.

    Raises:
        BoneAgeError: The library ImageHash is not installed.
    """
    imagehash = package("imagehash", "near-duplicates need it; pip install --no-deps ImageHash and run again")
    side = round(HASH_BITS**0.5)
    return imagehash.phash(Image.fromarray(picture), hash_size=side).hash.ravel()


def near_duplicates(hashes: np.ndarray) -> list[tuple[int, int, int]]:
    """Images that are nearly the same as an earlier one.

    Args:
        hashes: bool, (n, 256), in the table's order.

    Returns:
        For each such image its row, the row of the most similar earlier image, and the number of differing
        bits.
    """
    # Compared with earlier images only, so that one of each pair is named.
    nearest, least = np.zeros(len(hashes), int), np.full(len(hashes), HASH_BITS)
    for rows, earlier, bits in alike(hashes, hashes, _MOST_BITS):
        order = np.lexsort((earlier, bits, rows))
        row, first = np.unique(rows[order], return_index=True)
        found, there = bits[order][first], earlier[order][first]
        nearer = found < least[row]
        nearest[row[nearer]], least[row[nearer]] = there[nearer], found[nearer]
    return [(int(row), int(nearest[row]), int(least[row])) for row in np.flatnonzero(least <= _MOST_BITS)]


def alike(
    hashes: np.ndarray, others: np.ndarray, most_bits: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of a hash and an earlier one of ``others``, bool (n, 256) both, within ``most_bits``.

    Yields:
        Row, row in ``others`` and number of differing bits of some pairs at a time; those of a row by
        rising row in ``others``.
    """
    words, other_words = (np.packbits(one, axis=1).view(np.uint64).T.copy() for one in (hashes, others))
    rows_at_a_time, columns_at_a_time = _BLOCK
    for start in range(0, len(hashes), rows_at_a_time):
        of_block = words[:, start : start + rows_at_a_time]
        end = start + of_block.shape[1]
        for before in range(0, end, columns_at_a_time):
            earlier = other_words[:, before : min(before + columns_at_a_time, end)]
            counts = (
                np.bitwise_count(one[:, None] ^ other) for one, other in zip(of_block, earlier, strict=True)
            )
            # In a byte 256 differing bits, of an inverted picture, are none: those found are counted again.
            rows, places = np.nonzero(sum(counts) <= most_bits)
            bits = np.bitwise_count(of_block[:, rows] ^ earlier[:, places]).sum(axis=0, dtype=int)
            keep = (bits <= most_bits) & (places + before < rows + start)
            if keep.any():
                yield rows[keep] + start, places[keep] + before, bits[keep]


def duplicate_anomaly(other: str, bits: int) -> Anomaly:
    """The anomaly of an image within a few bits of an earlier case's."""
    why = f"nearly the same image as case {other}: {bits} of {HASH_BITS} bits of their hashes differ"
    return Anomaly("near-duplicate", 1.0 - bits / (2 * _MOST_BITS), why)
