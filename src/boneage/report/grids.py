"""A comparison's tables as the page shows them: words, units, decimals, intervals beneath their values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boneage.evaluation.intervals import ALL_ESTIMATES
from boneage.evaluation.metrics import mean_differences
from boneage.report.comparison import Comparison
from boneage.report.differences import LEVEL
from boneage.report.examination import Examination
from boneage.report.groups import FEW_CASES
from boneage.report.references import CAUTION
from boneage.report.template import MACROS, TABLE, environment
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
    title_of,
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


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return self.label

    def _repr_html_(self) -> str:
        """The table as a notebook shows it, marked as in the report."""
        return environment().from_string(MACROS + TABLE).render(grid=self)


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


def case_grid(comparison: Comparison, case_id: str) -> Grid:
    """What every run says of one image, the nearest first, below the truth."""
    heads = [("Network", ""), ("Epochs", ""), ("Estimate", "years"), ("Off by", "years")]
    found = []
    for run in comparison.runs:
        joined = comparison.joined[run.folder.name]
        row = joined[joined["Case ID"] == case_id].assign(Run=title_of(run), Epochs=run.record["epochs"])
        found += row.to_dict("records")
    rows = [
        _row(
            row["Run"].rpartition(",")[0],
            str(row["Epochs"]),
            shown(row["Estimate"]),
            shown(row["Error"], sign=True),
        )
        for row in sorted(found, key=lambda row: abs(row["Error"]))
    ]
    if found:
        rows.insert(0, _row("Label", "", shown(found[0]["Bone Age"]), "", kind="constant"))
    note = "Off by: estimate minus label. Of a training case every network has seen the label."
    return Grid(f"Estimates for {case_id}", heads, rows, note)


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


def seeds_grid(comparison: Comparison) -> Grid:
    """What other seeds make of the plain runs' test error."""
    heads = [
        ("Network", ""),
        ("Epochs", ""),
        ("Seeds", ""),
        ("Test MAE", "years, mean"),
        ("Test MAE", "years, lowest to highest"),
        ("Test MAE", "months, mean"),
        ("Cases", ""),
    ]
    rows = [
        _row(
            row["Network"],
            str(row["Epochs"]),
            Cell(row["Seeds"], kind="words"),
            shown(row["Test MAE mean (years)"]),
            shown_range(row["Test MAE lowest (years)"], row["Test MAE highest (years)"]),
            shown(row["Test MAE mean (months)"], 1),
            shown(row["Test cases"], 0),
        )
        for row in comparison.seeds.to_dict("records")
    ]
    return Grid("Trained again with other seeds", heads, rows)


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


def coverage_grid(comparison: Comparison) -> Grid:
    """For each run how many test cases its intervals hold, and how wide they are."""
    table = comparison.coverage[comparison.coverage["Estimates"] == ALL_ESTIMATES]
    note = (
        "Covered: share of the test cases inside of their interval, beneath it the exact 95 % interval of "
        "that share (Clopper and Pearson, 1934). Width: from the lower to the upper end, mean of the test "
        "cases; the narrower, the more an estimate is worth."
    )
    return Grid("Intervals on the test cases", _COVERAGE_HEADS, _coverage_rows(table), note)


def coverage_bands_grids(comparison: Comparison) -> list[Grid]:
    """For each run the same by band of estimated ages; bands of too few validation cases are joined."""
    parts = comparison.coverage[comparison.coverage["Estimates"] != ALL_ESTIMATES]
    heads = [_COVERAGE_HEADS[0], ("Estimates", "years"), *_COVERAGE_HEADS[2:]]
    return [
        Grid(f"Intervals by estimated age, {epochs} epochs", heads, _coverage_rows(table, by_band=True))
        for epochs, table in parts.groupby("Epochs")
    ]


def coverage_outside_grid(comparison: Comparison) -> Grid:
    """For each run how many of another source's cases the same intervals hold."""
    table = comparison.coverage_outside
    table = table[table["Estimates"] == ALL_ESTIMATES]
    heads = [*_COVERAGE_HEADS[:5], ("Cases", "of the other source"), _COVERAGE_HEADS[6]]
    note = "Nothing is promised here: these cases are not drawn from the lot of the validation cases."
    return Grid("The same intervals on another source", heads, _coverage_rows(table), note)


_COVERAGE_HEADS = (
    ("Network", ""),
    ("Epochs", ""),
    ("Covered", "share, 95 % interval"),
    ("Promised", "share"),
    ("Width", "years"),
    ("Test", "cases"),
    ("Validation", "cases"),
)


