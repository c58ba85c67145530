"""A comparison of the finished runs: its tables, as Markdown, as CSV, and as one HTML file.

The HTML file carries its style and its figures in it and asks nothing of any network. Everything in it
that came from a file is escaped.
"""

import base64
import itertools
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from boneage import plots
from boneage.errors import BoneAgeError
from boneage.evaluation import (
    Run,
    check_comparable,
    constant_predictor,
    join_truth,
    mae_interval,
    metrics,
    metrics_by_split,
    results_table,
    width_of,
)
from boneage.files import write_text
from boneage.labels import UNKNOWN, Labels
from boneage.networks import NETWORKS, find
from boneage.tables import MONTHS_PER_YEAR, SPLITS, skipped_table, write_table

NOT_RUN = "not run yet"
BASELINE = "Constant predictor"

DETAIL_COLUMNS = (
    "Network",
    "Epochs",
    "Validation MAE (years)",
    "Test cases",
    "Test MAE (years)",
    "Test MAE low (years)",
    "Test MAE high (years)",
    "Test MAE (months)",
    "Test MAE low (months)",
    "Test MAE high (months)",
    "Accuracy",
    "Within 1 year",
    "RMSE (years)",
    "Bias (years)",
    "R2",
    "Parameters",
    "Seconds an epoch",
    "Photos a second",
    "Photo size (px)",
    "Device",
    "Backend",
    "Weights",
    "Finished",
    "Run",
)
OUTSIDE_COLUMNS = (
    "Network",
    "Epochs",
    "Source",
    "Label",
    "Cases",
    "MAE (years)",
    "MAE low (years)",
    "MAE high (years)",
    "MAE (months)",
    "MAE low (months)",
    "MAE high (months)",
    "Within 1 year",
    "Bias (years)",
    "Constant predictor MAE (years)",
    "Run",
)
BASELINE_COLUMNS = (
    "Split",
    "Photos",
    "MAE (years)",
    "MAE (months)",
    "Loss (years²)",
    "Accuracy",
    "Within 1 year",
    "RMSE (years)",
    "Bias (years)",
)

# A record's MAE and the one made anew differ by the rounding of ages and estimates, no more.
_SAME_MAE_YEARS = 1e-3

_UNIT_OF_COLUMN = {"MAE": "years", "Loss": "years²", "Accuracy": "share"}
_DECIMALS = {"MAE": 2, "Loss": 2, "Accuracy": 3}

_WORDS_OF_SOURCE = {
    "phantom": "drawn hands (phantoms, not children)",
    "dha": "the Digital Hand Atlas",
    "rsna": "the RSNA Pediatric Bone Age Challenge 2017",
}


@dataclass(frozen=True)
class Outside:
    """A test of the runs on another source's photos, none of which they were trained on.

    Attributes:
        source: That source.
        label_kind: Which age its label is.
        joined: Run folder name -> what ``evaluation.join_truth`` returns with that source's labels.
    """

    source: str
    label_kind: str
    joined: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Comparison:
    """The finished runs side by side.

    Attributes:
        heading: What every table is headed by: source, label, cases of each split, how they were split,
            photo size.
        tables: Epochs -> the nine-row table of ``evaluation.results_table``, in rising order.
        details: ``DETAIL_COLUMNS``, one row a run that stands in a table.
        baseline: ``BASELINE_COLUMNS``, one row a split: always saying the training cases' median age.
        outside: ``OUTSIDE_COLUMNS``, one row a run that was tested on another source; else empty.
        left_out: Runs that stand in no table, and why (``item``, ``reason``).
        joined: Run folder name -> its estimates beside the truth (``evaluation.join_truth``).
        runs: The runs that stand in a table.
        labels: The labels of all of them.
        outside_test: The estimates behind ``outside``.
    """

    heading: str
    tables: dict[int, pd.DataFrame]
    details: pd.DataFrame
    baseline: pd.DataFrame
    outside: pd.DataFrame
    left_out: pd.DataFrame
    joined: dict[str, pd.DataFrame]
    runs: list[Run]
    labels: Labels
    outside_test: Outside | None = None


