"""The laws of a balanced plan, and photos made from it again bit for bit."""

import errno
import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage import augment
from boneage.augment import balanced_plan, materialise, suggest_operators
from boneage.errors import BoneAgeError
from boneage.operators import parse_operators
from boneage.tables import is_safe_id


def a_photo(seed: int = 0, side: int = 96) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(90, 50, (side, side)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 3) * 2 - 90, 0, 255).astype(np.uint8)


def case_table(rows: list[tuple[int, str, str, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["year", "sex", "race", "split"])
    return table.assign(case_id=[f"C{index}" for index in range(len(table))])


def test_suggestions_follow_the_exposure():
    dark, bright = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    dark[16:48, 16:48], bright[16:48, 16:48] = 40, 230
    assert "brighten" in suggest_operators(dark)
    assert "darken" not in suggest_operators(dark)
    assert "darken" in suggest_operators(bright)
    assert "brighten" not in suggest_operators(bright)
    assert "clahe" in suggest_operators(dark)
    assert "flip" not in suggest_operators(dark, laterality_matters=True)


CASES = st.lists(
    st.tuples(
        st.integers(0, 19),
        st.sampled_from("FM"),
        st.sampled_from(["Asian", "Caucasian", "Unknown"]),
        st.sampled_from(["train", "train", "train", "validation", "test"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(rows=CASES, more=st.integers(0, 300), seed=st.integers(0, 9))
def test_laws_of_any_plan(rows, more, seed):
    cases = case_table(rows)
    training = cases["split"] == "train"
    total = len(cases) + (more if training.any() else 0)
    plan, _ = balanced_plan(cases, total, seed=seed)
    assert len(plan) == total
    assert not plan.duplicated(["case_id", "operators"]).any()
    assert plan["photo_id"].str.casefold().is_unique
    assert plan["photo_id"].map(is_safe_id).all()
    untouched = plan[plan["operators"] == "[]"]
    assert sorted(untouched["case_id"]) == sorted(cases["case_id"])
    assert (untouched["photo_id"] == untouched["case_id"]).all()
    assert (plan.loc[plan["operators"] != "[]", "split"] == "train").all()
    facts = cases.set_index("case_id").loc[plan["case_id"]]
    assert (plan["split"].to_numpy() == facts["split"].to_numpy()).all()
    for operators in plan["operators"]:
        parse_operators(operators)
    # A year that got copies is at most one above any year that could have had another.
    years = facts["year"].value_counts()
    grown = [year for year in years.index if years[year] > (cases["year"] == year).sum()]
    open_years = cases.loc[training, "year"].unique()
    for year in grown:
        assert years[year] <= min(years[other] for other in open_years) + 1
    shuffled, _ = balanced_plan(cases.sample(frac=1, random_state=seed), total, seed=seed)
    pd.testing.assert_frame_equal(plan, shuffled)


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


def test_few_cases_are_said_and_their_share_goes_to_the_others():
    rows = [(3, "F", "Asian", "train")] * 4 + [(4, "F", "Asian", "test"), (5, "M", "Asian", "train")]
    plan, notices = balanced_plan(case_table(rows), 41)
    assert plan["case_id"].isin(["C0", "C1", "C2", "C3"]).sum() == 20
    assert len(notices) == 2
    assert "year 4" in notices[0]
    assert "one training case" in notices[1]


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
    assert len(list((tmp_path / "out").iterdir())) == 22


def test_the_source_folder_is_never_written_to(grown):
    plan, photos = grown
    with pytest.raises(BoneAgeError, match="choose another folder"):
        materialise(plan, photos, photos)
