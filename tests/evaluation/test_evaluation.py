"""Metrics as defined, tables in the published order, runs that do not belong together kept apart."""

import copy
import shutil

import numpy as np
import pandas as pd
import pytest
from finished_runs import RECORD, VALUES, write_run
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from boneage.core.errors import BoneAgeError
from boneage.evaluation import (
    cases_by_error,
    check_comparable,
    constant_predictor,
    first_of_seeds,
    group_of,
    holm,
    join_truth,
    mean_differences,
    read_run,
    read_runs,
    record_run,
    results_table,
    tabled_runs,
    training_differences,
)
from boneage.evaluation.cases import predictions_sheet
from boneage.evaluation.metrics import metrics
from boneage.evaluation.runs import RESULTS_TABLE


def test_metrics_by_hand():
    found = metrics(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.5, 4.0, 2.0]))
    assert found == {
        "count": 4,
        "mae": pytest.approx((0 + 0.5 + 1 + 2) / 4),
        "loss": pytest.approx((0 + 0.25 + 1 + 4) / 4),
        # Half a year off is not yet the right whole year.
        "accuracy": 0.25,
        "within_1_year": 0.75,
        "rmse": pytest.approx((5.25 / 4) ** 0.5),
        "bias": pytest.approx(-0.5 / 4),
        "r2": pytest.approx(1 - (5.25 / 4) / 1.25),
    }


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(-5, 25)), min_size=1))
def test_metrics_keep_their_laws(pairs):
    truth, prediction = np.array(pairs).T
    found = metrics(truth, prediction)
    assert abs(found["bias"]) <= found["mae"] + 1e-9
    assert found["mae"] <= found["rmse"] + 1e-9
    assert 0 <= found["accuracy"] <= found["within_1_year"] <= 1


@pytest.mark.parametrize("prediction", [[], [1.0], [1.0, np.nan], [1.0, np.inf]])
def test_predictions_that_cannot_be_judged_are_refused(prediction):
    with pytest.raises(BoneAgeError):
        metrics(np.array([1.0, 2.0]), np.array(prediction))


def labels_table():
    return pd.DataFrame(
        {
            "Case ID": ["1", "2", "3"],
            "Bone Age": [4.0, 6.0, 9.0],
            "Split": ["train", "train", "test"],
            "Source ID": ["1", "2", "3"],
        }
    )


def test_the_constant_predictor_says_the_training_median():
    found = constant_predictor(labels_table())
    assert found["train"]["mae"] == 1.0
    assert found["test"]["mae"] == 4.0
    assert "validation" not in found


def test_truth_is_joined_by_id_not_by_order():
    predictions = pd.DataFrame({"Case ID": ["3", "1"], "Split": ["test", "train"], "Prediction": [8.0, 5.0]})
    joined = join_truth(labels_table(), predictions)
    assert joined["Error"].tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("ids", "splits", "words"),
    [
        (["1", "9"], ["train", "test"], "no label"),
        (["1", "1"], ["train", "train"], "duplicated"),
        (["1", "3"], ["train", "train"], "split"),
    ],
)
def test_predictions_of_other_labels_are_refused(ids, splits, words):
    predictions = pd.DataFrame({"Case ID": ids, "Split": splits, "Prediction": [1.0, 2.0]})
    with pytest.raises(BoneAgeError, match=words):
        join_truth(labels_table(), predictions)


def test_a_table_has_nine_rows_in_the_published_order():
    table = results_table([RECORD, RECORD | {"epochs": 18}], 10)
    assert table.index.tolist() == [
        "VGG19",
        "VGG16",
        "CNN",
        "U-Net",
        "Attention Mechanism",
        "EfficientNetV2S",
        "Resnet50",
        "Vision-Transformer",
        "Yolo",
    ]
    assert ["Network", *table] == list(RESULTS_TABLE)
    assert table.loc["CNN"].tolist() == [1.0, 1.5, 2.0, 2.0, 0.25, 0.25]
    assert table.drop(index="CNN").isna().all(axis=None)
    assert results_table([], 18).isna().all(axis=None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "rsna"}, "source"),
        ({"label_kind": "folder year"}, "label"),
        ({"fingerprint": "0"}, "split"),
        ({"size": 128}, "size"),
    ],
)
def test_runs_of_different_making_do_not_share_a_table(change, words):
    other = RECORD | {"network": "vgg16"} | change
    with pytest.raises(BoneAgeError, match=words):
        check_comparable([RECORD, other])
    with pytest.raises(BoneAgeError, match="cnn-10-plain-s2026 and vgg16-10-plain-s2026"):
        results_table([RECORD, other], 10)


