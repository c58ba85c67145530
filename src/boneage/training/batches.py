"""Batches in a reproducible order, and the input format of a model."""

import keras
import numpy as np

from boneage.dataset.pack import batches_of
from boneage.dataset.shards import Shards

ModelInput = np.ndarray | tuple[np.ndarray, np.ndarray]


def model_input(images: np.ndarray, male: np.ndarray | None) -> ModelInput:
    """Images, and the sex if the model takes it, as a model expects them.

    Args:
        images: (images, size, size), 0 to 255.
        male: 1 for male and 0 for female, (images,), or None.

    Returns:
        (images, size, size, 1), alone or with (images, 1).
    """
    images = images[..., np.newaxis]
    return images if male is None else (images, male[:, np.newaxis].astype(np.float32))


class Batches(keras.utils.PyDataset):
    """Batches in an order that depends only on the seed and the epoch; memory holds a few of them.

    The training loop announces each epoch (:meth:`begin`). The object cannot count epochs itself: on several
    devices Keras starts one more to look at a batch.

    Args:
        images: uint8, (images, size, size), such as a pack's.
        rows: Which of them to show.
        years: Bone age of each row, (rows,).
        male: 1 for male and 0 for female, (rows,), if the model takes the sex; else None.
        batch_size: Images a batch; the last one of an epoch may hold fewer.
        seed: Seeds the order; None for that of the rows.
        images_per_epoch: How many images an epoch shows; by default each row once.
    """

    def __init__(
        self,
        images: Shards | np.ndarray,
        rows: np.ndarray,
        years: np.ndarray,
        male: np.ndarray | None,
        batch_size: int,
        seed: int | None,
        images_per_epoch: int | None = None,
    ):
        super().__init__()
        self._images, self._rows, self._years, self._male = images, rows, years, male
        self._batch_size, self._seed, self._count = batch_size, seed, images_per_epoch
        self.begin(0)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, step: int) -> tuple[ModelInput, np.ndarray]:
        of_batch = self._order[step]
        male = None if self._male is None else self._male[of_batch]
        images = self._images[self._rows[of_batch]]
        return model_input(images, male), self._years[of_batch][:, np.newaxis]

    def close(self) -> None:
        """Lets go of the images: TensorFlow keeps what it drew batches from until the process ends."""
        self._images = np.empty((0, 0, 0), np.uint8)

    def begin(self, epoch: int, logs: dict | None = None) -> None:
        """Sets the order for an epoch, from 0; usable as a Keras callback at the start of an epoch."""
        rows, size = np.arange(len(self._rows)), self._batch_size
        if self._seed is None:
            self._order = [rows[start : start + size] for start in range(0, len(rows), size)]
        else:
            self._order = batches_of(rows, size, self._seed, epoch, self._count)
