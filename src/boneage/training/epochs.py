"""Callbacks after each step and epoch: the progress bar, and the state on disk."""

import time
from collections.abc import Callable

import keras
import numpy as np
from tqdm.auto import tqdm


class KeepEpochs(keras.callbacks.Callback):
    """Adds each epoch to the history and saves the state.

    An epoch with a value that is not a number is not added, and ends the training.

    Args:
        state: ``epoch`` and ``history`` are updated in it.
        save: Called after each epoch.
    """

    def __init__(self, state: dict, save: Callable[[], None]):
        super().__init__()
        self._state, self._save = state, save
        self._begun = self._trained = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._begun = self._trained = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        if not all(np.isfinite(value) for value in values.values()):
            # The last good state stays on disk.
            self.model.stop_training = True
            return
        now = time.perf_counter()
        seconds = {"seconds": now - self._begun, "training_seconds": self._trained - self._begun}
        self._state["history"].append({"epoch": epoch + 1, **values, **seconds})
        self._state["epoch"] = epoch + 1
        self._save()


class Progress(keras.callbacks.Callback):
    """One bar over all steps of a run, which shows the time left and the errors of the last epoch.

    Args:
        title: Label of the bar.
        steps: Steps an epoch.
        epochs: Epochs of the whole run.
        done: Epochs finished earlier.
        shown: Whether there is a bar at all.
    """

    def __init__(self, title: str, steps: int, epochs: int, done: int, shown: bool):
        super().__init__()
        self._epochs = epochs
        self._bar = tqdm(
            total=steps * epochs, initial=steps * done, desc=title, unit="step", disable=not shown
        )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        errors = {
            words: f"{logs[name]:.2f}"
            for name, words in (("mae", "MAE"), ("val_mae", "validation MAE"))
            if name in (logs or {})
        }
        self._bar.set_postfix({"epoch": f"{epoch + 1}/{self._epochs}", **errors})

    def close(self) -> None:
        """Ends the bar, also where the training failed: the reason stands below it."""
        self._bar.close()
