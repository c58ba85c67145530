"""The comparison as one HTML file, and its tables as CSV beside it.

The HTML file carries its style and its figures in it and asks nothing of any network. Everything in it
that came from a file is escaped.
"""

import base64
import shlex
from pathlib import Path

import pandas as pd

from boneage.core.files import write_text
from boneage.core.pictures import Picture
from boneage.core.tables import write_table
from boneage.evaluation.metrics import histories_table
from boneage.networks import NETWORKS, find
from boneage.report import plots
from boneage.report.comparison import Comparison
from boneage.report.grids import (
    Grid,
    centres_grid,
    constant_of,
    coverage_bands_grids,
    coverage_grid,
    coverage_outside_grid,
    differences_grid,
    groups_grid,
    groups_note,
    interval_notices_grid,
    left_out_grid,
    outside_grid,
    quality_grid,
    references_grid,
    results_grid,
    robustness_grid,
    seeds_grid,
    sources_of,
    took_grid,
    variants_grid,
)
from boneage.report.references import reference_lines
from boneage.report.template import MACROS, PAGE, environment
from boneage.report.words import known_source, printable, shown, source_words

# Four photos side by side, as wide as the page can use.
_SHEET_WIDTH = 900

_CSV = (
    "details",
    "baseline",
    "variants",
    "differences",
    "seeds",
    "groups",
    "references",
    "coverage",
    "interval_notices",
    "outside",
    "coverage_outside",
    "left_out",
)


def tables_folder(path: Path | str) -> Path:
    """Where the tables of a report lie: in ``comparison/`` beside it."""
    return Path(path).parent / "comparison"


def write_report(comparison: Comparison, path: Path | str) -> Path:
    """Writes the comparison as one HTML file, and its tables as CSV in ``comparison/`` beside it.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    path = Path(path)
    tables = tables_folder(path)
    for epochs, table in comparison.tables.items():
        write_table(tables / f"table-{epochs}-epoch.csv", table.reset_index())
    for name in _CSV:
        write_table(tables / f"{name.replace('_', '-')}.csv", getattr(comparison, name))
    return write_text(path, _html(comparison, path.parent))


def _html(comparison: Comparison, work: Path) -> str:
    source = known_source(comparison.labels, comparison.runs)
    return (
        environment()
        .from_string(MACROS + PAGE)
        .render(
            heading=comparison.heading,
            phantom="phantom" in source.split(" and "),
            headline=_headline(comparison),
            results=[results_grid(epochs, comparison) for epochs in comparison.tables],
            test=quality_grid(comparison),
            bars=_picture(mae_chart(comparison)),
            references=references_grid(comparison),
            sources=sources_of(comparison),
            differences=_differences(comparison),
            seeds=seeds_grid(comparison),
            variants=variants_grid(comparison),
            groups=_groups(comparison),
            groups_note=groups_note(comparison),
            coverage=coverage_grid(comparison),
            coverage_bands=coverage_bands_grids(comparison),
            coverage_outside=coverage_outside_grid(comparison),
            coverage_picture=_picture(coverage_chart(comparison)),
            interval_notices=interval_notices_grid(comparison),
            outside=outside_grid(comparison),
            outside_pictures=_outside_pictures(comparison),
            curves=_picture(learning_curves(comparison, wide=False)) if comparison.runs else None,
            runs=[
                (f"{epochs} epochs", [_picture(draw(comparison, epochs, wide=False)) for draw in RUN_CHARTS])
                for epochs in judged_epochs(comparison)
            ],
            examinations=_examinations(comparison),
            centres=centres_grid(comparison.examinations),
            ages=_picture(plots.age_histogram(comparison.labels.table)),
            took=took_grid(comparison),
            left_out=left_out_grid(comparison),
            first_network=next(iter(NETWORKS)),
            epochs=" ".join(str(epochs) for epochs in comparison.tables) or "10",
            work=printable(shlex.quote(str(work))),
        )
    )


def _headline(comparison: Comparison) -> dict[str, str] | None:
    """The run that the validation cases would choose, and its error on the test cases.

    To choose by the test cases would make them part of the training.
    """
    chosen = _chosen(comparison)
    if chosen is None:
        return None
    constant = constant_of(comparison, "test", "MAE (years)")
    low, high = chosen["Test MAE low (years)"], chosen["Test MAE high (years)"]
    return {
        "run": f"{chosen['Network']} after {chosen['Epochs']} epochs",
        "years": shown(chosen["Test MAE (years)"]),
        "months": shown(chosen["Test MAE (months)"], 1),
        "cases": shown(chosen["Test cases"], 0),
        "interval": "" if pd.isna(low) else f" (95\u00a0% interval {low:.2f} to {high:.2f} years)",
        "within": shown(100 * chosen["Within 1 year"], 0),
        "constant": shown(constant),
        "verdict": f"the network {'has learnt something' if high < constant else 'is not clearly better'}.",
    }


def _chosen(comparison: Comparison) -> pd.Series | None:
    tested = comparison.details.dropna(subset=["Validation MAE (years)", "Test MAE (years)"])
    return None if tested.empty else tested.loc[tested["Validation MAE (years)"].idxmin()]


def mae_chart(comparison: Comparison) -> plots.Chart | None:
    """The test error of every run beside the constant predictor's and published ones; None without a run."""
    tested = comparison.details.dropna(subset="Test MAE (years)")
    if tested.empty:
        return None
    constant = constant_of(comparison, "test", "MAE (years)")
    lines = reference_lines(known_source(comparison.labels, comparison.runs))
    return plots.mae_bars(tested, constant, lines)


