"""What a radiograph costs as they become many: time, memory and disk of each stage, from 1,000 to 64,000.

A few hundred hands are drawn, and the others made of them: shifted, turned a little, brighter or darker, so
that no two files, and no two pictures, are the same. Each stage runs as a command of its own. Its CPU time,
unlike its seconds, hardly depends on what else the machine does.

    .venv/bin/python benchmarks/scale.py --photos 1000 4000 --folder scratch
    .venv/bin/python benchmarks/scale.py --photos 1000 --workers 1 2 --folder scratch

Where so many cannot be prepared, ``pack`` alone packs copies of the square images that are there, and
``hashes`` needs none:

    .venv/bin/python benchmarks/scale.py --photos 64000 --stages pack hashes --folder scratch
"""

import argparse
import contextlib
import io
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import history
import numpy as np
import pandas as pd
from measuring import use_of

from boneage.core.columns import Column, Table
from boneage.core.files import make_folder, write_bytes
from boneage.core.parallel import on_all_cores
from boneage.core.tables import LABEL_TABLE, write_table
from boneage.dataset.labels import read_labels
from boneage.phantom.drawing import draw_hand
from boneage.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "results" / "scale.csv"
PICTURE = ROOT / "docs" / "images" / "scale.svg"

STAGES = ("cases", "preprocess", "anomalies", "plan", "augment", "labels", "pack", "hashes")
# What `anomalies` does once and `plan` twice: the part of them that compares every image with every other.
_HASHES = """
import sys
import numpy as np
from boneage.anomalies.duplicates import HASH_BITS, near_duplicates
for seed in range(3):
    near_duplicates(np.random.default_rng(seed).random((int(sys.argv[1]), HASH_BITS), np.float32) < 0.5)
"""
ON_CLUSTER = ("preprocess", "anomalies", "augment", "pack")
HANDS = 304
TRAIN_SIZE = 128
IMAGES_OF_PLAN = 2
"""Images of the plan for each radiograph: every second one is a copy."""

SCALE_TABLE = Table(
    "Cost as radiographs become many",
    [
        Column("Radiographs", "How many.", ",d"),
        Column("Source side", "Height of the radiographs.", ",d", unit="pixels"),
        Column("Image side", "Side of the square images.", ",d", unit="pixels"),
        Column("Stage", "The command."),
        Column("Workers", "Processes of a Dask cluster on this machine; 0 without one.", "d"),
        Column("Seconds", "By the clock.", ",.1f"),
        Column("CPU seconds", "Of the command alone, not of the workers.", ",.1f"),
        Column("Peak memory", "Of the command alone.", ",.0f", unit="MiB"),
        Column("Disk", "What it wrote into its folder.", ",.1f", unit="MiB"),
        Column("Processor", "Its name, family and model."),
        Column("Cores", "How many of them.", "d"),
    ],
    "results/scale.csv",
    "One row per stage and number of radiographs.",
)
_SAME = ["Radiographs", "Source side", "Image side", "Stage", "Workers", "Processor", "Cores"]


def write_radiographs(folder: Path, count: int, side: int) -> Path:
    """Writes radiographs, and their bone ages, as the RSNA challenge lays them out."""
    images = make_folder(folder / "images")
    ages, sexes = np.linspace(1.0, 17.9, HANDS), np.where(np.arange(HANDS) % 2, "M", "F")

    def drawn(number: int) -> np.ndarray:
        return draw_hand(ages[number], sexes[number], number, None, ages[number], side).image

    hands = list(on_all_cores(drawn, range(HANDS), "Drawing", in_order=True))

    def write(number: int) -> None:
        image = _changed(hands[number % HANDS], np.random.default_rng(number))
        cv2.imwrite(str(images / f"{number}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 92])

    for _ in on_all_cores(write, range(count), "Radiographs"):
        pass
    of = np.arange(count) % HANDS
    table = pd.DataFrame({"id": range(count), "boneage": np.round(12 * ages[of]).astype(int)})
    table.assign(male=sexes[of] == "M").to_csv(folder / "boneage.csv", index=False)
    return folder


def _changed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = image.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-8, 8), rng.uniform(0.85, 1.0))
    turn[:, 2] = turn[:, 2] + rng.uniform(-0.04, 0.04, 2) * (width, height)
    moved = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    levels = 255 * (np.arange(256) / 255) ** rng.uniform(0.8, 1.25)
    return cv2.LUT(moved, np.rint(levels).astype(np.uint8))


