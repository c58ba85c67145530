"""What users rely on in the embedded atlas: it shows the ages it claims, the same ones every time."""

import hashlib
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory import elsewhere

from boneage.core.errors import BoneAgeError
from boneage.core.tables import read_table
from boneage.phantom.atlas import READER_DIFFERENCE_YEARS, plan_atlas, write_phantom_atlas
from boneage.phantom.drawing import ANOMALIES, depth_inside, draw_hand
from boneage.phantom.ossification import (
    CENTRES,
    appearance_age,
    capping_of,
    fusion_of,
    hand_length,
    size_of,
    tempo_spread,
)

ages = st.floats(0, 19)
sexes = st.sampled_from("FM")
names = st.sampled_from(sorted(CENTRES))
SMALL = {"height": 300}


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# The table of ages


@given(names, sexes, ages, ages)
def test_a_centre_never_goes_back(name: str, sex: str, one: float, other: float):
    early, late = sorted((one, other))
    for stage in (size_of, capping_of, fusion_of):
        assert 0.0 <= stage(name, early, sex) <= stage(name, late, sex) <= 1.0


@given(names, ages)
def test_girls_are_never_behind_boys(name: str, age: float):
    assert appearance_age(name, "F") < appearance_age(name, "M")
    assert size_of(name, age, "F") >= size_of(name, age, "M")
    assert fusion_of(name, age, "F") >= fusion_of(name, age, "M")


@given(names, sexes)
def test_a_centre_appears_grows_and_only_then_fuses(name: str, sex: str):
    centre, column = CENTRES[name], "FM".index(sex)
    assert 0 < centre.appears[column] < centre.grown[column] < 16
    if centre.fuses is not None:
        begins, ends = centre.fuses[column]
        assert centre.grown[column] < begins < ends <= 19


def test_the_hand_has_its_30_centres():
    kinds = pd.Series([centre.kind for centre in CENTRES.values()]).value_counts().to_dict()
    # Epiphyses: 5 metacarpals, 14 phalanges, radius and ulna.
    assert kinds == {"epiphysis": 21, "carpal": 8, "sesamoid": 1}


@pytest.mark.parametrize("sex", "FM")
def test_carpals_appear_in_the_textbook_order(sex: str):
    order = ["capitate", "hamate", "triquetrum", "lunate", "scaphoid", "trapezoid", "pisiform"]
    assert sorted(order, key=lambda name: appearance_age(name, sex)) == order


@pytest.mark.parametrize("sex", "FM")
def test_fusion_runs_from_the_finger_tips_to_the_radius(sex: str):
    order = ["distal phalanx 3", "proximal phalanx 3", "middle phalanx 3", "ulna", "radius"]
    ends = [CENTRES[name].fuses["FM".index(sex)][1] for name in order]
    assert ends == sorted(ends)
    assert len(set(ends)) == len(ends)


@given(sexes, st.floats(0, 18), st.floats(0, 18))
def test_hands_grow(sex: str, one: float, other: float):
    early, late = sorted((one, other))
    assert 60 < hand_length(early, sex) <= hand_length(late, sex) < 200
    assert 0.05 < tempo_spread(early, sex) < 1.2


def test_unknown_sex_is_refused():
    with pytest.raises(BoneAgeError, match="F or M"):
        size_of("capitate", 3.0, "X")


# One drawing


def test_the_capitate_is_seen_at_six_months_and_not_at_birth():
    for sex in "FM":
        assert draw_hand(0.0, sex, 5, height=300).centres == {}
        assert {"capitate", "hamate"} == set(draw_hand(0.5, sex, 5, height=300).centres)


@pytest.mark.parametrize("seed", range(4))
def test_a_centre_that_is_listed_is_bright_in_the_image(seed: int):
    hand = draw_hand(3.5, "F", seed)
    smooth = cv2.GaussianBlur(hand.image, (0, 0), 2.0).astype(float)
    x, y = (round(v) for v in hand.centres["capitate"])
    around = [smooth[y - 45, x + 55], smooth[y + 75, x]]
    assert smooth[y, x] > max(around) + 4