def _differences(comparison: Comparison) -> list[dict[str, object]]:
    """For each epoch count how many differences are real, a heat map and the table of all pairs."""
    parts = []
    for epochs, table in comparison.differences.groupby("Epochs"):
        parts.append(
            {
                "words": f"After {epochs} epochs {(table['Real'] == 'yes').sum()} of {len(table)}",
                "picture": _picture(plots.difference_heatmap(table)),
                "grid": differences_grid(epochs, comparison),
            }
        )
    return parts


def _groups(comparison: Comparison) -> list[Grid]:
    return [groups_grid(epochs, comparison) for epochs in sorted(comparison.groups["Epochs"].unique())]


def coverage_chart(comparison: Comparison) -> plots.Chart | None:
    """The coverage of the run that the validation cases would choose; None where it has no interval."""
    chosen = _chosen(comparison)
    if chosen is None:
        return None
    table = comparison.coverage[comparison.coverage["Run"] == chosen["Run"]]
    if table.empty:
        return None
    # One band for all ages and the row of all are the same.
    one_band = len(table) == 2
    title = f"{chosen['Network']}, {chosen['Epochs']} epochs"
    return plots.coverage_by_band(table.iloc[1:] if one_band else table, title)


def _examinations(comparison: Comparison) -> list[tuple[str, list[dict[str, object]], Grid]]:
    """For each network that was examined its title, its pictures and its table of changed photos."""
    parts = []
    for one in comparison.examinations:
        changed = plots.robustness_dots(one.robustness, one.title)
        pictures = [_picture(changed), _sheet(one.sheet)]
        parts.append((one.title, pictures, robustness_grid(one)))
    return parts


def judged_epochs(comparison: Comparison) -> list[int]:
    """The epoch counts of which a run has cases that it was not trained on."""
    return [count for count in comparison.tables if _estimates(comparison, count)]


def _estimates(comparison: Comparison, epochs: int) -> dict[str, pd.DataFrame]:
    """Network -> its estimates beside the truth, of the runs of one epoch count."""
    of_count = {
        find(run.record["network"]).title: comparison.joined[run.folder.name]
        for run in comparison.runs
        if run.record["epochs"] == epochs
    }
    return {name: joined for name, joined in of_count.items() if (joined["Split"] != "train").any()}


def learning_curves(comparison: Comparison, wide: bool = True) -> plots.Chart:
    """How the error of all runs fell, a panel a network."""
    return plots.learning_curves(histories_table(comparison.runs), wide)


def predicted_against_true(comparison: Comparison, epochs: int, wide: bool = True) -> plots.Chart:
    """The estimates of all networks of one epoch count over the truth."""
    return plots.predicted_against_true(_estimates(comparison, epochs), f"{epochs} epochs", wide)


def bland_altman(comparison: Comparison, epochs: int, wide: bool = True) -> plots.Chart:
    """Bias and limits of agreement of all networks of one epoch count."""
    return plots.bland_altman(_estimates(comparison, epochs), f"{epochs} epochs", wide)


def error_by_age(comparison: Comparison, epochs: int, wide: bool = True) -> plots.Chart:
    """At which ages the networks of one epoch count fail."""
    return plots.error_by_age(_estimates(comparison, epochs), f"{epochs} epochs", wide)


RUN_CHARTS = (predicted_against_true, bland_altman, error_by_age)
"""What is drawn of every epoch count."""


def _outside_pictures(comparison: Comparison) -> list[dict[str, object]]:
    test = comparison.outside_test
    if test is None:
        return []
    pictures = []
    for epochs in comparison.tables:
        joined = {
            find(run.record["network"]).title: test.joined[run.folder.name].assign(Split="outside")
            for run in comparison.runs
            if run.record["epochs"] == epochs and run.folder.name in test.joined
        }
        if joined:
            of = f"{epochs} epochs, on {source_words(test.source)}"
            pictures.append(_picture(plots.predicted_against_true(joined, of, wide=False)))
    return pictures


def _sheet(sheet: Picture) -> dict[str, object]:
    """A sheet of photos as the page holds it."""
    height, width = sheet.pixels.shape[:2]
    shown_width = min(width, _SHEET_WIDTH)
    return {
        "kind": "photos",
        "data": base64.b64encode(sheet.png()).decode("ascii"),
        "words": printable(sheet.words),
        "width": shown_width,
        "height": round(height * shown_width / width),
    }


def _picture(chart: plots.Chart | None) -> dict[str, object] | None:
    """A chart as the page holds it: on no ground of its own, so that it takes the page's."""
    if chart is None:
        return None
    return {
        "kind": "chart",
        "data": base64.b64encode(chart.png(transparent=True)).decode("ascii"),
        "words": printable(chart.words),
        "width": chart.css_width,
        "height": chart.css_height,
    }
