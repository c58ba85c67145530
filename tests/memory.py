"""Arrays at many places in memory: what is computed from them must be the same at each."""

import random
from collections.abc import Iterator

import numpy as np


def elsewhere(array: np.ndarray, places: int = 100) -> Iterator[np.ndarray]:
    """Copies of an array; what is computed from each lies elsewhere, too."""
    sizes = random.Random(1)
    for _ in range(places):
        between = [np.empty(16 * sizes.randrange(1, 4000), np.uint8) for _ in range(sizes.randrange(3, 20))]
        yield array.copy()
        del between
