"""A comparison's tables as the page shows them: words, units, decimals, intervals beneath their values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boneage.report.comparison import Comparison
from boneage.report.differences import LEVEL
from boneage.report.groups import FEW_CASES
from boneage.report.references import CAUTION
from boneage.report.words import (
    BASELINE,
    NOT_RUN,
    cell_of,
    known_source,
    printable,
    shown,
    shown_range,
    source_words,
    table_title,
    unit_of,
)


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a smaller line beneath it, and how it is dressed.

    Attributes:
        text: What it says.
        below: An interval, or nothing.
        kind: ``best``, ``few`` (of few cases, grey), ``real`` (a difference that is real), or nothing.
    """

    text: str
    below: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """One row: its cells, the first of them its name, and how it is dressed."""

    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Grid:
    """One table of the page.

    Attributes:
        label: Its title.
        heads: Name and unit of each column.
        rows: Its rows.
        note: What stands beneath it.
        kind: How all of it is dressed.
    """

    label: str
    heads: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    note: str = ""
    kind: str = ""

    def holds_words(self, column: int) -> bool:
        """Whether a column holds words, which stand at its left."""
        return any(len(row.cells) > column and row.cells[column].kind == "words" for row in self.rows)


def _row(*cells: str | Cell, kind: str = "", best: Iterable[int] = ()) -> Row:
    best = set(best)
    dressed = [cell if isinstance(cell, Cell) else Cell(cell) for cell in cells]
    return Row(
        tuple(
            Cell(f"{cell.text} ★", cell.below, "best") if place in best else cell
            for place, cell in enumerate(dressed)
        ),
        kind,
    )


def _with_interval(
    row: dict, name: str, unit: str, decimals: int, sign: bool = False, kind: str = ""
) -> Cell:
    value, low, high = (row[f"{name}{end} ({unit})"] for end in ("", " low", " high"))
    return Cell(shown(value, decimals, sign), shown_range(low, high, decimals, sign), kind)


def results_grid(epochs: int, comparison: Comparison) -> Grid:
    """One of the two tables, the best of each column marked, the constant predictor last."""
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
        rows.append(_row(name, *(cell_of(column, value, "–") for column, value in values.items()), best=best))
    constant = [cell_of(column, _constant_of_column(comparison, column), "–") for column in table]
    rows.append(_row(BASELINE, *constant, kind="constant"))
    heads = [("Networks", ""), *((column, unit_of(column)) for column in table)]
    source = source_words(known_source(comparison.labels, comparison.runs))
    star = " ★ best of its column." if ranked else ""
    return Grid(
        table_title(epochs),
        heads,
        rows,
        printable(f"Source: {source}. Label: {comparison.labels.kind}.{star}"),
        "even",
    )


def _is_best(ranks: pd.Series, name: str) -> bool:
    return bool(ranks[name] == ranks.min())


def _constant_of_column(comparison: Comparison, column: str) -> float:
    metric = column.removeprefix("Validation ")
    unit = "" if metric == "Accuracy" else f" ({unit_of(column)})"
    return constant_of(comparison, "train" if metric == column else "validation", metric + unit)


def constant_of(comparison: Comparison, split: str, column: str) -> float:
    """A value of the constant predictor's on a split."""
    return comparison.baseline.set_index("Split")[column].get(split, np.nan)


def quality_grid(comparison: Comparison) -> Grid:
    """The error of each run on the test cases."""
    heads = [
        ("Network", ""),
        ("Epochs", ""),
        ("MAE", "years, 95 % interval"),
        ("MAE", "months, 95 % interval"),
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
            _with_interval(run, "Test MAE", "years", 2),
            _with_interval(run, "Test MAE", "months", 1),
            shown(run["Accuracy"], 3),
            shown(run["Within 1 year"], 3),
            shown(run["RMSE (years)"]),
            shown(run["Bias (years)"], sign=True),
            shown(run["R2"]),
            shown(run["Test cases"], 0),
        )
        for run in comparison.details.to_dict("records")
    ]
    for constant in comparison.baseline.query("Split == 'test'").to_dict("records"):
        rows.append(
            _row(
                BASELINE,
                "",
                shown(constant["MAE (years)"]),
                shown(constant["MAE (months)"], 1),
                shown(constant["Accuracy"], 3),
                shown(constant["Within 1 year"], 3),
                shown(constant["RMSE (years)"]),
                shown(constant["Bias (years)"], sign=True),
                "",
                shown(constant["Photos"], 0),
                kind="constant",
            )
        )
    note = (
        "Bias: mean of estimate minus truth; above zero, it says too old. RMSE: root mean squared error. "
        "R²: share of the ages' spread that the estimates explain; 0 is no better than the mean."
    )
    return Grid("Error on the test cases", heads, rows, note)


