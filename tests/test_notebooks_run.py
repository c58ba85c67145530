"""All notebooks from first to last on a handful of drawn hands, as `python -m boneage run` runs them."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from boneage import notebooks
from boneage.core.settings import Settings
from boneage.core.tables import LABEL_TABLE, read_cases, read_table
from boneage.evaluation import read_run
from boneage.networks import NETWORKS

pytestmark = pytest.mark.slow

TINY = {
    "phantoms_per_group": 1,
    "phantom_anomalies": 0.1,
    "image_size": 128,
    "total": 190,
    "train_size": 32,
    "epochs": (1, 2),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("suite") / "work"
    notebooks.run_notebooks(Settings.preset("demo", work=str(folder), **TINY), "demo")
    return folder


def outputs_of(path: Path) -> list[nbformat.NotebookNode]:
    cells = nbformat.read(path, as_version=4).cells
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def test_every_notebook_ran_without_an_error(work):
    copies = sorted((work / "notebooks").glob("*.ipynb"))
    assert [copy.name for copy in copies] == [path.name for path in notebooks.find_notebooks()]
    for copy in copies:
        outputs = outputs_of(copy)
        assert [output.ename for output in outputs if output.output_type == "error"] == []
        assert any(output.output_type in ("display_data", "execute_result") for output in outputs)


def test_a_recorded_review_stands_in_for_a_person_and_the_notebook_says_so(work):
    said = "".join(
        output.get("text", "") for output in outputs_of(work / "notebooks" / "02_review_and_augment.ipynb")
    )
    assert "152 decisions from review.csv are taken over" in said
    assert "cases accepted" in said


@pytest.mark.parametrize(
    "name", ["01_preprocess", "02_review_and_augment", "03_build_labels", "06_cnn", "13_comparison"]
)
def test_figures_are_shown_as_pictures(work, name):
    shown = [output.get("data", {}) for output in outputs_of(work / "notebooks" / f"{name}.ipynb")]
    pictures = [data for data in shown if "image/png" in data]
    assert pictures
    for data in pictures:
        (words,) = re.findall(r'<img alt="([^"]+)"', data["text/html"])
        assert len(words) > 20


def test_nothing_is_said_on_standard_error_but_progress(work):
    for copy in sorted((work / "notebooks").glob("*.ipynb")):
        errors = [output.text for output in outputs_of(copy) if output.get("name") == "stderr"]
        assert [text for text in errors if "Warning" in text or "Error" in text] == []


def test_tables_and_report_are_there(work):
    cases, faults = read_cases(work / "cases.csv")
    assert len(cases) == 152
    assert faults.empty
    labels = read_table(work / "labels.csv", LABEL_TABLE)
    rejected = read_table(work / "rejected.csv", ("case_id", "reason"))
    assert len(labels) == TINY["total"]
    assert set(labels["Source ID"]) == set(cases["case_id"]) - set(rejected["case_id"])
    assert set(rejected["reason"]) == {"ring", "bracelet", "skeleton unknown", "growth abnormality"}
    report = (work / "report.html").read_text(encoding="utf-8")
    for key, network in NETWORKS.items():
        for epochs in TINY["epochs"]:
            run = read_run(work / "runs" / f"{key}-{epochs}-augmented-s2026")
            assert len(run.history) == epochs
            assert len(run.predictions) == len(labels)
        assert network.title in report
    assert (work / "contact_sheet.png").stat().st_size > 0


def test_the_next_verb_finds_the_settings(work):
    kept = json.loads((work / "settings.json").read_text(encoding="utf-8"))
    assert kept["source"] == "phantom"
    assert tuple(kept["epochs"]) == TINY["epochs"]
