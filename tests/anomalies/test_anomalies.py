"""Anomalies of images, of sets of images and of the case table, and the queue they make."""

import functools
import importlib
import itertools
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from memory import elsewhere

from boneage.anomalies import ANOMALY_TABLE, KINDS, find_anomalies, image_anomalies, review_queue
from boneage.anomalies.anomaly import Anomaly, between
from boneage.anomalies.duplicates import HASH_BITS, image_hash, near_duplicates
from boneage.anomalies.growth import growth_anomalies
from boneage.anomalies.hand import find_hand
from boneage.anomalies.laterality import leftness
from boneage.anomalies.outline import edge_pattern
from boneage.anomalies.typical import LEAST_HANDS, unusual_hands
from boneage.core import parallel
from boneage.core.tables import CASE_TABLE, SKIPPED_TABLE
from boneage.images.operators import apply_operators
from boneage.images.preprocess import IMAGE_FOLDER, preprocess
from boneage.images.square import square
from boneage.phantom.atlas import write_phantom_atlas
from boneage.phantom.drawing import ANOMALIES, draw_hand
from boneage.phantom.ossification import tempo_spread
from boneage.sources.dha import read_atlas

SIDE = 464


@functools.cache
def a_hand(seed: int = 10, bone_age: float = 9.0, anomaly: str | None = None) -> np.ndarray:
    # Drawn at twice its size: smaller drawings have less detail.
    return square(draw_hand(bone_age, "F", seed, anomaly, height=2 * SIDE).image, SIDE)


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    return apply_operators(image, [{"name": "rotate", "degrees": degrees}])


def score_of(image: np.ndarray, kind: str) -> float:
    return max((one.score for one in image_anomalies(image) if one.kind == kind), default=0.0)


def cases_of(ids, **columns) -> pd.DataFrame:
    table = pd.DataFrame({"case_id": list(ids)})
    for name in list(CASE_TABLE)[1:]:
        table[name] = columns.get(name, np.nan)
    return table