def variants_grid(comparison: Comparison) -> Grid:
    """Each variant and ensemble against its plain run."""
    heads = [
        ("Variant", ""),
        ("Network", ""),
        ("Epochs", ""),
        ("Plain", "test MAE in years"),
        ("Variant", "test MAE in years"),
        ("Difference", "years, 95 % interval"),
        ("Difference", "months, 95 % interval"),
        ("Plain run", ""),
        ("Cases", ""),
    ]
    rows = []
    for row in comparison.variants.to_dict("records"):
        kind = "real" if row["Difference low (years)"] > 0 or row["Difference high (years)"] < 0 else ""
        rows.append(
            _row(
                row["Variant"],
                Cell(row["Network"], kind="words"),
                str(row["Epochs"]),
                shown(row["Plain test MAE (years)"]),
                shown(row["Variant test MAE (years)"]),
                _with_interval(row, "Difference", "years", 2, sign=True, kind=kind),
                _with_interval(row, "Difference", "months", 1, sign=True, kind=kind),
                row["Plain run"],
                shown(row["Test cases"], 0),
            )
        )
    note = (
        "Difference: the variant's MAE less the plain one's; below zero the variant is better. Bold: the "
        "interval leaves out zero. Each interval stands for itself: of twenty variants that change nothing, "
        "one would be bold."
    )
    return Grid("Variants against their plain runs", heads, rows, note, "named")


def differences_grid(epochs: int, comparison: Comparison) -> Grid:
    """Every pair of networks of one epoch count, the largest differences first."""
    heads = [
        ("Better network", ""),
        ("Other network", ""),
        ("MAE", "years"),
        ("Other MAE", "years"),
        ("Difference", "years, 95 % interval"),
        ("p", ""),
        ("p", "corrected (Holm)"),
        ("Real", f"below {LEVEL:g}"),
    ]
    table = comparison.differences
    rows = []
    for row in (
        table[table["Epochs"] == epochs]
        .sort_values("Difference (years)", key=abs, ascending=False, kind="stable")
        .to_dict("records")
    ):
        better, other = row["Network"], row["Other network"]
        mae, other_mae = row["Test MAE (years)"], row["Other test MAE (years)"]
        low, high = row["Difference low (years)"], row["Difference high (years)"]
        if mae > other_mae:
            better, other, mae, other_mae, low, high = other, better, other_mae, mae, -high, -low
        kind = "real" if row["Real"] == "yes" else ""
        rows.append(
            _row(
                better,
                Cell(other, kind="words"),
                shown(mae),
                shown(other_mae),
                Cell(shown(mae - other_mae, 2, True), shown_range(low, high, 2, True), kind),
                shown(row["p"], 4),
                shown(row["p (Holm)"], 4),
                row["Real"],
            )
        )
    note = (
        "Difference: the better network's MAE less the other's, with the interval of that pair alone. The "
        "smallest p that 10,000 draws can show is 0.0002."
    )
    return Grid(f"Every pair, {epochs} epochs", heads, rows, note)


def groups_grid(epochs: int, comparison: Comparison) -> Grid:
    """The test MAE of each network of one epoch count in each group of the cases."""
    table = comparison.groups[comparison.groups["Epochs"] == epochs]
    columns = table.drop_duplicates(["By", "Group"])[["By", "Group", "Test cases"]].to_dict("records")
    heads = [("Network", ""), *((one["Group"], f"n = {one['Test cases']:,}") for one in columns)]
    rows = []
    for network, of_network in table.groupby("Network", sort=False):
        cells = of_network.set_index(["By", "Group"]).to_dict("index")
        row = [cells[one["By"], one["Group"]] for one in columns]
        rows.append(
            _row(
                network,
                *(
                    _with_interval(
                        cell, "Test MAE", "years", 2, kind="few" if cell["Few cases"] == "yes" else ""
                    )
                    for cell in row
                ),
            )
        )
    return Grid(f"Test MAE in years by group, {epochs} epochs", heads, rows)


