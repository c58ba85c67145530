"""Burnt-in text: drawn, on phantoms' markers, and on real radiographs."""

import cv2
import numpy as np
import pandas as pd
import pytest

from boneage.anomalies.hand import find_hand
from boneage.anomalies.text import text_anomalies
from boneage.core.parallel import on_all_cores
from boneage.images.grey_range import to_uint8
from boneage.images.reading import read_grey
from boneage.images.square import square
from boneage.phantom.drawing import draw_hand

SIDE = 928


def phantom(seed, age=9.0):
    return square(draw_hand(age, "F", seed).image, SIDE)


def look(image):
    return text_anomalies(image, find_hand(image))


def score(anomalies):
    return max((each.score for each in anomalies), default=0.0)


def write(image, text, place, scale=0.5, level=255, thickness=1):
    made = image.copy()
    cv2.putText(made, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, int(level), thickness, cv2.LINE_AA)
    return made


@pytest.mark.parametrize("seed", range(6))
def test_a_marker_with_its_initials_is_no_text(seed):
    assert score(look(phantom(seed, age=3.0 * seed))) < 0.5


@pytest.mark.parametrize(
    ("text", "scale", "thickness"), [("SMITH 04/11/1998", 0.5, 1), ("12 MAR 97", 0.8, 2), ("LEFT", 0.45, 1)]
)
@pytest.mark.parametrize("place", [(15, 30), (20, 910), (700, 40)])
def test_writing_at_a_border_is_found_where_it_is(text, scale, thickness, place):
    found = look(write(phantom(3), text, place, scale, 255, thickness))
    assert found[0].score > 0.5
    x, y, width, height = found[0].box
    assert x * SIDE <= place[0] + 20 <= (x + width) * SIDE
    assert y * SIDE <= place[1] - 4 <= (y + height) * SIDE
    assert "letters" in found[0].why


def test_rows_below_each_other_are_one_place():
    image = phantom(4)
    for row, text in enumerate(("MILLER ANN", "F 9 Y", "ST MARY 1996")):
        image = write(image, text, (15, 30 + 22 * row))
    found = look(image)
    assert sum(each.score > 0.5 for each in found) == 1
    assert found[0].box[1] * SIDE < 25
    assert (found[0].box[1] + found[0].box[3]) * SIDE > 70
    assert "rows of about" in found[0].why


def test_dark_writing_on_a_white_label_is_found():
    image = phantom(5)
    cv2.rectangle(image, (10, 10), (230, 60), 245, -1)
    assert score(look(write(image, "JONES 12.03.97", (20, 42), 0.6, 20))) > 0.5


def test_writing_turned_by_a_few_degrees_is_found():
    image = phantom(6)
    label = write(np.zeros((120, 260), np.uint8), "SMITH 04/11/98", (15, 60), 0.6)
    turn = cv2.getRotationMatrix2D((130, 60), 6, 1.0)
    image[:120, :260] = np.maximum(image[:120, :260], cv2.warpAffine(label, turn, (260, 120)))
    assert score(look(image)) > 0.5


def test_blanking_the_box_takes_the_writing_away():
    image = write(phantom(7), "SMITH 04/11/1998", (15, 30))
    x, y, width, height = look(image)[0].box
    rows = slice(int(y * SIDE), int(np.ceil((y + height) * SIDE)))
    columns = slice(int(x * SIDE), int(np.ceil((x + width) * SIDE)))
    image[rows, columns] = 0
    assert score(look(image)) < 0.3


HOSTILE = {
    "black": lambda side: np.zeros((side, side), np.uint8),
    "white": lambda side: np.full((side, side), 255, np.uint8),
    "noise": lambda side: np.random.default_rng(1).integers(0, 256, (side, side)).astype(np.uint8),
    "grid": lambda side: ((np.indices((side, side)) % 7 < 2).any(axis=0) * 255).astype(np.uint8),
    "dots": lambda side: ((np.indices((side, side)) % 8 < 5).all(axis=0) * 255).astype(np.uint8),
    "small hand": lambda side: square(draw_hand(5.0, "F", 1).image, side),
    "inverted hand": lambda side: 255 - square(draw_hand(5.0, "F", 1).image, side),
}


@pytest.mark.parametrize("side", [32, 64, 928])
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_no_image_is_too_odd(make, side):
    for each in look(make(side)):
        assert 0 <= each.score <= 1
        assert each.box[0] + each.box[2] <= 1 + 1e-9
        assert each.box[1] + each.box[3] <= 1 + 1e-9


@pytest.mark.slow
def test_phantoms_with_writing_stand_first():
    bare = [phantom(8000 + index, 18.0 * (index * 0.618 % 1)) for index in range(60)]
    usual = [score(look(image)) for image in bare]
    written = [
        score(look(write(image, "DOE J 07/05/96", (20 + 4 * index, 24), 0.4 + 0.02 * index)))
        for index, image in enumerate(bare[:20])
    ]
    assert np.mean(np.array(usual) >= 0.5) <= 0.02
    assert np.mean(np.array(written) > np.quantile(usual, 0.9)) >= 0.95


@pytest.mark.slow
@pytest.mark.real_data
def test_writing_on_real_images_stands_first(real_data):
    findings = pd.read_csv(real_data / "findings.csv", dtype=str)
    text = findings[(findings["dataset"] == "rsna") & (findings["finding"] == "text_overlay")]
    written = set(text.loc[text["confident"] == "yes", "id"])
    bare = sorted(path.stem for path in real_data.glob("rsna/images/*") if path.stem not in set(text["id"]))
    bare = np.random.default_rng(7).choice(bare, 250, replace=False).tolist()

    def read(name):
        path = next(real_data.glob(f"rsna/images/{name}.*"))
        return name, score(look(square(to_uint8(read_grey(path.read_bytes(), path.name)[0]), SIDE)))

    scores = dict(on_all_cores(read, [*written, *bare], "Images", False))
    first = np.array([scores[name] for name in written])[:, None]
    second = np.array([scores[name] for name in bare])
    assert float(((first > second) + 0.5 * (first == second)).mean()) >= 0.93
    # A certain alarm that is false hides those that are not.
    assert np.mean(second >= 0.5) <= 0.01
    assert np.mean(first >= 0.5) >= 0.6
