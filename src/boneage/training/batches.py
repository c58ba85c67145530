"""Training batches in a fixed order, and photos as a model takes them."""

import keras
import numpy as np

from boneage.dataset import Store, batches_of

ModelInput = np.ndarray | tuple[np.ndarray, np.ndarray]


def model_input(photos: np.ndarray, male: np.ndarray | None) -> ModelInput:
    """Photos, and the sex where the model asks for it, as the model takes them.

    Args:
        photos: (photos, size, size), 0 to 255.
        male: 1 for male and 0 for female, (photos,), or None.

    Returns:
        (photos, size, size, 1), alone or beside (photos, 1).
    """
    photos = photos[..., np.newaxis]
    return photos if male is None else (photos, male[:, np.newaxis].astype(np.float32))


class Batches(keras.utils.PyDataset):
    """Training batches in an order that depends on the seed and the epoch alone.

    Args:
        store: The packed photos.
        rows: Rows of the store to train on.
        years: Bone age of each row, (rows,).
        male: 1 for male and 0 for female, (rows,), where the model asks for it; else None.
        batch_size: Photos a batch; the last one of an epoch may hold fewer.
        seed: Seeds the order.
        epoch: The epoch that comes next, from 0.

    Attributes:
        epoch: The same. It counts on by itself, but Keras begins an epoch more than it trains where it first
            looks at a batch of a model on several devices; who must be sure sets it before each epoch.
    """

    def __init__(
        self,
        store: Store,
        rows: np.ndarray,
        years: np.ndarray,
        male: np.ndarray | None,
        batch_size: int,
        seed: int,
        epoch: int,
    ):
        super().__init__()
        self._store, self._rows, self._years, self._male = store, rows, years, male
        self._batch_size, self._seed, self.epoch = batch_size, seed, epoch
        self._order = self._drawn()

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, step: int) -> tuple[ModelInput, np.ndarray]:
        of_batch = self._order[step]
        male = None if self._male is None else self._male[of_batch]
        photos = self._store.photos[self._rows[of_batch]]
        return model_input(photos, male), self._years[of_batch][:, np.newaxis]

    def on_epoch_begin(self) -> None:
        self._order = self._drawn()
        self.epoch += 1

    def _drawn(self) -> list[np.ndarray]:
        return batches_of(np.arange(len(self._rows)), self._batch_size, self._seed, self.epoch)
