"""Figures of a comparison, drawn from tables only.

Each function returns a :class:`Chart` that stands alone: a title with its counts, axes with their units,
colours that a colour-blind reader tells apart, letters that a phone still shows. No figure is made through
pyplot, so none outlives its reader, and nothing here sees a pixel of a radiograph.
"""

import io
import itertools
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from boneage.tables import MONTHS_PER_YEAR, OLDEST_YEARS, SPLITS

WIDTH_INCHES = 4.8
"""So narrow that matplotlib's 10 point letters stay readable on a phone held upright."""

CSS_PIXELS_PER_INCH = 110
_SHARPNESS = 1.6  # pixels of the picture for each CSS pixel: crisp on fine screens, still a small file

# The palette of Okabe and Ito, "Color Universal Design", 2008: told apart by colour-blind readers.
_BLUE, _ORANGE, _GREEN, _VERMILION, _SKY, _PURPLE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
)
_COLOUR_OF_SPLIT = {"train": _SKY, "validation": _ORANGE, "test": _BLUE, "outside": _VERMILION}
_MARKER_OF_SPLIT = {"train": ".", "validation": "^", "test": "o", "outside": "s"}
_SERIES_COLOURS = (_SKY, _BLUE, _ORANGE, _GREEN, _PURPLE, _VERMILION)
_GREY = "#595959"

# Splits that were not trained on, the one that says most first.
_JUDGED = ("test", "outside", "validation")
_LIMITS_IN_SD = 1.96


class Chart(Figure):
    """A matplotlib Figure that a notebook shows when it is the last expression of a cell.

    A plain Figure made without pyplot shows there as text only.
    """

    def __init__(self, height: float):
        super().__init__(figsize=(WIDTH_INCHES, height), layout="constrained", facecolor="white")
        self.get_layout_engine().set(w_pad=0.1, h_pad=0.1)

    def png(self) -> bytes:
        """The figure as a PNG file."""
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=CSS_PIXELS_PER_INCH * _SHARPNESS)
        return file.getvalue()

    @property
    def css_width(self) -> int:
        """The width to show it at, in CSS pixels."""
        return round(self.get_figwidth() * CSS_PIXELS_PER_INCH)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.png(), {"width": self.css_width}


def age_histogram(labels: pd.DataFrame) -> Chart:
    """How many cases there are of each year of age, by sex and split.

    Args:
        labels: A label table (``tables.LABEL_COLUMNS``).
    """
    figure = Chart(height=4.6)
    upper, lower = figure.subplots(2, 1, sharex=True, sharey=True)
    photos = len(labels) > labels["Source ID"].nunique()
    things = "Photos" if photos else "Cases"
    for axes, male, name in ((upper, False, "Girls"), (lower, True, "Boys")):
        of_sex = labels[labels["Male"].astype(bool) == male]
        _stack_years(axes, of_sex)
        axes.set_ylabel(f"{things} a year of age")
        _title(axes, f"{name} (n = {len(of_sex):,})")
    counts = labels["Split"].value_counts()
    for split in SPLITS:
        upper.bar(0, 0, color=_COLOUR_OF_SPLIT[split], label=f"{split} ({counts.get(split, 0):,})")
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False, columnspacing=1.2)
    figure.suptitle(f"Bone ages of the {len(labels):,} {things.lower()}", fontsize=11, x=0.02, ha="left")
    lower.set_xlabel("Bone age (whole years)")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    return figure


def _stack_years(axes: Axes, labels: pd.DataFrame) -> None:
    years = np.floor(labels["Bone Age"].astype(float))
    below = pd.Series(0, index=np.arange(int(OLDEST_YEARS) + 1))
    for split in SPLITS:
        count = years[labels["Split"] == split].value_counts().reindex(below.index, fill_value=0)
        axes.bar(below.index, count, bottom=below, color=_COLOUR_OF_SPLIT[split], width=0.85)
        below = below + count
    _dress(axes, grid="y")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))


def years_before_and_after(before: pd.Series, after: pd.Series) -> Chart:
    """How many photos there are of each year of age before and after the set is grown.

    Args:
        before: The age of each accepted case in years.
        after: The age of each photo of the plan in years.
    """
    figure = Chart(height=4.4)
    panels = figure.subplots(2, 1, sharex=True)
    every_year = np.arange(int(OLDEST_YEARS) + 1)
    for axes, ages, name, colour in (
        (panels[0], before, "Accepted cases", _SKY),
        (panels[1], after, "Photos of the plan", _BLUE),
    ):
        counts = np.floor(ages.astype(float)).value_counts().reindex(every_year, fill_value=0)
        axes.bar(every_year, counts, color=colour, width=0.85)
        present = counts[counts > 0]
        spread = f", {present.min():,} to {present.max():,} a year" if len(present) else ""
        _title(axes, f"{name} (n = {len(ages):,}{spread})")
        axes.set_ylabel("Photos a year of age")
        _dress(axes, grid="y")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    panels[1].set_xlabel("Age by the label (whole years)")
    panels[1].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    return figure


