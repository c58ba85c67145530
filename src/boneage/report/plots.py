"""Figures of a comparison, drawn from tables only.

Each function returns a :class:`Chart` that stands alone: a title with counts, axes with units, colour-blind
safe colours, letters readable on a phone, and a text alternative. Figures are made without pyplot, so none
outlives its reader, and nothing here touches radiographs.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from boneage.core.tables import MONTHS_PER_YEAR, OLDEST_YEARS, SPLITS
from boneage.report.charts import (
    BLUE,
    COLOUR_OF_SPLIT,
    GREEN,
    GREY,
    MARKER_OF_SPLIT,
    ORANGE,
    PURPLE,
    SERIES_COLOURS,
    SKY,
    VERMILION,
    Chart,
    dress,
    legend,
    levels,
    panel_title,
    panels,
    signed,
    title,
)

# Splits not trained on, the most informative first.
_JUDGED = ("test", "outside", "validation")
_BOTH = ["Bone Age", "Prediction"]
_LIMITS_IN_SD = 1.96
_SEXES = (("F", "girls", VERMILION), ("M", "boys", SKY))


def _stacked_years(axes: Axes, parts: Iterable[tuple[str, str, pd.Series]], words: str) -> pd.Series:
    """Stacked bars of counts per year, from name, colour and ages of each part; returns the sums."""
    total = pd.Series(0, range(int(OLDEST_YEARS) + 1))
    for label, colour, years in parts:
        counts = np.floor(years.astype(float)).value_counts().reindex(total.index, fill_value=0)
        axes.bar(total.index, counts, bottom=total, color=colour, width=0.85, label=label)
        total += counts
    dress(axes, grid="y")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axes.set_xlabel(words)
    return total


def _extremes(counts: pd.Series) -> str:
    present = counts[counts > 0]
    return f"{present.min():,} to {present.max():,} a year" if len(present) else "none"


def ages_by_sex(years: pd.Series, sex: pd.Series) -> Chart:
    """Number of cases per year of age, girls and boys stacked.

    Args:
        years: The age of each case in years.
        sex: ``F`` or ``M``, for each of them.
    """
    figure = Chart(height=3.2)
    axes = figure.subplots()
    parts = [
        (f"{name} ({(sex == letter).sum():,})", colour, years[sex == letter])
        for letter, name, colour in _SEXES
    ]
    total = _stacked_years(axes, parts, "Age (whole years)")
    axes.set_ylabel("Cases per year of age")
    title(figure, f"Ages of the {total.sum():,} cases")
    legend(figure, columns=2)
    counts = " and ".join(label for label, _, _ in parts)
    figure.words = f"Bars: cases of each year of age, {counts}; {_extremes(total)}."
    return figure


def age_histogram(labels: pd.DataFrame) -> Chart:
    """Number of images per year of age, by sex and split; augmented ones apart.

    Args:
        labels: A label table (``tables.LABELS``).
    """
    figure = Chart(height=4.7)
    upper, lower = figure.subplots(2, 1, sharex=True, sharey=True)
    copies = labels["Case ID"] != labels["Source ID"]
    parts = {split: (labels["Split"] == split) & ~copies for split in SPLITS}
    if copies.any():
        parts = {"train": parts["train"], _COPIES: copies, **parts}
    names = {part: f"{part} ({rows.sum():,})" for part, rows in parts.items()}
    things = "Images" if copies.any() else "Cases"
    for axes, male, name in ((upper, False, "Girls"), (lower, True, "Boys")):
        of_sex = labels["Male"].astype(bool) == male
        stack = [
            (names[part], COLOUR_OF_SPLIT.get(part, _COLOUR_OF_COPIES), labels.loc[rows & of_sex, "Bone Age"])
            for part, rows in parts.items()
        ]
        _stacked_years(axes, stack, "Bone age (whole years)" if male else "")
        axes.set_ylabel(f"{things} per year")
        panel_title(axes, f"{name} (n = {of_sex.sum():,})")
    title(figure, f"Bone ages of the {len(labels):,} {things.lower()}")
    legend(figure, columns=2)
    what = f"{len(labels):,} {things.lower()} by year of bone age, girls above, boys below"
    figure.words = f"Bars: {what}: {', '.join(names.values())}."
    return figure


_COPIES, _COLOUR_OF_COPIES = "train, augmented", "#A9D6F2"


def years_before_and_after(before: pd.Series, after: pd.Series) -> Chart:
    """Number of images per year of age before and after augmentation.

    Args:
        before: The age of each accepted case in years.
        after: The age of each image of the plan in years.
    """
    figure = Chart(height=4.4)
    said = []
    for axes, ages, name, colour in zip(
        figure.subplots(2, 1, sharex=True), (before, after), _BEFORE_AND_AFTER, (SKY, BLUE), strict=True
    ):
        words = "Age by the label (whole years)" if ages is after else ""
        extremes = _extremes(_stacked_years(axes, [(name, colour, ages)], words))
        panel_title(axes, f"{name} (n = {len(ages):,}, {extremes})")
        axes.set_ylabel("Images per year")
        said.append(f"{name.lower()}, {len(ages):,}: {extremes}")
    title(figure, "Ages before and after augmentation")
    figure.words = f"Bars: images of each year of age. {'; '.join(said)}."
    return figure


_BEFORE_AND_AFTER = ("Accepted cases", "Images of the plan")


def groups_before_and_after(before: pd.DataFrame, after: pd.DataFrame) -> Chart:
    """Number of girls and boys of each race before and after augmentation.

    Args:
        before: A row per accepted case, with ``sex`` and ``race``.
        after: A row per image of the plan, with the same columns.
    """
    races = sorted(before["race"].unique())[::-1]
    figure = Chart(height=1.6 + 0.5 * len(races))
    said = []
    for axes, table, name in zip(
        figure.subplots(1, 2, sharey=True), (before, after), _BEFORE_AND_AFTER, strict=True
    ):
        for place, (letter, words, colour) in enumerate(_SEXES):
            counts = table.loc[table["sex"] == letter, "race"].value_counts().reindex(races, fill_value=0)
            bars = axes.barh(
                np.arange(len(races)) + 0.2 - 0.4 * place, counts, 0.36, color=colour, label=words
            )
            axes.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=8)
            said.append(
                f"{name.lower()}, {words}: {', '.join(f'{n:,} {r}' for r, n in counts[::-1].items())}"
            )
        axes.set_yticks(range(len(races)), races)
        axes.margins(x=0.2)
        dress(axes, grid="x")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=3))
        panel_title(axes, name, f"n = {len(table):,}")
    title(figure, "Sex and race before and after augmentation")
    legend(figure, columns=2)
    figure.words = f"Bars. {'; '.join(said)}."
    return figure


def learning_curves(histories: pd.DataFrame, wide: bool = True) -> Chart:
    """MAE by epoch: a panel a network, a colour an epoch count.

    Args:
        histories: From ``evaluation.histories_table``: ``Network``, ``Epochs``, ``epoch``, ``mae`` (years, on
            the training images as shown) and ``val_mae``, empty without validation.
        wide: See :func:`boneage.report.charts.panels`.
    """
    networks = list(dict.fromkeys(histories["Network"]))
    figure, every = panels(networks, 1.9, wide, "Learning curves", "Epoch", "MAE (years)")
    colours = dict(zip(sorted(histories["Epochs"].unique()), itertools.cycle(SERIES_COLOURS), strict=False))
    top = 2.0 * histories["mae"].max()
    for axes, network in zip(every, networks, strict=True):
        of_network = histories[histories["Network"] == network]
        for epochs, history in of_network.groupby("Epochs"):
            for column, split, style in _CURVES:
                # Until batch normalisation's running averages settle, validation errors can be hundreds of
                # times too large, which would flatten the rest of the curve.
                axes.plot(
                    history["epoch"],
                    history[column].astype(float).where(lambda mae: mae <= top),
                    style,
                    color=colours[epochs],
                    markersize=4,
                    linewidth=1.4,
                    label=f"{epochs} epochs, {split}",
                )
        panel_title(axes, network, *_beyond(of_network, top))
        dress(axes)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    legend(figure, columns=2 if wide and len(networks) > 1 else 1)
    figure.words = f"Learning curves. {_ends_of_curves(histories)}"
    return figure


_CURVES = (("mae", "training (augmented)", ".-"), ("val_mae", "validation", "^--"))


def _beyond(history: pd.DataFrame, top: float) -> list[str]:
    beyond = history["val_mae"][history["val_mae"] > top]
    return [f"{len(beyond)} beyond the scale, up to {beyond.max():.3g}"] if len(beyond) else []


def _ends_of_curves(histories: pd.DataFrame) -> str:
    last = histories.sort_values("epoch", kind="stable").groupby(["Network", "Epochs"], sort=False).last()
    return "; ".join(
        f"{network} after {epochs} epochs: training {row['mae']:.2f}, validation {row['val_mae']:.2f} years"
        for (network, epochs), row in last.iterrows()
    )


def _panels(
    runs: Mapping[str, pd.DataFrame],
    draw: Callable[[Axes, pd.DataFrame], Sequence[str]],
    height: float,
    wide: bool,
    head: str,
    labels: tuple[str, str],
) -> Chart:
    """A panel a run, in which ``draw`` plots its rows; the text it returns goes into the panel's title."""
    figure, every = panels(runs, height, wide, head, *labels)
    said = []
    for axes, (name, joined) in zip(every, runs.items(), strict=True):
        dress(axes)
        facts = draw(axes, joined)
        panel_title(axes, name, *facts)
        said.append(", ".join((name, *facts)))
    if any(axes.get_legend_handles_labels()[0] for axes in every):
        legend(figure, columns=3 if wide else 2)
    figure.words = f"{head}, in years. {'; '.join(said)}."
    return figure