def saved(folder: Path, images: dict[str, np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    for case_id, image in images.items():
        cv2.imwrite(str(folder / f"{case_id}.png"), image)
    return folder


HOSTILE = {
    "black": np.zeros((SIDE, SIDE), np.uint8),
    "white": np.full((SIDE, SIDE), 255, np.uint8),
    "grey": np.full((SIDE, SIDE), 90, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8),
    "small noise": np.random.default_rng(1).integers(0, 256, (32, 32), dtype=np.uint8),
    "small and black": np.zeros((32, 32), np.uint8),
    "a ramp": np.tile(np.linspace(0, 255, SIDE).astype(np.uint8), (SIDE, 1)),
    "half black": np.repeat(np.uint8([0, 255]), SIDE // 2)[:, None].repeat(SIDE, 1),
    "one bright pixel": np.pad(np.full((1, 1), 255, np.uint8), ((100, 363), (200, 263))),
    "a bright column": np.pad(np.full((SIDE, 1), 255, np.uint8), ((0, 0), (0, SIDE - 1))),
    "a disc": cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (232, 232), 120, 200, -1),
    "a plate": cv2.rectangle(np.zeros((SIDE, SIDE), np.uint8), (90, 60), (350, 400), 120, -1),
}


class TestHand:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_what_is_no_hand_is_not_found_and_raises_nothing(self, name):
        assert not find_hand(HOSTILE[name]).found
        found = image_anomalies(HOSTILE[name])
        assert [one.kind for one in found].count("not one hand") == 1
        assert all(one.kind in KINDS and 0.0 < one.score <= 1.0 and one.why for one in found)

    @pytest.mark.parametrize("bone_age", [0.0, 1.5, 5.0, 12.0, 18.0])
    def test_a_hand_of_any_age_is_found_upright_with_its_thumb_to_the_right(self, bone_age):
        hand = find_hand(a_hand(11, bone_age))
        assert hand.found
        assert hand.confidence == 1.0
        assert abs(hand.up_degrees) < 25
        assert hand.thumb_side == "right"
        assert hand.mask.shape == (320, 320)

    def test_five_free_fingers_stand_from_left_to_right(self):
        hand = find_hand(a_hand())
        assert len(hand.fingers) == 5
        tips = [tip for _, tip in hand.fingers]
        assert tips == sorted(tips)
        # The middle finger is the highest, the thumb the lowest.
        assert min(tips, key=lambda tip: tip[1]) == tips[2]
        assert max(tips, key=lambda tip: tip[1]) == tips[4]

    @pytest.mark.parametrize("degrees", [-150, -90, -40, 40, 90, 180])
    def test_its_direction_turns_with_the_image(self, degrees):
        upright, hand = find_hand(a_hand()), find_hand(turned(a_hand(), degrees))
        assert hand.found
        # The operator turns anticlockwise, the direction counts clockwise.
        off = (hand.up_degrees - upright.up_degrees + degrees + 180) % 360 - 180
        assert abs(off) < 15
        assert hand.thumb_side == "right"

    @pytest.mark.parametrize(("slope", "shift"), [(0.1, 2), (0.1, 200), (0.3, 0), (0.5, 120)])
    def test_exposure_does_not_matter(self, slope, shift):
        usual, odd = find_hand(a_hand()), find_hand(np.uint8(a_hand() * slope + shift))
        both, either = (usual.mask & odd.mask).sum(), (usual.mask | odd.mask).sum()
        assert odd.found
        assert not odd.inverted
        assert both / either > 0.85

    def test_black_on_white_is_seen_as_such(self):
        hand = find_hand(255 - a_hand())
        assert hand.found
        assert hand.inverted
        assert hand.thumb_side == "right"

    def test_the_same_image_gives_the_same_hand(self):
        first, second = find_hand(a_hand()), find_hand(a_hand())
        assert np.array_equal(first.mask, second.mask)
        assert first.fingers == second.fingers

    def test_a_mirrored_outline_is_as_much_a_right_hand_as_the_other_a_left(self):
        outline = find_hand(a_hand()).upright(find_hand(a_hand()).mask.astype(np.float32))
        mirrored = np.ascontiguousarray(outline[:, ::-1])
        assert leftness(outline) > 0.3
        assert leftness(mirrored) == pytest.approx(-leftness(outline), abs=0.05)

    def test_edge_patterns_do_not_mind_where_in_memory_pictures_lie(self):
        picture = find_hand(a_hand()).upright(find_hand(a_hand()).normalised)
        patterns = [edge_pattern(one) for one in elsewhere(picture)]
        assert all(np.array_equal(pattern, patterns[0]) for pattern in patterns)

    def test_edge_patterns_do_not_mind_exposure(self):
        picture = find_hand(a_hand()).upright(find_hand(a_hand()).normalised)
        assert np.allclose(edge_pattern(picture), edge_pattern(picture * 7 + 3), atol=1e-3)


class TestQuality:
    @pytest.mark.parametrize("seed", range(4, 12))
    def test_an_ordinary_image_has_no_grave_anomaly(self, seed):
        grave = ("unreadable skeleton", "right hand", "not one hand", "inverted")
        assert [one for one in image_anomalies(a_hand(seed)) if one.kind in grave and one.score > 0.5] == []

    @pytest.mark.parametrize(
        ("kind", "spoil"),
        [
            ("right hand", lambda image: image[:, ::-1]),
            ("rotated", lambda image: turned(image, 60)),
            ("rotated", lambda image: np.rot90(image)),
            ("rotated", lambda image: np.rot90(image, 2)),
            ("inverted", lambda image: 255 - image),
            ("dark", lambda image: image * 0.15),
            ("low contrast", lambda image: image * 0.06 + 100),
            ("not one hand", lambda image: cv2.resize(np.hstack([image, image[:, ::-1]]), (SIDE, SIDE))),
            ("unreadable skeleton", lambda image: cv2.GaussianBlur(image, (0, 0), 6)),
        ],
    )
    def test_what_is_spoilt_is_told_and_what_is_not_is_not(self, kind, spoil):
        usual = a_hand()
        spoilt = np.ascontiguousarray(spoil(usual)).astype(np.uint8)
        assert score_of(usual, kind) < 0.2
        assert score_of(spoilt, kind) > 0.6

    def test_a_mirrored_image_is_a_right_hand_at_every_age(self):
        images = [a_hand(seed, age) for seed, age in enumerate((0.5, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0))]
        mirrored = [score_of(np.ascontiguousarray(image[:, ::-1]), "right hand") for image in images]
        assert min(mirrored) > max(score_of(image, "right hand") for image in images)

    def test_a_frame_around_the_hand_is_told(self):
        image = cv2.resize(a_hand(), (320, 320), interpolation=cv2.INTER_AREA)
        framed = np.full((SIDE, SIDE), 60, np.uint8)
        framed[72:392, 72:392] = np.maximum(image, 20)
        cv2.rectangle(framed, (70, 70), (394, 394), 230, 4)
        assert score_of(framed, "frame") > 0.6
        assert score_of(framed, "tilted scan") < 0.2

    def test_a_tilted_plate_is_told_with_its_angle(self):
        plate = np.uint8(a_hand() * 0.7 + 60)
        tilted = cv2.warpAffine(
            cv2.copyMakeBorder(plate, 80, 80, 80, 80, cv2.BORDER_CONSTANT, value=0),
            cv2.getRotationMatrix2D((312, 312), 8, 1.0),
            (624, 624),
        )
        told = [one for one in image_anomalies(tilted) if one.kind == "tilted scan"]
        assert told[0].score > 0.6
        assert any(f"{degrees:.1f}" in told[0].why for degrees in np.arange(7.0, 9.0, 0.1))
        # Turned 8 degrees anticlockwise, it is put right by as many clockwise; mirrored, the other way.
        mirrored = image_anomalies(np.ascontiguousarray(tilted[:, ::-1]))
        measured = [one.measured for one in [*told, *mirrored] if one.kind == "tilted scan"]
        assert measured == [pytest.approx(-8, abs=1), pytest.approx(8, abs=1)]

    def test_a_turned_hand_is_told_with_the_turn_that_puts_it_upright(self):
        before = find_hand(a_hand()).up_degrees
        for degrees in (-90, -30, 40, 170):
            told = [one for one in image_anomalies(turned(a_hand(), degrees)) if one.kind == "rotated"]
            off = (told[0].measured - before + degrees + 180) % 360 - 180
            assert abs(off) < 10

    def test_fingers_and_wrists_that_are_cut_off_are_told(self):
        image = a_hand()
        rows = np.flatnonzero(find_hand(image).mask.any(axis=1)) * SIDE // 320
        without_tips = square(image[rows[0] + 30 :], SIDE)
        hand = find_hand(image)
        wrist = int((hand.centre[1] + 1.1 * hand.palm) * SIDE)
        without_wrist = square(image[:wrist], SIDE)
        assert score_of(image, "cropped") < 0.3
        assert score_of(without_tips, "cropped") > 0.5
        assert score_of(without_wrist, "cropped") > 0.5

    def test_boxes_lie_inside_the_image(self):
        for image in (a_hand()[:, ::-1], cv2.GaussianBlur(a_hand(), (0, 0), 6), a_hand(anomaly="ring")):
            for one in image_anomalies(np.ascontiguousarray(image)):
                if one.box is not None:
                    x, y, width, height = one.box
                    assert width > 0
                    assert height > 0
                    assert x + width <= 1.0 + 1e-9
                    assert y + height <= 1.0 + 1e-9


class TestAnomaly:
    def test_it_refuses_what_no_table_should_hold(self):
        for wrong in (("a ghost", 0.5, None), ("ring", 1.5, None), ("ring", 0.5, (0.0, 0.0, 2.0, 1.0))):
            with pytest.raises(ValueError, match="must be"):
                Anomaly(wrong[0], wrong[1], "why", wrong[2])

    def test_scores_lie_between_the_marks_in_either_direction(self):
        assert [between(value, (10, 40)) for value in (0, 10, 25, 40, 99)] == [0, 0, 0.5, 1, 1]
        assert [between(value, (60, 20)) for value in (99, 60, 40, 20, 0)] == [0, 0, 0.5, 1, 1]

    def test_privacy_and_metal_come_before_what_operators_mend(self):
        order = list(KINDS)
        assert list(KINDS.values()) == sorted(KINDS.values(), reverse=True)
        assert order.index("burnt-in text") < order.index("bracelet") < order.index("frame")
        assert KINDS["right hand"] > KINDS["dark"]


class TestGrowth:
    def cases(self, bone_ages, sex="F", group=10):
        ids = [f"c{at}" for at in range(len(bone_ages))]
        return cases_of(ids, sex=sex, age_group=group, bone_age=bone_ages)

    def test_beyond_two_standard_deviations_of_age_and_sex_is_told(self):
        spread = float(np.hypot(tempo_spread(10.5, "F"), 12**-0.5))
        off = np.array([0.0, 1.9, 2.1, 4.0, -2.1, -4.0])
        found = growth_anomalies(self.cases(10.5 + off * spread))
        assert set(found) == {"c2", "c3", "c4", "c5"}
        assert found["c3"].score == pytest.approx(1.0)
        assert 0.0 < found["c2"].score < 0.5
        assert "ahead of" in found["c2"].why
        assert "behind" in found["c4"].why

    def test_what_is_not_known_says_nothing(self):
        table = self.cases([18.0, 18.0, np.nan])
        table.loc[0, "sex"] = ""
        table.loc[1, "age_group"] = np.nan
        assert growth_anomalies(table) == {}

    def test_a_whole_year_of_age_leaves_a_baby_some_room(self):
        assert growth_anomalies(self.cases([0.0, 0.9], group=0)) == {}


class TestSets:
    def test_the_later_of_two_like_images_names_the_earlier(self):
        rng = np.random.default_rng(5)
        hashes = rng.random((3000, HASH_BITS)) < 0.5
        hashes[2500] = hashes[40]
        hashes[2500, :9] ^= True
        hashes[2900] = hashes[2500]
        # An inverted picture is another one.
        hashes[2950] = ~hashes[7]
        assert near_duplicates(hashes) == [(2500, 40, 9), (2900, 2500, 0)]

    def test_copies_are_found_and_other_hands_are_not(self):
        images = [a_hand(seed, 4.0 + seed) for seed in range(8)]
        data = cv2.imencode(".jpg", images[3], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        images.append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
        images.append(np.uint8(images[5] * 0.8 + 10))
        hashes = np.stack([image_hash(find_hand(image)) for image in images])
        assert [found[:2] for found in near_duplicates(hashes)] == [(8, 3), (9, 5)]

    def test_the_odd_one_out_of_many_hands_is_the_most_unusual(self):
        rng = np.random.default_rng(8)
        ways = rng.normal(size=(8, 640))
        patterns = (rng.normal(size=(LEAST_HANDS + 60, 8)) @ ways + rng.normal(size=(160, 640))).astype(
            np.float32
        )
        patterns[33] += 12 * rng.normal(size=640).astype(np.float32)
        patterns[50] = 0.0
        found = unusual_hands(patterns)
        assert max(found, key=lambda row: found[row].score) == 33
        assert found[33].score == 1.0
        assert 50 not in found
        assert len(found) < 30

    def test_few_hands_tell_nothing_of_what_is_usual(self):
        patterns = np.random.default_rng(0).random((LEAST_HANDS - 1, 640)).astype(np.float32)
        assert unusual_hands(patterns) == {}
        assert unusual_hands(np.ones((LEAST_HANDS + 5, 640), np.float32)) == {}


class TestStage:
    @pytest.fixture(scope="class")
    def found(self, tmp_path_factory):
        images = {f"c{seed}": a_hand(seed, 5.0 + seed) for seed in range(6)}
        images["c2"] = np.ascontiguousarray(images["c2"][:, ::-1])
        images["c4"] = np.uint8(images["c4"] * 0.1)
        folder = saved(tmp_path_factory.mktemp("anomalies") / "images", images)
        (folder / "c3.png").write_bytes(b"no image")
        cv2.imwrite(str(folder / "c5.png"), images["c5"][:300])
        cases = cases_of(["c0", "c1", "c2", "c3", "c4", "c5", "gone"], sex="F", age_group=6, bone_age=6.5)
        cases.loc[1, "bone_age"] = 14.0
        return cases, *find_anomalies(cases, folder)

    def test_the_table_has_its_columns_and_the_most_urgent_first(self, found):
        cases, table, _ = found
        assert list(table) == list(ANOMALY_TABLE)
        urgency = table["kind"].map(KINDS) * table["score"]
        assert urgency.is_monotonic_decreasing
        assert set(table["case_id"]) <= set(cases["case_id"])
        known = set(zip(table["case_id"], table["kind"], strict=True))
        assert {("c1", "growth out of step"), ("c2", "right hand"), ("c4", "dark")} <= known
        boxes = table[["x", "y", "width", "height"]]
        assert (boxes.isna().all(axis=1) | boxes.notna().all(axis=1)).all()

    def test_images_that_are_gone_or_broken_become_rows_not_errors(self, found):
        _, table, skipped = found
        assert list(skipped) == list(SKIPPED_TABLE)
        assert list(skipped["item"]) == ["c3", "c5", "gone"]
        assert skipped["reason"].str.contains("again|leave").all()
        assert (
            not table.loc[table["kind"] != "growth out of step", "case_id"].isin(["c3", "c5", "gone"]).any()
        )

    def test_the_queue_holds_every_case_once_the_urgent_before_the_rest(self, found):
        cases, table, _ = found
        queue = review_queue(table, list(cases["case_id"]))
        assert sorted(queue) == sorted(cases["case_id"])
        assert set(queue[:2]) == {"c1", "c2"}
        silent = [case_id for case_id in cases["case_id"] if case_id not in set(table["case_id"])]
        assert queue[len(queue) - len(silent) :] == silent

    def test_no_case_at_all_is_no_fault(self, tmp_path):
        table, skipped = find_anomalies(cases_of([]), tmp_path)
        assert list(table) == list(ANOMALY_TABLE)
        assert len(table) == len(skipped) == 0
        assert review_queue(table, ["b", "a"]) == ["b", "a"]

    def test_a_search_that_was_stopped_goes_on_and_finds_the_same(self, tmp_path, monkeypatch):
        names = [f"c{seed}" for seed in range(4)]
        folder = saved(tmp_path / "images", {name: a_hand(at, 6.0) for at, name in enumerate(names)})
        cases, kept = cases_of(names), tmp_path / "kept.npz"
        whole, _ = find_anomalies(cases, folder)
        every, looked = parallel.on_all_cores, []

        def stopped(*loop, **words):
            yield from itertools.islice(every(*loop, **words), 3)
            raise KeyboardInterrupt

        def counted(work, jobs, title, **words):
            looked.extend(jobs)
            yield from every(work, jobs, title, **words)

        monkeypatch.setattr(parallel, "on_all_cores", stopped)
        with pytest.raises(KeyboardInterrupt):
            find_anomalies(cases, folder, kept)
        monkeypatch.setattr(parallel, "on_all_cores", counted)
        pd.testing.assert_frame_equal(find_anomalies(cases, folder, kept)[0], whole)
        assert len(looked) == 1
        cv2.imwrite(str(folder / "c1.png"), a_hand(9, 6.0))
        changed, _ = find_anomalies(cases, folder)
        looked.clear()
        pd.testing.assert_frame_equal(find_anomalies(cases, folder, kept)[0], changed)
        assert looked == [1]
        kept.write_bytes(kept.read_bytes()[:999])
        pd.testing.assert_frame_equal(find_anomalies(cases, folder, kept)[0], changed)

    def test_the_table_read_back_makes_the_same_queue(self, found, tmp_path):
        cases, table, _ = found
        table.to_csv(tmp_path / "anomalies.csv", index=False)
        again = pd.read_csv(tmp_path / "anomalies.csv", dtype={"case_id": str})
        assert review_queue(again, list(cases["case_id"])) == review_queue(table, list(cases["case_id"]))


@pytest.mark.slow
def test_drawn_anomalies_stand_in_the_first_tenth_of_the_queue(tmp_path):
    # About twenty ordinary hands for each anomalous one.
    write_phantom_atlas(tmp_path / "atlas", 3, seed=5, anomalies=0.05, height=928)
    cases, _ = read_atlas(tmp_path / "atlas")
    preprocess(cases, tmp_path, 928)
    table, skipped = find_anomalies(cases, tmp_path / IMAGE_FOLDER)
    assert len(skipped) == 0
    queue = review_queue(table, list(cases["case_id"]))
    truth = pd.read_csv(tmp_path / "atlas" / "phantom.csv", dtype=str, keep_default_na=False)
    first = set(queue[: len(queue) // 10])
    for anomaly in ANOMALIES:
        those = truth.loc[truth["anomaly"] == anomaly, "image number"]
        assert len(those) >= 3
        assert those.isin(first).mean() >= 0.95, anomaly


@pytest.mark.slow
@pytest.mark.real_data
def test_findings_on_real_radiographs(real_data, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    bench = importlib.import_module("bench_anomalies")
    findings = bench.read_findings(real_data)
    anomalies, queue, _ = bench.look(real_data, tmp_path)
    stand = bench.standing(anomalies, findings, queue).set_index("finding")
    for finding in ("very_low_contrast", "very_dark", "border_frame", "tilted_scan", "rotated"):
        assert stand.loc[finding, "area"] > 0.95, finding
    assert stand.loc["not_left_pa", "first_20"] > 0.8
    assert bench.share_in_first_fifth(findings, queue) > bench.LEAST_IN_FIRST_FIFTH
