"""The comparison and its report: right numbers, nothing hidden, nothing harmful, nothing from elsewhere."""

import dataclasses
import json
import os
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from machine import CHROMIUM
from PIL import Image
from playwright.sync_api import sync_playwright

from boneage import evaluation, pipeline, report
from boneage.core.errors import BoneAgeError
from boneage.core.settings import Settings
from boneage.core.tables import LABEL_TABLE, OLDEST_YEARS, SPLITS, skipped_table, write_table
from boneage.dataset.labels import UNKNOWN, Labels, write_labels
from boneage.evaluation.robustness import robustness_table
from boneage.networks import NETWORKS
from boneage.report import plots, references, words
from boneage.workspace import Workspace

TITLES = [network.title for network in NETWORKS.values()]
FINGERPRINT = "f" * 64
NOTHING = skipped_table([])


def make_labels(kind: str = "the radiologists' reading", source: str = "rsna", cases: int = 60) -> Labels:
    """Labels of two training cases for each one of validation and of test, ages 1 to 17 years."""
    splits = ("train", "train", "validation", "test")
    rows = [
        (
            f"c{case}",
            1.0 + case * 7 % 17,
            case % 3 == 0,
            "Unknown",
            f"c{case}",
            splits[case % 4],
            "[]",
        )
        for case in range(cases)
    ]
    return Labels(pd.DataFrame(rows, columns=list(LABEL_TABLE)), kind, source, NOTHING)


def write_run(
    runs: Path,
    labels: Labels,
    network: str = "cnn",
    epochs: int = 10,
    off: float | np.ndarray = 0.5,
    variant: str = "",
    seed: int = 2026,
    **changes: object,
) -> Path:
    """A run folder as training leaves it, whose predictions are ``off`` years too high, then too low."""
    key = evaluation.RunKey(network, epochs, labels.set, seed, variant)
    folder = runs / str(key)
    table = labels.table
    predictions = pd.DataFrame(
        {
            "Case ID": table["Case ID"],
            "Split": table["Split"],
            "Prediction": table["Bone Age"] + np.where(np.arange(len(table)) % 8 < 4, off, -off),
        }
    )
    epoch = np.arange(1, epochs + 1)
    history = pd.DataFrame(
        {
            "epoch": epoch,
            "loss": 9 / epoch,
            "mae": 3 / epoch,
            "val_loss": 10 / epoch,
            "val_mae": 3.2 / epoch,
            "seconds": 1.5,
        }
    )
    record = {
        "format": evaluation.RECORD_FORMAT,
        "title": NETWORKS[network].title,
        **key._asdict(),
        "split_seed": 2026,
        "source": labels.source,
        "label_kind": labels.kind,
        "size": 128,
        "weights": "from scratch",
        "fingerprint": FINGERPRINT,
        "images": table["Split"].value_counts().to_dict(),
        "cases": table["Split"].value_counts().to_dict(),
        "metrics": evaluation.metrics_by_split(table, predictions),
        "constant_predictor": evaluation.constant_predictor(table),
        "parameters": 1_184_161,
        "seconds_per_epoch": 1.5,
        "images_per_second": 75.1,
        "device": "CPU (2 cores)",
        "backend": "tensorflow",
        "settings": {"width": "full", "precision": "float32"},
        "finished": "2026-11-23T23:26:16+00:00",
        **changes,
    }
    write_table(folder / "predictions.csv", predictions)
    write_table(folder / "history.csv", history)
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def compare(
    runs: Path, labels: Labels, epochs: tuple[int, ...] = (10, 18), outside: report.Outside | None = None
) -> report.Comparison:
    return report.compare_runs(report.match_runs(*evaluation.read_runs(runs), labels), epochs, outside)


class Page(HTMLParser):
    """What a browser would load and show of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.tables: list[list[list[str]]] = []
        self._in_cell = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, text: str) -> None:
        self.words.append(text)
        if self._in_cell:
            self.tables[-1][-1][-1] += text.strip("\n")

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


DRAWN_PNG = plots.Chart.png


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes nearly all of a report's time; only the tests about pictures draw them."""
    monkeypatch.setattr(plots.Chart, "png", lambda chart, transparent=False: b"picture")


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots.Chart, "png", DRAWN_PNG)


@pytest.fixture
def labels() -> Labels:
    return make_labels()


def test_every_table_has_the_nine_networks_in_their_published_order(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, "yolo", 18)
    write_run(tmp_path, labels, "vgg16", 4)
    comparison = compare(tmp_path, labels)
    assert list(comparison.tables.results) == [4, 10, 18]
    for table in comparison.tables.results.values():
        assert list(table.index) == TITLES
    assert comparison.tables.results[10].isna().all(axis=None)
    assert comparison.tables.results[18].drop(index="Yolo").isna().all(axis=None)
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    shown = page.tables[1]
    assert [row[0] for row in shown] == ["Networks", *TITLES, words.BASELINE]
    assert [row[1:] for row in shown[1:10]] == [[words.NOT_RUN]] * 9
    assert [tag for tag, given in page.tags if given.get("class") == "absent"] == ["tr"] * (8 + 9 + 8)


def test_the_numbers_are_those_computed_by_hand(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, off=0.4)
    comparison = compare(tmp_path, labels)
    of_cnn = comparison.tables.results[10].loc["CNN"]
    assert of_cnn[["MAE", "Validation MAE"]].tolist() == pytest.approx([0.4, 0.4])
    assert of_cnn[["Loss", "Validation Loss"]].tolist() == pytest.approx([0.16, 0.16])
    assert of_cnn[["Accuracy", "Validation Accuracy"]].tolist() == [1.0, 1.0]
    (row,) = comparison.tables.details.to_dict("records")
    assert (row["Network"], row["Epochs"], row["Test cases"], row["Parameters"]) == ("CNN", 10, 15, 1_184_161)
    assert row["Test MAE (years)"] == pytest.approx(0.4)
    assert row["Test MAE (months)"] == pytest.approx(4.8)
    # Every error is equally large, so other cases would change nothing.
    assert row["Test MAE low (years)"] == pytest.approx(0.4)
    assert row["Test MAE high (months)"] == pytest.approx(4.8)
    # Of the 15 test cases 8 are too high by 0.4 and 7 too low.
    assert row["Bias (years)"] == pytest.approx(0.4 / 15)


def test_the_baseline_always_says_the_training_median(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels)
    comparison = compare(tmp_path, labels)
    ages, split = labels.table["Bone Age"], labels.table["Split"]
    median = np.median(ages[split == "train"])
    baseline = comparison.tables.baseline.set_index("Split")["MAE (years)"]
    for name in SPLITS:
        assert baseline[name] == pytest.approx(np.mean(np.abs(ages[split == name] - median)))
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert page.tables[0][-1][:3] == [
        words.BASELINE,
        f"{baseline['train']:.2f}",
        f"{baseline['validation']:.2f}",
    ]


