"""The comparison as one HTML file, and its tables as CSV beside it.

The HTML file contains its styles and figures and loads nothing. Everything from a file is escaped.
"""

import base64
import shlex
from pathlib import Path

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, View, number, templates
from boneage.core.files import write_text
from boneage.core.pictures import Picture
from boneage.core.tables import write_table
from boneage.evaluation import histories_table
from boneage.evaluation.robustness import ROBUSTNESS
from boneage.networks import NETWORKS, find
from boneage.report import plots
from boneage.report.comparison import Comparison
from boneage.report.coverage import coverage_by_band, coverage_view
from boneage.report.details import TRAINING_TIMES
from boneage.report.differences import DIFFERENCES, trainings_in_words
from boneage.report.examination import centres_view
from boneage.report.groups import FEW_CASES, groups_view
from boneage.report.references import reference_lines, references_view, sources_of
from boneage.report.rejected import REJECTED
from boneage.report.results import outside_view, quality_view, results_view
from boneage.report.seeds import SEEDS
from boneage.report.sets import SETS_TABLE
from boneage.report.variants import VARIANTS_TABLE
from boneage.report.words import known_source, printable, source_words

# Four images side by side, at the full width of the page.
_SHEET_WIDTH = 900


def tables_folder(path: Path | str) -> Path:
    """The folder of a report's tables: ``comparison/`` beside it."""
    return Path(path).parent / "comparison"


def write_report(comparison: Comparison, path: Path | str) -> Path:
    """Writes the comparison as one HTML file, and its tables as CSV in ``comparison/`` beside it.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    path = Path(path)
    tables = tables_folder(path)
    for epochs, table in comparison.tables.results.items():
        write_table(tables / f"table-{epochs}-epoch.csv", table.reset_index())
    for name, table in vars(comparison.tables).items():
        if name != "results":
            write_table(tables / f"{name.replace('_', '-')}.csv", table)
    return write_text(path, _html(comparison, path.parent))


LEFT_OUT = Table(
    "Left out",
    [
        Column("item", "A run.", heading="Run"),
        Column("reason", "Why, and what to do.", heading="Reason and what to do"),
    ],
    "left-out.csv",
    "One row per run that is in no table.",
)
NOTICES = LEFT_OUT.part("Few validation cases", file="interval-notices.csv")


def _html(comparison: Comparison, work: Path) -> str:
    source = known_source(comparison.runs.labels, comparison.runs.tabled)
    tables = comparison.tables
    return (
        templates("boneage.report")
        .get_template("report.html.j2")
        .render(
            comparison=comparison,
            phantom="phantom" in source.split(" and "),
            headline=_headline(comparison),
            results=[results_view(comparison, epochs) for epochs in tables.results],
            test=quality_view(comparison),
            rejected=REJECTED.show(tables.rejected),
            bars=_picture(mae_chart(comparison)),
            references=references_view(tables.references),
            sources=sources_of(tables.references),
            differences=_differences(comparison),
            seeds=SEEDS.show(tables.seeds),
            sets=SETS_TABLE.show(tables.sets),
            variants=VARIANTS_TABLE.show(tables.variants),
            groups=[groups_view(tables.groups, epochs) for epochs in tables.groups["Epochs"].unique()],
            few_cases=FEW_CASES,
            coverage=coverage_view(tables.coverage),
            coverage_bands=coverage_by_band(tables.coverage),
            coverage_outside=coverage_view(tables.coverage_outside, "Intervals on another source"),
            coverage_picture=_picture(coverage_chart(comparison)),
            notices=NOTICES.show(tables.interval_notices),
            outside=outside_view(comparison),
            outside_pictures=_outside_pictures(comparison),
            curves=_picture(learning_curves(comparison, wide=False)) if comparison.runs.tabled else None,
            runs=[
                (f"{epochs} epochs", [_picture(draw(comparison, epochs, wide=False)) for draw in RUN_CHARTS])
                for epochs in judged_epochs(comparison)
            ],
            examinations=_examinations(comparison),
            centres=centres_view(comparison.examinations),
            ages=_picture(plots.age_histogram(comparison.runs.labels.table)),
            times=TRAINING_TIMES.show(tables.details),
            left_out=LEFT_OUT.show(tables.left_out),
            first_network=next(iter(NETWORKS)),
            epochs=" ".join(str(epochs) for epochs in tables.results) or "10",
            work=printable(shlex.quote(str(work))),
        )
    )


def _headline(comparison: Comparison) -> dict[str, str] | None:
    """The run with the lowest validation error, and its test error.

    Choosing by test error would make the test cases part of the training.
    """
    chosen = _chosen(comparison)
    if chosen is None:
        return None
    constant = _baseline_mae(comparison)
    low, high = chosen["Test MAE low (years)"], chosen["Test MAE high (years)"]
    return {
        "run": f"{chosen['Network']} after {chosen['Epochs']} epochs",
        "years": number(chosen["Test MAE (years)"], ".2f"),
        "months": number(chosen["Test MAE (months)"], ".1f"),
        "cases": number(chosen["Test cases"], ",.0f"),
        "interval": "" if pd.isna(low) else f" (95\u00a0% confidence interval {low:.2f} to {high:.2f} years)",
        "within": number(100 * chosen["Within 1 year"], ".0f"),
        "constant": number(constant, ".2f"),
        "verdict": f"the network {'has learnt something' if high < constant else 'is not clearly better'}.",
    }


def _baseline_mae(comparison: Comparison) -> float:
    """The baseline's MAE on the test cases in years; NaN without test cases."""
    return comparison.tables.baseline.set_index("Split")["MAE (years)"].get("test", np.nan)


