"""The card of a run: what its record and predictions say, and nothing that a hostile record could do."""

# ruff: noqa: F401, F811 - a fixture is imported

import numpy as np
import pytest
from test_report import compare, make_labels, write_run
from work_folders import prepared

from boneage import pipeline, report
from boneage.core.errors import BoneAgeError
from boneage.evaluation import join_truth, read_run
from boneage.report.card import card_of_run, errors_by_group


def test_errors_are_those_of_each_group():
    years = np.array([2.0, 4.0, 8.0, 12.0, 16.0])
    male = np.array([True, False, True, False, True])
    said = years + np.array([1.0, -1.0, 0.5, np.nan, 2.0])
    table = errors_by_group(years, male, said).set_index("Group")
    assert table["Cases"].to_dict() == {
        "All": 4,
        "Girls": 1,
        "Boys": 3,
        "0–4 years": 2,
        "5–9 years": 1,
        "15+ years": 1,
    }
    assert table.loc["All", "MAE (years)"] == pytest.approx(4.5 / 4)
    assert table.loc["Boys", "Bias (years)"] == pytest.approx(3.5 / 3)
    assert table.loc["0–4 years", "Within 1 year"] == 1
    low, high = table.loc["All", ["MAE low (years)", "MAE high (years)"]]
    assert 0.5 <= low <= 4.5 / 4 <= high <= 2


def test_the_card_says_what_the_run_is_and_how_far_off_it_is_for_whom(tmp_path):
    labels = make_labels()
    run = read_run(write_run(tmp_path, labels, variant="sex"))
    card = card_of_run(run, join_truth(labels.table, run.predictions))
    assert card.startswith("# Model card: cnn-10-plain-sex-s2026\n")
    assert "CNN, 10 epochs, sex as a second input, seed 2026" in card
    assert "and the sex, 128 × 128 pixels" in card
    assert "1,184,161 parameters; weights from scratch." in card
    assert "30 cases of the RSNA Pediatric Bone Age Challenge 2017" in card
    assert "non-commercial use" in card
    assert "Halabi" in card
    assert "not a\n  medical device" in card
    assert "## Errors on the test cases" in card
    assert "| All | 15 | 0.50 (0.50–0.50) |" in card
    assert "| Girls | 10 |" in card
    assert "MAE in years: 0.50 on the training cases, 0.50 on the validation cases" in card
    assert "| precision | float32 |" in card
    # Each of the list's points stands on a line of its own.
    assert "\n- **Limits:**" in card
    assert "\n\n## How it was trained\n" in card


def test_without_labels_or_test_cases_it_says_what_there_is(tmp_path):
    labels = make_labels(source="phantom")
    folder = write_run(tmp_path, labels)
    card = card_of_run(read_run(folder))
    assert "| All |" not in card
    assert "0.50 on the test cases" in card
    assert "Halabi" not in card
    metrics = {"train": read_run(folder).record["metrics"]["train"]}
    untested = read_run(write_run(tmp_path / "untested", labels, metrics=metrics, constant_predictor="?"))
    card = card_of_run(untested, join_truth(labels.table, untested.predictions))
    assert "## Errors on the training cases" in card
    assert "test cases" not in card
    assert "– for always saying the median age" in card


def test_a_hostile_record_makes_no_html_and_no_traceback(tmp_path):
    labels = make_labels(kind="<script>alert(1)</script>\n# head | line", source="<b>x</b>")
    nonsense = {
        "title": "<i>",
        "parameters": "many",
        "weights": ["\ud800", "<u>"],
        "cases": 3,
        "device": {"a": 1},
    }
    settings = {"width": "full", "precision": "float32", "<s>|": "`|\n# x"}
    run = read_run(write_run(tmp_path, labels, settings=settings, versions="none", **nonsense))
    card = card_of_run(run, join_truth(labels.table, run.predictions))
    assert not [one for one in ("<script", "<b>", "<i>", "<u>", "<s>") if one in card]
    assert "\n# head" not in card
    assert "\n# x" not in card
    card.encode("utf-8")


def test_the_notebook_shows_the_best_run_or_the_one_that_is_named(tmp_path):
    labels = make_labels()
    assert (
        report.card_in(compare(tmp_path / "none", labels)) == "No network has been trained and validated yet."
    )
    write_run(tmp_path, labels, off=0.75)
    write_run(tmp_path, labels, "unet", off=0.25)
    comparison = compare(tmp_path, labels)
    assert report.card_in(comparison).startswith("# Model card: unet-10-plain-s2026")
    assert report.card_in(comparison, " cnn-10-plain-s2026 ").startswith("# Model card: cnn-10-plain-s2026")
    with pytest.raises(BoneAgeError, match="did you mean cnn-10-plain-s2026"):
        report.card_in(comparison, "cnn-10-plain-s2027")


@pytest.mark.slow
def test_a_finished_run_has_its_card_and_gets_it_back(prepared):
    work = prepared.replace(width="tiny", epochs=(1,), total=0, accept_losses=True)
    pipeline.apply_review(work)
    pipeline.make_plan(work)
    pipeline.make_augmented(work)
    pipeline.make_labels(work)
    run = pipeline.train_network(work, "cnn", 1)
    card = (run.folder / "card.md").read_text()
    assert card.startswith(f"# Model card: {run.name}\n")
    assert "| All |" in card
    (run.folder / "card.md").unlink()
    pipeline.train_network(work, "cnn", 1)
    assert (run.folder / "card.md").read_text() == card
    assert str(work.root) not in card