def test_the_interval_holds_the_mean_is_seeded_and_wider_for_fewer_cases() -> None:
    error = np.random.default_rng(3).normal(0, 2, 200)
    low, high = evaluation.mae_interval(error, seed=5)
    assert low < np.abs(error).mean() < high
    assert (low, high) == evaluation.mae_interval(error, seed=5)
    # The normal approximation agrees within a tenth of its width.
    reach = 1.96 * np.abs(error).std() / np.sqrt(len(error))
    assert high - low == pytest.approx(2 * reach, rel=0.1)
    few_low, few_high = evaluation.mae_interval(error[:20], seed=5)
    assert few_high - few_low > high - low
    assert np.isnan(evaluation.mae_interval(error[:1])).all()


def test_a_run_whose_record_tells_another_error_than_its_predictions_is_left_out(
    tmp_path: Path, labels: Labels
) -> None:
    folder = write_run(tmp_path, labels)
    record = json.loads((folder / "record.json").read_text())
    record["metrics"]["validation"]["mae"] = 0.01
    (folder / "record.json").write_text(json.dumps(record))
    comparison = compare(tmp_path, labels)
    assert comparison.runs.tabled == []
    assert "recorded error" in comparison.tables.left_out.set_index("item").at["cnn-10-plain-s2026", "reason"]


def test_labels_changed_after_the_training_leave_the_run_out(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels)
    older = labels.table.assign(**{"Bone Age": labels.table["Bone Age"] + 0.8})
    for changed in (
        dataclasses.replace(labels, table=older),
        dataclasses.replace(labels, table=labels.table.iloc[5:]),
        dataclasses.replace(labels, kind="the atlas folder's year of age"),
        dataclasses.replace(labels, source="dha"),
    ):
        comparison = compare(tmp_path, changed)
        assert comparison.runs.tabled == []
        assert comparison.tables.left_out["item"].tolist() == ["cnn-10-plain-s2026"]
        assert comparison.tables.results[10].isna().all(axis=None)


def test_labels_of_unknown_kind_are_judged_by_their_numbers(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels)
    comparison = compare(tmp_path, dataclasses.replace(labels, kind=UNKNOWN, source=UNKNOWN))
    assert len(comparison.runs.tabled) == 1


def test_of_runs_that_differ_the_larger_group_stands(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, "vgg16", size=256, finished="2030-01-01T00:00:00+00:00")
    write_run(tmp_path, labels, "cnn")
    write_run(tmp_path, labels, "unet")
    comparison = compare(tmp_path, labels)
    assert comparison.tables.details["Network"].tolist() == ["CNN", "U-Net"]
    (left_out,) = comparison.tables.left_out.to_dict("records")
    assert left_out["item"] == "vgg16-10-plain-s2026"
    assert "size" in left_out["reason"]


def test_of_two_equal_groups_the_newer_stands(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, "vgg16", finished="2030-01-01T00:00:00+00:00", fingerprint="0" * 64)
    write_run(tmp_path, labels, "cnn")
    comparison = compare(tmp_path, labels)
    assert comparison.tables.details["Network"].tolist() == ["VGG16"]
    assert comparison.tables.left_out["item"].tolist() == ["cnn-10-plain-s2026"]


def test_two_tables_may_differ_in_image_size(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, epochs=10)
    write_run(tmp_path, labels, epochs=18, size=256)
    comparison = compare(tmp_path, labels)
    assert len(comparison.runs.tabled) == 2
    assert "128 × 128 or 256 × 256" in comparison.heading


def test_bad_run_folders_are_listed_and_the_rest_goes_on(tmp_path: Path, labels: Labels) -> None:
    runs = tmp_path / "runs"
    write_run(runs, labels, "cnn")
    (runs / "unet-10-plain-s2026" / "checkpoint").mkdir(parents=True)
    broken = write_run(runs, labels, "vgg19")
    text = (broken / "record.json").read_text()
    record = json.loads(text)
    record["metrics"]["train"]["mae"] = float("nan")
    (broken / "record.json").write_text(json.dumps(record))
    twin = write_run(runs, labels, "cnn", finished="2020-01-01T00:00:00+00:00").rename(runs / "old-cnn")
    write_run(runs, labels, "cnn")
    half = write_run(runs, labels, "yolo")
    (half / "record.json").write_text(text[: len(text) // 2])
    nan = write_run(runs, labels, "vgg16")
    (nan / "predictions.csv").write_text("Case ID,Split,Prediction\nc0,train,nan\n")
    comparison = compare(runs, labels)
    assert comparison.tables.details["Network"].tolist() == ["CNN"]
    left_out = comparison.tables.left_out.set_index("item")["reason"]
    assert set(left_out.index) == {
        "unet-10-plain-s2026",
        "vgg19-10-plain-s2026",
        twin.name,
        "yolo-10-plain-s2026",
        "vgg16-10-plain-s2026",
    }
    assert "not finished" in left_out["unet-10-plain-s2026"]
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    for reason in left_out:
        assert " ".join(reason.split()) in page.text


@pytest.mark.usefixtures("pictures")
def test_a_record_full_of_nonsense_does_not_stop_the_report(tmp_path: Path, labels: Labels) -> None:
    nonsense = {
        "parameters": "many",
        "seconds_per_epoch": float("nan"),
        "images_per_second": None,
        "device": ["a", {"b": 1}],
        "backend": "\ud800 $\\frac{x$",
        "weights": "<img src=x onerror=alert(1)>",
        "split_seed": -3,
        "size": [1, 2],
    }
    write_run(tmp_path, labels, **nonsense)
    comparison = compare(tmp_path, labels)
    assert (
        comparison.tables.details[["Parameters", "Seconds an epoch", "Images a second"]].isna().all(axis=None)
    )
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert all(given.get("src", "data:").startswith("data:") for tag, given in page.tags if tag == "img")


@pytest.mark.usefixtures("pictures")
def test_hostile_text_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    labels = make_labels(kind='<script>alert("kind")</script> $\\frac{$', source="<b>x</b>")
    runs = tmp_path / "runs"
    write_run(runs, labels)
    (runs / "<script>alert(1)<").mkdir()
    (runs / "=cmd()").mkdir()
    os.mkdir(os.fsencode(runs) + b"/\xff\xfe")
    comparison = compare(runs, labels)
    path = report.write_report(comparison, tmp_path / "report.html")
    page = Page(path)
    assert not {tag for tag, _ in page.tags} & {"script", "b", "iframe", "object"}
    assert "<script>alert(1)<" in page.text
    assert '<script>alert("kind")</script>' in page.text
    left_out = (tmp_path / "comparison" / "left-out.csv").read_text(encoding="utf-8")
    assert "\n'=cmd()," in left_out


@pytest.mark.usefixtures("pictures")
def test_nothing_in_the_page_is_fetched(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels)
    page = Page(report.write_report(compare(tmp_path, labels), tmp_path / "report.html"))
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "base"}
    links = [given[name] for _, given in page.tags for name in ("src", "href", "srcset") if name in given]
    assert len(links) >= 6
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in links)
    style = page.text[: page.text.index("Bone age: nine", 40)]
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [given["content"] for _, given in page.tags if given.get("http-equiv")]
    assert policy.startswith("default-src 'none'")
    assert all(given["alt"] for tag, given in page.tags if tag == "img")