def measure(
    folder: Path, count: int, sides: tuple[int, int], stages: Sequence[str], workers: int
) -> Iterator[dict[str, object]]:
    """A row of ``SCALE_TABLE`` for each stage, as it ends.

    Args:
        folder: For the radiographs, which are kept, and the work folder, which ``cases`` makes anew.
        count: Number of radiographs.
        sides: Of the radiographs and the square images in pixels.
        stages: Those to measure; without ``plan`` the others are of the radiographs as they are.
        workers: Of a cluster on this machine; 0 for none.
    """
    data, work = folder / f"radiographs-{count}-{sides[0]}", folder / "work"
    if "cases" in stages:
        shutil.rmtree(work, ignore_errors=True)
        if not data.is_dir():
            write_radiographs(data, count, sides[0])
    options = {
        "cases": ["--source", "rsna", "--data", str(data)],
        "preprocess": ["--image-size", str(sides[1])],
        "plan": ["--total", str(IMAGES_OF_PLAN * count)],
        "pack": ["--train-size", str(TRAIN_SIZE)],
    }
    place = Workspace.at(work).replace(train_size=TRAIN_SIZE)
    if "labels" not in stages and "pack" in stages:
        options["pack"] += _copied(place, count)
    wrote = {"preprocess": place.images, "augment": place.augmented, "pack": place.pack()}
    with _cluster(workers) as scheduler:
        for stage in stages:
            command = ["-m", "boneage", stage, "--work", str(work), *options.get(stage, [])]
            if stage == "hashes":
                command = ["-c", _HASHES, str(count)]
            if stage in ON_CLUSTER:
                command += scheduler
            used = use_of(command)
            # With a cluster the others run only because these need what they make.
            if stage in ON_CLUSTER or not workers:
                yield {
                    "Radiographs": count,
                    "Source side": sides[0],
                    "Image side": sides[1],
                    "Stage": stage,
                    "Workers": workers,
                    "Seconds": used.seconds,
                    "CPU seconds": used.cpu_seconds,
                    "Peak memory": used.peak_mib,
                    "Disk": _mebibytes(wrote[stage]) if stage in wrote else 0.0,
                }


def _copied(work: Workspace, count: int) -> list[str]:
    """The options that name so many copies of the square images, and their labels."""
    labels, images = work.root / f"labels-{count}.csv", work.root / f"images-{count}"
    table = read_labels(work.labels).table
    times = -(-count // len(table))
    many = pd.concat([table.assign(of=table["Case ID"], turn=turn) for turn in range(times)])[:count]
    many["Case ID"] = many["Source ID"] = many["of"] + "-" + many["turn"].astype(str)
    make_folder(images)
    for old, new in zip(many["of"], many["Case ID"], strict=True):
        shutil.copyfile(work.images / f"{old}.png", images / f"{new}.png")
    write_table(labels, many[list(LABEL_TABLE)])
    return ["--labels", str(labels), "--images", str(images)]


@contextlib.contextmanager
def _cluster(workers: int) -> Iterator[list[str]]:
    """The option that names a cluster of so many processes on this machine."""
    if not workers:
        yield []
        return
    from distributed import LocalCluster

    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    with LocalCluster(n_workers=workers, **options) as cluster:
        yield ["--scheduler", cluster.scheduler_address]


def _mebibytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def add(rows: Sequence[dict[str, object]], path: Path = RECORD) -> pd.DataFrame:
    """Adds rows to the record; those of the same kind and machine take the place of earlier ones."""
    known = history.facts("drawn")
    new = pd.DataFrame(rows).assign(Processor=known["processor"], Cores=int(known["cores"]))
    table = pd.concat([pd.read_csv(path), new], ignore_index=True) if path.is_file() else new
    table = table.drop_duplicates(_SAME, keep="last")
    place = {stage: number for number, stage in enumerate(STAGES)}
    table = table.sort_values(_SAME, key=lambda one: one.map(place) if one.name == "Stage" else one)
    write_table(path, table[list(SCALE_TABLE)].round(2))
    return table


def draw(table: pd.DataFrame, path: Path = PICTURE) -> Path:
    """Milliseconds of CPU and peak memory a radiograph, by their number, a line per stage.

    Of the machine, and the sizes of radiographs and images, with the most radiographs.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    alike = ["Source side", "Image side", "Processor", "Cores"]
    most = table.sort_values("Radiographs", kind="stable")[alike].iloc[-1]
    table = table[(table["Workers"] == 0) & (table[alike] == most).all(axis=1)]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    shown = {"CPU milliseconds a radiograph": ("CPU seconds", 1000), "peak memory, MiB": ("Peak memory", 0)}
    for axis, (words, (column, factor)) in zip(figure.subplots(1, 2), shown.items(), strict=True):
        for stage, of_stage in table.groupby("Stage", sort=False):
            per = factor / of_stage["Radiographs"] if factor else 1
            axis.plot(of_stage["Radiographs"], of_stage[column] * per, "o-", markersize=3, label=stage)
        axis.set_xscale("log")
        axis.set_xticks(sorted(table["Radiographs"].unique()))
        axis.set_xticks([], minor=True)
        axis.xaxis.set_major_formatter("{x:,.0f}")
        if factor:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
        axis.set_xlabel("radiographs")
        axis.set_ylabel(words)
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    drawn = io.BytesIO()
    # The same record gives the same file.
    with rc_context({"svg.hashsalt": "scale"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return write_bytes(path, drawn.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, nargs="+", required=True, help="numbers of radiographs")
    parser.add_argument("--folder", type=Path, required=True, help="for radiographs and work folder")
    parser.add_argument("--sides", type=int, nargs=2, default=(300, 256), help="of radiographs and images")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, help="those to measure")
    parser.add_argument("--workers", type=int, nargs="+", default=[0], help="of a local Dask cluster")
    given = parser.parse_args()
    for count in given.photos:
        for workers in given.workers:
            for row in measure(given.folder, count, tuple(given.sides), given.stages, workers):
                table = add([row])
                print(row, flush=True)
    print(f"wrote {RECORD} and {draw(table)}")


if __name__ == "__main__":
    main()
