"""The laws of a balanced plan, and photos made from it again bit for bit."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_disk import fill, small_disk

from boneage import augment
from boneage.augment import balanced_plan, materialise, suggest_for, suggest_operators
from boneage.errors import BoneAgeError
from boneage.operators import apply_operators, format_operators, parse_operators
from boneage.review import ReviewLog, apply_log
from boneage.tables import is_safe_id

BOX = {"name": "blank", "x": 0.6, "y": 0.1, "width": 0.3, "height": 0.15}
FLIP = {"name": "flip"}
OTHER_BOX = {"name": "blank", "x": 0.0, "y": 0.9, "width": 0.2, "height": 0.1}


def a_photo(seed: int = 0, side: int = 96) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(90, 50, (side, side)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 3) * 2 - 90, 0, 255).astype(np.uint8)


def case_table(rows: list[tuple[int, str, str, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["year", "sex", "race", "split"])
    return table.assign(case_id=[f"C{index}" for index in range(len(table))])


def a_hand(shade: int, left: int = 70, top: int = 50, askew: float = 0, detail: int = 60) -> np.ndarray:
    """A bright bar up from the lower edge on a dark ground, with stripes in it; uint8, (232, 232)."""
    photo = np.full((232, 232), 10, np.uint8)
    photo[top:, left : 232 - left] = shade
    for stripe in range(left, 232 - left, 12):
        photo[top:, stripe : stripe + 4] = min(255, shade + detail)
    turn = cv2.getRotationMatrix2D((116, 150), askew, 1.0)
    return cv2.warpAffine(photo, turn, (232, 232), borderValue=10)


def test_suggestions_follow_the_exposure():
    dark, medium, bright = (suggest_operators(a_hand(shade)) for shade in (45, 100, 160))
    assert {"brighten", "gamma lighter"} <= set(dark)
    assert not {"darken", "gamma darker"} & set(dark)
    assert {"brighten", "gamma lighter", "darken", "gamma darker"} <= set(medium)
    assert {"darken", "gamma darker"} <= set(bright)
    assert not {"brighten", "gamma lighter"} & set(bright)
    assert "flip" not in suggest_operators(a_hand(100), laterality_matters=True)
    # Bones that are nearly white already would be cut off.
    assert "brighten" not in suggest_operators(a_hand(100, detail=140))


def test_a_flat_photo_gets_contrast_and_never_less_of_it():
    flat, clear = suggest_operators(a_hand(40, detail=20)), suggest_operators(a_hand(40, detail=120))
    assert {"clahe", "contrast up"} <= set(flat)
    assert "contrast" not in flat
    assert "contrast" in clear
    assert not {"clahe", "contrast up"} & set(clear)


def test_suggestions_follow_the_pose():
    def turned(photo: np.ndarray) -> str:
        (name,) = {"rotate", "tilt"} & set(suggest_operators(photo))
        return name

    assert turned(a_hand(100)) == "rotate"
    # It fills the square to its edges, or lies askew already.
    assert turned(a_hand(100, left=10, top=5)) == "tilt"
    assert turned(a_hand(100, left=90, top=80, askew=20)) == "tilt"
    assert turned(a_hand(100, left=90, top=80, askew=-20)) == "tilt"
    assert turned(a_hand(100, left=90, top=80, askew=8)) == "rotate"


@pytest.mark.parametrize("shade", [0, 10, 255])
def test_a_photo_of_nothing_gets_suggestions_too(shade):
    assert suggest_operators(np.full((64, 64), shade, np.uint8))


@settings(deadline=None, max_examples=60)
@given(shade=st.integers(15, 250), detail=st.integers(0, 150))
def test_a_suggested_change_of_exposure_keeps_the_hand_in_the_range_of_real_ones(shade, detail):
    photo = a_hand(shade, detail=detail)
    hand = photo > 10
    least, most = augment._MIDDLE_SHADES
    before = np.median(photo[hand])
    for name in suggest_operators(photo):
        operator, values = augment._DRAWN[name]
        if operator in ("brightness", "gamma"):
            for value in (values[0], values[-1]):
                recipe = [{"name": operator, augment._NEUTRAL[operator][0]: value}]
                after = np.median(apply_operators(photo, recipe)[hand])
                assert min(least, before) - 2 <= after <= max(most, before) + 2


CHOSEN = st.lists(
    st.sampled_from(
        [
            BOX,
            OTHER_BOX,
            {"name": "flip"},
            {"name": "invert"},
            {"name": "rotate", "degrees": 7.25},
            {"name": "rotate", "degrees": 0},
            {"name": "rotate", "degrees": 180},
            {"name": "brightness", "shades": 20},
            {"name": "gamma", "power": 0.8},
            {"name": "sharpen", "amount": 3},
        ]
    ),
    max_size=5,
)
CASES = st.lists(
    st.tuples(
        st.integers(0, 19),
        st.sampled_from("FM"),
        st.sampled_from(["Asian", "Caucasian", "Unknown"]),
        st.sampled_from(["train", "train", "train", "validation", "test"]),
        st.one_of(st.just([]), CHOSEN),
    ),
    min_size=1,
    max_size=40,
)


def boxes_of(operators: str) -> list[dict]:
    return [operator for operator in parse_operators(operators) if operator["name"] == "blank"]


@settings(deadline=None, max_examples=80)
@given(rows=CASES, more=st.integers(0, 300), lateral=st.booleans(), seed=st.integers(0, 9))
def test_laws_of_any_plan(rows, more, lateral, seed):
    cases = case_table([row[:4] for row in rows])
    cases = cases.assign(operators=[format_operators(row[4]) for row in rows])
    training = cases["split"] == "train"
    total = len(cases) + (more if training.any() else 0)
    try:
        plan, _ = balanced_plan(cases, total, laterality_matters=lateral, seed=seed)
    except BoneAgeError as error:
        # A person who allows a single operator allows few photos.
        most = int(str(error).split(" different")[0].rsplit(" ", 1)[1])
        assert len(cases) <= most < total
        total = most
        plan, _ = balanced_plan(cases, total, laterality_matters=lateral, seed=seed)
    assert len(plan) == total
    assert not plan.duplicated(["case_id", "operators"]).any()
    assert plan["photo_id"].str.casefold().is_unique
    assert plan["photo_id"].map(is_safe_id).all()
    of_case = cases.set_index("case_id")
    facts = of_case.loc[plan["case_id"]]
    # Every box is on every photo of its case, before all else; the untouched photo has nothing else.
    for operators, chosen in zip(plan["operators"], facts["operators"], strict=True):
        boxes = boxes_of(chosen)
        assert parse_operators(operators)[: len(boxes)] == boxes
        assert len(boxes_of(operators)) == len(boxes)
    first = plan[plan["photo_id"] == plan["case_id"]]
    assert sorted(first["case_id"]) == sorted(cases["case_id"])
    assert first["operators"].tolist() == [
        format_operators(boxes_of(chosen)) for chosen in of_case.loc[first["case_id"], "operators"]
    ]
    copies = plan[plan["photo_id"] != plan["case_id"]]
    assert (copies["split"] == "train").all()
    assert (plan["split"].to_numpy() == facts["split"].to_numpy()).all()
    names = [{operator["name"] for operator in parse_operators(text)} for text in copies["operators"]]
    assert not (lateral and any("flip" in of_copy for of_copy in names))
    # The first copy may be a person's own; those that are drawn change the exposure in one way.
    drawn = [of_copy for of_copy, more in zip(names, copies["case_id"].duplicated(), strict=True) if more]
    assert not any({"brightness", "gamma"} <= of_copy for of_copy in drawn)
    for case_id, of_copy in zip(copies["case_id"], names, strict=True):
        chosen = {operator["name"] for operator in parse_operators(of_case.at[case_id, "operators"])}
        if chosen - {"blank"}:
            assert of_copy <= chosen
    # A year that got copies is at most one above any year that could have had another.
    years = facts["year"].value_counts()
    grown = [year for year in years.index if years[year] > (cases["year"] == year).sum()]
    full = most_of_years(cases, lateral)
    for year in grown:
        for other in years.index:
            assert years[year] <= years[other] + 1 or years[other] == full[other]
    shuffled, _ = balanced_plan(
        cases.sample(frac=1, random_state=seed), total, laterality_matters=lateral, seed=seed
    )
    pd.testing.assert_frame_equal(plan, shuffled)


def most_of_years(cases: pd.DataFrame, lateral: bool) -> dict[int, int]:
    """The most photos of each year, by asking for too many of it."""
    most = {}
    for year, group in cases.groupby("year"):
        with pytest.raises(BoneAgeError, match="different") as refused:
            balanced_plan(group, 10**9, laterality_matters=lateral)
        most[year] = int(str(refused.value).split(" different")[0].rsplit(" ", 1)[1])
    return most


def test_what_a_person_chose_makes_the_first_copy_and_the_others_stay_on_its_side():
    cases = case_table([(3, "F", "Asian", "train")]).assign(
        operators=format_operators(
            [{"name": "gamma", "power": 0.83}, BOX, {"name": "brightness", "shades": 20}, FLIP]
        )
    )
    plan, _ = balanced_plan(cases, 80, allowed={"C0": ["rotate"]})
    recipes = [parse_operators(text) for text in plan["operators"]]
    assert recipes[0] == [BOX]
    assert recipes[1] == [
        BOX,
        {"name": "gamma", "power": 0.83},
        {"name": "brightness", "shades": 20},
        FLIP,
    ]
    drawn = {}
    for recipe in recipes[1:]:
        for operator in recipe[1:]:
            drawn.setdefault(operator["name"], set()).update(set(operator.values()) - {operator["name"]})
    assert set(drawn) == {"gamma", "brightness", "flip"}
    assert min(drawn["brightness"]) > 0
    assert 20 in drawn["brightness"]
    assert max(drawn["gamma"]) < 1
    assert 0.83 in drawn["gamma"]


def test_a_photo_turned_upright_is_turned_about_upright_in_every_copy():
    chosen = [{"name": "rotate", "degrees": 180}, {"name": "clahe", "clip": 2}]
    cases = case_table([(3, "F", "Asian", "train")]).assign(operators=format_operators(chosen))
    plan, _ = balanced_plan(cases, 50)
    recipes = [parse_operators(text) for text in plan["operators"][1:]]
    assert recipes[0] == chosen
    turns = [recipe[0]["degrees"] for recipe in recipes]
    assert all(180 - abs(turn) <= augment.MOST_DEGREES for turn in turns)
    assert any(len(recipe) == 1 for recipe in recipes)


def test_more_operators_than_are_drawn_together_still_make_the_first_copy():
    chosen = [
        {"name": "flip"},
        {"name": "invert"},
        {"name": "sharpen", "amount": 1},
        {"name": "clahe", "clip": 2},
    ]
    cases = case_table([(3, "F", "Asian", "train")]).assign(operators=format_operators(chosen))
    plan, _ = balanced_plan(cases, 20)
    assert plan["operators"][1] == format_operators(chosen)
    with pytest.raises(BoneAgeError, match="different") as refused:
        balanced_plan(cases, 10**6)
    most = int(str(refused.value).split(" different")[0].rsplit(" ", 1)[1])
    assert not balanced_plan(cases, most)[0].duplicated(["operators"]).any()


def test_a_faulty_operators_cell_names_its_case():
    cases = case_table([(3, "F", "Asian", "test")]).assign(operators='[{"name": "swirl"}]')
    with pytest.raises(BoneAgeError, match=r"case C0: operator 'swirl'"):
        balanced_plan(cases, 1)


def test_the_years_of_the_atlas_get_389_or_390_photos_each():
    races = ["Asian", "African American", "Caucasian", "Hispanic American"]
    splits = ["train"] * 7 + ["validation", "test"]
    rows = [(index % 19, "FM"[index % 2], races[index % 4], splits[index % 9]) for index in range(1390)]
    cases = case_table(rows)
    plan, notices = balanced_plan(cases)
    facts = cases.set_index("case_id").loc[plan["case_id"]]
    assert set(facts["year"].value_counts()) == {389, 390}
    assert not notices
    sexes = facts.groupby(["year", "sex"]).size().unstack()
    assert (sexes["F"] - sexes["M"]).abs().max() <= 1
    of_race = facts.groupby(["year", "sex", "race"]).size().unstack()
    assert ((of_race.max(axis=1) - of_race.min(axis=1)) <= 1).all()


def test_few_cases_are_said_and_their_share_goes_to_the_others():
    rows = [(3, "F", "Asian", "train")] * 4 + [(4, "F", "Asian", "test"), (5, "M", "Asian", "train")]
    plan, notices = balanced_plan(case_table(rows), 41)
    assert plan["case_id"].isin(["C0", "C1", "C2", "C3"]).sum() == 20
    assert len(notices) == 2
    assert "year 4" in notices[0]
    assert "one training case" in notices[1]


def test_a_year_over_its_share_and_a_year_of_few_operators_are_said():
    rows = (
        [(3, "F", "Asian", "test")] * 9 + [(4, "F", "Asian", "train")] * 2 + [(5, "F", "Asian", "train")] * 2
    )
    cases = case_table(rows)
    only_flips = {case_id: ["flip"] for case_id in ("C9", "C10")}
    plan, notices = balanced_plan(cases.assign(split=["train", *cases["split"][1:]]), 30, only_flips)
    assert len(plan) == 30
    assert notices[0] == "year 3: 13 photos; all copies are of one training case"
    assert notices[1] == "year 4: 4 photos; its cases allow too few operators for its share of 10"
    _, notices = balanced_plan(cases.assign(split="train"), len(cases) + 1)
    assert notices[0] == "year 3: 9 cases, more than its share of 4; none is copied"
    _, notices = balanced_plan(cases.assign(split="train"), len(cases))
    assert not notices, "nothing is grown, so no year falls short"


def test_a_plan_that_cannot_be_is_refused():
    cases = case_table([(3, "F", "Asian", "train")] * 2)
    with pytest.raises(BoneAgeError, match="fewer than"):
        balanced_plan(cases, 1)
    with pytest.raises(BoneAgeError, match="4 different"):
        balanced_plan(cases, 5, allowed={"C0": ["flip"], "C1": ["invert"]})
    with pytest.raises(BoneAgeError, match="2 different"):
        balanced_plan(cases, 3, allowed={"C0": ["flip"], "C1": ["flip"]}, laterality_matters=True)
    with pytest.raises(BoneAgeError, match="swirl"):
        balanced_plan(cases, 3, allowed={"C0": ["swirl"]})
    with pytest.raises(BoneAgeError, match="twice"):
        balanced_plan(cases.assign(case_id="A"), 3)


def test_ids_keep_clear_of_each_other():
    cases = case_table([(3, "F", "Asian", "train")] * 2).assign(case_id=["A", "a-001"])
    plan, _ = balanced_plan(cases, 12)
    assert plan["photo_id"].str.casefold().is_unique
    long, _ = balanced_plan(cases.assign(case_id=["x" * 64, "x" * 63 + "y"]), 40)
    assert long["photo_id"].is_unique
    assert long["photo_id"].map(is_safe_id).all()


@pytest.fixture
def grown(tmp_path: Path) -> tuple[pd.DataFrame, Path]:
    cases = case_table([(3, "F", "Asian", "train")] * 3 + [(4, "M", "Asian", "test")])
    photos = tmp_path / "photos"
    photos.mkdir()
    for index, case_id in enumerate(cases["case_id"]):
        cv2.imwrite(str(photos / f"{case_id}.png"), a_photo(index))
    return balanced_plan(cases, 20)[0], photos


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_materialising_twice_gives_the_same_bytes(grown, tmp_path):
    plan, photos = grown
    report = materialise(plan, photos, tmp_path / "one")
    materialise(plan.sample(frac=1, random_state=1), photos, tmp_path / "two")
    assert (report["status"] == "ok").all()
    assert list(report["photo_id"]) == list(plan["photo_id"])
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "two")
    assert len(one) == 20
    assert one["C0.png"] == (photos / "C0.png").read_bytes()


def test_it_resumes_and_outlives_its_source(grown, tmp_path, monkeypatch):
    plan, photos = grown
    out = tmp_path / "out"
    materialise(plan, photos, out)
    first = contents(out)
    (out / "C1.png").unlink()
    made = []
    make = augment._make
    monkeypatch.setattr(augment, "_make", lambda job: (made.append(job.photo_id), make(job))[1])
    materialise(plan, photos, out)
    assert made == ["C1"]
    assert contents(out) == first
    photos.rename(tmp_path / "gone")
    assert (materialise(plan, photos, out)["status"] == "ok").all()
    assert contents(out) == first
    materialise(plan[:5], photos, out)
    assert len(contents(out)) == 5


def test_faulty_rows_are_skipped_with_a_reason_and_the_rest_goes_on(grown, tmp_path):
    plan, photos = grown
    plan = plan[plan["case_id"] != "C0"].reset_index(drop=True)
    (photos / "C1.png").unlink()
    plan.loc[len(plan)] = ["bad-json", "C2", "train", "[{"]
    plan.loc[len(plan)] = ["bad-name", "C2", "train", json.dumps([{"name": "swirl"}])]
    plan.loc[len(plan)] = ["../climbs", "C2", "train", "[]"]
    report = materialise(plan, photos, tmp_path / "out").set_index("photo_id")
    assert "not JSON" in report.loc["bad-json", "reason"]
    assert "swirl" in report.loc["bad-name", "reason"]
    assert "cannot name a file" in report.loc["../climbs", "reason"]
    assert "cannot be read" in report.loc["C1", "reason"]
    assert (report.loc[plan.loc[plan["case_id"].eq("C3"), "photo_id"], "status"] == "ok").all()
    skipped = pd.read_csv(tmp_path / "out" / augment.SKIPPED_NAME)
    assert len(skipped) == (report["status"] == "skipped").sum()
    assert not (tmp_path / "climbs.png").exists()


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(grown, tmp_path, monkeypatch):
    plan, photos = grown
    replace = augment.atomic_write.__globals__["os"].replace

    def full(source, target):
        if str(target).endswith("C2.png"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("boneage.files.os.replace", full)
    with pytest.raises(BoneAgeError, match="disk is full"):
        materialise(plan, photos, tmp_path / "out")
    assert all(cv2.imread(str(path)) is not None for path in (tmp_path / "out").glob("*.png"))
    monkeypatch.undo()
    assert (materialise(plan, photos, tmp_path / "out")["status"] == "ok").all()
    names = {path.name for path in (tmp_path / "out").iterdir()} - set(contents(tmp_path / "out"))
    assert names == {augment.RECORD_NAME, augment.SKIPPED_NAME, augment.LOCK_NAME}
    assert len(contents(tmp_path / "out")) == 20


def test_what_a_box_hides_is_nowhere_in_the_grown_set(tmp_path):
    """Two photos that differ only under the box give the same grown set, byte for byte."""
    cases = case_table([(3, "F", "Asian", split) for split in ("train", "validation", "test")])
    log = ReviewLog(tmp_path / "log.csv")
    for case_id in cases["case_id"]:
        log.append(case_id, "keep", operators=[{"name": "rotate", "degrees": 4}, OTHER_BOX, FLIP, BOX])
    accepted, _, _ = apply_log(cases, log)
    plan, _ = balanced_plan(accepted, 50)
    made = []
    for secret in (0, 255):
        photos = tmp_path / f"photos-{secret}"
        photos.mkdir()
        for index, case_id in enumerate(cases["case_id"]):
            photo = a_photo(index, 100)
            photo[10:25, 60:90] = secret
            photo[90:100, 0:20] = secret
            cv2.imwrite(str(photos / f"{case_id}.png"), photo)
        materialise(plan, photos, tmp_path / f"grown-{secret}")
        made.append(contents(tmp_path / f"grown-{secret}"))
    assert len(made[0]) == 50
    assert made[0] == made[1]


def test_a_box_drawn_later_takes_the_unblanked_photos_away_even_if_the_source_is_gone(grown, tmp_path):
    plan, photos = grown
    out = tmp_path / "out"
    materialise(plan, photos, out)
    boxed = plan.assign(
        operators=[
            format_operators([BOX, *parse_operators(text)]) if case_id == "C0" else text
            for case_id, text in zip(plan["case_id"], plan["operators"], strict=True)
        ]
    )
    (photos / "C0.png").unlink()
    report = materialise(boxed, photos, out)
    gone = plan.loc[plan["case_id"] == "C0", "photo_id"].tolist()
    assert (report.set_index("photo_id").loc[gone, "status"] == "skipped").all()
    assert not [name for name in contents(out) if Path(name).stem in gone]
    # Nor does it hold on to one that no record tells of.
    (out / augment.RECORD_NAME).unlink()
    (out / "C0.png").write_bytes((photos / "C1.png").read_bytes())
    materialise(boxed, photos, out)
    assert "C0.png" not in contents(out)


def test_photos_of_an_interrupted_run_are_known_to_the_next(grown, tmp_path, monkeypatch):
    plan, photos = grown
    out = tmp_path / "out"
    make = augment._make

    def stops(job):
        if job.photo_id == plan["photo_id"].iloc[-1]:
            raise KeyboardInterrupt
        return make(job)

    monkeypatch.setattr(augment, "_make", stops)
    # A killed process saves nothing on its way out.
    save = augment._save
    saves = []
    monkeypatch.setattr(
        augment, "_save", lambda *found: saves.append(1) or (len(saves) == 1 and save(*found))
    )
    with pytest.raises(KeyboardInterrupt):
        materialise(plan, photos, out)
    monkeypatch.undo()
    assert len(contents(out)) > 0
    materialise(plan[plan["case_id"] == "C1"], photos, out)
    assert {name[:2] for name in contents(out)} == {"C1"}


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_the_number_of_cores_changes_no_byte(grown, tmp_path, monkeypatch, cores):
    plan, photos = grown
    materialise(plan, photos, tmp_path / "one")
    monkeypatch.setattr("boneage.runtime.os.cpu_count", lambda: cores)
    materialise(plan, photos, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_killed_in_the_middle_it_makes_the_same_set_again(grown, tmp_path):
    plan, photos = grown
    plan = pd.concat(
        [plan.assign(photo_id=[f"{name}-{part}" for name in plan["photo_id"]]) for part in range(20)]
    )
    plan.to_csv(tmp_path / "plan.csv", index=False)
    materialise(plan, photos, tmp_path / "whole")
    out = tmp_path / "out"
    code = (
        "import sys; from boneage import augment; from boneage.tables import read_table, PLAN_COLUMNS\n"
        "augment._PHOTOS_BETWEEN_SAVES = 20\n"
        "augment.materialise(read_table(sys.argv[1], PLAN_COLUMNS), sys.argv[2], sys.argv[3])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "plan.csv"), str(photos), str(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None and len(list(out.glob("[!.]*.png"))) < 60:
            time.sleep(0.002)
        run.kill()
    record = pd.read_csv(out / augment.RECORD_NAME, dtype=str, keep_default_na=False)
    recorded = set(record.loc[record["status"] == "ok", "photo_id"])
    assert 20 <= len(recorded) < len(plan)
    (out / ".C0-3-a1b2c3d4.png").write_bytes(b"half a photo")
    made = []
    make = augment._make
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augment, "_make", lambda job: (made.append(job.photo_id), make(job))[1])
        materialise(plan, photos, out)
    assert set(made) == set(plan["photo_id"]) - recorded
    assert contents(out) == contents(tmp_path / "whole")


def test_a_second_run_in_the_same_folder_is_refused(grown, tmp_path, monkeypatch):
    plan, photos = grown
    refused = []
    make = augment._make

    def meanwhile(job):
        if not refused:
            with pytest.raises(BoneAgeError, match="another run") as caught:
                materialise(plan, photos, tmp_path / "out")
            refused.append(caught)
        return make(job)

    monkeypatch.setattr(augment, "_make", meanwhile)
    assert (materialise(plan, photos, tmp_path / "out")["status"] == "ok").all()
    assert refused


def test_a_really_full_disk_is_one_line_and_the_set_is_finished_once_there_is_room(grown, tmp_path):
    plan, photos = grown
    materialise(plan, photos, tmp_path / "whole")
    with small_disk(tmp_path / "disk") as disk:
        ballast = fill(disk)
        os.truncate(ballast, ballast.stat().st_size - 60_000)
        with pytest.raises(BoneAgeError, match="disk is full") as caught:
            materialise(plan, photos, disk / "out")
        assert "\n" not in str(caught.value)
        made = contents(disk / "out")
        assert 0 < len(made) < len(plan)
        assert made.items() <= contents(tmp_path / "whole").items()
        ballast.unlink()
        assert (materialise(plan, photos, disk / "out")["status"] == "ok").all()
        assert contents(disk / "out") == contents(tmp_path / "whole")


def test_suggestions_for_many_photos_report_what_cannot_be_read(grown):
    _, photos = grown
    (photos / "C1.png").write_bytes(b"no photo")
    allowed, faults = suggest_for(["C3", "C1", "C0", "gone"], photos)
    assert list(allowed) == ["C3", "C0"]
    assert allowed["C0"] == suggest_operators(a_photo(0))
    assert faults["item"].tolist() == ["C1", "gone"]
    assert "flip" not in suggest_for(["C0"], photos, laterality_matters=True)[0]["C0"]


def test_the_source_folder_is_never_written_to(grown):
    plan, photos = grown
    with pytest.raises(BoneAgeError, match="choose another folder"):
        materialise(plan, photos, photos)