@pytest.mark.parametrize("seed", range(4))
def test_an_open_plate_is_a_dark_line_and_a_fused_one_is_not(seed: int):
    def darkest_between(age: float) -> float:
        """Darkest grey from the epiphysis to the shaft of a phalanx, against the epiphysis's own."""
        hand = draw_hand(age, "F", seed)
        x, y = hand.centres["proximal phalanx 3"]
        tip_x, tip_y = hand.centres["middle phalanx 3"]
        steps = np.linspace(0.0, 0.16, 25)[:, None]
        line = np.round((x, y) + steps * (tip_x - x, tip_y - y)).astype(int)
        smooth = cv2.GaussianBlur(hand.image, (0, 0), 1.0).astype(float)
        profile = smooth[line[:, 1], line[:, 0]]
        return profile.min() / profile[:3].mean()

    assert darkest_between(10.0) < 0.93
    assert darkest_between(18.0) > 0.95


@pytest.mark.parametrize("sex", "FM")
def test_maturity_in_the_drawing_rises_with_bone_age(sex: str):
    def maturity(age: float, seed: int) -> float:
        hand = draw_hand(age, sex, seed, height=200)
        return len(hand.centres) + sum(hand.fusion.values())

    oldest = 18 if sex == "F" else 19
    steps = [0, 0.5, 1.25, 2, 3.5, 5, 7.5, 11, 14.6 if sex == "F" else 16.5, oldest]
    means = [np.mean([maturity(age, seed) for seed in range(3)]) for age in steps]
    assert (np.diff(means) > 0.3).all()


def test_girls_hands_are_ahead_of_boys_of_the_same_bone_age():
    for age in (2.0, 5.0, 11.5):
        girl, boy = (draw_hand(age, sex, 9, height=200) for sex in "FM")
        assert len(girl.centres) > len(boy.centres)


def test_the_thumb_points_right():
    hand = draw_hand(8.0, "M", 3)
    assert hand.centres["distal phalanx 1"][0] > hand.centres["distal phalanx 5"][0] + 200
    assert hand.centres["radius"][0] > hand.centres["ulna"][0]
    assert hand.centres["distal phalanx 3"][1] < hand.centres["radius"][1]


def test_a_drawing_depends_on_its_arguments_alone():
    first = draw_hand(7.0, "M", 42, height=400)
    draw_hand(3.0, "F", 1, height=400)
    again = draw_hand(7.0, "M", 42, height=400)
    assert np.array_equal(first.image, again.image)
    assert first.centres == again.centres
    other = draw_hand(7.0, "M", 43, height=400)
    assert first.image.shape != other.image.shape or (first.image != other.image).mean() > 0.5


def test_a_depth_depends_on_the_mask_alone_not_on_its_place_in_memory():
    mask = cv2.circle(np.zeros((40, 33), np.uint8), (15, 20), 12, 255, -1)
    depths = [depth_inside(one) for one in elsewhere(mask)]
    assert depths[0].max() == pytest.approx(12.0, abs=1.0)
    assert all(np.array_equal(depth, depths[0]) for depth in depths)


@pytest.mark.parametrize("age", [0.0, 6.0, 12.0, 19.0])
def test_an_image_is_a_radiograph_of_the_size_asked(age: float):
    image = draw_hand(age, "M", 11, height=500).image
    assert image.dtype == np.uint8
    assert image.shape[0] == 500
    assert 0.67 < image.shape[1] / 500 < 0.85
    assert image.std() > 8


def test_size_alone_does_not_tell_the_age():
    lengths = {age: [] for age in (4.0, 12.0)}
    for age, seen in lengths.items():
        for seed in range(12):
            centres = draw_hand(age, "F", seed, height=400).centres
            seen.append(np.hypot(*np.subtract(centres["middle phalanx 3"], centres["metacarpal 3"])))
    assert max(lengths[4.0]) > min(lengths[12.0])


@pytest.mark.parametrize("anomaly", ["ring", "bracelet"])
@pytest.mark.parametrize("seed", range(3))
def test_metal_is_brighter_than_what_it_covers(anomaly: str, seed: int):
    plain = draw_hand(9.0, "F", seed)
    worn = draw_hand(9.0, "F", seed, anomaly)
    x, y, width, height = worn.anomaly_box
    changed = worn.image.astype(int) - plain.image
    inside = changed[y : y + height, x : x + width]
    assert plain.anomaly_box is None
    assert (worn.image[y : y + height, x : x + width] > 235).sum() > 50
    assert inside.max() > 30
    outside = changed.copy()
    outside[max(y - 8, 0) : y + height + 8, max(x - 8, 0) : x + width + 8] = 0
    assert not outside.any()


