"""Time of a training step in 16 bits as a share of that in 32 bits, for every network, in turns.

Adds a row for each network whose row of this precision, device and backend is not in the table yet.

    python benchmarks/precision.py --out results/precision.csv
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from measuring import is_there
from tqdm import tqdm

from boneage.core.backends import hasten, precision
from boneage.core.runtime import device
from boneage.core.settings import PRECISIONS, Settings
from boneage.networks import NETWORKS
from boneage.training import build_model
from boneage.training.recipe import SMALLEST_BATCH, compile_model

SIZE, STEPS, ROUNDS = 128, 8, 3


def milliseconds_an_image(network: str, names: list[str]) -> dict[str, float]:
    """Time of a bare step by precision, in ms an image; the best round counts.

    Args:
        network: Key of the network.
        names: Some of ``settings.PRECISIONS``.
    """
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (SMALLEST_BATCH, SIZE, SIZE, 1)).astype(np.float32)
    years = draw.uniform(0, 19, (SMALLEST_BATCH, 1)).astype(np.float32)
    models = {}
    for name in names:
        with precision(name):
            keras.utils.set_random_seed(1)
            models[name] = build_model(network, SIZE, 10.0, 3.0, seed=1)
            compile_model(models[name], Settings(), steps=1000)
            hasten(models[name])
            models[name].train_on_batch(images, years)
    best = dict.fromkeys(names, np.inf)
    for _ in range(ROUNDS):
        for name, model in models.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                model.train_on_batch(images, years)
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: seconds * 1000 / STEPS / len(images) for name, seconds in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument(
        "--precision", choices=[name for name in PRECISIONS if name != "float32"], default="mixed_bfloat16"
    )
    parser.add_argument("--out", type=Path, required=True, help="the table")
    given = parser.parse_args()
    for network in tqdm(given.networks, unit="network"):
        row = {
            "Network": network,
            "Precision": given.precision,
            "Size": SIZE,
            "Batch": SMALLEST_BATCH,
            "Device": device(),
            "Backend": keras.backend.backend(),
        }
        if is_there(given.out, row):
            continue
        took = milliseconds_an_image(network, ["float32", given.precision])
        row |= {
            "float32 ms an image": round(took["float32"], 1),
            "ms an image": round(took[given.precision], 1),
            "Share": round(took[given.precision] / took["float32"], 3),
        }
        pd.DataFrame([row]).to_csv(given.out, mode="a", header=not given.out.is_file(), index=False)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
