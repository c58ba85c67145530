"""Stages that only meet here: the test on another source, and what stands between two stages."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from labelling import untouched_labels
from work_folders import prepare

from boneage import pipeline
from boneage.core.errors import BoneAgeError
from boneage.core.settings import Settings
from boneage.core.tables import CASE_TABLE
from boneage.dataset.labels import write_labels
from boneage.dataset.rejected import rejected_labels
from boneage.evaluation import metrics_by_split
from boneage.sources import manifest, rsna
from boneage.workspace import Workspace


@pytest.fixture
def prepared(tmp_path):
    """Makes a work folder with labels and images of a source."""

    def prepare(source, count=24, folder=""):
        chosen = {"train_size": 32, "epochs": (1,), "batch_size": 8, "accept_losses": True}
        work = Workspace(Settings(source=source, work=str(tmp_path / (folder or source)), **chosen))
        work.images.mkdir(parents=True)
        ids = [f"{source}-{number}" for number in range(count)]
        for number, case_id in enumerate(ids):
            image = np.random.default_rng(number).integers(0, 255, (32, 32), np.uint8)
            cv2.imwrite(str(work.images / f"{case_id}.png"), image)
        cases = pd.DataFrame(
            {"case_id": ids, "image": ids, "source": source, "sex": "F", "race": "Unknown"}
            | {"bone_age": np.arange(count) % 12 + 4.0},
            columns=list(CASE_TABLE),
        )
        write_labels(work.labels, untouched_labels(cases, validation_share=0.2, test_share=0.2))
        pipeline.make_pack(work)
        return work

    return prepare


@pytest.mark.slow
def test_a_run_is_tested_on_the_rejected_cases_too(tmp_path):
    work = prepare(tmp_path)
    work = work.replace(width="tiny", epochs=(1,), total=0, accept_losses=True)
    with pytest.raises(BoneAgeError, match="no case is rejected"):
        rejected_labels(work)
    log = pipeline.open_review(work)
    for case_id in ("2003", "2004", "2005"):
        log.append(case_id, "reject", "other")
    # The same picture as an accepted case is no new one, nor is one without an image.
    shutil.copy(work.images / "2010.png", work.images / "2005.png")
    pipeline.make_plan(work)
    pipeline.make_augmented(work)
    pipeline.make_labels(work)
    run = pipeline.train_network(work, "cnn", 1)
    assert not {"2003", "2004", "2005"} & set(run.predictions["Case ID"])
    assert pipeline.compare(work).tables.rejected.empty
    comparison = pipeline.compare(work, rejected=True)
    (row,) = comparison.tables.rejected.to_dict("records")
    assert row["Run"] == run.name
    kept = pd.read_csv(run.folder / "rejected.csv", dtype={"Case ID": str}).set_index("Case ID")["Prediction"]
    years = pipeline.load_cases(work)[0].set_index("case_id")["bone_age"].astype(float)
    off = (kept - years[kept.index]).abs()
    assert (row["Rejected cases"], set(kept.index)) == (2, {"2003", "2004"})
    assert row["Rejected MAE (years)"] == pytest.approx(off.mean())
    assert row["Rejected share"] == pytest.approx(2 / 39)
    # The predictions outlast the model.
    (run.folder / "model.keras").unlink()
    pd.testing.assert_frame_equal(
        pipeline.compare(work, rejected=True).tables.rejected, comparison.tables.rejected
    )
    pipeline.record(comparison, tmp_path / "results")
    assert (tmp_path / "results" / "runs" / run.name / "rejected.csv").is_file()
    assert pd.read_csv(tmp_path / "results" / "rejected.csv")["Run"].tolist() == [run.name]


@pytest.mark.slow
def test_a_run_is_tested_on_every_image_of_another_source(prepared, tmp_path):
    ours, other = prepared("rsna"), prepared("dha", count=15)
    pipeline.train_network(ours, "cnn", 1)
    comparison = pipeline.compare(ours, tmp_path / "dha")
    assert comparison.tables.outside["Cases"].tolist() == [15]
    joined = comparison.outside.joined["cnn-1-plain-s2026"]
    expected = np.abs(joined["Prediction"] - joined["Bone Age"]).mean()
    assert comparison.tables.outside["MAE (years)"].iloc[0] == pytest.approx(expected)
    assert set(joined["Case ID"]) == {f"dha-{number}" for number in range(15)}
    # The predictions outlast the model, but neither another training nor other images.
    run = ours.runs / "cnn-1-plain-s2026"
    (run / "model.keras").rename(run / "away.keras")
    pd.testing.assert_frame_equal(
        pipeline.compare(ours, tmp_path / "dha").tables.outside, comparison.tables.outside
    )
    record = (run / "record.json").read_text()
    finished = json.loads(record)["finished"]
    (run / "record.json").write_text(record.replace(finished, "2030-01-01T00:00:00+00:00"))
    assert pipeline.compare(ours, tmp_path / "dha").tables.outside.empty
    (run / "record.json").write_text(record)
    kept = (run / "outside.csv").read_text()
    (run / "outside.csv").write_text(kept.replace(",test,", ",test,n/a"))
    reasons = pipeline.compare(ours, tmp_path / "dha").tables.left_out.set_index("item")["reason"]
    assert "outside.csv: a prediction is not a number; delete the file" in reasons["cnn-1-plain-s2026 on dha"]
    (run / "outside.csv").write_text(kept)
    with pytest.raises(BoneAgeError, match="no external test"):
        pipeline.compare(ours, tmp_path / "rsna")
    # What is recorded needs neither the models nor this work folder's runs to be compared again.
    results = tmp_path / "results"
    pipeline.record(comparison, results)
    assert {path.name for path in (results / "runs" / "cnn-1-plain-s2026").iterdir()} == {
        "record.json",
        "history.csv",
        "predictions.csv",
        "outside.csv",
    }
    assert pd.read_csv(results / "details.csv")["Run"].tolist() == ["cnn-1-plain-s2026"]
    again = pipeline.compare(ours, tmp_path / "dha", recorded=results)
    assert again.tables.left_out.empty
    run.rename(tmp_path / "away")
    elsewhere = pipeline.compare(ours, tmp_path / "dha", recorded=results)
    pd.testing.assert_frame_equal(elsewhere.tables.details, comparison.tables.details)
    pd.testing.assert_frame_equal(elsewhere.tables.outside, comparison.tables.outside)
    (tmp_path / "away").rename(run)
    labels = other.labels
    labels.write_text(labels.read_text().replace("FALSE", "TRUE"))
    assert pipeline.compare(ours, tmp_path / "dha").tables.outside.empty
    # A source whose images are of another size is said, and the report is written all the same.
    shutil.rmtree(other.pack(32))
    comparison = pipeline.compare(ours, tmp_path / "dha")
    assert comparison.tables.outside.empty
    assert "cnn-1-plain-s2026 on dha" in comparison.tables.left_out["item"].tolist()


@pytest.mark.slow
def test_runs_of_both_sets_and_several_seeds_lie_in_one_folder_and_outlast_it(prepared, tmp_path):
    ours = prepared("rsna")
    prepared("dha", count=15)
    plain, packed = pipeline.load_labels(ours), shutil.copytree(ours.pack(32), tmp_path / "packed")
    training = plain.table[plain.table["Split"] == "train"]
    more = training.assign(**{"Case ID": training["Case ID"] + "-1"})
    augmented = replace(plain, table=pd.concat([plain.table, more], ignore_index=True))
    for name in training["Case ID"]:
        shutil.copy(ours.images / f"{name}.png", ours.images / f"{name}-1.png")
    for work in (ours, ours.replace(train_seed=7)):
        pipeline.train_network(work, "cnn", 1)
    write_labels(ours.labels, augmented)
    pipeline.make_pack(ours)
    pipeline.train_network(ours, "cnn", 1)
    assert sorted(path.name for path in ours.runs.glob("*/")) == [
        "cnn-1-augmented-s2026",
        "cnn-1-plain-s2026",
        "cnn-1-plain-s7",
    ]
    record = json.loads((ours.runs / "cnn-1-augmented-s2026" / "record.json").read_text())
    # Which seed drew the split of labels that come from elsewhere is not known.
    assert (record["set"], record["split_seed"], record["train_seed"]) == ("augmented", None, 2026)
    write_labels(ours.labels, plain)
    shutil.rmtree(ours.pack(32))
    shutil.copytree(packed, ours.pack(32))
    folders = (tmp_path / "dha", None, tmp_path / "results")
    comparison = pipeline.compare(ours, *folders)
    assert comparison.tables.left_out.empty
    words = f"the augmented set of {2 * len(training)} training images"
    assert comparison.tables.variants["Variant"].tolist() == [words]
    assert comparison.tables.outside["Run"].tolist() == ["cnn-1-plain-s7", "cnn-1-augmented-s2026"]
    assert comparison.tables.outside["Network"].tolist() == ["CNN", f"CNN, {words}"]
    pipeline.record(comparison, tmp_path / "results")
    shutil.rmtree(ours.runs)
    again = pipeline.compare(ours, *folders)
    assert again.tables.left_out.empty
    pd.testing.assert_frame_equal(again.tables.variants, comparison.tables.variants)
    pd.testing.assert_frame_equal(again.tables.outside, comparison.tables.outside)
    assert again.tables.seeds["Seeds"].tolist() == ["7, 2026"]
    pd.testing.assert_frame_equal(again.tables.seeds, comparison.tables.seeds)


@pytest.mark.slow
def test_a_network_is_examined_once_and_an_examination_that_was_stopped_goes_on(prepared, monkeypatch):
    ours = prepared("rsna", count=30)
    pipeline.train_network(ours, "cnn", 1)
    comparison = pipeline.compare(ours)
    model = ours.runs / "cnn-1-plain-s2026" / "model.keras"
    from boneage.report import examine as examining

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(examining, "heat_map", stopped)
    with pytest.raises(KeyboardInterrupt):
        pipeline.examine(ours, comparison, 1)
    monkeypatch.undo()
    changed = ours.root / "comparison" / "robustness-cnn-1-plain-s2026.csv"
    before = changed.stat().st_mtime_ns
    (found,) = pipeline.examine(ours, comparison, 1).examinations
    assert changed.stat().st_mtime_ns == before
    recorded = comparison.tables.details.at[0, "Test MAE (years)"]
    assert found.robustness.at[0, "MAE (years)"] == pytest.approx(recorded, abs=1e-3)
    assert found.robustness.at[0, "Cases"] == comparison.tables.details.at[0, "Test cases"]
    assert found.heat.startswith(b"\x89PNG")
    assert found.centres is None

    # A run whose weights are gone leaves its place to the next best.
    other = ours.runs / "unet-1-plain-s2026"
    shutil.copytree(ours.runs / "cnn-1-plain-s2026", other)
    (other / "model.keras").unlink()
    record = json.loads((other / "record.json").read_text()) | {"network": "unet"}
    (other / "record.json").write_text(json.dumps(record))
    predictions = pd.read_csv(other / "predictions.csv", dtype={"Case ID": str})
    better = predictions.merge(pipeline.load_labels(ours).table[["Case ID", "Bone Age"]], on="Case ID")
    predictions["Prediction"] += 0.1 * (better["Bone Age"] - better["Prediction"])
    predictions.to_csv(other / "predictions.csv", index=False)
    record["metrics"] = metrics_by_split(pipeline.load_labels(ours).table, predictions)
    (other / "record.json").write_text(json.dumps(record))
    both = pipeline.compare(ours, examined=1)
    assert [one.run for one in both.examinations] == ["cnn-1-plain-s2026"]
    assert both.tables.left_out["item"].tolist() == ["unet-1-plain-s2026, examination"]
    shutil.rmtree(other)

    # Neither network nor images are needed for what was found, and the next comparison shows it.
    model.rename(model.with_suffix(".away"))
    ours.pack(32).rename(ours.pack(32).with_suffix(".away"))
    assert len(pipeline.compare(ours, examined=1).examinations) == 1
    assert "Where CNN, 1 epochs looks" in ours.report.read_text()
    changed.unlink()
    comparison = pipeline.compare(ours, examined=1)
    assert comparison.examinations == ()
    (said,) = comparison.tables.left_out.to_dict("records")
    assert said["item"] == "cnn-1-plain-s2026, examination"
    assert "model.keras is missing" in said["reason"]


@pytest.mark.slow
def test_images_that_a_network_was_not_trained_on_are_not_taken_for_its_own(prepared):
    ours = prepared("rsna", count=30)
    pipeline.train_network(ours, "cnn", 1)
    image = ours.images / "rsna-0.png"
    cv2.imwrite(str(image), 255 - cv2.imread(str(image), cv2.IMREAD_GRAYSCALE))
    pipeline.make_pack(ours)
    comparison = pipeline.compare(ours, examined=1)
    assert comparison.examinations == ()
    assert "pack-32 has other images" in comparison.tables.left_out["reason"].iloc[0]
    with pytest.raises(BoneAgeError, match="at least 1"):
        pipeline.examine(ours, comparison, 0)


def test_an_atlas_without_readings_falls_back_on_the_year_of_age_and_says_so(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "atlas" / "JPEGimages" / "ASIF" / "ASIF07"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "5262.jpg"), np.full((64, 48), 90, np.uint8))

    def unreachable(*_, **__):
        raise BoneAgeError("la_dha.csv: no answer; try again later")

    monkeypatch.setattr(manifest, "fetch", unreachable)
    work = Workspace(Settings(source="dha", data=str(tmp_path / "atlas"), work=str(tmp_path / "work")))
    cases = pipeline.make_cases(work)
    assert cases["age_group"].tolist() == [7]
    assert cases["bone_age"].isna().all()
    assert "no answer" in capsys.readouterr().out


@pytest.fixture
def with_twins(tmp_path):
    """A work folder with 24 images, of which 8 are others saved again."""
    work = tmp_path / "work"
    work.mkdir()
    rng = np.random.default_rng(5)
    rows = []
    for number in range(24):
        image = cv2.GaussianBlur(rng.normal(128, 400, (120, 90)).astype(np.float32), (0, 0), 6)
        image = np.clip(image, 0, 255).astype(np.uint8)
        names = [f"c{number:02d}.png", f"t{number:02d}.jpg"] if number < 8 else [f"c{number:02d}.png"]
        for name in names:
            cv2.imwrite(str(work / name), image)
            rows.append({"case_id": name[:3], "image": name, "bone_age": number % 8 + 4.0})
    cases = pd.DataFrame(rows, columns=list(CASE_TABLE)).assign(source="rsna", sex="F", race="Unknown")
    cases.to_csv(work / "cases.csv", index=False)
    shares = {"validation_share": 0.2, "test_share": 0.2}
    return Workspace(Settings(source="rsna", work=str(work), image_size=64, **shares))


def test_one_picture_in_two_files_is_in_one_split_with_a_plan_and_without(with_twins, capsys):
    pipeline.make_images(with_twins)
    labels = pipeline.make_labels(with_twins).table.set_index("Case ID")["Split"]
    assert "16 images in 8 groups show the same picture" in capsys.readouterr().out
    plan, notices = pipeline.make_plan(with_twins)
    planned = plan.drop_duplicates("case_id").set_index("case_id")["split"]
    assert "16 images in 8 groups show the same picture; each group stays in one split" in notices
    for number in range(8):
        assert labels[f"c{number:02d}"] == labels[f"t{number:02d}"]
        assert planned[f"c{number:02d}"] == planned[f"t{number:02d}"]


def test_one_picture_in_two_files_is_in_one_fold_though_a_spreadsheet_shortened_their_ids(with_twins, capsys):
    cases = pd.read_csv(with_twins.cases, dtype=str)
    cases["case_id"] = [f"00{name[1:]}{1 + (name[0] == 't')}" for name in cases["case_id"]]
    cases.to_csv(with_twins.cases, index=False)
    pipeline.make_images(with_twins)
    pipeline.make_labels(with_twins)
    rows = pd.read_csv(with_twins.labels, dtype={"Case ID": int, "Source ID": int})
    rows.to_csv(with_twins.labels, index=False)
    capsys.readouterr()
    for labels in pipeline.make_folds(with_twins, 3):
        split = labels.table.set_index("Case ID")["Split"]
        assert all(split[f"{number}1".lstrip("0")] == split[f"{number}2".lstrip("0")] for number in range(8))
    assert (
        "16 images in 8 groups show the same picture; each group stays in one fold" in capsys.readouterr().out
    )


def test_a_stage_that_ends_with_nothing_says_why(with_twins, tmp_path):
    work = tmp_path / "work"
    for path in work.glob("*.[pj][np]g"):
        path.write_bytes(b"")
    with pytest.raises(BoneAgeError, match=r"no images: left out 32 of 32 \(32: .*empty file") as caught:
        pipeline.make_images(with_twins)
    assert "\n" not in str(caught.value)


def test_an_empty_source_does_not_cost_the_cases_there_were(with_twins, tmp_path, monkeypatch):
    before = (tmp_path / "work" / "cases.csv").read_bytes()
    nothing = pd.DataFrame(columns=list(CASE_TABLE)), pd.DataFrame({"item": ["a"], "reason": ["no label"]})
    monkeypatch.setattr(pipeline, "get_data", lambda work: tmp_path)
    nothing[0].attrs = {"units": [], "noted": []}
    monkeypatch.setattr(rsna, "read_rsna", lambda *_: nothing)
    with pytest.raises(BoneAgeError, match="no cases"):
        pipeline.make_cases(with_twins)
    assert (tmp_path / "work" / "cases.csv").read_bytes() == before
