"""The comparison as one HTML file, and its tables as CSV beside it.

The HTML file carries its style and its figures in it and asks nothing of any network. Everything in it
that came from a file is escaped.
"""

import base64
import io
import shlex
from pathlib import Path

import jinja2
import pandas as pd
from PIL import Image

from boneage import plots
from boneage.files import write_text
from boneage.networks import NETWORKS
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
from boneage.report.template import PAGE
from boneage.report.words import known_source, printable, shown, source_words, title_of
from boneage.tables import write_table

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
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = known_source(comparison.labels, comparison.runs)
    charts = _run_charts(comparison)
    return environment.from_string(PAGE).render(
        heading=comparison.heading,
        phantom="phantom" in source.split(" and "),
        headline=_headline(comparison),
        results=[results_grid(epochs, comparison) for epochs in comparison.tables],
        test=quality_grid(comparison),
        bars=_bars(comparison),
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
        coverage_picture=_coverage_picture(comparison),
        interval_notices=interval_notices_grid(comparison),
        outside=outside_grid(comparison),
        outside_pictures=_outside_pictures(comparison),
        runs=[
            (title, [_picture(chart, words) for words, chart in charts[title].items()]) for title in charts
        ],
        examinations=_examinations(comparison),
        centres=centres_grid(comparison.examinations),
        ages=_picture(
            plots.age_histogram(comparison.labels.table), "How many cases there are of each year of age"
        ),
        took=took_grid(comparison),
        left_out=left_out_grid(comparison),
        first_network=next(iter(NETWORKS)),
        epochs=" ".join(str(epochs) for epochs in comparison.tables) or "10",
        work=printable(shlex.quote(str(work))),
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
        "interval": "" if pd.isna(low) else f" (95 % interval {low:.2f} to {high:.2f} years)",
        "within": shown(100 * chosen["Within 1 year"], 0),
        "constant": shown(constant),
        "verdict": f"the network {'has learnt something' if high < constant else 'is not clearly better'}.",
    }


def _chosen(comparison: Comparison) -> pd.Series | None:
    tested = comparison.details.dropna(subset=["Validation MAE (years)", "Test MAE (years)"])
    return None if tested.empty else tested.loc[tested["Validation MAE (years)"].idxmin()]


def _bars(comparison: Comparison) -> dict[str, object] | None:
    tested = comparison.details.dropna(subset="Test MAE (years)")
    if tested.empty:
        return None
    constant = constant_of(comparison, "test", "MAE (years)")
    lines = reference_lines(known_source(comparison.labels, comparison.runs))
    return _picture(
        plots.mae_bars(tested, constant, lines), "Test MAE of each run beside the constant predictor's"
    )


def _differences(comparison: Comparison) -> list[dict[str, object]]:
    """For each epoch count how many differences are real, a heat map and the table of all pairs."""
    parts = []
    for epochs, table in comparison.differences.groupby("Epochs"):
        words = f"Differences in test MAE between networks, {epochs} epochs"
        parts.append(
            {
                "words": f"After {epochs} epochs {(table['Real'] == 'yes').sum()} of {len(table)}",
                "picture": _picture(plots.difference_heatmap(table), words),
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


def _coverage_picture(comparison: Comparison) -> dict[str, object] | None:
    chart = coverage_chart(comparison)
    words = "How many test cases lie inside of their interval, by estimated age"
    return None if chart is None else _picture(chart, words)


def _examinations(comparison: Comparison) -> list[tuple[str, list[dict[str, object]], Grid]]:
    """For each network that was examined its title, its pictures and its table of changed photos."""
    parts = []
    for one in comparison.examinations:
        changed = plots.robustness_dots(one.robustness, one.title)
        pictures = [
            _picture(changed, f"What changed photos do to {one.title}"),
            _sheet(one.heat, f"Heat maps of {one.title}: median, best and worst test case"),
        ]
        parts.append((one.title, pictures, robustness_grid(one)))
    return parts


def _run_charts(comparison: Comparison) -> dict[str, dict[str, plots.Chart]]:
    charts = {}
    for run in comparison.runs:
        title, joined = title_of(run), comparison.joined[run.folder.name]
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
            title = f"{title_of(run)}, on {source_words(test.source)}"
            joined = test.joined[run.folder.name].assign(Split="outside")
            pictures.append(_picture(plots.predicted_against_true(joined, title), title))
    return pictures


def _sheet(png: bytes, words: str) -> dict[str, object]:
    """A chart that was kept as a file: as wide as the others."""
    with Image.open(io.BytesIO(png)) as picture:
        width, height = picture.size
    shown_width = round(plots.WIDTH_INCHES * plots.CSS_PIXELS_PER_INCH)
    return {
        "data": base64.b64encode(png).decode("ascii"),
        "words": printable(words),
        "width": shown_width,
        "height": round(height * shown_width / width),
    }


def _picture(chart: plots.Chart, words: str) -> dict[str, object]:
    return {
        "data": base64.b64encode(chart.png()).decode("ascii"),
        "words": printable(words),
        "width": chart.css_width,
        "height": round(chart.get_figheight() * plots.CSS_PIXELS_PER_INCH),
    }