def predicted_against_true(runs: Mapping[str, pd.DataFrame], of: str, wide: bool = True) -> Chart:
    """Predictions against ground truth for every case not trained on: a panel a run.

    Args:
        runs: Name of a run -> from ``evaluation.join_truth``.
        of: What the runs have in common, for the title.
        wide: See :func:`boneage.report.charts.panels`.
    """
    ages = np.concatenate(
        [
            [0.0, 19.0],
            *(rows.loc[rows["Split"] != "train", _BOTH].to_numpy().ravel() for rows in runs.values()),
        ]
    )
    line = np.array([ages.min() - 0.5, ages.max() + 0.5])

    def draw(axes: Axes, rows: pd.DataFrame) -> list[str]:
        band = {"color": "#808080", "alpha": 0.3, "linewidth": 0, "label": "within 1 year"}
        axes.fill_between(line, line - 1, line + 1, **band)
        axes.plot(line, line, color=GREY, linewidth=1, label="prediction = ground truth")
        facts = []
        for split in reversed(_JUDGED):
            of_split = rows[rows["Split"] == split]
            if len(of_split):
                _scatter(axes, of_split["Bone Age"], of_split["Prediction"], split)
                mae = of_split["Error"].abs().mean()
                facts.insert(0, f"{split}: MAE {mae:.2f}, n = {len(of_split):,}")
        axes.set(xlim=line, ylim=line, aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        return facts

    labels = "True bone age (years)", "Prediction (years)"
    return _panels(runs, draw, 2.75, wide, f"Predictions against ground truth: {of}", labels)


def bland_altman(runs: Mapping[str, pd.DataFrame], of: str, wide: bool = True) -> Chart:
    """Difference against mean of prediction and ground truth, with bias and 95 % limits of agreement.

    After Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical
    measurement", Lancet 1986; 327:307-310: bias is the mean difference, the limits lie 1.96 standard
    deviations (of the sample, n - 1) to either side.

    Args:
        runs: Name of a run -> from ``evaluation.join_truth``; its test cases are shown, or its validation
            cases if it has none.
        of: What the runs have in common, for the title.
        wide: See :func:`boneage.report.charts.panels`.
    """

    def draw(axes: Axes, joined: pd.DataFrame) -> list[str]:
        rows, split = _judged_rows(joined)
        _scatter(axes, (rows["Bone Age"] + rows["Prediction"]) / 2, rows["Error"], split)
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.margins(y=0.12)
        if rows.empty:
            return [f"no {split} cases"]
        bias, reach = rows["Error"].mean(), _LIMITS_IN_SD * rows["Error"].std(ddof=1)
        axes.axhline(bias, color=VERMILION, linewidth=1.2, label="bias")
        facts = [f"{len(rows):,} {split} cases", f"bias {signed(bias)}"]
        if len(rows) > 1:
            for limit in (bias - reach, bias + reach):
                label = "limits of agreement"
                axes.axhline(limit, color=VERMILION, linestyle="--", linewidth=1.2, label=label)
            facts.append(f"limits {signed(bias - reach)} to {signed(bias + reach)}")
        return facts

    labels = "Mean of prediction and ground truth (years)", "Prediction − ground truth (years)"
    return _panels(runs, draw, 1.95, wide, f"Bland-Altman: {of}", labels)


def error_by_age(runs: Mapping[str, pd.DataFrame], of: str, wide: bool = True) -> Chart:
    """Box plots of the error by true bone age, three years a box, a panel a run.

    A box spans the quartiles with the median in it, whiskers reach 1.5 times as far, dots lie beyond.

    Args:
        runs: Name of a run -> from ``evaluation.join_truth``; its test cases are shown, or its validation
            cases if it has none.
        of: What the runs have in common, for the title.
        wide: See :func:`boneage.report.charts.panels`.
    """

    def draw(axes: Axes, joined: pd.DataFrame) -> list[str]:
        rows, split = _judged_rows(joined)
        groups = _errors_by_age(rows)
        if groups:
            names = [f"{first}\n{len(errors):,}" for first, errors in groups.items()]
            axes.boxplot(list(groups.values()), positions=list(groups), tick_labels=names, **_BOXES)
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.tick_params(axis="x", labelsize=8)
        return [f"{len(rows):,} {split} cases"]

    labels = "True bone age: years from, cases", "Prediction − ground truth (years)"
    figure = _panels(runs, draw, 1.9, wide, f"Error by age: {of}", labels)
    for name, joined in runs.items():
        medians = _errors_by_age(_judged_rows(joined)[0]).items()
        figure.words += f" {name}, median from each age: "
        figure.words += ", ".join(f"{first}: {signed(errors.median())}" for first, errors in medians)
    return figure


def _errors_by_age(rows: pd.DataFrame) -> dict[int, pd.Series]:
    """The errors by lower bound of age, three years together."""
    first = (rows["Bone Age"].astype(float) // _YEARS_A_BOX * _YEARS_A_BOX).astype(int)
    return {age: errors.astype(float) for age, errors in rows["Error"].groupby(first)}


_YEARS_A_BOX = 3
_BOXES = {
    "widths": 0.65 * _YEARS_A_BOX,
    "patch_artist": True,
    "boxprops": {"facecolor": SKY, "edgecolor": BLUE},
    "medianprops": {"color": "black", "linewidth": 1.5},
    "whiskerprops": {"color": BLUE},
    "capprops": {"color": BLUE},
    "flierprops": {"marker": "o", "markersize": 3, "markeredgecolor": BLUE},
}


def mae_bars(
    details: pd.DataFrame,
    constant_mae: float = np.nan,
    lines: Mapping[str, tuple[float, float]] | None = None,
) -> Chart:
    """Test MAE of every run with its 95 % interval, the best network first, beside the baseline's.

    Args:
        details: Columns ``Network``, ``Epochs``, ``Test cases``, ``Test MAE (years)``, ``Test MAE low
            (years)`` and ``Test MAE high (years)``.
        constant_mae: The test MAE in years of the training median (baseline); NaN for none.
        lines: Published results, not directly comparable: words -> the lowest and the highest MAE in years.
    """
    lines = lines or {}
    names = list(details.groupby("Network")["Test MAE (years)"].min().sort_values(kind="stable").index)
    figure = Chart(height=1.7 + 0.28 * max(1, len(details)) + 0.12 * len(names) + 0.2 * len(lines))
    axes = figure.subplots()
    _bars(axes, details, names)
    if np.isfinite(constant_mae):
        label = f"training median ({constant_mae:.2f} years)"
        axes.axvline(constant_mae, color=VERMILION, linestyle="--", label=label)
    for (words, (low, high)), colour in zip(lines.items(), itertools.cycle((GREEN, PURPLE, ORANGE))):
        if low == high:
            axes.axvline(low, color=colour, linestyle=":", linewidth=2, zorder=3, label=words)
        else:
            axes.axvspan(low, high, color=colour, alpha=0.6, linewidth=0, zorder=3, label=words)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("Test MAE (years), with 95 % interval")
    dress(axes, grid="x")
    cases = sorted({int(count) for count in details["Test cases"].dropna()})
    title(figure, "Test error of each run", f"{' or '.join(f'{count:,}' for count in cases) or 0} test cases")
    legend(figure)
    figure.words = _words_of_bars(details, constant_mae)
    return figure


def _bars(axes: Axes, details: pd.DataFrame, names: list[str]) -> None:
    every_epochs = sorted(details["Epochs"].unique())
    thickness = 0.8 / max(1, len(every_epochs))
    for number, (epochs, colour) in enumerate(
        zip(every_epochs, itertools.cycle(SERIES_COLOURS), strict=False)
    ):
        rows = details[details["Epochs"] == epochs]
        mae, low, high = (rows[f"Test MAE{end} (years)"].to_numpy(float) for end in ("", " low", " high"))
        offset = (number - (len(every_epochs) - 1) / 2) * thickness
        places = [names.index(name) + offset for name in rows["Network"]]
        axes.barh(places, mae, thickness * 0.92, color=colour, label=f"{epochs} epochs")
        whiskers = {"fmt": "none", "ecolor": "black", "elinewidth": 1, "capsize": 3, "zorder": 4}
        axes.errorbar(mae, places, xerr=[mae - low, high - mae], **whiskers)


def _words_of_bars(details: pd.DataFrame, constant_mae: float) -> str:
    runs = [
        f"{row['Network']} after {row['Epochs']} epochs {row['Test MAE (years)']:.2f}"
        for row in details.sort_values("Test MAE (years)", kind="stable").to_dict("records")
    ]
    return (
        f"Bars: test MAE in years, the best first. {'; '.join(runs)}; training median (baseline) "
        f"{constant_mae:.2f}."
    )


def difference_heatmap(differences: pd.DataFrame) -> Chart:
    """The difference in MAE between each network and each better one, and which are significant.

    Rows and columns are sorted by test MAE. Coloured cells are significant after Holm correction; the others
    are plain with grey numbers.

    Args:
        differences: One epoch count of ``report.differences_table``: ``Epochs``, ``Network``, ``Other
            network``, ``Test cases``, ``Test MAE (years)``, ``Other test MAE (years)`` and ``Significant``.
    """
    mae = _mae_of_networks(differences)
    pairs = differences.loc[differences["Significant"] == "yes", ["Network", "Other network"]]
    significant = {frozenset(pair) for pair in pairs.itertuples(index=False)}
    months = np.subtract.outer(mae.to_numpy(), mae.to_numpy()) * MONTHS_PER_YEAR
    figure = Chart(height=2.2 + 0.34 * (len(mae) - 1))
    axes = figure.subplots()
    # The best network is worse than none, and none is worse than the worst.
    coloured = np.full((len(mae) - 1, len(mae) - 1), np.nan)
    for row, column in zip(*np.tril_indices(len(coloured)), strict=True):
        apart, colour = months[row + 1, column], GREY
        if frozenset((mae.index[row + 1], mae.index[column])) in significant:
            coloured[row, column] = apart
            colour = "white" if apart > months.max() / 2 else "black"
        axes.text(column, row, f"{apart:.1f}", size=9, ha="center", va="center", color=colour)
    strongest = max(months.max(), 0.1)
    axes.imshow(np.ma.masked_invalid(coloured), cmap=levels(BLUE), vmin=0, vmax=strongest, aspect="auto")
    _name_pairs(axes, mae)
    cases, epochs = differences["Test cases"].iloc[0], differences["Epochs"].iloc[0]
    title(
        figure,
        f"Difference in MAE in months, {epochs} epochs",
        f"{cases:,} test cases, {len(differences):,} pairs; in brackets MAE in years",
        "Blue: significant (paired bootstrap, Holm)",
    )
    figure.words = (
        f"Differences in test MAE after {epochs} epochs, {len(significant)} of {len(differences)} pairs "
        f"significantly different. From the best: "
        f"{', '.join(f'{name} {years:.2f} years' for name, years in mae.items())}."
    )
    return figure


def _mae_of_networks(differences: pd.DataFrame) -> pd.Series:
    """The test MAE of each network in a table of pairs, the best first."""
    ends = (["Network", "Test MAE (years)"], ["Other network", "Other test MAE (years)"])
    both = pd.concat([differences[end].set_axis(["name", "mae"], axis=1) for end in ends])
    return both.groupby("name")["mae"].first().sort_values(kind="stable")


def _name_pairs(axes: Axes, mae: pd.Series) -> None:
    with_mae = [f"{name} ({years:.2f})" for name, years in mae.items()]
    axes.set_yticks(range(len(mae) - 1), with_mae[1:])
    axes.set_xticks(range(len(mae) - 1), with_mae[:-1], rotation=40, ha="right", rotation_mode="anchor")
    axes.set_xlabel("above this network")
    axes.tick_params(labelsize=9, length=0)
    axes.spines[:].set_visible(False)


def _judged_rows(joined: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    present = set(joined["Split"])
    split = next((split for split in _JUDGED if split in present), _JUDGED[0])
    return joined[joined["Split"] == split], split


def _scatter(axes: Axes, x: pd.Series, y: pd.Series, split: str) -> None:
    axes.scatter(
        x,
        y,
        s=14,
        alpha=0.65,
        color=COLOUR_OF_SPLIT[split],
        marker=MARKER_OF_SPLIT[split],
        linewidths=0,
        label=f"{split} cases",
    )


def coverage_by_band(coverage: pd.DataFrame, run: str) -> Chart:
    """The share of test cases inside their interval, by band of predicted ages, beside the nominal level.

    Args:
        coverage: From ``intervals.coverage_table``; bands without test cases are named, not drawn.
        run: Whose intervals they are.
    """
    figure = Chart(height=2.0 + 0.5 * len(coverage))
    axes = figure.subplots()
    places = np.arange(len(coverage))
    share, low, high = (coverage[f"Coverage{end}"].to_numpy(float) for end in ("", " low", " high"))
    axes.errorbar(
        share,
        places,
        xerr=[share - low, high - share],
        fmt="o",
        color=BLUE,
        capsize=3,
        label="test cases, 95 % interval",
    )
    level = coverage["Level"].iloc[0]
    axes.axvline(level, color=VERMILION, linestyle="--", label=f"nominal: {level:.0%}")
    names = [
        f"{words}\n{count:,} cases" + (f", {width:.1f} years wide" if count else "")
        for words, count, width in zip(
            *(coverage[c] for c in ("Predictions", "Test cases", "Mean width (years)")), strict=True
        )
    ]
    axes.set_yticks(places, names)
    axes.set_ylim(len(coverage) - 0.5, -0.5)
    axes.set_xlim(max(0.0, np.nanmin([0.5, *coverage["Coverage low"]]) - 0.05), 1.02)
    axes.set_ylabel("Prediction (years)")
    axes.set_xlabel("Share of cases inside their interval")
    dress(axes, grid="x")
    title(
        figure,
        f"Coverage of the {level:.0%} intervals: {run}",
        f"{int(coverage['Test cases'].iloc[-1]):,} test cases",
    )
    legend(figure, columns=2)
    shares = [
        f"{name.replace(chr(10), ', ')}: {value:.0%} covered"
        for name, value in zip(names, share, strict=True)
        if np.isfinite(value)
    ]
    figure.words = f"Coverage of the intervals of {run}, nominal {level:.0%}. {'; '.join(shares)}."
    return figure


def robustness_dots(robustness: pd.DataFrame, run: str) -> Chart:
    """The effect of each change of the images on the MAE, with its 95 % interval, and on single predictions.

    Args:
        robustness: From ``robustness.robustness_table``.
        run: Whose predictions they are.
    """
    plain, rows = robustness.iloc[0], robustness.iloc[1:]
    figure = Chart(height=1.9 + 0.2 * len(rows))
    axes = figure.subplots()
    places = np.arange(len(rows))
    change, low, high = (rows[f"Change {end} (years)"].to_numpy(float) for end in ("in MAE", "low", "high"))
    dots = {"fmt": "o", "markersize": 4, "color": BLUE, "label": "change in MAE, 95 % interval"}
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.errorbar(change, places, xerr=[change - low, high - change], **dots)
    diamonds = {
        "markersize": 5,
        "color": VERMILION,
        "fillstyle": "none",
        "label": "mean absolute change of a prediction",
    }
    axes.plot(rows["Mean movement (years)"], places, "d", **diamonds)
    # A gap between kinds, so that rotation, grey levels and the others are easy to find.
    kinds = rows["Perturbation"].to_numpy()
    for place in np.flatnonzero(kinds[1:] != kinds[:-1]):
        axes.axhline(place + 0.5, color="#808080", alpha=0.35, linewidth=0.8)
    axes.set_yticks(places, rows["Images"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("Years")
    dress(axes, grid="x")
    axes.tick_params(axis="y", labelsize=8)
    facts = f"{plain['Cases']:,} cases, MAE {plain['MAE (years)']:.2f} years unchanged"
    title(figure, f"Changed images: {run}", facts)
    legend(figure)
    changes = [f"{name} {signed(value)}" for name, value in zip(rows["Images"], change, strict=True)]
    figure.words = f"Changed images: {run}, {facts}. Change in MAE, years: {', '.join(changes)}."
    return figure