def learning_curves(history: pd.DataFrame, title: str) -> Chart:
    """Loss and MAE after each epoch, of the training and the validation cases.

    Args:
        history: A run's history: ``epoch``, ``loss`` (years squared), ``mae`` (years) and, where there
            are validation cases, ``val_loss`` and ``val_mae``.
        title: What was trained.
    """
    figure = Chart(height=4.8)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, name, label in ((upper, "loss", "Loss (years²)"), (lower, "mae", "MAE (years)")):
        for prefix, split in (("", "train"), ("val_", "validation")):
            if f"{prefix}{name}" in history:
                axes.plot(
                    history["epoch"],
                    history[f"{prefix}{name}"],
                    color=_COLOUR_OF_SPLIT["test" if split == "train" else split],
                    marker=_MARKER_OF_SPLIT[split],
                    linestyle="-" if split == "train" else "--",
                    markersize=5,
                    label=split,
                )
        axes.set_ylabel(label)
        axes.margins(x=0.03)
        axes.set_ylim(0, _leave_out_spikes(axes, history[name].max()))
        _dress(axes)
    _title(upper, f"Learning curves: {title}")
    upper.legend(fontsize=9, frameon=False)
    lower.set_xlabel("Epoch")
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    return figure


def _leave_out_spikes(axes: Axes, highest_in_training: float) -> float:
    """The top of an axis of errors; validation far above it in the first epochs is said, not drawn to scale.

    Batch statistics that have not settled can make the first validations hundreds of times too large,
    which would press all that follows flat against the axis.
    """
    top = 2.0 * highest_in_training
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.get_lines()])
    values = values[np.isfinite(values)]
    beyond = values[values > top]
    if not len(beyond):
        return 1.05 * values.max() if len(values) else 1.0
    note = f"{len(beyond)} beyond the scale, up to {beyond.max():.3g}"
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.annotate(note, (0.26, 0.92), xycoords="axes fraction", fontsize=9, color="dimgrey", bbox=behind)
    return top


def predicted_against_true(joined: pd.DataFrame, title: str) -> Chart:
    """Estimates over the true bone ages, for every case that was not trained on.

    Args:
        joined: What ``evaluation.join_truth`` returns.
        title: Whose estimates they are.
    """
    figure = Chart(height=4.9)
    axes = figure.subplots()
    judged = joined[joined["Split"] != "train"]
    ages = np.r_[judged["Bone Age"], judged["Estimate"], 0.0, 19.0].astype(float)
    low, high = ages.min() - 0.5, ages.max() + 0.5
    line = np.array([low, high])
    axes.fill_between(line, line - 1, line + 1, color="#d9d9d9", linewidth=0, label="within 1 year")
    axes.plot(line, line, color=_GREY, linewidth=1, label="estimate = truth")
    for split in reversed(_JUDGED):
        rows = judged[judged["Split"] == split]
        if len(rows):
            error = rows["Error"].abs().mean()
            label = f"{split}: n = {len(rows):,}, MAE {error:.2f} years"
            _scatter(axes, rows["Bone Age"], rows["Estimate"], split, label)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel("True bone age (years)")
    axes.set_ylabel("Estimate (years)")
    _dress(axes)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    _title(axes, f"Predicted against true: {title}")
    figure.legend(loc="outside lower left", fontsize=9, frameon=False)
    return figure