def compare_runs(
    runs: Sequence[Run],
    labels: Labels,
    epochs: Iterable[int],
    left_out: pd.DataFrame,
    outside_test: Outside | None = None,
) -> Comparison:
    """Puts the finished runs side by side.

    A run whose estimates do not belong to the labels is left out with its reason. So is one that differs
    from the others of its table in source, label, split, photos or size: the larger group stands, of two
    equally large ones that with the newest run.

    Args:
        runs: Finished runs in the tables' order, one a network and epoch count (``evaluation.read_runs``).
        labels: The labels they were trained on.
        epochs: Epoch counts to show tables of; those of the runs are added.
        left_out: What was left out already (``item``, ``reason``).
        outside_test: Estimates for another source's photos, if there are any.
    """
    joined: dict[str, pd.DataFrame] = {}
    reasons: list[tuple[str, str]] = []
    belonging = []
    for run in runs:
        try:
            joined[run.folder.name] = _joined(run, labels)
            belonging.append(run)
        except BoneAgeError as error:
            reasons.append((run.folder.name, str(error)))
    standing, unlike = _largest_groups(belonging)
    joined = {run.folder.name: joined[run.folder.name] for run in standing}
    records = [{**run.record, "metrics": metrics_by_split(labels.table, run.predictions)} for run in standing]
    every_epochs = sorted({*epochs, *(run.record["epochs"] for run in standing)})
    return Comparison(
        heading=_heading(labels, standing),
        tables={count: results_table(records, count) for count in every_epochs},
        details=_details(standing, joined),
        baseline=_baseline(labels),
        outside=_outside(standing, labels, outside_test),
        left_out=_printable(pd.concat([left_out, skipped_table([*reasons, *unlike])], ignore_index=True)),
        joined=joined,
        runs=standing,
        labels=labels,
        outside_test=outside_test,
    )


def _joined(run: Run, labels: Labels) -> pd.DataFrame:
    for key, ours in (("label_kind", labels.kind), ("source", labels.source)):
        theirs = run.record[key]
        if theirs != ours and UNKNOWN not in (theirs, ours):
            name = {"label_kind": "label", "source": "source"}[key]
            raise BoneAgeError(
                f"its {name} is {theirs}, but that of the label CSV is {ours}; train it again, or set it back"
            )
    joined = join_truth(labels.table, run.predictions)
    anew, recorded = metrics_by_split(labels.table, run.predictions), run.record["metrics"]
    if set(anew) != set(recorded) or any(
        abs(anew[split]["mae"] - recorded[split]["mae"]) > _SAME_MAE_YEARS for split in anew
    ):
        raise BoneAgeError(
            "its recorded error is not that of its estimates under these labels; the labels changed since, "
            "or the run's files did: train it again"
        )
    return joined


def _largest_groups(runs: list[Run]) -> tuple[list[Run], list[tuple[str, str]]]:
    standing, reasons = [], []
    for epochs in sorted({run.record["epochs"] for run in runs}):
        groups: list[list[Run]] = []
        for run in (run for run in runs if run.record["epochs"] == epochs):
            home = next((group for group in groups if not _difference(group[0], run)), None)
            if home is None:
                groups.append([run])
            else:
                home.append(run)
        groups.sort(key=lambda group: (len(group), max(run.record["finished"] for run in group)))
        *others, kept = groups
        standing += kept
        reasons += [
            (run.folder.name, f"{_difference(kept[0], run)} (the larger or newer group of runs stands)")
            for run in itertools.chain(*others)
        ]
    names = {run.folder.name for run in standing}
    return [run for run in runs if run.folder.name in names], reasons


def _difference(one: Run, other: Run) -> str:
    try:
        check_comparable([one.record, other.record])
    except BoneAgeError as error:
        return str(error)
    return ""


def _heading(labels: Labels, runs: list[Run]) -> str:
    table = labels.table
    cases = table.groupby("Split")["Source ID"].nunique()
    counts = ", ".join(f"{cases.get(split, 0):,} {split}" for split in SPLITS)
    grown = f" grown to {len(table):,} photos," if len(table) > table["Source ID"].nunique() else ""
    sizes = sorted({str(run.record["size"]) for run in runs})
    pixels = f"; photos of {' or '.join(f'{size} × {size}' for size in sizes)} pixels" if sizes else ""
    return _text(
        f"Source: {source_words(_known_source(labels, runs))}. Label: {labels.kind}. "
        f"{table['Source ID'].nunique():,} cases,{grown} {counts}; split by case, stratified by year of age, "
        f"sex and race, before anything is grown{pixels}.{words_of_width(runs[0].record) if runs else ''}"
    )


