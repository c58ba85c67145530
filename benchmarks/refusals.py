"""Who is refused an estimate: real hands, and pictures that show no hand or no bones.

``python benchmarks/refusals.py --run RUN [RUN ...] --real FOLDER --without work/.../labels.csv`` writes
``results/refusals.csv``. ``FOLDER`` holds radiographs of hands, a folder for each source; those whose name is
a case of the labels are left out, since the networks were trained on them.
"""

import argparse
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from boneage.core.tables import write_table
from boneage.dataset.labels import read_labels
from boneage.phantom.drawing import draw_hand

PATH = Path(__file__).resolve().parents[1] / "results" / "refusals.csv"
_PACKAGES = {"skimage": "data", "sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data"}
_WORDS = {"rsna": "hands, RSNA challenge", "dha": "hands, Digital Hand Atlas"}


def pictures() -> Iterator[tuple[str, np.ndarray]]:
    """Pictures without a hand, or without bones, each with a name: uint8, (height, width)."""
    for package, below in _PACKAGES.items():
        folder = Path(str(resources.files(package))) / below
        for path in sorted(folder.glob("*.[jp][pn]*g")):
            image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            assert image is not None, path
            yield path.stem, image
    rng = np.random.default_rng(0)
    for number in range(3):
        yield f"noise-{number}", rng.integers(0, 256, (600, 500), np.uint8)
        clouds = cv2.GaussianBlur(rng.normal(size=(600, 500)), (0, 0), 8.0 * (number + 1))
        grey = cv2.normalize(clouds, clouds.copy(), 0, 255, cv2.NORM_MINMAX)
        yield f"clouds-{number}", grey.astype(np.uint8)
    yield "gradient", np.tile(np.linspace(0, 255, 500).astype(np.uint8), (600, 1))
    yield "black", np.zeros((600, 500), np.uint8)
    yield "white", np.full((600, 500), 255, np.uint8)
    yield from _drawn()
    for number in range(4):
        image = draw_hand(4.0 + 4 * number, "FM"[number % 2], number, height=700).image
        yield f"hand-without-bones-{number}", cv2.GaussianBlur(image, (0, 0), 22)


def _drawn() -> Iterator[tuple[str, np.ndarray]]:
    """Shapes, and a chest, a foot and a cat as far as a few lines go."""
    air = np.full((800, 700), 12, np.uint8)
    yield "disc", cv2.circle(air.copy(), (350, 400), 220, 200, -1)
    yield "plate", cv2.rectangle(air.copy(), (180, 120), (520, 680), 180, -1)
    bars, star = air.copy(), air.copy()
    for left in range(60, 640, 110):
        cv2.rectangle(bars, (left, 80), (left + 50, 750), 200, -1)
    yield "bars", bars
    turns = np.arange(10) * np.pi / 5
    reach = np.where(np.arange(10) % 2, 260, 120)
    points = np.stack([350 + reach * np.sin(turns), 400 - reach * np.cos(turns)], axis=1)
    yield "star", cv2.fillPoly(star, [points.astype(np.int32)], 200)
    chest = cv2.ellipse(air.copy(), (350, 430), (310, 360), 0, 0, 360, 120, -1)
    for side in (-1, 1):
        cv2.ellipse(chest, (350 + side * 150, 400), (120, 250), 0, 0, 360, 40, -1)
        for rib in range(8):
            cv2.ellipse(chest, (350 + side * 150, 220 + 50 * rib), (140, 40), 0, 180, 360, 110, 8)
    yield "chest", cv2.GaussianBlur(cv2.rectangle(chest, (320, 60), (380, 760), 190, -1), (0, 0), 3)
    foot = cv2.ellipse(air.copy(), (350, 510), (110, 280), 0, 0, 360, 120, -1)
    for toe, breadth in enumerate((40, 28, 26, 24, 22)):
        cv2.ellipse(foot, (270 + 46 * toe, 210 + 12 * toe), (breadth, 60), 0, 0, 360, 130, -1)
        cv2.line(foot, (290 + 30 * toe, 260), (320 + 15 * toe, 470), 210, 14)
    yield "foot", cv2.GaussianBlur(foot, (0, 0), 3)
    cat = cv2.circle(air.copy(), (350, 450), 200, 150, -1)
    for side in (-1, 1):
        ear = [(350 + side * 170, 370), (350 + side * 150, 170), (350 + side * 30, 280)]
        cv2.fillPoly(cat, [np.array(ear)], 150)
    yield "cat", cv2.GaussianBlur(cat, (0, 0), 2)


def main() -> None:
    """Shows every picture to the networks, and writes how many of each kind were refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", nargs="+", type=Path, default=[], help="runs, or a folder of models")
    parser.add_argument("--networks", help="what the networks are, in words")
    parser.add_argument("--real", type=Path, required=True, help="a folder of radiographs for each source")
    parser.add_argument("--without", type=Path, help="labels of the cases that the networks know")
    given = parser.parse_args()
    from boneage.estimate import estimate_files, find_radiographs, line_of, load_ensemble

    ensemble = load_ensemble(given.run)
    labels = read_labels(given.without) if given.without else None
    known = set(labels.table["Case ID"]) if labels else set()
    rows = []
    with tempfile.TemporaryDirectory() as made:
        for name, image in pictures():
            cv2.imwrite(f"{made}/{name}.png", image)
        folders = {"pictures without a hand or without bones": Path(made)}
        folders |= {
            _WORDS.get(one.name, one.name): one for one in sorted(given.real.iterdir()) if one.is_dir()
        }
        for words, folder in folders.items():
            found = find_radiographs(folder, Path(made) / "unpacked")
            seen = known if labels and folder.name == labels.source else set()
            files = {name: path for name, path in found.files.items() if Path(name).stem not in seen}
            # By file: of two hands on a film, one that is estimated will do.
            said: dict[str, set[str]] = {}
            for one in estimate_files(type(found)(files), ensemble):
                said.setdefault(one.file, set()).add(one.estimate.status)
                if (one.estimate.refusal == "") == (folder == Path(made)):
                    print(line_of(one))
            refused = sum(status == {"refused"} for status in said.values())
            doubtful = sum("doubtful" in status for status in said.values())
            rows.append((words, len(said), refused, doubtful, given.networks or ensemble.title))
    table = pd.DataFrame(rows, columns=["Pictures", "Number", "Refused", "Doubtful", "Networks"])
    write_table(PATH, table)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