def bland_altman(joined: pd.DataFrame, title: str) -> Chart:
    """Difference over mean of estimate and truth, with bias and 95 % limits of agreement.

    After Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical
    measurement", Lancet 1986; 327:307-310: bias is the mean difference, the limits lie 1.96 standard
    deviations (of the sample, n - 1) to either side.

    Args:
        joined: What ``evaluation.join_truth`` returns; its test cases are shown, its validation cases
            where it has none.
        title: Whose estimates they are.
    """
    rows, split = _judged_rows(joined)
    figure = Chart(height=3.9)
    axes = figure.subplots()
    difference = rows["Error"].astype(float)
    _scatter(axes, (rows["Bone Age"] + rows["Estimate"]) / 2, difference, split)
    if len(rows):
        bias = difference.mean()
        _level(axes, bias, "bias", "-")
    if len(rows) > 1:
        reach = _LIMITS_IN_SD * difference.std(ddof=1)
        _level(axes, bias + reach, "+1.96 SD", "--")
        _level(axes, bias - reach, "−1.96 SD", "--")
    axes.axhline(0, color=_GREY, linewidth=0.8)
    axes.margins(y=0.12)
    axes.set_xlabel("Mean of estimate and truth (years)")
    axes.set_ylabel("Estimate − truth (years)")
    _dress(axes)
    _title(axes, f"Bland-Altman: {title}", f"{len(rows):,} {split} cases")
    return figure