def test_runs_are_read_in_table_order_and_what_is_damaged_is_left_out_by_name(tmp_path):
    write_run(tmp_path / "yolo-10", network="yolo")
    write_run(tmp_path / "cnn-18", epochs=18)
    write_run(tmp_path / "cnn-10")
    write_run(tmp_path / "cnn-10-newer", finished="2026-11-02T10:00:00+00:00")
    (tmp_path / "vgg16-10" / "checkpoint").mkdir(parents=True)
    broken = copy.deepcopy(RECORD["metrics"])
    broken["validation"]["mae"] = float("nan")
    write_run(tmp_path / "unet-10", network="unet", metrics=broken)
    write_run(tmp_path / "knee-10", network="knee")
    write_run(tmp_path / "list-10", network=["cnn"])
    (write_run(tmp_path / "deep-10") / "record.json").write_text("[" * 100_000)
    (write_run(tmp_path / "vgg19-10", network="vgg19") / "record.json").write_text('{"format": 1,')
    (write_run(tmp_path / "resnet50-10", network="resnet50") / "predictions.csv").unlink()
    (write_run(tmp_path / "vit", network="vision_transformer") / "predictions.csv").write_text(
        "Case ID,Split,Prediction\n1,train,nan\n"
    )
    runs, left_out = read_runs(tmp_path)
    assert [run.folder.name for run in runs] == ["cnn-10-newer", "cnn-18", "yolo-10"]
    reasons = left_out.set_index("item")["reason"]
    assert sorted(reasons.index) == [
        "cnn-10", "deep-10", "knee-10", "list-10", "resnet50-10", "unet-10", "vgg16-10", "vgg19-10", "vit"
    ]  # fmt: skip
    assert "later" in reasons["cnn-10"]
    assert "not finished" in reasons["vgg16-10"]
    assert "validation mae is not a number" in reasons["unet-10"]


def test_runs_of_two_folders_stand_side_by_side(tmp_path):
    ours, recorded = tmp_path / "runs", tmp_path / "results"
    for folder in (ours, recorded):
        folder.mkdir()
        write_run(folder / "cnn-10-plain-s2026")
    write_run(ours / "yolo-10-plain-s2026", network="yolo", finished="2026-11-02T10:00:00+00:00")
    write_run(recorded / "yolo-10-plain-s2026", network="yolo")
    write_run(recorded / "cnn-18-plain-s2026", epochs=18)
    # A folder's name is what its record says, whatever it was renamed to.
    write_run(ours / "mine", network="unet", epochs=18)
    runs, left_out = read_runs(ours, recorded)
    assert [run.folder for run in runs] == [
        ours / "cnn-10-plain-s2026",
        recorded / "cnn-18-plain-s2026",
        ours / "mine",
        ours / "yolo-10-plain-s2026",
    ]
    assert [run.name for run in runs][2] == "unet-18-plain-s2026"
    assert left_out.to_records(index=False).tolist() == [
        ("yolo-10-plain-s2026", "another run of that name finished later and is used instead"),
    ]
    for run in runs:
        record_run(run, recorded)
    # A work folder that came back from its record and predictions: what else was recorded of the run stands.
    outside = recorded / runs[0].name / "outside.csv"
    outside.write_text("kept")
    record_run(runs[0], recorded)
    assert outside.read_text() == "kept"
    shutil.rmtree(runs[0].folder)
    write_run(runs[0].folder, finished="2026-11-05T10:00:00+00:00")
    record_run(read_run(runs[0].folder), recorded)
    assert not outside.exists()
    runs = [read_run(run.folder) if run is runs[0] else run for run in runs]
    again, left_out = read_runs(recorded)
    assert left_out.empty
    assert [run.record for run in again] == [run.record for run in runs]
    assert [run.folder.name for run in again] == [run.name for run in runs]


