"""Images of the same radiograph, by perceptual hash (ImageHash)."""

import numpy as np
import pandas as pd
from PIL import Image

from boneage.anomalies.anomaly import Anomaly
from boneage.anomalies.hand import Hand
from boneage.core.runtime import package

HASH_BITS = 256

# The two most similar of 1025 children differ in 24 bits. A copy saved again, smaller, brighter or darker
# differs in 10 to 20. One rotated by two degrees differs in 40: this hash cannot tell it from another child.
_MOST_BITS = 22


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
    rows, others, bits = alike(hashes, hashes, _MOST_BITS)
    # Compared with earlier images only, so that one of each pair is named.
    pairs = pd.DataFrame({"row": rows, "earlier": others, "bits": bits})[others < rows]
    pairs = pairs.sort_values(["row", "bits", "earlier"]).drop_duplicates("row")
    return [(int(row), int(earlier), int(bits)) for row, earlier, bits in pairs.to_numpy()]


def alike(
    hashes: np.ndarray, others: np.ndarray, most_bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of hashes, bool (n, 256), within ``most_bits``: row, row in ``others``, number of differing
    bits.
    """
    from sklearn.neighbors import NearestNeighbors

    signs, other_signs = (np.where(one, np.float32(1), np.float32(-1)) for one in (hashes, others))
    # Among signs, each differing bit adds four to the squared distance.
    near = NearestNeighbors(radius=2 * (most_bits + 0.5) ** 0.5, algorithm="brute").fit(other_signs)
    pairs = near.radius_neighbors_graph(signs, mode="distance").tocoo()
    return pairs.row, pairs.col, np.rint(pairs.data**2 / 4).astype(int)


def duplicate_anomaly(other: str, bits: int) -> Anomaly:
    """The anomaly of an image within a few bits of an earlier case's."""
    why = f"nearly the same image as case {other}: {bits} of {HASH_BITS} bits of their hashes differ"
    return Anomaly("near-duplicate", 1.0 - bits / (2 * _MOST_BITS), why)