def words_of_width(record: dict) -> str:
    """What a table must say where its networks are not the published ones."""
    return " Tiny networks, narrower and shallower than published." if width_of(record) == "tiny" else ""


def _known_source(labels: Labels, runs: list[Run]) -> str:
    sources = [labels.source, *(str(run.record["source"]) for run in runs)]
    return next((source for source in sources if source != UNKNOWN), UNKNOWN)


def source_words(source: str) -> str:
    """A source, or several joined by " and ", in words."""
    return " and ".join(_WORDS_OF_SOURCE.get(name, name) for name in source.split(" and "))


def _details(runs: list[Run], joined: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = []
    for run in runs:
        record, estimates = run.record, joined[run.folder.name]
        of_validation = estimates[estimates["Split"] == "validation"]
        of_test = estimates[estimates["Split"] == "test"]
        rows.append(
            {
                "Network": find(record["network"]).title,
                "Epochs": record["epochs"],
                "Validation MAE (years)": of_validation["Error"].abs().mean(),
                "Test cases": len(of_test),
                **_quality(of_test, record.get("seed"), "Test "),
                "Parameters": _number(record.get("parameters")),
                "Seconds an epoch": _number(record.get("seconds_per_epoch")),
                "Photos a second": _number(record.get("photos_per_second")),
                "Photo size (px)": _number(record["size"]),
                **{
                    name.capitalize(): _text(record.get(name, UNKNOWN))
                    for name in ("device", "backend", "weights", "finished")
                },
                "Run": _text(run.folder.name),
            }
        )
    return pd.DataFrame(rows, columns=list(DETAIL_COLUMNS))


def _quality(joined: pd.DataFrame, seed: object, prefix: str = "") -> dict[str, float]:
    if joined.empty:
        return {}
    values = metrics(joined["Bone Age"].to_numpy(), joined["Estimate"].to_numpy())
    low, high = mae_interval(joined["Error"].to_numpy(), seed if type(seed) is int and seed >= 0 else 0)
    of_mae = {"MAE": values["mae"], "MAE low": low, "MAE high": high}
    return {
        **{f"{prefix}{name} (years)": years for name, years in of_mae.items()},
        **{f"{prefix}{name} (months)": years * MONTHS_PER_YEAR for name, years in of_mae.items()},
        "Accuracy": values["accuracy"],
        "Within 1 year": values["within_1_year"],
        "RMSE (years)": values["rmse"],
        "Bias (years)": values["bias"],
        "R2": np.nan if values["r2"] is None else values["r2"],
    }


def _baseline(labels: Labels) -> pd.DataFrame:
    rows = []
    if (labels.table["Split"] == "train").any():
        for split, values in constant_predictor(labels.table).items():
            rows.append(
                {
                    "Split": split,
                    "Photos": values["count"],
                    "MAE (years)": values["mae"],
                    "MAE (months)": values["mae"] * MONTHS_PER_YEAR,
                    "Loss (years²)": values["loss"],
                    "Accuracy": values["accuracy"],
                    "Within 1 year": values["within_1_year"],
                    "RMSE (years)": values["rmse"],
                    "Bias (years)": values["bias"],
                }
            )
    return pd.DataFrame(rows, columns=list(BASELINE_COLUMNS))


def _outside(runs: list[Run], labels: Labels, test: Outside | None) -> pd.DataFrame:
    rows = []
    median = labels.table.loc[labels.table["Split"] == "train", "Bone Age"].median()
    for run in runs:
        joined = test.joined.get(run.folder.name) if test else None
        if joined is None:
            continue
        rows.append(
            {
                "Network": find(run.record["network"]).title,
                "Epochs": run.record["epochs"],
                "Source": _text(source_words(test.source)),
                "Label": _text(test.label_kind),
                "Cases": len(joined),
                **_quality(joined, run.record.get("seed")),
                "Constant predictor MAE (years)": (joined["Bone Age"] - median).abs().mean(),
                "Run": _text(run.folder.name),
            }
        )
    return pd.DataFrame(rows, columns=list(OUTSIDE_COLUMNS))


def table_title(epochs: int) -> str:
    """The title of the table of that many epochs."""
    return f"{epochs} Epoch"


def markdown_table(table: pd.DataFrame) -> str:
    """A table of ``evaluation.results_table`` as Markdown, nine rows, units in the header line."""
    lines = [
        ["Networks", *(f"{column} ({_unit(column)})" for column in table.columns)],
        ["---", *("---:" for _ in table.columns)],
    ]
    for name, values in table.iterrows():
        lines.append([name, *(_cell(column, value, NOT_RUN) for column, value in values.items())])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _unit(column: str) -> str:
    return _UNIT_OF_COLUMN[column.removeprefix("Validation ")]


def _cell(column: str, value: float, empty: str) -> str:
    return empty if np.isnan(value) else f"{value:.{_DECIMALS[column.removeprefix('Validation ')]}f}"


def write_report(comparison: Comparison, path: Path | str) -> Path:
    """Writes the comparison as one HTML file, and its tables as CSV in ``comparison/`` beside it.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    path = Path(path)
    tables = path.parent / "comparison"
    for epochs, table in comparison.tables.items():
        write_table(tables / f"table-{epochs}-epoch.csv", table.reset_index())
    for name in ("details", "baseline", "outside", "left_out"):
        write_table(tables / f"{name.replace('_', '-')}.csv", getattr(comparison, name))
    return write_text(path, _html(comparison, path.parent))


def _html(comparison: Comparison, work: Path) -> str:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = _known_source(comparison.labels, comparison.runs)
    charts = _run_charts(comparison)
    return environment.from_string(_PAGE).render(
        heading=comparison.heading,
        phantom="phantom" in source.split(" and "),
        headline=_headline(comparison),
        results=[_results_grid(epochs, comparison) for epochs in comparison.tables],
        test=_test_grid(comparison),
        bars=_bars(comparison),
        outside=_outside_grid(comparison),
        outside_pictures=_outside_pictures(comparison),
        runs=[
            (title, [_picture(chart, words) for words, chart in charts[title].items()]) for title in charts
        ],
        ages=_picture(
            plots.age_histogram(comparison.labels.table), "How many cases there are of each year of age"
        ),
        took=_took_grid(comparison),
        left_out=_left_out_grid(comparison),
        first_network=next(iter(NETWORKS)),
        epochs=" ".join(str(epochs) for epochs in comparison.tables) or "10",
        work=_text(shlex.quote(str(work))),
    )


def _headline(comparison: Comparison) -> dict[str, str] | None:
    """The run that the validation cases would choose, and its error on the test cases.

    To choose by the test cases would make them part of the training.
    """
    tested = comparison.details.dropna(subset=["Validation MAE (years)", "Test MAE (years)"])
    if tested.empty:
        return None
    chosen = tested.loc[tested["Validation MAE (years)"].idxmin()]
    constant = _constant(comparison, "test", "MAE (years)")
    low, high = chosen["Test MAE low (years)"], chosen["Test MAE high (years)"]
    return {
        "run": f"{chosen['Network']} after {chosen['Epochs']} epochs",
        "years": _shown(chosen["Test MAE (years)"]),
        "months": _shown(chosen["Test MAE (months)"], 1),
        "cases": _shown(chosen["Test cases"], 0),
        "interval": "" if pd.isna(low) else f" (95 % interval {low:.2f} to {high:.2f} years)",
        "within": _shown(100 * chosen["Within 1 year"], 0),
        "constant": _shown(constant),
        "verdict": f"the network {'has learnt something' if high < constant else 'is not clearly better'}.",
    }


# A grid is what the page shows as one table: ``heads`` (name and unit), ``rows`` (kind and cells, the first
# the row's name) and ``note`` beneath.


def _grid(label: str, heads: Sequence[tuple[str, str]], rows: Sequence[dict], note: str = "") -> dict:
    return {"label": label, "heads": heads, "rows": rows, "note": note}


def _row(*cells: str, kind: str = "", best: Iterable[int] = ()) -> dict[str, object]:
    return {"kind": kind, "cells": cells, "best": set(best)}


def _results_grid(epochs: int, comparison: Comparison) -> dict:
    table = comparison.tables[epochs]
    ranks = table.rank(ascending=False).assign(
        **{name: table[name].rank() for name in table if "Accuracy" not in name}
    )
    # One run alone is no competition.
    ranked = table.notna().any(axis=1).sum() > 1
    rows = []
    for name, values in table.iterrows():
        if values.isna().all():
            rows.append(_row(name, NOT_RUN, kind="absent"))
            continue
        best = [place for place, column in enumerate(table, 1) if ranked and _is_best(ranks[column], name)]
        rows.append(_row(name, *(_cell(column, value, "–") for column, value in values.items()), best=best))
    constant = [_cell(column, _constant_of_column(comparison, column), "–") for column in table]
    rows.append(_row(BASELINE, *constant, kind="constant"))
    heads = [("Networks", ""), *((column, _unit(column)) for column in table)]
    source = source_words(_known_source(comparison.labels, comparison.runs))
    star = " ★ best of its column." if ranked else ""
    return _grid(
        table_title(epochs), heads, rows, _text(f"Source: {source}. Label: {comparison.labels.kind}.{star}")
    )


def _is_best(ranks: pd.Series, name: str) -> bool:
    return bool(ranks[name] == ranks.min())


def _constant_of_column(comparison: Comparison, column: str) -> float:
    metric = column.removeprefix("Validation ")
    unit = "" if metric == "Accuracy" else f" ({_unit(column)})"
    return _constant(comparison, "train" if metric == column else "validation", metric + unit)


def _constant(comparison: Comparison, split: str, column: str) -> float:
    return comparison.baseline.set_index("Split")[column].get(split, np.nan)


def _test_grid(comparison: Comparison) -> dict:
    heads = [
        ("Network", ""),
        ("Epochs", ""),
        ("MAE", "years (95 % interval)"),
        ("MAE", "months (95 % interval)"),
        ("Accuracy", "share"),
        ("Within 1 year", "share"),
        ("RMSE", "years"),
        ("Bias", "years"),
        ("R²", ""),
        ("Cases", ""),
    ]
    rows = [
        _row(
            run["Network"],
            str(run["Epochs"]),
            _shown_interval(run, "Test MAE", "years", 2),
            _shown_interval(run, "Test MAE", "months", 1),
            _shown(run["Accuracy"], 3),
            _shown(run["Within 1 year"], 3),
            _shown(run["RMSE (years)"]),
            _shown(run["Bias (years)"], sign=True),
            _shown(run["R2"]),
            _shown(run["Test cases"], 0),
        )
        for run in comparison.details.to_dict("records")
    ]
    for constant in comparison.baseline.query("Split == 'test'").to_dict("records"):
        rows.append(
            _row(
                BASELINE,
                "",
                _shown(constant["MAE (years)"]),
                _shown(constant["MAE (months)"], 1),
                _shown(constant["Accuracy"], 3),
                _shown(constant["Within 1 year"], 3),
                _shown(constant["RMSE (years)"]),
                _shown(constant["Bias (years)"], sign=True),
                "",
                _shown(constant["Photos"], 0),
                kind="constant",
            )
        )
    note = (
        "Bias: mean of estimate minus truth; above zero, it says too old. RMSE: root mean squared error. "
        "R²: share of the ages' spread that the estimates explain; 0 is no better than the mean."
    )
    return _grid("Error on the test cases", heads, rows, note)


def _outside_grid(comparison: Comparison) -> dict:
    heads = [
        ("Network", ""),
        ("Epochs", ""),
        ("MAE", "years (95 % interval)"),
        ("MAE", "months (95 % interval)"),
        ("Within 1 year", "share"),
        ("Bias", "years"),
        (BASELINE, "MAE in years"),
        ("Cases", ""),
    ]
    rows = [
        _row(
            run["Network"],
            str(run["Epochs"]),
            _shown_interval(run, "MAE", "years", 2),
            _shown_interval(run, "MAE", "months", 1),
            _shown(run["Within 1 year"], 3),
            _shown(run["Bias (years)"], sign=True),
            _shown(run["Constant predictor MAE (years)"]),
            _shown(run["Cases"], 0),
        )
        for run in comparison.outside.to_dict("records")
    ]
    note = ""
    if rows:
        source, kind = comparison.outside.loc[0, ["Source", "Label"]]
        note = f"Source: {source}. Label: {kind}; that of the training: {_text(comparison.labels.kind)}."
    return _grid("Error on another source", heads, rows, note)


def _took_grid(comparison: Comparison) -> dict:
    heads = [
        ("Network", ""),
        ("Epochs", ""),
        ("Parameters", ""),
        ("An epoch", "seconds"),
        ("Training", "photos a second"),
        ("Photo size", "pixels"),
        ("Device", ""),
        ("Backend", ""),
        ("Weights", ""),
        ("Finished", ""),
    ]
    rows = [
        _row(
            run["Network"],
            str(run["Epochs"]),
            _shown(run["Parameters"], 0),
            _shown(run["Seconds an epoch"], 1),
            _shown(run["Photos a second"], 0),
            _shown(run["Photo size (px)"], 0),
            *(run[name] for name in ("Device", "Backend", "Weights", "Finished")),
        )
        for run in comparison.details.to_dict("records")
    ]
    return _grid("What the runs took", heads, rows)


def _left_out_grid(comparison: Comparison) -> dict:
    rows = [_row(item, reason, kind="words") for item, reason in comparison.left_out.itertuples(index=False)]
    return _grid("Left out", [("Run", ""), ("Why, and what to do", "")], rows)


def _bars(comparison: Comparison) -> dict[str, object] | None:
    tested = comparison.details.dropna(subset="Test MAE (years)")
    if tested.empty:
        return None
    constant = _constant(comparison, "test", "MAE (years)")
    return _picture(plots.mae_bars(tested, constant), "Test MAE of each run beside the constant predictor's")


def _run_charts(comparison: Comparison) -> dict[str, dict[str, plots.Chart]]:
    charts = {}
    for run in comparison.runs:
        title, joined = _run_title(run), comparison.joined[run.folder.name]
        charts[title] = {f"Learning curves of {title}": plots.learning_curves(run.history, title)}
        if (joined["Split"] != "train").any():
            charts[title] |= {
                f"Estimates over true ages, {title}": plots.predicted_against_true(joined, title),
                f"Bland-Altman plot of {title}": plots.bland_altman(joined, title),
                f"Error by age of {title}": plots.error_by_age(joined, title),
            }
    return charts


def _outside_pictures(comparison: Comparison) -> list[dict[str, object]]:
    test = comparison.outside_test
    pictures = []
    for run in comparison.runs:
        if test and run.folder.name in test.joined:
            title = f"{_run_title(run)}, on {source_words(test.source)}"
            joined = test.joined[run.folder.name].assign(Split="outside")
            pictures.append(_picture(plots.predicted_against_true(joined, title), title))
    return pictures


def _run_title(run: Run) -> str:
    return f"{find(run.record['network']).title}, {run.record['epochs']} epochs"


def _picture(chart: plots.Chart, words: str) -> dict[str, object]:
    return {
        "data": base64.b64encode(chart.png()).decode("ascii"),
        "words": _text(words),
        "width": chart.css_width,
        "height": round(chart.get_figheight() * plots.CSS_PIXELS_PER_INCH),
    }


def _shown(value: float, decimals: int = 2, sign: bool = False) -> str:
    text = "–" if pd.isna(value) else f"{value:{'+' if sign else ''},.{decimals}f}"
    return text.replace("-", "−")


def _shown_interval(row: dict, name: str, unit: str, decimals: int) -> str:
    value, low, high = (row[f"{name}{end} ({unit})"] for end in ("", " low", " high"))
    return _shown(value, decimals) + ("" if pd.isna(low) else f" ({low:.{decimals}f}–{high:.{decimals}f})")


def _number(value: object) -> float:
    """A record's number, or NaN where it holds anything else."""
    return float(value) if type(value) in (int, float) and abs(value) < 1e300 else np.nan


def _text(value: object) -> str:
    """Text that UTF-8 can hold: a file name need not be."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _printable(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(_text)


_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Bone age: nine networks compared</title>
<style>
:root { --page: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0; --head: #f3f5f7; --best: #d9f0e6;
  --note: #eef4fb; --note-edge: #0072b2; --warn: #fdf3e1; --warn-edge: #c77700 }
@media (prefers-color-scheme: dark) { :root { --page: #15181c; --ink: #e4e7ea; --soft: #a3acb6;
  --line: #363c44; --head: #1f242a; --best: #12463a; --note: #182635; --note-edge: #56b4e9;
  --warn: #33280f; --warn-edge: #e69f00 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; overflow-wrap: break-word;
  background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line) }
h3 { font-size: 1.08rem; margin: 1.75rem 0 .5rem }
p, dl { max-width: 46rem; margin: .5rem 0 }
dt { font-weight: 600; margin-top: .5rem }
dd { margin: 0 0 0 1rem }
.note, .warn { padding: .7rem 1rem; border-left: 4px solid var(--note-edge); background: var(--note);
  margin: .9rem 0 }
.warn { border-color: var(--warn-edge); background: var(--warn) }
.soft { color: var(--soft); font-size: .9rem }
.scroll { overflow-x: auto; margin: .6rem 0 .3rem; border: 1px solid var(--line); border-radius: 6px }
.scroll:focus-visible { outline: 2px solid var(--note-edge) }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .94rem }
th, td { padding: .4rem .65rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
tbody tr:last-child > * { border-bottom: 0 }
thead th { background: var(--head); vertical-align: bottom; line-height: 1.25; white-space: normal }
th small { display: block; font-weight: 400; color: var(--soft) }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--page) }
thead th:first-child { background: var(--head) }
tbody th { font-weight: 600 }
.even thead th { width: 13% }
.absent > * { color: var(--soft); font-weight: 400 }
.absent td { text-align: left; font-style: italic }
tr.constant > * { background: var(--head); border-top: 2px solid var(--line); font-style: italic }
td.best { background: var(--best); font-weight: 700 }
.words > * { white-space: normal; text-align: left; vertical-align: top; overflow-wrap: anywhere }
.words td { min-width: 14rem }
.words th { min-width: 6rem }
.left thead th { text-align: left }
.figures { display: grid; gap: 1rem; margin: .8rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)) }
figure { margin: 0 }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; display: block }
details { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem; margin: .6rem 0 }
summary { cursor: pointer; font-weight: 600; padding: .25rem 0 }
code, pre { font: .88rem/1.5 ui-monospace, Menlo, Consolas, monospace }
pre { background: var(--head); border-radius: 6px; padding: .7rem 1rem; overflow-x: auto }
@media (max-width: 40rem) { table { font-size: .86rem } th, td { padding: .35rem .45rem }
  tbody th { white-space: normal; min-width: 6rem } details { padding: .5rem } }
</style>
</head>
<body>
{% macro show(picture) %}
<figure><img src="data:image/png;base64,{{ picture.data }}" alt="{{ picture.words }}"
 width="{{ picture.width }}" height="{{ picture.height }}"></figure>
{% endmacro %}
{% macro table(grid, style="") %}
<div class="scroll" role="region" aria-label="{{ grid.label }}" tabindex="0">
<table{% if style %} class="{{ style }}"{% endif %}>
<thead><tr>{% for name, unit in grid.heads %}<th scope="col">{{ name }}
{%- if unit %} <small>{{ unit }}</small>{% endif %}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in grid.rows %}
<tr{% if row.kind %} class="{{ row.kind }}"{% endif %}><th scope="row">{{ row.cells[0] }}</th>
{%- for cell in row.cells[1:] -%}
<td{% if loop.index in row.best %} class="best"{% endif %}
{%- if row.kind == "absent" %} colspan="{{ grid.heads|length - 1 }}"{% endif %}>{{ cell }}
{%- if loop.index in row.best %} ★{% endif %}</td>
{%- endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
{% if grid.note %}
<p class="soft">{{ grid.note }}</p>
{% endif %}
{% endmacro %}
<header>
<h1>Bone age: nine networks compared</h1>
{% if phantom %}
<p class="warn"><strong>Drawn hands, not children.</strong> Every picture behind these numbers was drawn by
a program after published ages of ossification. They show that the code works and what it learns from such
drawings; they say nothing about any child.</p>
{% endif %}
<p class="note"><strong>Research software, no medical device.</strong> It must not be used to diagnose or
treat, nor to decide how old a person is.</p>
<p>{{ heading }}</p>
</header>

<main>
{% if headline %}
<p><strong>In short:</strong> chosen by its validation error, <strong>{{ headline.run }}</strong> is off by
<strong>{{ headline.years }} years</strong> ({{ headline.months }} months) on average on
{{ headline.cases }} test cases that it never saw{{ headline.interval }}, and within one year for
{{ headline.within }} % of them. Always saying the training cases' median age is off by
{{ headline.constant }} years: {{ headline.verdict }}</p>
{% elif not runs %}
<p class="warn"><strong>No run is finished yet.</strong> Train a network, then compare again:</p>
<pre>python -m boneage train --arch {{ first_network }} --epochs {{ epochs }} --work {{ work }}
python -m boneage compare --work {{ work }}</pre>
{% endif %}

<h2>Results</h2>
{% for grid in results %}
<h3>{{ grid.label }}</h3>
{{ table(grid, "even") }}
{% endfor %}

<h3>How to read them</h3>
<dl>
<dt>MAE</dt>
<dd>Mean absolute error, in years: how far an estimate is off on average. One year is 12 months.</dd>
<dt>Loss</dt>
<dd>Mean squared error, in years squared: what the training makes small. A few large errors weigh more than
many small ones.</dd>
<dt>Accuracy</dt>
<dd>Share of the cases, from 0 to 1, whose estimate is less than half a year off: it rounds to the right
whole year.</dd>
<dt>With and without “Validation”</dt>
<dd>Validation cases are those that the network was not trained on; the other columns are of those that it
was. Where the latter look much better, it learnt its training cases by heart. All are measured with the
finished network, after the last epoch.</dd>
<dt>Constant predictor</dt>
<dd>Always says the median age of the training cases, whatever the photo. A network that is no better has
learnt nothing.</dd>
</dl>

{% if test.rows and runs %}
<h2>Test cases</h2>
<p>Untouched by training and by every choice before it; each was estimated once, after the last epoch. The
95 % interval comes from a bootstrap over the cases: it says how much the MAE depends on which cases were
tested, not how much it would change were the network trained again.</p>
{% if bars %}
<div class="figures">{{ show(bars) }}</div>
{% endif %}
{{ table(test) }}
{% endif %}

{% if outside.rows %}
<h2>On another source</h2>
<p>The same networks on radiographs of another source, none of which they were trained on: other scanners,
other children, other readers. Where the label is another kind of age than that of the training, part of the
error is the labels' own difference.</p>
{{ table(outside) }}
<div class="figures">{% for picture in outside_pictures %}{{ show(picture) }}{% endfor %}</div>
{% endif %}

{% if runs %}
<h2>Run by run</h2>
<p>In this order: how the error fell (the training values are taken while it trains, with dropout and random
turns, so they may lie above the validation values); every estimate over its truth; the difference over the
mean of both, with bias and 95 % limits of agreement (Bland and Altman, 1986); at which ages it fails.</p>
{% for title, pictures in runs %}
<details{% if runs|length <= 2 %} open{% endif %}><summary>{{ title }}</summary>
<div class="figures">{% for picture in pictures %}{{ show(picture) }}{% endfor %}</div>
</details>
{% endfor %}
{% endif %}

<h2>The cases</h2>
<div class="figures">{{ show(ages) }}</div>

{% if took.rows %}
<h2>What it took</h2>
{{ table(took) }}
{% endif %}

{% if left_out.rows %}
<h2>Left out</h2>
<p>These did not come into the tables.</p>
{{ table(left_out, "left") }}
{% endif %}

<h2>Make it again</h2>
<p>Train what is missing, then compare; what is finished is not trained again. The tables of this page lie
beside it as CSV in <code>comparison/</code>.</p>
<pre>python -m boneage train --epochs {{ epochs }} --work {{ work }}
python -m boneage compare --work {{ work }}</pre>
</main>
</body>
</html>
"""