@pytest.mark.parametrize("seed", range(3))
def test_bones_are_lost_in_an_unreadable_image(seed: int):
    def detail(image: np.ndarray, box: tuple[int, int, int, int]) -> float:
        x, y, width, height = box
        # The metacarpals: edges of bone, none of skin.
        rows, columns = slice(y + height // 2, y + height * 4 // 5), slice(x + width // 4, x + width // 2)
        grey = image.astype(np.float32)
        edges = cv2.GaussianBlur(grey, (0, 0), 3.0) - cv2.GaussianBlur(grey, (0, 0), 9.0)
        return edges[rows, columns].std() / grey[rows, columns].mean()

    ruined = draw_hand(9.0, "M", seed, "unreadable")
    plain = draw_hand(9.0, "M", seed)
    assert detail(ruined.image, ruined.anomaly_box) < 0.6 * detail(plain.image, ruined.anomaly_box)


def test_growth_out_of_step_shows_an_age_that_the_skeleton_has_not():
    hand = draw_hand(5.0, "M", 8, "growth", age=9.0, height=300)
    assert hand.anomaly_box is None
    assert "scaphoid" not in hand.centres


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bone_age": -1.0}, "bone_age"),
        ({"bone_age": float("nan")}, "bone_age"),
        ({"bone_age": "5"}, "bone_age"),
        ({"bone_age": 300.0}, "bone_age"),
        ({"sex": "male"}, "F or M"),
        ({"seed": -3}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"anomaly": "tattoo"}, "anomaly"),
        ({"anomaly": "growth"}, "needs an age"),
        ({"age": 40.0}, "age"),
        ({"height": 10}, "height"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str):
    with pytest.raises(BoneAgeError, match=message):
        draw_hand(**{"bone_age": 5.0, "sex": "F", "seed": 1, **arguments})


# The atlas


def test_the_tree_is_the_atlas_s_own(tmp_path: Path):
    folder = write_phantom_atlas(tmp_path / "atlas", 1, 7, ages=(0, 12), **SMALL)
    images = sorted(str(p.relative_to(folder)) for p in folder.rglob("*.jpg"))
    assert len(images) == 16
    numbers = set()
    for path in images:
        top, group, year, name = path.split("/")
        assert top == "JPEGimages"
        assert group[:3] in ("ASI", "BLK", "CAU", "HIS")
        assert group[3:] in ("F", "M")
        assert year in (f"{group}00", f"{group}12")
        numbers.add(name.removesuffix(".jpg"))
        assert cv2.imread(str(folder / path), cv2.IMREAD_UNCHANGED).ndim == 2
    assert len(numbers) == 16
    assert all(len(number) == 4 and number.isdigit() for number in numbers)

    readings = read_table(folder / "readings.csv", ())
    assert list(readings.columns) == ["image number", "reading 1", "reading 2"]
    assert set(readings["image number"]) == numbers
    truth = read_table(folder / "phantom.csv", ("sex", "race", "age_group", "bone_age", "anomaly", "box"))
    assert set(truth["image number"]) == numbers
    centres = read_table(folder / "centres.csv", ("image number", "centre", "x", "y"))
    assert set(centres["image number"]) <= numbers
    assert set(centres["centre"]) <= set(CENTRES)


def test_an_interrupted_atlas_continues_to_the_same_bytes(tmp_path: Path):
    arguments = {"per_group": 1, "seed": 3, "anomalies": 0.4, "ages": (6,), **SMALL}
    whole = hashes(write_phantom_atlas(tmp_path / "a", **arguments))
    assert hashes(write_phantom_atlas(tmp_path / "b", **arguments)) == whole

    images = sorted((tmp_path / "b").rglob("*.jpg"))
    untouched = images[5].stat().st_mtime_ns
    images[0].unlink()
    images[1].write_bytes(b"")
    (images[2].parent / ".1002-abcd.jpg").write_bytes(b"half")
    (tmp_path / "b" / "centres.csv").unlink()
    write_phantom_atlas(tmp_path / "b", **arguments)
    assert hashes(tmp_path / "b") == whole
    assert images[5].stat().st_mtime_ns == untouched


def test_a_finished_atlas_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    arguments = {"per_group": 1, "seed": 3, "ages": (6,), **SMALL}
    folder = write_phantom_atlas(tmp_path, **arguments)
    before = hashes(folder)
    monkeypatch.setattr("boneage.phantom.atlas.draw_hand", lambda *_: pytest.fail("drawn again"))
    # What a process that was killed while it wrote a table again left.
    left = folder / ".centres-7mspoqrl.csv"
    left.write_text("half")
    os.utime(left, (0, 0))
    write_phantom_atlas(tmp_path, **arguments)
    assert hashes(folder) == before