def _chosen(comparison: Comparison) -> pd.Series | None:
    tested = comparison.tables.details.dropna(subset=["Validation MAE (years)", "Test MAE (years)"])
    return None if tested.empty else tested.loc[tested["Validation MAE (years)"].idxmin()]


def mae_chart(comparison: Comparison) -> plots.Chart | None:
    """The test error of every run beside the baseline's and published ones; None without a tested run."""
    tested = comparison.tables.details.dropna(subset="Test MAE (years)")
    if tested.empty:
        return None
    lines = reference_lines(known_source(comparison.runs.labels, comparison.runs.tabled))
    return plots.mae_bars(tested, _baseline_mae(comparison), lines)


def _differences(comparison: Comparison) -> list[dict[str, object]]:
    """For each epoch count the number of significant differences, a heat map and the table of all pairs."""
    return [
        {
            "trainings": f"{epochs} epochs: {trainings_in_words(table)}",
            "words": f"{(table['Significant'] == 'yes').sum()} of {len(table)} after {epochs} epochs",
            "picture": _picture(plots.difference_heatmap(table)),
            "view": DIFFERENCES.part(f"All pairs, {epochs} epochs").show(table),
        }
        for epochs, table in comparison.tables.differences.groupby("Epochs")
    ]


def coverage_chart(comparison: Comparison) -> plots.Chart | None:
    """The coverage of the run with the lowest validation error; None if it has no intervals."""
    chosen = _chosen(comparison)
    if chosen is None:
        return None
    table = comparison.tables.coverage[comparison.tables.coverage["Run"] == chosen["Run"]]
    if table.empty:
        return None
    # A single band is the same as the overall row.
    one_band = len(table) == 2
    title = f"{chosen['Network']}, {chosen['Epochs']} epochs"
    return plots.coverage_by_band(table.iloc[1:] if one_band else table, title)


def _examinations(comparison: Comparison) -> list[tuple[str, list[dict[str, object]], View]]:
    """The title, figures and robustness table of each examined network."""
    parts = []
    for one in comparison.examinations:
        changed = plots.robustness_dots(one.robustness, one.title)
        pictures = [_picture(changed), _sheet(one.sheet)]
        title = f"All changes of the images, {one.title}"
        parts.append((one.title, pictures, ROBUSTNESS.part(title).show(one.robustness)))
    return parts


def judged_epochs(comparison: Comparison) -> list[int]:
    """The epoch counts with a run that has validation or test cases."""
    return [count for count in comparison.tables.results if _predictions(comparison, count)]


def _predictions(comparison: Comparison, epochs: int) -> dict[str, pd.DataFrame]:
    """Network -> its predictions with ground truth, for one epoch count."""
    of_count = {
        find(run.record["network"]).title: comparison.runs.joined[run.name]
        for run in comparison.runs.tabled
        if run.record["epochs"] == epochs
    }
    return {name: joined for name, joined in of_count.items() if (joined["Split"] != "train").any()}


def learning_curves(comparison: Comparison, wide: bool = True) -> plots.Chart:
    """The learning curves of all runs, a panel a network."""
    return plots.learning_curves(histories_table(comparison.runs.tabled), wide)


def predicted_against_true(comparison: Comparison, epochs: int, wide: bool = True) -> plots.Chart:
    """Predictions against ground truth of all networks of one epoch count."""
    return plots.predicted_against_true(_predictions(comparison, epochs), f"{epochs} epochs", wide)


def bland_altman(comparison: Comparison, epochs: int, wide: bool = True) -> plots.Chart:
    """Bias and limits of agreement of all networks of one epoch count."""
    return plots.bland_altman(_predictions(comparison, epochs), f"{epochs} epochs", wide)


def error_by_age(comparison: Comparison, epochs: int, wide: bool = True) -> plots.Chart:
    """Error by age of all networks of one epoch count."""
    return plots.error_by_age(_predictions(comparison, epochs), f"{epochs} epochs", wide)


RUN_CHARTS = (predicted_against_true, bland_altman, error_by_age)
"""The figures drawn for every epoch count."""


def _outside_pictures(comparison: Comparison) -> list[dict[str, object]]:
    test = comparison.outside
    if test is None:
        return []
    pictures = []
    for epochs in comparison.tables.results:
        joined = {
            find(run.record["network"]).title: test.joined[run.name].assign(Split="outside")
            for run in comparison.runs.tabled
            if run.record["epochs"] == epochs and run.name in test.joined
        }
        if joined:
            of = f"{epochs} epochs, on {source_words(test.source)}"
            pictures.append(_picture(plots.predicted_against_true(joined, of, wide=False)))
    return pictures


def _sheet(sheet: Picture) -> dict[str, object]:
    """A sheet of images for the page."""
    height, width = sheet.pixels.shape[:2]
    shown_width = min(width, _SHEET_WIDTH)
    return {
        "kind": "images",
        "data": base64.b64encode(sheet.png()).decode("ascii"),
        "words": printable(sheet.words),
        "width": shown_width,
        "height": round(height * shown_width / width),
    }


def _picture(chart: plots.Chart | None) -> dict[str, object] | None:
    """A chart for the page, transparent so that it takes the page's background."""
    if chart is None:
        return None
    return {
        "kind": "chart",
        "data": base64.b64encode(chart.png(transparent=True)).decode("ascii"),
        "words": printable(chart.words),
        "width": chart.css_width,
        "height": chart.css_height,
    }