def test_phantoms_are_named_as_drawn_and_others_are_not(tmp_path: Path) -> None:
    for source, drawn in (("phantom", True), ("rsna", False)):
        labels = make_labels(source=source)
        write_run(tmp_path / source, labels)
        page = Page(report.write_report(compare(tmp_path / source, labels), tmp_path / "report.html"))
        assert ("not children" in page.text) == drawn
        assert "not a medical device" in page.text


def test_every_table_says_source_and_label(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels)
    comparison = compare(tmp_path, labels)
    for said in (
        "RSNA",
        labels.kind,
        "30 train, 15 validation, 15 test",
        "by case",
        "before any augmentation",
    ):
        assert said in comparison.heading
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert page.text.count(f"Label: {labels.kind}.") == 1 + len(comparison.tables.results)


def test_the_best_of_each_column_is_marked_once_two_compete(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, "cnn", 10, off=0.7)
    write_run(tmp_path, labels, "unet", 10, off=0.3)
    write_run(tmp_path, labels, "cnn", 18, off=0.4)
    page = Page(report.write_report(compare(tmp_path, labels), tmp_path / "report.html"))
    ten, eighteen = ({row[0]: row[1:] for row in table} for table in page.tables[:2])
    assert ten["U-Net"] == ["0.30 ★", "0.30 ★", "0.09 ★", "0.09 ★", "1.000 ★", "1.000 ★"]
    assert not any("★" in cell for cell in ten["CNN"] + ten[words.BASELINE])
    assert not any("★" in cell for cell in eighteen["CNN"])


def test_the_headline_is_chosen_by_validation_not_by_test(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, "cnn", 10, off=0.5)
    folder = write_run(tmp_path, labels, "unet", 10, off=0.4)
    predictions = pd.read_csv(folder / "predictions.csv")
    predictions.loc[predictions["Split"] == "test", "Prediction"] += 3
    predictions.to_csv(folder / "predictions.csv", index=False)
    record = json.loads((folder / "record.json").read_text())
    record["metrics"] = evaluation.metrics_by_split(labels.table, predictions)
    (folder / "record.json").write_text(json.dumps(record))
    page = Page(report.write_report(compare(tmp_path, labels), tmp_path / "report.html"))
    assert "Chosen by its validation error, U-Net after 10 epochs" in page.text


@pytest.mark.usefixtures("pictures")
def test_without_a_finished_run_the_report_says_what_to_do(tmp_path: Path, labels: Labels) -> None:
    comparison = compare(tmp_path / "runs", labels, (4, 8))
    assert comparison.tables.details.empty
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "No run is finished yet" in page.text
    assert "python -m boneage train --arch vgg19 --epochs 4 8" in page.text
    assert [row[0] for row in page.tables[0]] == ["Networks", *TITLES, words.BASELINE]


def test_another_source_stands_under_its_own_label(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels)
    write_run(tmp_path, labels, "unet")
    other = make_labels("the atlas folder's year of age", "dha", cases=40)
    predictions = other.table[["Case ID", "Split"]].assign(Prediction=other.table["Bone Age"] + 1.5)
    test = report.Outside(
        other.source, other.kind, {"cnn-10-plain-s2026": evaluation.join_truth(other.table, predictions)}
    )
    comparison = compare(tmp_path, labels, outside=test)
    (row,) = comparison.tables.outside.to_dict("records")
    assert (row["Network"], row["Cases"], row["Label"]) == ("CNN", 40, "the atlas folder's year of age")
    assert (row["MAE (years)"], row["MAE (months)"], row["Bias (years)"]) == pytest.approx((1.5, 18, 1.5))
    median = labels.table.loc[labels.table["Split"] == "train", "Bone Age"].median()
    constant = (other.table["Bone Age"] - median).abs().mean()
    assert row["Baseline MAE (years)"] == pytest.approx(constant)
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "the Digital Hand Atlas. Label: the atlas folder's year of age; in training:" in page.text


def test_rejected_cases_count_as_much_as_they_make_up_of_all(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, off=0.5)
    write_run(tmp_path, labels, "unet")
    rejected = make_labels(cases=20).table.assign(Split="test")
    predictions = rejected[["Case ID", "Split"]].assign(Prediction=rejected["Bone Age"] + 2.5)
    joined = {"cnn-10-plain-s2026": evaluation.join_truth(rejected, predictions)}
    runs = report.match_runs(*evaluation.read_runs(tmp_path), labels)
    comparison = report.compare_runs(runs, (10,), rejected=joined)
    (row,) = comparison.tables.rejected.to_dict("records")
    assert (row["Network"], row["Test cases"], row["Rejected cases"]) == ("CNN", 15, 20)
    # 60 cases were accepted.
    assert row["Rejected share"] == 0.25
    names = ("Test MAE", "Rejected MAE", "MAE with rejected")
    assert [row[f"{name} (years)"] for name in names] == pytest.approx([0.5, 2.5, 1.0])
    assert row["MAE with rejected low (years)"] == pytest.approx(1.0)
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "Test error with the rejected cases" in page.text


def test_labels_without_validation_or_test_still_give_a_report(tmp_path: Path, labels: Labels) -> None:
    only_train = dataclasses.replace(labels, table=labels.table[labels.table["Split"] == "train"])
    write_run(tmp_path, only_train)
    comparison = compare(tmp_path, only_train)
    assert comparison.tables.results[10].at["CNN", "MAE"] == pytest.approx(0.5)
    assert np.isnan(comparison.tables.details.at[0, "Test MAE (years)"])
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert page.tables[0][3] == ["CNN", "0.50", "–", "0.25", "–", "0.000", "–"]


def test_every_table_is_written_as_csv(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path / "runs", labels)
    comparison = compare(tmp_path / "runs", labels)
    report.write_report(comparison, tmp_path / "report.html")
    written = {path.name for path in (tmp_path / "comparison").iterdir()}
    assert written == {
        "table-10-epoch.csv",
        "table-18-epoch.csv",
        "details.csv",
        "baseline.csv",
        "variants.csv",
        "differences.csv",
        "seeds.csv",
        "groups.csv",
        "references.csv",
        "coverage.csv",
        "interval-notices.csv",
        "outside.csv",
        "rejected.csv",
        "sets.csv",
        "coverage-outside.csv",
        "left-out.csv",
    }
    table = pd.read_csv(tmp_path / "comparison" / "table-10-epoch.csv")
    assert table["Network"].tolist() == TITLES
    assert table.set_index("Network").at["CNN", "MAE"] == pytest.approx(0.5)


@pytest.mark.usefixtures("pictures")
def test_the_same_runs_give_the_same_page(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path / "runs", labels, off=0.7)
    pages = [
        report.write_report(compare(tmp_path / "runs", labels), tmp_path / "report.html").read_bytes()
        for _ in range(2)
    ]
    assert pages[0] == pages[1]


def test_a_report_that_cannot_be_written_says_so_and_keeps_the_old_one(
    tmp_path: Path, labels: Labels
) -> None:
    path = tmp_path / "report.html"
    path.write_text("the old one")
    (tmp_path / "comparison").write_text("a file where the folder belongs")
    with pytest.raises(BoneAgeError, match="comparison"):
        report.write_report(compare(tmp_path / "runs", labels), path)
    assert path.read_text() == "the old one"


