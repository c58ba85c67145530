"""One picture in two files is known for one; two children are two."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from image_files import encoded

from boneage.dataset.same_picture import CACHE_NAME, same_pictures, ties_in_words
from boneage.images.preprocess import preprocess

SIZE = 256


def a_picture(seed: int, height: int = 240, width: int = 180) -> np.ndarray:
    """A bright shape with texture on a dark ground, another for each seed."""
    rng = np.random.default_rng(seed)
    coarse = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 15)
    fine = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 2.5)
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shape = np.clip(1.2 - rows**2 - columns**2, 0, 1)
    return np.clip(30 + 120 * shape * (1 + 8 * coarse + 2 * fine), 0, 255).astype(np.uint8)


def curve(image: np.ndarray, gamma: float = 1.0, gain: float = 1.0) -> np.ndarray:
    return np.clip(gain * 255 * (image / 255) ** gamma, 0, 255).astype(np.uint8)


CHANGES = {
    "jpeg": lambda image: encoded(image, "JPEG", quality=60),
    "half": lambda image: encoded(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
    "twice": lambda image: encoded(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)),
    "brighter": lambda image: encoded(curve(image, gain=1.3), "JPEG"),
    "darker": lambda image: encoded(curve(image, gain=0.5), "JPEG"),
    "gamma": lambda image: encoded(curve(image, gamma=1.8)),
    "mirrored": lambda image: encoded(np.ascontiguousarray(image[:, ::-1]), "JPEG"),
    "tiff": lambda image: encoded(image, "TIFF"),
    "16 bits": lambda image: cv2.imencode(".png", image.astype(np.uint16) * 16)[1].tobytes(),
}


def made(work: Path, files: dict[str, bytes]) -> list[str]:
    work.mkdir(exist_ok=True)
    for name, data in files.items():
        (work / name).write_bytes(data)
    preprocess(
        pd.DataFrame({"case_id": list(files), "image": [str(work / name) for name in files]}), work, SIZE
    )
    return list(files)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_tied_to_its_picture_and_to_no_other(change: str, tmp_path: Path) -> None:
    pictures = [a_picture(seed) for seed in range(8)]
    files = {f"p{seed}": encoded(picture) for seed, picture in enumerate(pictures)}
    files |= {f"q{seed}": CHANGES[change](picture) for seed, picture in enumerate(pictures[:4])}
    groups = same_pictures(made(tmp_path, files), tmp_path)
    assert groups.to_dict() == {name: name.replace("q", "p") for name in files}
    assert ties_in_words(groups) == [
        "8 images in 4 groups show the same picture; each group stays in one split"
    ]


def test_nothing_is_said_where_nothing_is_tied(tmp_path: Path) -> None:
    groups = same_pictures(
        made(tmp_path, {f"p{seed}": encoded(a_picture(seed)) for seed in range(3)}), tmp_path
    )
    assert ties_in_words(groups) == []


def test_blank_images_are_not_tied(tmp_path: Path) -> None:
    files = {f"p{level}": encoded(np.full((100, 80), level, np.uint8)) for level in (0, 90, 255)}
    groups = same_pictures(made(tmp_path, files), tmp_path)
    assert groups.tolist() == groups.index.tolist()


def test_what_was_computed_is_kept_until_the_image_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = made(tmp_path, {"a": encoded(a_picture(1)), "b": encoded(a_picture(2))})
    first = same_pictures(ids, tmp_path)
    read = []
    monkeypatch.setattr(
        "boneage.dataset.same_picture.read_file",
        lambda path: read.append(path.stem) or cv2.imread(str(path), 0),
    )
    assert same_pictures(ids, tmp_path).equals(first)
    assert read == []
    made(tmp_path, {"a": encoded(a_picture(2), "JPEG"), "b": encoded(a_picture(2))})
    assert same_pictures(ids, tmp_path).tolist() == ["a", "a"]
    assert read == ["a"]
    for damage in (
        b"PK\3\4 damaged",
        (tmp_path / CACHE_NAME).read_bytes().replace(b"background", b"\xff" * 10),
    ):
        (tmp_path / CACHE_NAME).write_bytes(damage)
        assert same_pictures(ids, tmp_path).tolist() == ["a", "a"]


@pytest.mark.parametrize(
    ("column", "cell"), [("width", ""), ("height", "0"), ("width", "x"), ("sha256", "é")]
)
def test_a_damaged_row_of_the_report_is_no_traceback_and_is_made_again(
    column: str, cell: str, tmp_path: Path
) -> None:
    ids = made(tmp_path, files := {"a": encoded(a_picture(1)), "b": encoded(a_picture(1), "JPEG")})
    path = tmp_path / "preprocess.csv"
    report = pd.read_csv(path, dtype=str, keep_default_na=False)
    report.loc[report["case_id"] == "b", column] = cell
    report.to_csv(path, index=False)
    assert same_pictures(ids, tmp_path).tolist() == (["a", "a"] if column == "sha256" else ["a", "b"])
    made(tmp_path, files)
    assert same_pictures(ids, tmp_path).tolist() == ["a", "a"]


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: os.truncate(path, 500)])
def test_an_image_that_is_gone_or_cut_short_is_a_group_of_its_own_and_told(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    ids = made(tmp_path, {"a": encoded(a_picture(1)), "b": encoded(a_picture(1), "JPEG")})
    damage(tmp_path / "images" / "b.png")
    groups = same_pictures([*ids, "c"], tmp_path)
    assert groups.tolist() == ["a", "b", "c"]
    (said,) = ties_in_words(groups)
    assert said.startswith("images that cannot be read: 1 (the first: b)")
