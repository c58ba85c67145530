"""Rings, bracelets and other metal: on phantoms, drawn, and on real radiographs."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from machine import REAL_DATA

from boneage.anomalies.foreign import foreign_anomalies
from boneage.anomalies.hand import find_hand
from boneage.core.parallel import on_all_cores
from boneage.images.grey_range import to_uint8
from boneage.images.reading import read_grey
from boneage.images.square import square
from boneage.phantom.drawing import draw_hand

SIDE = 928


def phantom(age, sex, seed, anomaly=None):
    """A phantom's square image, and the box of its anomaly in shares of it."""
    hand = draw_hand(age, sex, seed, anomaly=anomaly)
    image = square(hand.image, SIDE)
    if hand.anomaly_box is None:
        return image, None
    height, width = hand.image.shape
    longest = max(height, width)
    x, y, w, h = hand.anomaly_box
    return image, (
        (x + (longest - width) / 2) / longest,
        (y + (longest - height) / 2) / longest,
        w / longest,
        h / longest,
    )


def look(image):
    return foreign_anomalies(image, find_hand(image))


def score(anomalies, kind):
    return max((each.score for each in anomalies if each.kind == kind), default=0.0)


def box_of(anomalies, kind):
    return max((each for each in anomalies if each.kind == kind), key=lambda each: each.score).box


def overlap(first, second):
    return all(
        first[side] < second[side] + second[side + 2] and second[side] < first[side] + first[side + 2]
        for side in (0, 1)
    )


@pytest.mark.parametrize(("age", "seed"), [(1.0, 11), (7.0, 12), (14.0, 15)])
@pytest.mark.parametrize("kind", ["ring", "bracelet"])
def test_metal_worn_by_a_phantom_is_found_where_it_is(kind, age, seed):
    image, box = phantom(age, "F", seed, kind)
    found = look(image)
    assert score(found, kind) > 0.7
    assert overlap(box_of(found, kind), box)
    assert any(each.kind == kind and ("band" in each.why) for each in found)


@pytest.mark.parametrize(("age", "seed"), [(1.0, 21), (7.0, 22), (14.0, 23)])
def test_a_bare_hand_with_its_marker_raises_nothing(age, seed):
    image, _ = phantom(age, "M", seed)
    assert all(each.score < 0.5 for each in look(image))


