"""Both tables on a GPU whose machine has no network and little time.

Beside the data, all that training needs is gathered in one folder: the labels, the images as JPEG of quality
90, so that 7393 of 256 pixels take about 50 MiB, and with ``--wheels`` the packages that the machine lacks.
There, one command unpacks it, trains, cheapest first, and stops in time:

    .venv/bin/python benchmarks/tables_on_gpu.py gather --work work/rsna --train-size 256 --folder gpu
    bash benchmarks/tables_on_gpu.sh train gpu out 8
    bash benchmarks/tables_on_gpu.sh measure gpu out 1

``out/runs.tar.gz`` then holds record, history and predictions of every finished run, for ``results/runs/``;
``out/speed.csv`` the images a second of each network, of the training engine and of the bare step. First come
all networks once, for 10 and 18 epochs; then two more seeds of the three with the lowest validation error. A
run that is there is not trained again.
"""

import argparse
import importlib.metadata
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
from bench_training import fit_against_bare

from boneage.core.files import atomic_write, make_folder
from boneage.core.parallel import on_all_cores
from boneage.core.runtime import device
from boneage.core.settings import PRECISIONS, Settings
from boneage.dataset.labels import read_labels, write_labels
from boneage.dataset.pack import Pack, build_pack, open_pack, rows_of
from boneage.evaluation import Run, read_runs
from boneage.images.reading import read_file
from boneage.networks import NETWORKS
from boneage.training.recipe import LARGEST_BATCH, SMALLEST_BATCH
from boneage.workspace import Workspace

# By the time that a step takes.
CHEAPEST_FIRST = (
    "cnn",
    "unet",
    "attention",
    "efficientnetv2s",
    "resnet50",
    "yolo",
    "vgg16",
    "vgg19",
    "vision_transformer",
)
EPOCHS = (10, 18)
SEED, FURTHER_SEEDS, BEST = 2026, (2027, 2028), 3
QUALITY = 90
# What a GPU's machine with JAX usually lacks, as installed here; and a keras-hub that needs no TensorFlow.
WHEELS = ("keras", "namex", "optree", "pydantic", "pydantic-core", "annotated-types")
HUB = "keras-hub>=0.32"
SPEED_IMAGES = 256
KEPT = ("record.json", "history.csv", "predictions.csv")


def gather(work: Workspace, folder: Path) -> None:
    """Writes the labels and all their images into a folder, the images as JPEG streams in one file."""
    # The GPU's machine has no widgets, which this needs.
    from boneage import pipeline

    labels = pipeline.load_labels(work)
    pack = pipeline.make_pack(work, labels)
    table, rows, _ = rows_of(pack, labels.table)
    write_labels(make_folder(folder) / "labels.csv", replace(labels, table=table))

    def encoded(image: np.ndarray) -> np.ndarray:
        return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].ravel()

    streams = list(on_all_cores(encoded, list(pack.images[rows]), "JPEG", in_order=True))
    with atomic_write(folder / "images.npz") as file:
        np.savez(file, streams=np.concatenate(streams), ends=np.cumsum([len(one) for one in streams]))
    print(f"{folder / 'images.npz'}: {len(streams):,} images, {sum(map(len, streams)) / 2**20:.0f} MiB")


def download_wheels(folder: Path, python: str) -> None:
    """Downloads the packages that a GPU's machine lacks, in the versions that are installed here."""
    pinned = [f"{name}=={importlib.metadata.version(name)}" for name in WHEELS]
    platforms = [f"--platform=manylinux{kind}_x86_64" for kind in ("2014", "_2_17", "_2_28")]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-q"]
    command += [f"--python-version={python}", "--implementation=cp", *platforms, "--dest", str(folder)]
    subprocess.run([*command, *pinned, HUB], check=True)


def unpack(folder: Path) -> Pack:
    """The images of a folder as a pack that is written beside them once."""
    path, images = folder / "pack", folder / "images"
    if not path.is_dir():
        ids = read_labels(folder / "labels.csv").table["Case ID"].tolist()
        with np.load(folder / "images.npz", allow_pickle=False) as kept:
            streams = np.split(kept["streams"], kept["ends"][:-1])
        make_folder(images)
        for image_id, stream in zip(ids, streams, strict=True):
            (images / f"{image_id}.jpg").write_bytes(stream.tobytes())
        build_pack(ids, images, len(read_file(images / f"{ids[0]}.jpg")), path)
    return open_pack(path)