def groups_note(comparison: Comparison) -> str:
    """What the tables of groups must say."""
    known = "" if (comparison.groups["By"] == "Race").any() else " The source does not tell the race."
    return (
        "Mean absolute error on the test cases in years, beneath it its 95 % interval (bootstrap over "
        "cases). The age is the true bone age. Grey: fewer than "
        f"{FEW_CASES} cases, which says next to nothing.{known} "
        "Groups differ in their ages as well, and an age that is hard to estimate makes its group look worse."
    )


def references_grid(comparison: Comparison) -> Grid:
    """What others have measured, each with the number of its source in :func:`sources_of`."""
    heads = [
        ("What", ""),
        ("MAE", "months"),
        ("MAE", "years"),
        ("RMS", "years"),
        ("Photos", ""),
        ("Cases", ""),
        ("Told besides", ""),
        ("Trained on", ""),
        ("Source", ""),
    ]
    sources = sources_of(comparison)
    rows = [
        _row(
            row["What"],
            shown(row["MAE (months)"], _decimals_of(row)),
            shown(row["MAE (years)"]),
            shown(row["RMS (years)"]),
            Cell(row["Photos"], kind="words"),
            shown(row["Cases"], 0),
            Cell(row["Told besides"] or "–", kind="words"),
            Cell(row["Trained on"] or "–", kind="words"),
            f"[{sources.index(row['Source']) + 1}]",
        )
        for row in comparison.references.to_dict("records")
    ]
    return Grid("Published figures", heads, rows, CAUTION, "named")


def sources_of(comparison: Comparison) -> list[str]:
    """The sources of the published figures, each once."""
    return list(dict.fromkeys(comparison.references["Source"]))


def _decimals_of(row: dict) -> int:
    """As many as were published; one where none were."""
    exact = round(row["MAE (months)"] * 100, 6)
    return 2 if exact % 1 == 0 and exact % 10 else 1


def outside_grid(comparison: Comparison) -> Grid:
    """The error of each run on another source's photos."""
    heads = [
        ("Network", ""),
        ("Epochs", ""),
        ("MAE", "years, 95 % interval"),
        ("MAE", "months, 95 % interval"),
        ("Within 1 year", "share"),
        ("Bias", "years"),
        (BASELINE, "MAE in years"),
        ("Cases", ""),
    ]
    rows = [
        _row(
            run["Network"],
            str(run["Epochs"]),
            _with_interval(run, "MAE", "years", 2),
            _with_interval(run, "MAE", "months", 1),
            shown(run["Within 1 year"], 3),
            shown(run["Bias (years)"], sign=True),
            shown(run["Constant predictor MAE (years)"]),
            shown(run["Cases"], 0),
        )
        for run in comparison.outside.to_dict("records")
    ]
    note = ""
    if rows:
        source, kind = comparison.outside.loc[0, ["Source", "Label"]]
        note = f"Source: {source}. Label: {kind}; that of the training: {printable(comparison.labels.kind)}."
    return Grid("Error on another source", heads, rows, note)


def took_grid(comparison: Comparison) -> Grid:
    """Size, speed and device of each run."""
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
            shown(run["Parameters"], 0),
            shown(run["Seconds an epoch"], 1),
            shown(run["Photos a second"], 0),
            shown(run["Photo size (px)"], 0),
            *(run[name] for name in ("Device", "Backend", "Weights", "Finished")),
        )
        for run in comparison.details.to_dict("records")
    ]
    return Grid("What the runs took", heads, rows)


def left_out_grid(comparison: Comparison) -> Grid:
    """What stands in no table, and why."""
    rows = [_row(item, reason, kind="words") for item, reason in comparison.left_out.itertuples(index=False)]
    return Grid("Left out", [("Run", ""), ("Why, and what to do", "")], rows, kind="left")