def _coverage_rows(table: pd.DataFrame, by_band: bool = False) -> list[Row]:
    return [
        _row(
            row["Network"],
            row["Estimates"] if by_band else str(row["Epochs"]),
            Cell(shown(row["Coverage"]), shown_range(row["Coverage low"], row["Coverage high"])),
            shown(row["Level"]),
            shown(row["Mean width (years)"], 1),
            shown(row["Test cases"], 0),
            shown(row["Validation cases"], 0),
        )
        for row in table.to_dict("records")
    ]


def interval_notices_grid(comparison: Comparison) -> Grid:
    """Which run has no interval, or bands that share one."""
    rows = [
        _row(item, Cell(reason, kind="words"))
        for item, reason in comparison.interval_notices.itertuples(index=False)
    ]
    label = "Where validation cases were few"
    return Grid(label, [("Run", ""), ("What that means", "")], rows, kind="left")


def robustness_grid(examination: Examination) -> Grid:
    """What each change of the photos does to a network's error and to its single estimates."""
    heads = [
        ("Photos", ""),
        ("MAE", "years"),
        ("Change in MAE", "years, 95 % interval"),
        ("Estimate moved", "years, mean"),
        ("Estimate moved", "years, 95 of 100 less"),
        ("Moved over 1 year", "share"),
        ("Shift", "years"),
    ]
    unchanged, *changed = examination.robustness.to_dict("records")
    rows = [_row(unchanged["Photos"], shown(unchanged["MAE (years)"]), *[""] * 5, kind="constant")]
    for row in changed:
        low, high = row["Change low (years)"], row["Change high (years)"]
        kind = "real" if low > 0 or high < 0 else ""
        rows.append(
            _row(
                row["Photos"],
                shown(row["MAE (years)"]),
                Cell(shown(row["Change in MAE (years)"], sign=True), shown_range(low, high, sign=True), kind),
                shown(row["Mean movement (years)"]),
                shown(row["95 % of movements within (years)"]),
                shown(row["Moved over 1 year"]),
                shown(row["Mean shift (years)"], sign=True),
            )
        )
    note = (
        "Change in MAE: against the photos as they are; bold where its interval leaves out zero, each "
        "interval for itself: of forty changes that did nothing, two would be bold. Moved: by how much an "
        "estimate differs from that of the photo as it is, signs left away; shift: signs kept, above zero "
        "the change makes older."
    )
    return Grid(f"Every change of the photos, {examination.title}", heads, rows, note, "named")


def centres_grid(examinations: Sequence[Examination]) -> Grid:
    """How much of each network's heat maps lies on the growth centres of drawn hands."""
    heads = [
        ("Network", ""),
        ("On the hand", "share"),
        ("On growth centres", "share"),
        ("Even over the hand", "share"),
        ("More than even", "share, 95 % interval"),
        ("At best", "share"),
        ("Drawn hands", ""),
    ]
    rows = []
    for one in examinations:
        if one.centres is None:
            continue
        more = one.centres["On centres"] - one.centres["Even over the hand"]
        change = mean_differences([more.to_numpy()]).iloc[0]
        kind = "real" if change["low"] > 0 or change["high"] < 0 else ""
        rows.append(
            _row(
                one.title,
                shown(one.centres["On the hand"].mean()),
                shown(one.centres["On centres"].mean()),
                shown(one.centres["Even over the hand"].mean()),
                Cell(
                    shown(change["difference"], sign=True),
                    shown_range(change["low"], change["high"], sign=True),
                    kind,
                ),
                shown(one.centres["At best"].mean()),
                shown(len(one.centres), 0),
            )
        )
    note = (
        "Means over the hands. Even: what a map of the same coarseness would put on growth centres if it "
        "were even over the hand. At best: if it lay on the one place that covers most of a centre."
    )
    return Grid("Heat maps and growth centres", heads, rows, note, "named")


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
        ("Precision", ""),
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
            *(run[name] for name in ("Device", "Backend", "Weights", "Precision", "Finished")),
        )
        for run in comparison.details.to_dict("records")
    ]
    return Grid("What the runs took", heads, rows)


def left_out_grid(comparison: Comparison) -> Grid:
    """What stands in no table, and why."""
    rows = [_row(item, reason, kind="words") for item, reason in comparison.left_out.itertuples(index=False)]
    return Grid("Left out", [("Run", ""), ("Why, and what to do", "")], rows, kind="left")
