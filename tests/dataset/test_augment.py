"""Images made from a plan again bit for bit, whatever happens meanwhile."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from small_disk import fill, small_disk

from boneage.core.errors import BoneAgeError
from boneage.dataset import augment as augmenting
from boneage.dataset.augment import augment
from boneage.dataset.plan import balanced_plan
from boneage.dataset.suggestions import suggest_augmentations, suggest_for
from boneage.images.operators import format_corrections
from boneage.review.applying import apply_log
from boneage.review.log import ReviewLog

BOX = {"name": "blank", "x": 0.6, "y": 0.1, "width": 0.3, "height": 0.15}
FLIP = {"name": "flip"}
OTHER_BOX = {"name": "blank", "x": 0.0, "y": 0.9, "width": 0.2, "height": 0.1}


def an_image(seed: int = 0, side: int = 96) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(90, 50, (side, side)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 3) * 2 - 90, 0, 255).astype(np.uint8)


def case_table(rows: list[tuple[int, str, str, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["year", "sex", "race", "split"])
    return table.assign(case_id=[f"C{index}" for index in range(len(table))])


@pytest.fixture
def grown(tmp_path: Path) -> tuple[pd.DataFrame, Path]:
    cases = case_table([(3, "F", "Asian", "train")] * 3 + [(4, "M", "Asian", "test")])
    images = tmp_path / "images"
    images.mkdir()
    for index, case_id in enumerate(cases["case_id"]):
        cv2.imwrite(str(images / f"{case_id}.png"), an_image(index))
    return balanced_plan(cases, 20)[0], images


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_augmenting_twice_gives_the_same_bytes(grown, tmp_path):
    plan, images = grown
    report = augment(plan, images, tmp_path / "one")
    augment(plan.sample(frac=1, random_state=1), images, tmp_path / "two")
    assert (report["status"] == "ok").all()
    assert list(report["image_id"]) == list(plan["image_id"])
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "two")
    assert len(one) == 20
    assert one["C0.png"] == (images / "C0.png").read_bytes()


def test_it_resumes_and_outlives_its_source(grown, tmp_path, monkeypatch):
    plan, images = grown
    out = tmp_path / "out"
    augment(plan, images, out)
    first = contents(out)
    (out / "C1.png").unlink()
    made = []
    make = augmenting._make
    monkeypatch.setattr(augmenting, "_make", lambda job: (made.append(job.image_id), make(job))[1])
    augment(plan, images, out)
    assert made == ["C1"]
    assert contents(out) == first
    images.rename(tmp_path / "gone")
    assert (augment(plan, images, out)["status"] == "ok").all()
    assert contents(out) == first
    augment(plan[:5], images, out)
    assert len(contents(out)) == 5


def test_faulty_rows_are_skipped_with_a_reason_and_the_rest_goes_on(grown, tmp_path):
    plan, images = grown
    plan = plan[plan["case_id"] != "C0"].reset_index(drop=True)
    (images / "C1.png").unlink()
    plan.loc[len(plan)] = ["bad-json", "C2", "train", "[{", "[]"]
    plan.loc[len(plan)] = ["bad-name", "C2", "train", "[]", json.dumps([{"name": "swirl"}])]
    plan.loc[len(plan)] = ["../climbs", "C2", "train", "[]", "[]"]
    report = augment(plan, images, tmp_path / "out").set_index("image_id")
    assert "not JSON" in report.loc["bad-json", "reason"]
    assert "swirl" in report.loc["bad-name", "reason"]
    assert "cannot name a file" in report.loc["../climbs", "reason"]
    assert "cannot be read" in report.loc["C1", "reason"]
    assert (report.loc[plan.loc[plan["case_id"].eq("C3"), "image_id"], "status"] == "ok").all()
    skipped = pd.read_csv(tmp_path / "out" / augmenting.SKIPPED_NAME)
    assert len(skipped) == (report["status"] == "skipped").sum()
    assert not (tmp_path / "climbs.png").exists()


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(grown, tmp_path, monkeypatch):
    plan, images = grown
    replace = augmenting.atomic_write.__globals__["os"].replace

    def full(source, target):
        if str(target).endswith("C2.png"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("boneage.core.files.os.replace", full)
    with pytest.raises(BoneAgeError, match="disk is full"):
        augment(plan, images, tmp_path / "out")
    assert all(cv2.imread(str(path)) is not None for path in (tmp_path / "out").glob("*.png"))
    monkeypatch.undo()
    assert (augment(plan, images, tmp_path / "out")["status"] == "ok").all()
    names = {path.name for path in (tmp_path / "out").iterdir()} - set(contents(tmp_path / "out"))
    assert names == {augmenting.RECORD_NAME, augmenting.SKIPPED_NAME, augmenting.LOCK_NAME}
    assert len(contents(tmp_path / "out")) == 20


def test_what_a_box_hides_is_nowhere_in_the_augmented_set(tmp_path):
    """Two images that differ only under the box give the same augmented set, byte for byte."""
    cases = case_table([(3, "F", "Asian", split) for split in ("train", "validation", "test")])
    log = ReviewLog(tmp_path / "log.csv")
    for case_id in cases["case_id"]:
        log.append(case_id, "keep", corrections=[{"name": "rotate", "degrees": 4}, OTHER_BOX, FLIP, BOX])
    accepted, _, _ = apply_log(cases, log)
    plan, _ = balanced_plan(accepted, 50)
    made = []
    for secret in (0, 255):
        images = tmp_path / f"images-{secret}"
        images.mkdir()
        for index, case_id in enumerate(cases["case_id"]):
            image = an_image(index, 100)
            image[10:25, 60:90] = secret
            image[90:100, 0:20] = secret
            cv2.imwrite(str(images / f"{case_id}.png"), image)
        augment(plan, images, tmp_path / f"grown-{secret}")
        made.append(contents(tmp_path / f"grown-{secret}"))
    assert len(made[0]) == 50
    assert made[0] == made[1]


def test_a_box_drawn_later_takes_the_unblanked_images_away_even_if_the_source_is_gone(grown, tmp_path):
    plan, images = grown
    out = tmp_path / "out"
    augment(plan, images, out)
    boxed = plan.assign(
        corrections=plan["corrections"].mask(plan["case_id"] == "C0", format_corrections([BOX]))
    )
    (images / "C0.png").unlink()
    report = augment(boxed, images, out)
    gone = plan.loc[plan["case_id"] == "C0", "image_id"].tolist()
    assert (report.set_index("image_id").loc[gone, "status"] == "skipped").all()
    assert not [name for name in contents(out) if Path(name).stem in gone]
    # Nor does it hold on to one that no record tells of.
    (out / augmenting.RECORD_NAME).unlink()
    (out / "C0.png").write_bytes((images / "C1.png").read_bytes())
    augment(boxed, images, out)
    assert "C0.png" not in contents(out)


def test_images_of_an_interrupted_run_are_known_to_the_next(grown, tmp_path, monkeypatch):
    plan, images = grown
    out = tmp_path / "out"
    make = augmenting._make

    def stops(job):
        if job.image_id == plan["image_id"].iloc[-1]:
            raise KeyboardInterrupt
        return make(job)

    monkeypatch.setattr(augmenting, "_make", stops)
    # A killed process saves nothing on its way out.
    save = augmenting._save
    saves = []
    monkeypatch.setattr(
        augmenting, "_save", lambda *found: saves.append(1) or (len(saves) == 1 and save(*found))
    )
    with pytest.raises(KeyboardInterrupt):
        augment(plan, images, out)
    monkeypatch.undo()
    assert len(contents(out)) > 0
    augment(plan[plan["case_id"] == "C1"], images, out)
    assert {name[:2] for name in contents(out)} == {"C1"}


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_the_number_of_cores_changes_no_byte(grown, tmp_path, monkeypatch, cores):
    plan, images = grown
    augment(plan, images, tmp_path / "one")
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    augment(plan, images, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_killed_in_the_middle_it_makes_the_same_set_again(grown, tmp_path):
    plan, images = grown
    plan = pd.concat(
        [plan.assign(image_id=[f"{name}-{part}" for name in plan["image_id"]]) for part in range(20)]
    )
    plan.to_csv(tmp_path / "plan.csv", index=False)
    augment(plan, images, tmp_path / "whole")
    out = tmp_path / "out"
    code = (
        "import itertools, os, signal, sys; from boneage.dataset import augment as augmenting\n"
        "from boneage.core.tables import read_table, PLAN_TABLE\n"
        "from boneage.core import parallel\n"
        "parallel.SECONDS_BETWEEN_SAVES = 0.0\n"
        "make, count = augmenting._make, itertools.count()\n"
        "def make_or_die(job):\n"
        "    if next(count) == 200:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return make(job)\n"
        "augmenting._make = make_or_die\n"
        "augmenting.augment(read_table(sys.argv[1], PLAN_TABLE), sys.argv[2], sys.argv[3])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "plan.csv"), str(images), str(out)]
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    record = pd.read_csv(out / augmenting.RECORD_NAME, dtype=str, keep_default_na=False)
    recorded = set(record.loc[record["status"] == "ok", "image_id"])
    assert 20 <= len(recorded) < len(plan)
    (out / ".C0-3-a1b2c3d4.png").write_bytes(b"half an image")
    made = []
    make = augmenting._make
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augmenting, "_make", lambda job: (made.append(job.image_id), make(job))[1])
        augment(plan, images, out)
    assert set(made) == set(plan["image_id"]) - recorded
    assert contents(out) == contents(tmp_path / "whole")


def test_a_second_run_in_the_same_folder_is_refused(grown, tmp_path, monkeypatch):
    plan, images = grown
    refused = []
    make = augmenting._make

    def meanwhile(job):
        if not refused:
            with pytest.raises(BoneAgeError, match="another run") as caught:
                augment(plan, images, tmp_path / "out")
            refused.append(caught)
        return make(job)

    monkeypatch.setattr(augmenting, "_make", meanwhile)
    assert (augment(plan, images, tmp_path / "out")["status"] == "ok").all()
    assert refused


def test_a_really_full_disk_is_one_line_and_the_set_is_finished_once_there_is_room(grown, tmp_path):
    plan, images = grown
    augment(plan, images, tmp_path / "whole")
    with small_disk(tmp_path / "disk") as disk:
        ballast = fill(disk)
        os.truncate(ballast, ballast.stat().st_size - 60_000)
        with pytest.raises(BoneAgeError, match="disk is full") as caught:
            augment(plan, images, disk / "out")
        assert "\n" not in str(caught.value)
        made = contents(disk / "out")
        assert 0 < len(made) < len(plan)
        assert made.items() <= contents(tmp_path / "whole").items()
        ballast.unlink()
        assert (augment(plan, images, disk / "out")["status"] == "ok").all()
        assert contents(disk / "out") == contents(tmp_path / "whole")


def test_suggestions_for_many_images_report_what_cannot_be_read(grown):
    _, images = grown
    (images / "C1.png").write_bytes(b"no image")
    allowed, faults = suggest_for(dict.fromkeys(["C3", "C1", "C0", "gone"], "[]"), images)
    assert list(allowed) == ["C3", "C0"]
    assert allowed["C0"] == suggest_augmentations(an_image(0))
    assert faults["item"].tolist() == ["C1", "gone"]
    assert "flip" not in suggest_for({"C0": "[]"}, images, laterality_matters=True)[0]["C0"]


def test_the_source_folder_is_never_written_to(grown):
    plan, images = grown
    with pytest.raises(BoneAgeError, match="choose another folder"):
        augment(plan, images, images)