def error_by_age(joined: pd.DataFrame, title: str) -> Chart:
    """Box plots of the error by true bone age, two years a box: where a network fails.

    A box spans the quartiles with the median in it, whiskers reach 1.5 times as far, dots lie beyond.

    Args:
        joined: What ``evaluation.join_truth`` returns; its test cases are shown, its validation cases
            where it has none.
        title: Whose estimates they are.
    """
    rows, split = _judged_rows(joined)
    figure = Chart(height=3.9)
    axes = figure.subplots()
    group = (rows["Bone Age"].astype(float) // 2 * 2).astype(int)
    firsts = sorted(group.unique())
    if firsts:
        axes.boxplot(
            [rows.loc[group == first, "Error"].to_numpy(float) for first in firsts],
            positions=range(len(firsts)),
            tick_labels=[f"{first}–{first + 1}\n{(group == first).sum():,}" for first in firsts],
            widths=0.65,
            patch_artist=True,
            boxprops={"facecolor": _SKY, "edgecolor": _BLUE},
            medianprops={"color": "black", "linewidth": 1.5},
            whiskerprops={"color": _BLUE},
            capprops={"color": _BLUE},
            flierprops={"marker": "o", "markersize": 3, "markeredgecolor": _BLUE},
        )
    axes.axhline(0, color=_GREY, linewidth=0.8)
    axes.set_xlabel("True bone age (whole years), cases below")
    axes.set_ylabel("Estimate − truth (years)")
    _dress(axes, grid="y")
    axes.tick_params(axis="x", labelsize=8)
    _title(axes, f"Error by age: {title}", f"{len(rows):,} {split} cases")
    return figure


def mae_bars(
    details: pd.DataFrame,
    constant_mae: float = np.nan,
    lines: dict[str, tuple[float, float]] | None = None,
) -> Chart:
    """Test MAE of every run with its 95 % interval, beside the constant predictor's.

    Args:
        details: Columns ``Network``, ``Epochs``, ``Test cases``, ``Test MAE (years)``, ``Test MAE low
            (years)`` and ``Test MAE high (years)``.
        constant_mae: The constant predictor's test MAE in years, what a network must beat; NaN for none.
        lines: What others have measured, to be named as not comparable one to one: words -> the lowest and
            the highest MAE in years.
    """
    lines = lines or {}
    names = list(dict.fromkeys(details["Network"]))
    every_epochs = sorted(details["Epochs"].unique())
    figure = Chart(height=1.7 + 0.28 * max(1, len(details)) + 0.12 * len(names) + 0.2 * len(lines))
    axes = figure.subplots()
    thickness = 0.8 / max(1, len(every_epochs))
    for number, epochs in enumerate(every_epochs):
        rows = details[details["Epochs"] == epochs]
        mae = rows["Test MAE (years)"].to_numpy(float)
        whiskers = [
            mae - rows["Test MAE low (years)"].to_numpy(float),
            rows["Test MAE high (years)"].to_numpy(float) - mae,
        ]
        places = [
            names.index(name) + (number - (len(every_epochs) - 1) / 2) * thickness for name in rows["Network"]
        ]
        colour = _SERIES_COLOURS[number % len(_SERIES_COLOURS)]
        axes.barh(places, mae, thickness * 0.92, color=colour, label=f"{epochs} epochs")
        axes.errorbar(
            mae, places, xerr=whiskers, fmt="none", ecolor="black", elinewidth=1, capsize=3, zorder=4
        )
    if np.isfinite(constant_mae):
        label = f"constant predictor ({constant_mae:.2f} years)"
        axes.axvline(constant_mae, color=_VERMILION, linestyle="--", label=label)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("Test MAE (years), with 95 % interval")
    _dress(axes, grid="x")
    cases = sorted({int(count) for count in details["Test cases"].dropna()})
    _title(axes, "Test error of each run", f"{' or '.join(f'{count:,}' for count in cases) or 0} test cases")
    for (words, (low, high)), colour in zip(lines.items(), itertools.cycle((_GREEN, _PURPLE, _ORANGE))):
        if low == high:
            axes.axvline(low, color=colour, linestyle=":", linewidth=2, zorder=3, label=words)
        else:
            axes.axvspan(low, high, color=colour, alpha=0.6, linewidth=0, zorder=3, label=words)
    figure.legend(loc="outside lower left", fontsize=9, frameon=False)
    return figure


def difference_heatmap(differences: pd.DataFrame) -> Chart:
    """By how much each network is further off than each better one, and which of that is real.

    Rows and columns are sorted by test MAE. A coloured cell is a difference that is real after the correction
    for the number of pairs; the others are white, their numbers grey.

    Args:
        differences: One epoch count of ``report.differences_table``: ``Epochs``, ``Network``, ``Other
            network``, ``Test cases``, ``Test MAE (years)``, ``Other test MAE (years)`` and ``Real``.
    """
    # Seaborn loads pyplot, which takes a second that no other figure needs.
    import seaborn as sns

    ends = (
        differences[["Network", "Test MAE (years)"]],
        differences[["Other network", "Other test MAE (years)"]],
    )
    mae = pd.concat([end.set_axis(["name", "mae"], axis=1) for end in ends]).groupby("name")["mae"].first()
    mae = mae.sort_values(kind="stable")
    apart = pd.DataFrame(
        np.subtract.outer(mae.to_numpy(), mae.to_numpy()) * MONTHS_PER_YEAR, mae.index, mae.index
    )
    real = pd.DataFrame(False, mae.index, mae.index)
    for one, other, verdict in differences[["Network", "Other network", "Real"]].itertuples(index=False):
        real.loc[one, other] = real.loc[other, one] = verdict == "yes"
    # The best network is further off than none, and none is further off than the worst.
    apart, real = apart.iloc[1:, :-1], real.iloc[1:, :-1]
    below = np.tri(*apart.shape, dtype=bool)
    figure = Chart(height=2.2 + 0.34 * len(apart))
    axes = figure.subplots()
    sns.heatmap(
        apart,
        mask=~(below & real.to_numpy()),
        annot=True,
        fmt=".1f",
        annot_kws={"size": 9},
        cmap=sns.light_palette(_BLUE, as_cmap=True),
        vmin=0,
        vmax=max(apart.to_numpy().max(), 0.1),
        linewidths=0.8,
        # The cells hold their numbers.
        cbar=False,
        ax=axes,
    )
    for row, column in zip(*np.nonzero(below & ~real.to_numpy()), strict=True):
        words = f"{apart.iat[row, column]:.1f}"
        axes.text(column + 0.5, row + 0.5, words, size=9, color=_GREY, ha="center", va="center")
    with_mae = [f"{name} ({years:.2f})" for name, years in mae.items()]
    axes.set_yticklabels(with_mae[1:], rotation=0)
    axes.set_xticklabels(with_mae[:-1], rotation=40, ha="right", rotation_mode="anchor")
    axes.set(xlabel="than this network", ylabel="")
    axes.tick_params(labelsize=9, length=0)
    cases, epochs = differences["Test cases"].iloc[0], differences["Epochs"].iloc[0]
    lines = [
        f"Months of test MAE that a network is further off, {epochs} epochs",
        f"{cases:,} test cases, {len(differences):,} pairs; test MAE in years in brackets",
        "Blue: real (paired bootstrap, p < 0.05 after Holm). White: not",
    ]
    figure.suptitle("\n".join(lines), fontsize=10, x=0.02, ha="left", parse_math=False)
    return figure


def _judged_rows(joined: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    present = set(joined["Split"])
    split = next((split for split in _JUDGED if split in present), _JUDGED[0])
    return joined[joined["Split"] == split], split


def _scatter(axes: Axes, x: pd.Series, y: pd.Series, split: str, label: str | None = None) -> None:
    axes.scatter(
        x,
        y,
        s=18,
        alpha=0.65,
        color=_COLOUR_OF_SPLIT[split],
        marker=_MARKER_OF_SPLIT[split],
        linewidths=0,
        label=label,
    )


def _level(axes: Axes, height: float, name: str, style: str) -> None:
    axes.axhline(height, color=_VERMILION, linestyle=style, linewidth=1.2)
    # To the right of the axes, where no case can lie under the words.
    axes.annotate(
        f"{name}\n{height:+.2f}".replace("-", "−"),
        (1.02, height),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=9,
    )


def _dress(axes: Axes, grid: str = "both") -> None:
    axes.grid(axis=grid, color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _title(axes: Axes, title: str, below: str = "") -> None:
    lines = [*textwrap.wrap(title, 50), *textwrap.wrap(below, 50)]
    # A title may hold a folder's or a label's name: a dollar sign there is no formula.
    axes.set_title("\n".join(lines), loc="left", fontsize=10.5, parse_math=False)


def coverage_by_band(coverage: pd.DataFrame, title: str) -> Chart:
    """The share of test cases inside of their interval, by band of estimated ages, beside the promised level.

    Args:
        coverage: What ``intervals.coverage_table`` returns; bands without a test case are named, not drawn.
        title: Whose intervals they are.
    """
    figure = Chart(height=2.0 + 0.5 * len(coverage))
    axes = figure.subplots()
    places = np.arange(len(coverage))
    share = coverage["Coverage"].to_numpy(float)
    low, high = (coverage[f"Coverage {end}"].to_numpy(float) for end in ("low", "high"))
    reach = [share - low, high - share]
    axes.errorbar(
        share, places, xerr=reach, fmt="o", color=_BLUE, capsize=3, label="test cases, 95 % interval"
    )
    level = coverage["Level"].iloc[0]
    axes.axvline(level, color=_VERMILION, linestyle="--", label=f"promised: {level:.0%}")
    names = []
    for words, count, width in coverage[["Estimates", "Test cases", "Mean width (years)"]].itertuples(
        index=False
    ):
        wide = f", {width:.1f} years wide" if count else ""
        names.append(f"{words}\n{count:,} cases{wide}")
    axes.set_yticks(places, names)
    axes.set_ylim(len(coverage) - 0.5, -0.5)
    axes.set_xlim(max(0.0, np.nanmin([0.5, *coverage["Coverage low"]]) - 0.05), 1.02)
    axes.set_ylabel("Estimate (years)")
    axes.set_xlabel("Share of cases inside of their interval")
    _dress(axes, grid="x")
    count = int(coverage["Test cases"].iloc[-1])
    _head(figure, f"Coverage of the {level:.0%} intervals: {title}")
    _title(axes, f"{count:,} test cases")
    figure.legend(loc="outside lower left", fontsize=9, frameon=False, ncols=2)
    return figure


def robustness_dots(robustness: pd.DataFrame, title: str) -> Chart:
    """What each change of the photos does: to the MAE, with its 95 % interval, and to the single estimate.

    Args:
        robustness: What ``robustness.robustness_table`` returns.
        title: Whose estimates they are.
    """
    plain, rows = robustness.iloc[0], robustness.iloc[1:]
    figure = Chart(height=1.9 + 0.2 * len(rows))
    axes = figure.subplots()
    places = np.arange(len(rows))
    change = rows["Change in MAE (years)"].to_numpy(float)
    reach = [change - rows["Change low (years)"], rows["Change high (years)"] - change]
    axes.axvline(0, color=_GREY, linewidth=0.8)
    axes.errorbar(
        change, places, xerr=reach, fmt="o", markersize=4, color=_BLUE, label="change in MAE, 95 % interval"
    )
    movement = rows["Mean movement (years)"]
    axes.plot(
        movement,
        places,
        "d",
        markersize=5,
        color=_VERMILION,
        fillstyle="none",
        label="mean movement of an estimate",
    )
    # Kinds apart from one another, so that the eye finds rotation, shades and the others.
    kinds = rows["Perturbation"].to_numpy()
    for place in np.flatnonzero(kinds[1:] != kinds[:-1]):
        axes.axhline(place + 0.5, color="#d9d9d9", linewidth=0.8)
    axes.set_yticks(places, rows["Photos"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("Years")
    _dress(axes, grid="x")
    axes.tick_params(axis="y", labelsize=8)
    _head(figure, f"Changed photos: {title}")
    _title(axes, f"{plain['Cases']:,} cases, MAE {plain['MAE (years)']:.2f} years unchanged")
    figure.legend(loc="outside lower left", fontsize=9, frameon=False)
    return figure


def _head(figure: Chart, title: str) -> None:
    """A title over the whole figure, for axes that long names leave no room for one."""
    lines = "\n".join(textwrap.wrap(title, 50))
    figure.suptitle(lines, fontsize=10.5, x=0.02, ha="left", parse_math=False)