def with_band(image, levels):
    """A phantom with two flaps of plastic that stand off the skin of its forearm, a little brighter."""
    mask = cv2.resize(find_hand(image).mask.astype(np.uint8), image.shape)
    made = image.astype(int)
    for row in range(820, 890):
        inside = np.flatnonzero(mask[row])
        made[row, inside[0] - 22 : inside[0] + 4] += levels
        made[row, inside[-1] - 4 : inside[-1] + 22] += levels
    return np.clip(made, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", [64, 66, 67])
def test_a_faint_plastic_band_beside_the_skin_is_found(seed):
    image, _ = phantom(6.0, "F", seed)
    found = look(with_band(image, 12))
    assert score(look(image), "bracelet") < 0.1
    assert score(found, "bracelet") > 0.25
    assert overlap(box_of(found, "bracelet"), (0, 820 / SIDE, 1, 70 / SIDE))


def test_a_plate_on_the_bones_is_metal_and_no_ring():
    image, _ = phantom(10.0, "M", 42)
    hand = find_hand(image)
    x, y = (np.array(hand.centre) * SIDE).astype(int)
    image = (image * 0.6).astype(np.uint8)
    cv2.rectangle(image, (x - 8, y - 40), (x + 8, y + 30), 255, -1)
    found = look(image)
    assert score(found, "metal") > 0.5
    assert score(found, "ring") < 0.2
    assert overlap(box_of(found, "metal"), ((x - 8) / SIDE, (y - 40) / SIDE, 16 / SIDE, 70 / SIDE))


def test_a_pin_in_the_hand_is_metal():
    image, _ = phantom(10.0, "M", 43)
    hand = find_hand(image)
    x, y = (np.array(hand.centre) * SIDE).astype(int)
    cv2.line(image, (x - 3, y - 30), (x + 3, y + 25), 255, 5)
    assert score(look(image), "metal") > 0.5


def test_an_inverted_image_hides_no_ring():
    image, box = phantom(9.0, "F", 51, "ring")
    found = look(255 - image)
    assert score(found, "ring") > 0.7
    assert overlap(box_of(found, "ring"), box)


def test_a_smaller_image_hides_no_bracelet():
    image, box = phantom(12.0, "F", 52, "bracelet")
    found = look(cv2.resize(image, (400, 400), interpolation=cv2.INTER_AREA))
    assert score(found, "bracelet") > 0.7
    assert overlap(box_of(found, "bracelet"), box)


HOSTILE = {
    "black": lambda side: np.zeros((side, side), np.uint8),
    "white": lambda side: np.full((side, side), 255, np.uint8),
    "noise": lambda side: np.random.default_rng(1).integers(0, 256, (side, side)).astype(np.uint8),
    "ramp": lambda side: np.tile(np.linspace(0, 255, side).astype(np.uint8), (side, 1)),
    "checks": lambda side: (np.indices((side, side)).sum(axis=0) // 4 % 2 * 255).astype(np.uint8),
    "disc": lambda side: cv2.circle(
        np.zeros((side, side), np.uint8), (side // 2, side // 2), side // 3, 200, -1
    ),
    "one bright half": lambda side: (np.indices((side, side))[0] * 2 // side * 255).astype(np.uint8),
    "small hand": lambda side: square(draw_hand(5.0, "F", 1).image, side),
}


@pytest.mark.parametrize("side", [32, 64, 928])
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_no_image_is_too_odd(make, side):
    for each in look(make(side)):
        assert 0 <= each.score <= 1
        assert all(0 <= share <= 1 for share in each.box)
        assert each.box[0] + each.box[2] <= 1 + 1e-9
        assert each.box[1] + each.box[3] <= 1 + 1e-9


@pytest.mark.slow
def test_rings_and_bracelets_of_phantoms_stand_in_the_first_tenth_of_the_queue():
    kinds = {"ring": [], "bracelet": [], None: []}
    hits = {"ring": 0, "bracelet": 0}
    for index in range(280):
        kind = {0: "ring", 10: "bracelet"}.get(index % 20)
        image, box = phantom(18.0 * (index * 0.618 % 1), "FM"[index % 2], 5000 + index, kind)
        found = look(image)
        kinds[kind].append(max((each.score for each in found), default=0.0))
        if kind:
            hits[kind] += score(found, kind) > 0 and overlap(box_of(found, kind), box)
    for kind in ("ring", "bracelet"):
        queue = np.sort(np.concatenate([kinds[kind], kinds[None]]))[::-1]
        last = queue[len(queue) // 10 - 1]
        # 95 % of 14 is all of them.
        assert len(kinds[kind]) == 14
        assert np.mean(np.array(kinds[kind]) >= last) >= 0.95
        assert hits[kind] / 14 >= 0.95


def draw_ring(image, hand, rng):
    """Draws a metal band round a free finger: as wide as the finger is there, bent and tilted a little.

    Returns:
        The image and the ring's box in shares of it; None where no finger stands free enough.
    """
    mask = cv2.resize(hand.mask.astype(np.uint8), image.shape[::-1])
    for base, tip in np.array(hand.fingers)[rng.permutation(len(hand.fingers))] * SIDE:
        along = (tip - base) / np.hypot(*(tip - base))
        across = np.array([-along[1], along[0]])
        middle = base + (tip - base) * rng.uniform(0.12, 0.42)
        places = middle + np.arange(-110, 111)[:, None] * across
        inside = mask[tuple(np.clip(np.rint(places[:, ::-1]), 0, SIDE - 1).astype(int).T)] > 0
        left, right = 110 - np.argmin(inside[110::-1]), 110 + np.argmin(inside[110:])
        width = right - left
        if not 18 <= width <= 100:
            continue
        middle = middle + across * ((left + right) / 2 - 110)
        turn = np.deg2rad(rng.normal(0, 7))
        turn = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        steps = np.linspace(-1, 1, 24)[:, None]
        reach, bend, half = rng.uniform(1.0, 1.08), rng.uniform(-0.2, 0.25), width * rng.uniform(0.07, 0.19)
        bow = middle + width / 2 * reach * (steps * (turn @ across) + (1 - steps**2) * bend * (turn @ along))
        outline = np.concatenate([bow + half * (turn @ along), (bow - half * (turn @ along))[::-1]])
        cover = np.zeros(image.shape, np.uint8)
        cv2.fillPoly(cover, [np.rint(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        cover = cv2.GaussianBlur(cover, (0, 0), 1.2) / 255
        brightest = np.percentile(image[mask > 0], 99.5)
        level = brightest + rng.uniform(0, 0.5) * (255 - brightest)
        made = np.maximum(image, image + cover * (level - image)) + rng.normal(0, 1, image.shape) * cover
        low, high = outline.min(axis=0) / SIDE, outline.max(axis=0) / SIDE
        return np.clip(np.rint(made), 0, 255).astype(np.uint8), (*low, *(high - low))
    return None


def roc_area(positives, negatives):
    """The share of pairs in the right order; a tie counts half."""
    first, second = np.array(positives)[:, None], np.array(negatives)[None]
    return float(((first > second) + 0.5 * (first == second)).mean())


@pytest.fixture(scope="module")
def real_images():
    """Every confident finding that is worn or metal, every second faint one, and 250 images without any."""
    folder = Path(REAL_DATA)
    findings = pd.read_csv(folder / "findings.csv", dtype=str)
    worn = findings[findings["finding"].isin(["bracelet", "cast", "splint", "metal_other"])]
    confident = set(worn.loc[worn["confident"] == "yes", "id"])
    bare = sorted(path.stem for path in folder.glob("rsna/images/*") if path.stem not in set(worn["id"]))
    bare = np.random.default_rng(7).choice(bare, 250, replace=False)

    def read(name):
        path = next(folder.glob(f"rsna/images/{name}.*"))
        image = square(to_uint8(read_grey(path.read_bytes(), path.name)[0]), SIDE)
        hand = find_hand(image)
        return name, image, hand, foreign_anomalies(image, hand)

    read_all = list(on_all_cores(read, sorted(confident | set(bare)), "Images", False))
    bracelets = set(worn.loc[(worn["finding"] == "bracelet") & (worn["confident"] == "yes"), "id"])
    return read_all, bracelets, confident


@pytest.mark.slow
@pytest.mark.real_data
def test_bracelets_of_real_images_stand_first(real_images):
    images, bracelets, confident = real_images
    worn = [score(found, "bracelet") for name, _, _, found in images if name in bracelets]
    bare = [score(found, "bracelet") for name, _, _, found in images if name not in confident]
    assert roc_area(worn, bare) >= 0.90
    depth = np.quantile(bare, 0.85)
    assert np.mean([each > depth for each in worn]) >= 0.75


@pytest.mark.slow
@pytest.mark.real_data
def test_rings_drawn_into_real_images_stand_first(real_images):
    images, _, confident = real_images
    bare = [each for each in images if each[0] not in confident]
    usual = [score(found, "ring") for *_, found in bare]
    assert np.mean(np.array(usual) >= 0.5) <= 0.02
    rng = np.random.default_rng(8)
    drawn = [draw_ring(image, hand, rng) for _, image, hand, _ in bare[:100]]
    drawn = [each for each in drawn if each is not None]
    assert len(drawn) > 80
    ringed = [(look(image), box) for image, box in drawn]
    assert np.mean([score(found, "ring") > np.quantile(usual, 0.9) for found, _ in ringed]) >= 0.95
    boxes = [(box_of(found, "ring"), box) for found, box in ringed if score(found, "ring") > 0]
    assert np.mean([overlap(*pair) for pair in boxes]) >= 0.95