def jobs(runs: Path, networks: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Network, epochs and seed of each run, in order; further seeds only once all networks are trained."""
    for network in networks:
        for epochs in EPOCHS:
            yield network, epochs, SEED
    finished = [
        run for run in read_runs(runs)[0] if (run.key.epochs, run.key.train_seed) == (EPOCHS[-1], SEED)
    ]
    best = sorted(finished, key=lambda run: run.record["metrics"]["validation"]["mae"])[:BEST]
    for seed in FURTHER_SEEDS:
        for run in best:
            yield run.key.network, EPOCHS[-1], seed


def keep(runs: Path, out: Path) -> list[Run]:
    """Writes the finished runs without their networks into ``runs.tar.gz``."""
    finished = read_runs(runs)[0]
    with atomic_write(out / "runs.tar.gz") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for run in finished:
            for name in KEPT:
                archive.add(run.folder / name, f"{run.name}/{name}")
    return finished


def train(
    folder: Path, out: Path, until: float, networks: Sequence[str], phantom: bool, options: Sequence[str]
) -> None:
    """Trains what is missing, each run in a process of its own, until the time is up.

    Args:
        folder: Holds labels and images; the work folder is made in it.
        out: Gets the finished runs.
        until: When to stop, by ``time.monotonic``.
        networks: Their keys, in order.
        phantom: Whether each begins with what it learns from drawn hands first.
        options: Further options of ``pretrain`` and ``train``.
    """
    pack = unpack(folder)
    runs = make_folder(folder / "work" / "runs")
    options = ["--work", str(runs.parent), "--train-size", str(pack.size), *options]
    of_these = ["--labels", str(folder / "labels.csv"), "--pack", str(pack.path)]
    weights = ["--weights", "phantom" if phantom else "scratch"]
    try:
        for network, epochs, seed in jobs(runs, networks):
            this = ["--arch", network, *options]
            if not phantom or _boneage(until, "pretrain", *this):
                named = ["--epochs", str(epochs), "--train-seed", str(seed)]
                _boneage(until, "train", *this, *of_these, *weights, *named)
            keep(runs, out)
    except subprocess.TimeoutExpired:
        print("out of time", flush=True)
    print(f"{len(keep(runs, out))} runs in {out / 'runs.tar.gz'}")


def _boneage(until: float, verb: str, *options: str) -> bool:
    """Runs a verb, and whether it succeeded."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "boneage", verb, *options]
    done = subprocess.run(command, check=False, timeout=max(0.0, until - begun))
    print(f"{verb} {' '.join(options)}: {time.monotonic() - begun:.0f} s, {done.returncode}", flush=True)
    return done.returncode == 0


def measure(folder: Path, out: Path, until: float, networks: Sequence[str], width: str) -> None:
    """Images a second by network, precision and batch size, added to ``speed.csv`` as they come."""
    images, path = unpack(folder).images[:SPEED_IMAGES], out / "speed.csv"
    for network in networks:
        for precision in ("float32", "mixed_bfloat16"):
            for batch in (SMALLEST_BATCH, LARGEST_BATCH):
                if time.monotonic() > until:
                    print("the rest was not measured: out of time")
                    return
                paces = fit_against_bare(network, images, batch, precision, width)
                row = {
                    "Network": network,
                    "Precision": precision,
                    "Batch": batch,
                    "Size": images.shape[1],
                    "Images a second": len(images) / paces.ours,
                    "Share of the bare step": paces.times_as_fast,
                    "Device": device(),
                    "Backend": keras.backend.backend(),
                }
                pd.DataFrame([row]).to_csv(path, mode="a", header=not path.is_file(), index=False)
                keras.backend.clear_session()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("gather", "train", "measure"))
    parser.add_argument("--folder", type=Path, required=True, help="holds, or gets, labels and images")
    parser.add_argument("--work", help="gather: the work folder that labels and images come from")
    parser.add_argument("--train-size", type=int, default=256, help="gather: side of the images in pixels")
    parser.add_argument("--wheels", action="store_true", help="gather: download packages, too")
    parser.add_argument("--python", default="3.12", help="gather: the Python that the packages are for")
    parser.add_argument("--out", type=Path, help="train, measure: where the results go")
    parser.add_argument("--minutes", type=float, default=9.0, help="train, measure: when to stop")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=CHEAPEST_FIRST)
    parser.add_argument("--width", choices=("full", "tiny"), default="full")
    parser.add_argument("--precision", choices=PRECISIONS, default="mixed_bfloat16", help="train")
    parser.add_argument("--weights", choices=("phantom", "scratch"), default="phantom", help="train")
    parser.add_argument("--degradation", type=float, default=0.25, help="train")
    given = parser.parse_args()
    until = time.monotonic() + 60 * given.minutes
    if given.what == "gather":
        settings = Settings.load(Path(given.work) / "settings.json")
        gather(Workspace(settings.replace(work=given.work, train_size=given.train_size)), given.folder)
        if given.wheels:
            download_wheels(given.folder / "wheels", given.python)
        return
    out = make_folder(given.out)
    if given.what == "train":
        options = ["--width", given.width, "--precision", given.precision]
        options += ["--degradation", str(given.degradation)]
        train(given.folder, out, until, given.networks, given.weights == "phantom", options)
    else:
        measure(given.folder, out, until, given.networks, given.width)


if __name__ == "__main__":
    main()