def test_runs_of_every_variant_set_and_seed_lie_in_one_folder(tmp_path):
    for number, changes in enumerate(
        (
            {"variant": "tta"},
            {"variant": "sex"},
            {"variant": "sex", "finished": "2026-10-01T10:00:00+00:00"},
            {"set": "augmented"},
            {"set": "augmented", "variant": "sex"},
            {"train_seed": 7},
            {},
            {"network": "vgg16", "train_seed": 9},
            {"variant": "ears"},
            {"variant": ["sex"]},
            {"set": "whole"},
            {"train_seed": "7"},
        )
    ):
        write_run(tmp_path / str(number), **changes)
    runs, left_out = read_runs(tmp_path)
    assert [run.name for run in runs] == [
        "vgg16-10-plain-s9",
        "cnn-10-plain-s7",
        "cnn-10-plain-s2026",
        "cnn-10-plain-sex-s2026",
        "cnn-10-plain-tta-s2026",
        "cnn-10-augmented-s2026",
        "cnn-10-augmented-sex-s2026",
    ]
    # The lowest of several seeds stands in the tables.
    assert [run.name for run in tabled_runs(runs, "plain")] == ["vgg16-10-plain-s9", "cnn-10-plain-s7"]
    assert [run.name for run in tabled_runs(runs, "augmented")] == ["cnn-10-augmented-s2026"]
    assert len(first_of_seeds(runs)) == len(runs) - 1
    reasons = left_out.set_index("item")["reason"]
    assert sorted(reasons.index) == ["10", "11", "2", "8", "9"]
    assert "1 finished later" in reasons["2"]
    assert "'ears' is not a known variant" in reasons["8"]
    assert "'whole' is not a known set" in reasons["10"]
    assert "training seed is missing" in reasons["11"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "2.0", None])
def test_every_metric_of_a_record_must_be_a_number(tmp_path, value):
    of_test = {**VALUES, "r2": None, "rmse": value}
    write_run(tmp_path / "cnn-10", metrics={**RECORD["metrics"], "test": of_test})
    runs, left_out = read_runs(tmp_path)
    assert runs == []
    assert "the test rmse is not a number" in left_out.at[0, "reason"]


@pytest.mark.parametrize("images", [4, {}, {"train": "many"}])
def test_a_record_must_tell_its_training_images(tmp_path, images):
    write_run(tmp_path / "cnn-10", images=images)
    runs, left_out = read_runs(tmp_path)
    assert runs == []
    assert "number of training images is missing" in left_out.at[0, "reason"]


def test_holm_gives_the_published_procedure():
    # As R's p.adjust(p, "holm") has them.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9, 0.6]) == pytest.approx([1, 1, 1])
    assert holm([0.2]) == pytest.approx([0.2])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_holm_lies_between_no_correction_and_bonferroni(p):
    p = np.array(p)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, len(p) * p) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()


def test_paired_differences_agree_with_the_normal_approximation():
    rng = np.random.default_rng(7)
    drawn = rng.normal([[0.0], [0.2], [-0.5]], 1.0, (3, 300))
    found = mean_differences(drawn)
    mean, error = drawn.mean(axis=1), drawn.std(axis=1) / 300**0.5
    assert found["difference"].to_numpy() == pytest.approx(mean)
    assert found["low"].to_numpy() == pytest.approx(mean - 1.96 * error, abs=0.01)
    assert found["high"].to_numpy() == pytest.approx(mean + 1.96 * error, abs=0.01)
    expected = 2 * stats.norm.sf(np.abs(mean) / error)
    # No smaller than 10,000 draws can show.
    assert found["p"].to_numpy() == pytest.approx(np.maximum(expected, 2 / 10_001), abs=0.015)
    pd.testing.assert_frame_equal(found, mean_differences(drawn))


def test_trainings_once_each_are_compared_as_paired_cases():
    errors = np.abs(np.random.default_rng(5).normal([[0.0], [0.3], [0.9]], 1.0, (3, 80)))
    pairs = [(0, 1), (0, 2), (1, 2)]
    found = training_differences([of_one[np.newaxis] for of_one in errors], pairs)
    paired = mean_differences([errors[one] - errors[other] for one, other in pairs])
    pd.testing.assert_frame_equal(found, paired)