def test_seeds_make_other_children(tmp_path: Path):
    one, other = (plan_atlas(2, seed, {}, range(19)) for seed in (1, 2))
    assert list(one["image"]) == list(other["image"])
    assert (one["bone_age"] != other["bone_age"]).mean() > 0.9
    assert one["seed"].nunique() == len(one)


def test_children_have_a_tempo_and_readers_an_error_of_the_published_size():
    plan = plan_atlas(50, 4, {}, range(19))
    difference = np.sqrt(((plan["reading_1"] - plan["reading_2"]) ** 2).mean())
    assert difference == pytest.approx(READER_DIFFERENCE_YEARS, abs=0.03)
    # The atlas's folder year and the readings differ by 0.8 year on average.
    label = (plan["reading_1"] + plan["reading_2"]) / 2
    assert (label - plan["age_group"]).abs().mean() == pytest.approx(0.8, abs=0.1)
    assert (plan["age"].astype(int) == plan["age_group"]).all()
    assert plan["bone_age"].between(0, 19).all()
    assert (plan[["reading_1", "reading_2"]] * 4 % 1 == 0).all(axis=None)


def test_anomalies_come_in_the_share_asked():
    plan = plan_atlas(20, 4, {"ring": 0.1, "growth": 0.2}, range(19))
    shares = plan["anomaly"].value_counts(normalize=True)
    assert shares["ring"] == pytest.approx(0.1, abs=0.02)
    assert shares["growth"] == pytest.approx(0.2, abs=0.02)
    off = plan[plan["anomaly"] == "growth"]
    assert ((off["bone_age"] - off["age"]).abs() > 1.9).all()


def test_the_tables_tell_where_each_anomaly_is(tmp_path: Path):
    folder = write_phantom_atlas(tmp_path, 1, 5, dict.fromkeys(ANOMALIES, 0.25), ages=(7, 8), **SMALL)
    truth = read_table(folder / "phantom.csv", ("anomaly", "box"))
    assert set(truth["anomaly"]) == set(ANOMALIES)
    has_box = truth["box"].str.fullmatch(r"\d+ \d+ \d+ \d+")
    assert (has_box == (truth["anomaly"] != "growth")).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"per_group": 0}, "per_group"),
        ({"per_group": 60}, "at most 59"),
        ({"per_group": 1.5}, "per_group"),
        ({"seed": -1}, "seed"),
        ({"ages": (3, 3)}, "ages"),
        ({"ages": (19,)}, "ages"),
        ({"ages": ()}, "ages"),
        ({"ages": (2.5,)}, "ages"),
        ({"anomalies": 1.5}, "anomalies"),
        ({"anomalies": -0.1}, "anomalies"),
        ({"anomalies": float("nan")}, "anomalies"),
        ({"anomalies": "many"}, "anomalies"),
        ({"anomalies": {"tattoo": 0.1}}, "tattoo"),
    ],
)
def test_bad_atlas_arguments_write_nothing(tmp_path: Path, arguments: dict, message: str):
    with pytest.raises(BoneAgeError, match=message):
        write_phantom_atlas(tmp_path / "a", **{"per_group": 1, "seed": 1, **SMALL, **arguments})
    assert not (tmp_path / "a").exists()


def test_other_arguments_into_the_same_folder_are_refused(tmp_path: Path):
    write_phantom_atlas(tmp_path, 1, 1, ages=(3,), **SMALL)
    before = hashes(tmp_path)
    with pytest.raises(BoneAgeError, match="other settings"):
        write_phantom_atlas(tmp_path, 1, 2, ages=(3,), **SMALL)
    assert hashes(tmp_path) == before
    assert json.loads((tmp_path / "phantom.json").read_text())["seed"] == 1


def test_images_of_someone_else_are_left_alone(tmp_path: Path):
    image = tmp_path / "JPEGimages" / "ASIF" / "ASIF03" / "5000.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"real")
    with pytest.raises(BoneAgeError, match="not drawn here"):
        write_phantom_atlas(tmp_path, 1, 1, ages=(3,), **SMALL)
    assert image.read_bytes() == b"real"


def test_a_file_in_the_folder_s_place_is_named(tmp_path: Path):
    (tmp_path / "a").write_text("no folder")
    with pytest.raises(BoneAgeError, match="cannot be written"):
        write_phantom_atlas(tmp_path / "a", 1, 1, ages=(3,), **SMALL)