def test_markdown_has_units_and_says_what_was_not_run(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, off=0.4)
    lines = (
        report.RESULTS.show(compare(tmp_path, labels).tables.results[10].reset_index())
        .to_markdown()
        .splitlines()
    )
    assert lines[0].startswith("| Networks | MAE (years) | Validation MAE (years) | Loss (years²) |")
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == TITLES
    assert lines[4] == "| CNN | 0.40 | 0.40 | 0.16 | 0.16 | 1.000 | 1.000 |"
    assert lines[2].count("not run yet") == 1
    assert {line.count("|") for line in lines} == {8}
    assert report.table_title(10) == "10 Epoch"


def test_the_heading_adds_up_where_there_are_copies(tmp_path: Path, labels: Labels) -> None:
    training = labels.table[labels.table["Split"] == "train"]
    copies = training.assign(**{"Case ID": training["Case ID"] + "_1", "Operators": "[]"}).iloc[:20]
    more = dataclasses.replace(labels, table=pd.concat([labels.table, copies], ignore_index=True))
    heading = compare(tmp_path, more).heading
    assert "60 cases: 30 train, 15 validation, 15 test." in heading
    assert "80 images: one of each case and 20 augmented copies of training cases" in heading
    assert "50 for training in total" in heading
    assert "copies" not in compare(tmp_path, labels).heading


def test_the_contents_lead_to_every_section(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels)
    page = Page(report.write_report(compare(tmp_path, labels), tmp_path / "report.html"))
    sections = [given["id"] for tag, given in page.tags if tag == "h2"]
    assert [given["href"] for tag, given in page.tags if tag == "a"] == [f"#{name}" for name in sections]
    assert len(set(sections)) == len(sections) > 5
    first_link = page.tags.index(("a", {"href": f"#{sections[0]}"}))
    assert first_link < page.tags.index(("h2", {"id": sections[0]}))


def test_a_table_in_a_notebook_is_marked_as_in_the_report(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, "cnn", off=0.7)
    write_run(tmp_path, labels, "unet", off=0.3)
    comparison = compare(tmp_path, labels)
    page = tmp_path / "table.html"
    view = report.results_view(comparison, 10)
    page.write_text(view._repr_html_(), encoding="utf-8")
    shown, whole = Page(page), Page(report.write_report(comparison, tmp_path / "report.html"))
    assert shown.tables == whole.tables[:1]
    kinds = [given.get("class") for tag, given in shown.tags if tag in ("td", "tr")]
    assert kinds.count("best") == 6
    assert kinds.count("reference") == 1
    assert repr(view) == "10 Epoch"


def test_one_image_has_every_prediction_the_nearest_first(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, "cnn", off=0.7)
    write_run(tmp_path, labels, "unet", off=-0.3)
    view = report.case_view(compare(tmp_path, labels), "c0")
    cells = [[cell.text for cell in cells] for _, cells in view.rows]
    assert cells == [
        ["Ground truth", "–", "1.00", "–"],
        ["U-Net", "10", "0.70", "−0.30"],
        ["CNN", "10", "1.70", "+0.70"],
    ]
    assert not report.case_view(compare(tmp_path, labels), "nobody")


def noise(labels: Labels, size: float, seed: int) -> np.ndarray:
    """How far each case is off, at random."""
    return np.random.default_rng(seed).normal(0, size, len(labels.table))


def test_a_variant_stands_against_its_plain_run_and_in_no_other_table(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, off=0.5)
    write_run(tmp_path, labels, off=0.3, variant="sex")
    write_run(tmp_path, labels, "unet", 18, off=0.3, variant="month_bins")
    comparison = compare(tmp_path, labels)
    assert comparison.tables.results[10].at["CNN", "MAE"] == pytest.approx(0.5)
    assert comparison.tables.details["Run"].tolist() == ["cnn-10-plain-s2026"]
    assert [run.name for run in comparison.runs.beside] == ["cnn-10-plain-sex-s2026"]
    (row,) = comparison.tables.variants.to_dict("records")
    assert (row["Variant"], row["Network"], row["Epochs"]) == ("sex as a second input", "CNN", 10)
    assert (row["Plain run"], row["Run"], row["Test cases"]) == (
        "cnn-10-plain-s2026",
        "cnn-10-plain-sex-s2026",
        15,
    )
    assert row["Plain test MAE (years)"] == pytest.approx(0.5)
    assert row["Variant test MAE (years)"] == pytest.approx(0.3)
    # Every case is nearer by as much, so other cases would change nothing.
    ends = [row[f"Difference{end} (years)"] for end in ("", " low", " high")]
    assert ends == pytest.approx([-0.2] * 3)
    assert row["Difference (months)"] == pytest.approx(-2.4)
    left_out = comparison.tables.left_out.set_index("item")["reason"]
    assert "no run of unet with 18 epochs" in left_out["unet-18-plain-month_bins-s2026"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 32}, "batch size (32) than cnn-10-plain-s2026 (8)"),
        ({"settings": {"width": "full", "precision": "mixed_float16"}}, "precision (mixed_float16) than"),
        (
            {"settings": {"width": "full", "precision": "float32", "degradation": 0.25}},
            "degradation (0.25) than cnn-10-plain-s2026 (0.0)",
        ),
    ],
)
def test_a_variant_that_was_trained_otherwise_is_left_out(
    tmp_path: Path, labels: Labels, changes: dict[str, object], words: str
) -> None:
    write_run(tmp_path, labels, batch_size=8)
    write_run(tmp_path, labels, **{"batch_size": 8, "variant": "sex", **changes})
    comparison = compare(tmp_path, labels)
    assert comparison.tables.variants.empty
    assert f"other {words}" in comparison.tables.left_out.at[0, "reason"]


def test_a_variant_of_other_data_is_left_out(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels)
    write_run(tmp_path, labels, variant="sex", fingerprint="0" * 64)
    comparison = compare(tmp_path, labels)
    assert comparison.tables.variants.empty
    assert (
        "cnn-10-plain-s2026 and cnn-10-plain-sex-s2026: trained on different data"
        in comparison.tables.left_out.at[0, "reason"]
    )


def augmented(labels: Labels, copies: int = 1) -> Labels:
    """The same cases and split; each training case has so many more images."""
    table = labels.table
    training = table[table["Split"] == "train"]
    more = [training.assign(**{"Case ID": training["Case ID"] + f"-{copy}"}) for copy in range(copies)]
    return dataclasses.replace(labels, table=pd.concat([table, *more], ignore_index=True))


