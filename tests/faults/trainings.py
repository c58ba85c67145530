"""What a process holds after each of many trainings: of Keras alone, and of this package
(``python tests/faults/trainings.py --out results/trainings.csv``)."""

import argparse
import csv
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from boneage.core.runtime import choose_backend

HANDS, SIZE, BATCH_SIZE = 64, 32, 8

RUNS = (("cnn", "tiny", 20), ("resnet50", "full", 5))
"""Networks, their width, and how often each is trained."""

WAYS = ("Keras alone", "boneage")

COLUMNS = ("network", "width", "trained by", "trainings", "memory_mib", "open_files")


def trainings(way: str, network: str, width: str, folder: Path) -> Callable[[int], None]:
    """What trains the network once, on a few drawn hands, from a seed."""
    choose_backend("tensorflow")
    import keras

    from boneage.core.settings import Settings
    from boneage.dataset.pack import open_pack
    from boneage.training import train
    from boneage.training.batches import Batches
    from boneage.training.model import build_model
    from boneage.training.pretrain import draw_hands

    labels, pack = draw_hands(HANDS, SIZE, folder)
    years = labels.table["Bone Age"].to_numpy("float32")
    settings = Settings(width=width, weights="scratch", batch_size=BATCH_SIZE, accept_losses=True)

    def by_keras(seed: int) -> None:
        model = build_model(network, SIZE, 9.0, 5.0, seed, width)
        model.compile("adam", "mse")
        model.fit(Batches(pack.images, np.arange(HANDS), years, None, BATCH_SIZE, seed), verbose=0)
        del model
        keras.backend.clear_session()

    def by_boneage(seed: int) -> None:
        again = open_pack(folder / f"hands-{HANDS}")
        train(network, 1, labels, again, settings.replace(train_seed=seed), folder / "runs")

    return by_keras if way == WAYS[0] else by_boneage


def rows_of(way: str, network: str, width: str, count: int) -> Iterator[tuple]:
    """A row after each training."""
    with tempfile.TemporaryDirectory() as folder:
        train_once = trainings(way, network, width, Path(folder))
        for number in range(1, count + 1):
            train_once(number)
            gc.collect()
            status = Path("/proc/self/status").read_text()
            memory = int(status.partition("VmRSS:")[2].split()[0]) // 1024
            yield network, width, way, number, memory, len(os.listdir("/proc/self/fd"))


def main() -> None:
    """Trains each network in each way, in a process each, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="CSV to write the rows into")
    parser.add_argument("--only", nargs=4, metavar=("WAY", "NETWORK", "WIDTH", "COUNT"))
    given = parser.parse_args()
    if given.only:
        *what, count = given.only
        for row in rows_of(*what, int(count)):
            print("row", *row, sep=",", flush=True)
        return
    rows = []
    for network, width, count in RUNS:
        for way in WAYS:
            line = [sys.executable, __file__, "--only", way, network, width, str(count)]
            said = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout
            rows += [one.split(",")[1:] for one in said.splitlines() if one.startswith("row,")]
            print(*rows[-1], flush=True)
    if given.out:
        with open(given.out, "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