def test_what_differs_between_trainings_widens_the_interval():
    error = np.abs(np.random.default_rng(5).normal(0, 1, 80))
    once, alike = error[np.newaxis], np.stack([error] * 3)
    apart = np.stack([error, error + 0.3, error - 0.3])
    same, spread = (training_differences([of_one, once + 0.2], [(0, 1)]).iloc[0] for of_one in (alike, apart))
    assert same[["difference", "low", "high"]].tolist() == pytest.approx([-0.2] * 3)
    assert spread["difference"] == pytest.approx(-0.2)
    # Of the mean of three drawn out of 0, 0.3 and -0.3.
    assert spread["high"] - spread["low"] == pytest.approx(0.6, abs=0.1)


def test_p_and_interval_tell_the_same_and_no_difference_is_no_proof():
    rng = np.random.default_rng(11)
    found = mean_differences(rng.normal(0.1, 1, (200, 60)))
    without_zero = (found["low"] > 0) | (found["high"] < 0)
    assert 0 < without_zero.sum() < 200
    clear = (found["p"] < 0.045) | (found["p"] > 0.055)
    assert ((found["p"] < 0.05) == without_zero)[clear].all()
    same = mean_differences(np.zeros((1, 20))).iloc[0]
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
    assert mean_differences([[0.5]]).iloc[0, 1:].isna().all()


def test_groups_are_by_sex_race_and_age_and_the_unknown_are_in_none():
    labels = pd.DataFrame(
        {
            "Male": [True, False, False, True],
            "Location": ["Asian", "Unknown", "Caucasian", "Hispanic American"],
            "Bone Age": [0.0, 4.99, 5.0, 19.5],
        }
    )
    groups = group_of(labels)
    assert groups["Sex"].tolist() == ["Boys", "Girls", "Girls", "Boys"]
    assert groups["Race"].isna().tolist() == [False, True, False, False]
    assert groups["Age"].tolist() == ["0–4 years", "0–4 years", "5–9 years", "15+ years"]


def test_no_runs_folder_is_no_runs(tmp_path):
    runs, left_out = read_runs(tmp_path / "runs")
    assert runs == []
    assert left_out.empty


def test_cases_are_found_by_how_far_their_predictions_are_off():
    errors = [0.5, -3.0, 0.1, 2.0, -0.5, -0.2]
    joined = pd.DataFrame({"Case ID": list("fedcba"), "Split": "test", "Error": errors})
    # Off by 0.1, 0.2, 0.5 (b before f), 0.5, 2, 3.
    found = cases_by_error(joined)
    assert {kind: rows["Case ID"].tolist() for kind, rows in found.items() if kind != "random"} == {
        "best": ["d"],
        "median": ["b"],
        "worst": ["e"],
    }
    assert list(found["best"]) == list(joined)
    two = cases_by_error(joined, seed=3, count=2)
    assert two["worst"]["Case ID"].tolist() == ["e", "c"]
    assert two["median"]["Case ID"].tolist() == ["b", "f"]
    again = cases_by_error(joined, seed=3, count=2)["random"]
    assert again["Case ID"].tolist() == two["random"]["Case ID"].tolist()
    assert [len(rows) for rows in cases_by_error(joined.head(1), count=4).values()] == [1] * 4
    with pytest.raises(BoneAgeError, match="there are none"):
        cases_by_error(joined.head(0))


def test_predictions_are_shown_with_what_was_said_of_them():
    errors = [0.04, -1.0, 0.5, 2.0, -0.25, 0.1]
    joined = pd.DataFrame({"Case ID": list("abcdef"), "Bone Age": 5.0, "Error": errors})
    joined["Prediction"] = joined["Bone Age"] + joined["Error"]
    read = []

    def read_image(case_id):
        read.append(case_id)
        return np.zeros((16, 16), np.uint8)

    sheet = predictions_sheet(joined, read_image, seed=1, count=2)
    assert read[:4] + read[6:] == ["a", "f", "e", "c", "d", "b"]
    assert "worst: d, true 5.00, predicted 7.00, error +2.00 years" in sheet.words
    assert "best: a, true 5.00, predicted 5.04, error +0.04 years" in sheet.words
    assert len(predictions_sheet(joined.head(1), read_image).words.split(";")) == 4