def test_a_run_on_the_other_set_stands_against_the_one_on_the_labels_set(
    tmp_path: Path, labels: Labels
) -> None:
    more = augmented(labels)
    for network in ("cnn", "unet", "vgg16"):
        write_run(tmp_path, labels, network, off=0.5)
    write_run(tmp_path, more, "cnn", off=0.3)
    write_run(tmp_path, more, "cnn", off=0.2, variant="sex")
    write_run(tmp_path, more, "attention", off=0.3)
    write_run(tmp_path, more, "unet", off=0.3, size=256)
    fewer = dataclasses.replace(labels, table=labels.table[labels.table["Split"] != "test"])
    write_run(tmp_path, augmented(fewer), "vgg16", off=0.3)
    comparison = compare(tmp_path, labels)
    training = (more.table["Split"] == "train").sum()
    row = comparison.tables.variants.iloc[0]
    assert row["Variant"] == f"the augmented set of {training} training images"
    assert (row["Network"], row["Plain run"], row["Run"]) == (
        "CNN",
        "cnn-10-plain-s2026",
        "cnn-10-augmented-s2026",
    )
    assert row["Difference (years)"] == pytest.approx(-0.2)
    both = comparison.tables.variants.iloc[1]
    assert both["Variant"] == f"the augmented set of {training} training images and sex as a second input"
    assert both["Difference (years)"] == pytest.approx(-0.3)
    assert [run.name for run in comparison.runs.beside] == [
        "cnn-10-augmented-s2026",
        "cnn-10-augmented-sex-s2026",
    ]
    assert comparison.tables.results[10].at["CNN", "MAE"] == pytest.approx(0.5)
    reasons = comparison.tables.left_out.set_index("item")["reason"]
    assert "no run of attention" in reasons["attention-10-augmented-s2026"]
    assert "image size" in reasons["unet-10-augmented-s2026"]
    assert "not of the same cases" in reasons["vgg16-10-augmented-s2026"]
    # Under the labels of the augmented set the same runs change places.
    turned = compare(tmp_path, more)
    assert turned.tables.results[10].at["CNN", "MAE"] == pytest.approx(0.3)
    assert turned.tables.variants["Run"].tolist() == ["cnn-10-augmented-sex-s2026", "cnn-10-plain-s2026"]
    assert turned.tables.variants["Variant"].iloc[1] == "the plain set of 30 training images"
    assert turned.tables.variants["Difference (years)"].iloc[1] == pytest.approx(0.2)


def test_augmentation_stands_beside_the_plain_set_repeated_for_as_many_steps(
    tmp_path: Path, labels: Labels
) -> None:
    more = {"batch_size": 8}
    for seed, off in ((1, 0.5), (2, 0.7)):
        write_run(tmp_path, labels, off=off, seed=seed, **more)
        write_run(tmp_path, augmented(labels, 3), off=off - 0.3, seed=seed, **more)
    write_run(tmp_path, labels, "unet", off=0.5, **more)
    without = compare(tmp_path, labels).tables.sets
    assert without["Seeds"].tolist() == ["1, 2", "missing", "1, 2"]
    # Nothing is said of augmentation against the plain set alone, which had fewer steps.
    assert without["Difference (years)"].isna().all()
    longer = dataclasses.replace(labels, repeated_to=150)
    write_run(tmp_path, longer, off=0.4, seed=1, images_per_epoch=120, **more)
    comparison = compare(tmp_path, labels)
    table = comparison.tables.sets
    assert table["Network"].tolist() == ["CNN"] * 3
    assert table["Training set"].tolist() == ["plain", "plain, repeated for as many steps", "augmented"]
    assert table["Training images"].tolist() == [30, 30, 120]
    assert table["Steps"].tolist() == [40, 150, 150]
    assert table["Test MAE mean (years)"].tolist() == pytest.approx([0.6, 0.4, 0.3])
    ends = table[["Validation MAE lowest (years)", "Validation MAE highest (years)"]].iloc[2]
    assert ends.tolist() == pytest.approx([0.2, 0.4])
    assert table["Difference (years)"].tolist() == pytest.approx([np.nan, -0.2, -0.1], nan_ok=True)
    # Every case errs by as much, so that the interval is that of the trainings alone.
    ends = table[["Difference low (years)", "Difference high (years)"]]
    assert ends.iloc[1:].to_numpy() == pytest.approx(np.array([[-0.3, -0.1], [-0.2, 0.0]]))
    assert "the plain set repeated to 120 training images an epoch" in set(
        comparison.tables.variants["Variant"]
    )
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    (shown,) = [one for one in page.tables if "Training set" in one[0]]
    assert len(shown) == 4


def test_a_variant_is_compared_with_the_plain_run_of_its_own_seed(tmp_path: Path, labels: Labels) -> None:
    for seed, off in ((1, 0.5), (2, 0.4)):
        write_run(tmp_path, labels, off=off, seed=seed)
    write_run(tmp_path, labels, off=0.3, seed=2, variant="sex")
    write_run(tmp_path, labels, off=0.3, seed=3, variant="tta")
    variants = compare(tmp_path, labels).tables.variants
    assert variants["Plain run"].tolist() == ["cnn-10-plain-s2", "cnn-10-plain-s1"]


def test_trainings_with_other_seeds_stand_beside_the_one_with_the_lowest(
    tmp_path: Path, labels: Labels
) -> None:
    runs = tmp_path / "runs"
    for folder, off, seed in ((runs, 0.5, 1), (runs, 0.4, 2), (runs, 1.1, 3)):
        write_run(folder, labels, off=off, seed=seed)
    write_run(runs, labels, off=2.0, seed=4, fingerprint="0" * 64)
    write_run(runs, labels, off=2.0, seed=5, weights="from ImageNet")
    write_run(runs, labels, "unet", off=0.7, seed=2)
    write_run(runs, labels, off=0.2, seed=1, variant="sex")
    write_run(runs, labels, off=0.4, seed=2, variant="sex")
    comparison = compare(runs, labels, (10,))
    of_cnn, with_sex = comparison.tables.seeds.to_dict("records")
    assert (of_cnn["Network"], of_cnn["Epochs"], of_cnn["Seeds"]) == ("CNN", 10, "1, 2, 3")
    assert of_cnn["Test MAE mean (years)"] == pytest.approx(2.0 / 3)
    ends = [of_cnn[f"Test MAE {end} (years)"] for end in ("lowest", "highest")]
    assert ends == pytest.approx([0.4, 1.1])
    assert (with_sex["Network"], with_sex["Seeds"]) == ("CNN, sex as a second input", "1, 2")
    assert with_sex["Test MAE mean (years)"] == pytest.approx(0.3)
    assert comparison.tables.details["Test MAE (years)"].tolist() == pytest.approx([0.5, 0.7])
    assert comparison.tables.variants["Run"].tolist() == ["cnn-10-plain-sex-s1"]
    reasons = comparison.tables.left_out.set_index("item")["reason"]
    assert "different data" in reasons["cnn-10-plain-s4"]
    assert "other initial weights" in reasons["cnn-10-plain-s5"]
    assert len(reasons) == 2
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    (table,) = [one for one in page.tables if "Seeds" in one[0]]
    assert table[1][:5] == ["CNN", "10", "1, 2, 3", "0.67 0.40–1.10", "8.0 4.8–13.2"]
    # What was recorded stands without the folders it came from.
    pipeline.record(comparison, tmp_path / "results")
    recorded, left_out = evaluation.read_runs(tmp_path / "results" / "runs")
    assert {run.name for run in recorded} == {run.name for run in comparison.runs.all}
    assert left_out.empty


def test_recorded_tables_of_other_data_are_never_replaced(tmp_path: Path, labels: Labels) -> None:
    work, results = Workspace(Settings(work=str(tmp_path / "work"))), tmp_path / "results"
    write_labels(work.labels, labels)
    write_run(work.runs, labels, epochs=2)
    write_run(results / "runs", labels, source="another")
    with pytest.raises(BoneAgeError, match=r"results: none of its runs can be .* another.*--results"):
        pipeline.compare(work, recorded=results)
    assert not work.report.exists()
    # One that belongs here will do: the others are left out by name.
    write_run(results / "runs", labels, "vgg16")
    comparison = pipeline.compare(work, recorded=results)
    assert {run.name for run in comparison.runs.all} == {"cnn-2-plain-s2026", "vgg16-10-plain-s2026"}
    assert comparison.tables.left_out["item"].tolist() == ["cnn-10-plain-s2026"]
    # Nor does one under the name of one of these displace it, though it finished later, nor is it replaced.
    write_run(work.runs, labels, "yolo")
    other = {"source": "another", "finished": "2026-12-01T00:00:00+00:00"}
    write_run(results / "runs", labels, "yolo", **other)
    with pytest.raises(BoneAgeError, match=r"yolo-10-plain-s2026: of other data than .* move it away"):
        pipeline.compare(work, recorded=results)
    (results / "runs" / "yolo-10-plain-s2026").rename(work.runs / "another")
    comparison = pipeline.compare(work, recorded=results)
    assert work.runs / "yolo-10-plain-s2026" in [run.folder for run in comparison.runs.all]
    reasons = comparison.tables.left_out.set_index("item")["reason"]
    assert reasons["another"] == "yolo-10-plain-s2026 is of these labels and is used instead"


def test_the_ensemble_is_of_the_best_three_by_validation_never_by_test(
    tmp_path: Path, labels: Labels
) -> None:
    of_test = (labels.table["Split"] == "test").to_numpy()
    # The network that is worst on validation is by far the best on the test cases, and must not be taken.
    for network, validation, test in (
        ("cnn", 0.4, 0.8),
        ("unet", 0.5, -0.4),
        ("yolo", 0.6, 0.5),
        ("vgg16", 2.0, 0.01),
    ):
        write_run(tmp_path, labels, network, 18, off=np.where(of_test, test, validation))
    write_run(tmp_path, labels, "cnn", 10)
    write_run(tmp_path, labels, "unet", 10)
    (row,) = compare(tmp_path, labels).tables.variants.to_dict("records")
    assert row["Variant"] == "the mean of the best 3 networks"
    assert (row["Network"], row["Plain run"], row["Epochs"]) == ("CNN, U-Net, Yolo", "cnn-18-plain-s2026", 18)
    assert row["Plain test MAE (years)"] == pytest.approx(0.8)
    assert row["Variant test MAE (years)"] == pytest.approx((0.8 - 0.4 + 0.5) / 3)


def test_every_pair_of_an_epoch_count_is_compared_and_corrected(tmp_path: Path) -> None:
    labels = make_labels(cases=400)
    for network, size in (("cnn", 1.0), ("unet", 1.0), ("yolo", 3.0)):
        write_run(tmp_path, labels, network, off=noise(labels, size, len(network)))
    write_run(tmp_path, labels, "cnn", 18)
    comparison = compare(tmp_path, labels)
    table = comparison.tables.differences.set_index(["Network", "Other network"])
    # The better network stands first, the largest difference on top.
    assert set(table.index) == {("CNN", "U-Net"), ("CNN", "Yolo"), ("U-Net", "Yolo")}
    assert (table["Difference (years)"] < 0).all()
    assert table["Difference (years)"].is_monotonic_increasing
    assert (table["Epochs"] == 10).all()
    assert (table["Test cases"] == 100).all()
    assert table["Significant"].tolist() == ["yes", "yes", "no"]
    assert table["p (Holm)"].tolist() == pytest.approx(evaluation.holm(table["p"].to_numpy()))
    details = comparison.tables.details.query("Epochs == 10").set_index("Network")["Test MAE (years)"]
    difference = details["CNN"] - details["Yolo"]
    assert table.at[("CNN", "Yolo"), "Difference (years)"] == pytest.approx(difference)
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "Significantly different after Holm correction: 2 of 3 after 10 epochs." in page.text
    (pairs,) = [shown for shown in page.tables if shown[0][0] == "Better network"]
    assert {row[0] for row in pairs[1:3]} == {"CNN", "U-Net"}
    assert [row[1] for row in pairs[1:3]] == ["Yolo", "Yolo"]
    assert all(row[4].startswith("−") for row in pairs[1:])
    assert "10 epochs: Each network was trained once, so this says nothing about another" in page.text


def test_a_network_of_several_seeds_is_compared_with_the_mean_of_its_trainings(tmp_path: Path) -> None:
    labels = make_labels(cases=400)
    # One lucky seed: alone it differs from the other network, among its three trainings it does not.
    for seed, off in ((1, 0.5), (2, 1.5), (3, 1.2)):
        write_run(tmp_path, labels, "cnn", off=off, seed=seed)
    write_run(tmp_path, labels, "unet", off=1.0)
    comparison = compare(tmp_path, labels)
    (row,) = comparison.tables.differences.to_dict("records")
    assert (row["Network"], row["Trainings"], row["Other trainings"]) == ("U-Net", 1, 3)
    assert row["Other test MAE (years)"] == pytest.approx(3.2 / 3)
    assert row["Difference low (years)"] < 0 < row["Difference high (years)"]
    assert row["Significant"] == "no"
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "CNN with the mean of 3 trainings; the others were trained once" in page.text


def test_predictions_of_other_cases_do_not_share_a_table(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, "cnn")
    write_run(tmp_path, labels, "unet")
    fewer = dataclasses.replace(labels, table=labels.table.iloc[4:])
    write_run(tmp_path, fewer, "vgg16")
    comparison = compare(tmp_path, labels)
    assert comparison.tables.details["Network"].tolist() == ["CNN", "U-Net"]
    assert (
        "not of the same cases"
        in comparison.tables.left_out.set_index("item").at["vgg16-10-plain-s2026", "reason"]
    )


def test_predictions_that_were_lost_are_noticed(tmp_path: Path, labels: Labels) -> None:
    folder = write_run(tmp_path, labels)
    predictions = pd.read_csv(folder / "predictions.csv")
    # All errors are equally large, so the MAE stays what it was.
    predictions.iloc[:-1].to_csv(folder / "predictions.csv", index=False)
    comparison = compare(tmp_path, labels)
    assert comparison.runs.tabled == []
    assert "recorded error" in comparison.tables.left_out.at[0, "reason"]


def test_groups_have_their_own_error_and_small_ones_are_grey(tmp_path: Path) -> None:
    labels = make_labels(cases=160)
    table = labels.table.assign(Location=np.where(np.arange(160) % 40 == 3, "Asian", "Caucasian"))
    labels = dataclasses.replace(labels, table=table)
    write_run(tmp_path, labels, off=np.where(table["Male"], 1.0, 0.25))
    comparison = compare(tmp_path, labels)
    groups = comparison.tables.groups.set_index(["By", "Group"])
    test = table[table["Split"] == "test"]
    assert groups.at[("Sex", "Boys"), "Test MAE (years)"] == pytest.approx(1.0)
    assert groups.at[("Sex", "Girls"), "Test MAE (months)"] == pytest.approx(3.0)
    assert groups.at[("Race", "Asian"), "Test cases"] == 4
    assert groups.at[("Race", "Asian"), "Few cases"] == "yes"
    assert groups.at[("Race", "Caucasian"), "Few cases"] == "no"
    assert groups.at[("Age", "5–9 years"), "Test cases"] == test["Bone Age"].between(5, 9.99).sum()
    # Each case is in one group of each kind.
    assert (comparison.tables.groups.groupby("By")["Test cases"].sum() == len(test)).all()
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    (shown,) = [one for one in page.tables if "Girls" in one[0][1]]
    grey = [given for tag, given in page.tags if given.get("class") == "few"]
    assert len(grey) == (comparison.tables.groups["Few cases"] == "yes").sum() > 0
    assert len(shown[1]) == 1 + len(groups)


def test_a_source_that_tells_no_race_says_so(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels)
    comparison = compare(tmp_path, labels)
    assert set(comparison.tables.groups["By"]) == {"Sex", "Age"}
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "The source does not give race." in page.text


def test_published_figures_are_cited_and_told_apart(tmp_path: Path, labels: Labels) -> None:
    table = references.references_table()
    assert list(table) == list(references.REFERENCES)
    assert (table["Source"].str.len() > 20).all()
    assert table[["MAE (years)", "RMS (years)"]].notna().sum(axis=1).eq(1).all()
    systems = table["MAE (months)"].dropna()
    assert (table["MAE (years)"].dropna() * 12).to_numpy() == pytest.approx(systems.to_numpy())
    write_run(tmp_path, labels)
    page = Page(report.write_report(compare(tmp_path, labels), tmp_path / "report.html"))
    assert references.CAUTION in page.text
    for source in table["Source"]:
        assert source in page.text


def test_a_perfect_prediction_errs_by_what_the_readers_differ() -> None:
    # Two readers whose difference has a root mean square of 0.63 year, drawn.
    reading = np.random.default_rng(5).normal(0, 0.63 / 2**0.5, (2, 200_000))
    assert np.sqrt(np.mean((reading[0] - reading[1]) ** 2)) == pytest.approx(0.63, abs=0.005)
    drawn = np.abs(reading.mean(axis=0)).mean()
    lines = references.reference_lines("dha")
    perfect, systems = lines.values()
    assert perfect == pytest.approx((drawn, drawn), abs=0.002)
    assert systems == pytest.approx((5.66 / 12, 6.9 / 12))
    assert all("other conditions" in words or "perfect" in words for words in lines)
    # Drawn hands compare with no child's.
    assert references.reference_lines("phantom") == {}


def test_the_intervals_come_from_validation_and_are_judged_on_the_test_cases(tmp_path: Path) -> None:
    labels = make_labels(cases=160)
    split = labels.table["Split"].to_numpy()
    # Of 40 validation cases each is off by another amount; of the test cases all but two lie inside.
    off = np.zeros(160)
    off[split == "validation"] = np.arange(1, 41) / 10
    off[np.flatnonzero(split == "test")[:2]] = 5
    write_run(tmp_path, labels, off=off)
    comparison = compare(tmp_path, labels)
    rows = comparison.tables.coverage.set_index("Predictions")
    # The error of rank ceil(41 x 0.9) = 37; ends beyond the ages that there are are cut off.
    half_width = 3.7
    test = labels.table[split == "test"]
    prediction = (
        comparison.runs.joined["cnn-10-plain-s2026"]
        .set_index("Case ID")["Prediction"][test["Case ID"]]
        .to_numpy()
    )
    low, high = np.clip([prediction - half_width, prediction + half_width], 0, OLDEST_YEARS)
    assert rows.loc["all", "Test cases"] == 40
    assert rows.loc["all", "Coverage"] == pytest.approx(38 / 40)
    assert rows.loc["all", "Mean width (years)"] == pytest.approx((high - low).mean())
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    (table,) = [one for one in page.tables if one[0][1] == "Epochs" and one[0][2].startswith("Coverage")]
    assert table[1][:2] + table[1][3:] == ["CNN", "10", "0.90", f"{(high - low).mean():.1f}", "40", "40"]
    assert table[1][2].startswith("0.95")
    assert "Another scanner" in page.text


def test_too_few_validation_cases_are_a_sentence(tmp_path: Path) -> None:
    labels = make_labels(cases=32)
    write_run(tmp_path, labels)
    comparison = compare(tmp_path, labels)
    assert comparison.tables.coverage.empty
    (notice,) = comparison.tables.interval_notices.to_dict("records")
    assert notice["item"] == "CNN, 10 epochs"
    assert "8 validation cases are too few for a 0.9 interval, 9 are needed" in notice["reason"]
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "8 validation cases are too few for a 0.9 interval" in page.text
    assert report.coverage_chart(comparison) is None


def test_on_another_source_the_same_intervals_promise_nothing(tmp_path: Path, labels: Labels) -> None:
    write_run(tmp_path, labels, off=0.5)
    other = make_labels("the atlas folder's year of age", "dha", cases=40)
    predictions = other.table[["Case ID", "Split"]].assign(Prediction=other.table["Bone Age"] + 1.5)
    test = report.Outside(
        other.source, other.kind, {"cnn-10-plain-s2026": evaluation.join_truth(other.table, predictions)}
    )
    comparison = compare(tmp_path, labels, outside=test)
    everyone = comparison.tables.coverage_outside.set_index("Predictions").loc["all"]
    # Off by half a year there, by one and a half here.
    assert (everyone["Test cases"], everyone["Coverage"]) == (40, 0.0)
    assert comparison.tables.coverage.set_index("Predictions").at["all", "Coverage"] == 1.0
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "Intervals on another source" in page.text


def examined_files(runs: Path, labels: Labels, tables: Path) -> report.ExaminedFiles:
    """The files of an examination of a run, with what an examination would have found."""
    files = report.ExaminedFiles(evaluation.read_run(write_run(runs, labels)), tables)
    images, truth = np.zeros((5, 8, 8), np.uint8), np.array([1.0, 3.0, 5.0, 7.0, 9.0])
    found = robustness_table(lambda changed: truth + changed.mean() / 100, images, truth)
    files.keep(files.robustness, found)
    files.keep(files.heat, DRAWN_PNG(plots.Chart(height=2)))
    if files.centres:
        shares = {"On the hand": 0.9, "On centres": 0.4, "Even over the hand": 0.25, "At best": 0.8}
        ages = pd.DataFrame({"Bone Age": [2.0, 9.0, 17.0], "Male": [False, True, False]})
        files.keep(files.centres, ages.assign(**shares))
    return files


def test_an_examination_is_kept_as_long_as_its_run_is_the_same(tmp_path: Path) -> None:
    labels = make_labels("simulated readings", "phantom")
    files = examined_files(tmp_path, labels, tmp_path / "comparison")
    (kept,) = report.kept_examinations([files.run], files.folder)
    assert (kept.run, kept.title) == ("cnn-10-plain-s2026", "CNN, 10 epochs")
    assert kept.robustness["Images"].iloc[0] == "as they are"
    assert kept.robustness["MAE (years)"].iloc[0] == 0
    inverted = kept.robustness.set_index("Perturbation").loc["inversion"]
    assert inverted["Change in MAE (years)"] == pytest.approx(2.55)
    assert kept.centres["Male"].tolist() == [False, True, False]
    assert kept.centres["On centres"].tolist() == [0.4] * 3
    later = dataclasses.replace(files.run, record={**files.run.record, "finished": "2026-12-01"})
    other = dataclasses.replace(files.run, record={**files.run.record, "fingerprint": "0" * 64})
    assert report.kept_examinations([later, other], files.folder) == []
    files.robustness.write_text(files.robustness.read_text() + "mended by hand\n")
    assert report.kept_examinations([files.run], files.folder) == []


def test_recorded_robustness_stands_until_its_run_is_trained_again(tmp_path: Path, labels: Labels) -> None:
    files = examined_files(tmp_path / "runs", labels, tmp_path / "comparison")
    write_run(tmp_path / "runs", labels, "unet")
    comparison, results = compare(tmp_path / "runs", labels), tmp_path / "results"
    pipeline.record(comparison, results)
    assert not (results / "robustness.csv").exists()
    kept = tuple(report.kept_examinations([files.run], files.folder))
    pipeline.record(dataclasses.replace(comparison, examinations=kept), results)
    recorded = pd.read_csv(results / "robustness.csv")
    assert recorded.columns.tolist() == list(report.ROBUSTNESS_OF_RUNS)
    assert recorded["Images"].tolist() == kept[0].robustness["Images"].tolist()
    assert set(recorded["Run"]) == {"cnn-10-plain-s2026"}
    # Another comparison, without the weights: what was found stands.
    pipeline.record(comparison, results)
    pd.testing.assert_frame_equal(pd.read_csv(results / "robustness.csv"), recorded)
    # So it does where the run is in no table this time.
    write_run(tmp_path / "others", labels, "unet")
    pipeline.record(compare(tmp_path / "others", labels), results)
    pd.testing.assert_frame_equal(pd.read_csv(results / "robustness.csv"), recorded)
    text = (results / "robustness.csv").read_text()
    recorded.assign(Epochs="n/a").to_csv(results / "robustness.csv", index=False)
    with pytest.raises(BoneAgeError, match=r"robustness\.csv: Unable to parse .*; restore the file"):
        pipeline.record(comparison, results)
    (results / "robustness.csv").write_text(text)
    shutil.rmtree(tmp_path / "runs")
    write_run(tmp_path / "runs", labels, finished="2026-12-01T00:00:00+00:00")
    pipeline.record(compare(tmp_path / "runs", labels), results)
    assert pd.read_csv(results / "robustness.csv").empty


@pytest.mark.parametrize("source", ["phantom", "rsna"])
def test_an_examination_is_shown_and_children_are_named_as_such(tmp_path: Path, source: str) -> None:
    labels = make_labels("a reading", source)
    files = examined_files(tmp_path, labels, tmp_path / "comparison")
    comparison = compare(tmp_path, labels)
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "No network has been examined" in page.text
    kept = tuple(report.kept_examinations([files.run], files.folder))
    comparison = dataclasses.replace(comparison, examinations=kept)
    page = Page(report.write_report(comparison, tmp_path / "report.html"))
    assert "No network has been examined" not in page.text
    (table,) = [one for one in page.tables if one[0][0] == "Images"]
    assert table[1][:2] == ["as they are", "0.00"]
    assert [row[0] for row in table[1:]] == kept[0].robustness["Images"].tolist()
    drawn = source == "phantom"
    assert ("These are radiographs of children" in page.text) != drawn
    shares = [one for one in page.tables if any("growth centres" in head for head in one[0])]
    assert len(shares) == drawn
    if drawn:
        assert shares[0][1][:4] == ["CNN, 10 epochs", "0.90", "0.40", "0.25"]
        assert shares[0][1][4].startswith("+0.15")


def test_of_each_network_its_best_run_by_validation_is_examined(tmp_path: Path, labels: Labels) -> None:
    for network, epochs, off in (("cnn", 10, 0.3), ("cnn", 18, 0.2), ("unet", 10, 0.4), ("yolo", 10, 0.9)):
        write_run(tmp_path, labels, network, epochs, off)
    comparison = compare(tmp_path, labels)
    best = report.best_networks(comparison.runs.tabled, comparison.runs.joined, 2)
    assert [run.folder.name for run in best] == ["cnn-18-plain-s2026", "unet-10-plain-s2026"]


# Tables wider than the page, whose box therefore scrolls.
_WIDE = (
    "() => [...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth).length"
)
_PAGE_WIDTH = "() => document.documentElement.scrollWidth"


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.usefixtures("pictures")
def test_on_a_phone_the_tables_scroll_in_their_box_and_the_page_does_not(tmp_path: Path) -> None:
    labels = make_labels("a label whose name is as long as a name of a label can sensibly be")
    table = labels.table.assign(Location=np.where(np.arange(60) % 8 < 4, "African American", "Asian"))
    labels = dataclasses.replace(labels, table=table)
    runs = tmp_path / "runs"
    for place, network in enumerate(("vision_transformer", "attention", "efficientnetv2s")):
        write_run(runs, labels, network, off=noise(labels, 1, place))
        write_run(runs, labels, network, off=noise(labels, 1, place), variant="tta")
    (runs / ("a-folder-without-a-record" * 8)).mkdir()
    files = examined_files(runs, labels, tmp_path / "comparison")
    kept = tuple(report.kept_examinations([files.run], files.folder))
    comparison = dataclasses.replace(compare(runs, labels), examinations=kept)
    path = report.write_report(comparison, tmp_path / "report.html")
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for width in (320, 390, 1366):
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.on("request", lambda request: asked.append(request.url))
            page.goto(path.as_uri())
            for summary in page.locator("summary").all():
                if summary.locator("..").get_attribute("open") is None:
                    summary.click()
            assert page.evaluate(_PAGE_WIDTH) == width
            assert page.evaluate(_WIDE) > 0 or width > 1000
        browser.close()
    assert {url.split(":")[0] for url in asked if not url.startswith("data:")} == {"file"}


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.usefixtures("pictures")
def test_the_result_is_on_a_phones_first_screen_and_nothing_is_white_in_the_dark(tmp_path: Path) -> None:
    labels = make_labels("a reading", "phantom")
    write_run(tmp_path / "runs", labels)
    path = report.write_report(compare(tmp_path / "runs", labels), tmp_path / "report.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        page.goto(path.as_uri())
        result = page.locator(".result").bounding_box()
        assert result["y"] + result["height"] < 844 / 2
        (tmp_path / "chart.png").write_bytes(page.locator("img.chart").first.screenshot())
        browser.close()
    with Image.open(tmp_path / "chart.png") as picture:
        levels = np.asarray(picture.convert("L"))
    # Light ink on the page's own dark.
    assert np.median(levels) < 40
    assert levels.max() > 180
