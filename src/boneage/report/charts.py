"""Shared parts of all figures: a chart with its text alternative, colours, style, and panels."""

import io
import textwrap
from collections.abc import Collection

from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgba
from matplotlib.figure import Figure

from boneage.core.pictures import Shown

WIDTH_INCHES = 4.8
"""Narrow enough for matplotlib's 10 point letters to be readable on a phone held upright."""

CSS_PIXELS_PER_INCH = 110
_SHARPNESS = 1.6  # image pixels for each CSS pixel: sharp on high-resolution screens, still a small file
_WIDE_PANEL_INCHES = 2.55

# The colour-blind safe palette of Okabe and Ito, "Color Universal Design", 2008.
BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
)
GREY = "#707070"
COLOUR_OF_SPLIT = {"train": SKY, "validation": ORANGE, "test": BLUE, "outside": VERMILION}
MARKER_OF_SPLIT = {"train": ".", "validation": "^", "test": "o", "outside": "s"}
SERIES_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)
"""Colours of epoch counts, the same in every figure."""


class Chart(Figure, Shown):
    """A matplotlib Figure that a notebook shows, with a text alternative.

    Attributes:
        words: The text alternative.
    """

    words = ""

    def __init__(self, height: float, width: float = WIDTH_INCHES):
        super().__init__(figsize=(width, height), layout="constrained", facecolor="white")
        self.get_layout_engine().set(w_pad=0.06, h_pad=0.08)

    def png(self, transparent: bool = False) -> bytes:
        """The figure as a PNG file, on white or transparent."""
        file = io.BytesIO()
        dpi = CSS_PIXELS_PER_INCH * _SHARPNESS
        # The backend is named so that the notebook's own does not draw it.
        self.savefig(file, format="png", dpi=dpi, transparent=transparent, backend="agg")
        return file.getvalue()

    @property
    def css_width(self) -> int:
        """The display width in CSS pixels."""
        return round(self.get_figwidth() * CSS_PIXELS_PER_INCH)

    @property
    def css_height(self) -> int:
        """The display height in CSS pixels."""
        return round(self.get_figheight() * CSS_PIXELS_PER_INCH)


def panels(
    names: Collection[str], height: float, wide: bool, head: str, xlabel: str, ylabel: str
) -> tuple[Chart, list[Axes]]:
    """A chart with a panel for each name, all with the same axes.

    Args:
        names: The panels.
        height: Of a panel, in inches.
        wide: Whether to use three columns, as on a laptop; else two, as on a phone.
        head: The title of the chart.
        xlabel: Label below the lowest panels.
        ylabel: Label beside the left panels.
    """
    columns = min(3 if wide else 2, max(1, len(names)))
    rows = -(-max(1, len(names)) // columns)
    width = max(WIDTH_INCHES, columns * _WIDE_PANEL_INCHES) if wide else WIDTH_INCHES
    # A single panel is as wide as the chart, and therefore higher.
    figure = Chart(1.4 + rows * height * (1.6 if columns == 1 else 1.0), width)
    every = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
    for axes in every[len(names) :]:
        axes.set_visible(False)
    for axes in every[max(0, len(names) - columns) : len(names)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(xlabel, fontsize=9)
    for axes in every[: len(names) : columns]:
        axes.set_ylabel(ylabel, fontsize=9)
    title(figure, head)
    return figure, every[: len(names)]


def dress(axes: Axes, grid: str = "both") -> None:
    """A light grid, no frame, small tick labels."""
    # Transparent grey is visible on white and on black.
    axes.grid(axis=grid, color="#808080", alpha=0.25, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def title(figure: Chart, words: str, *below: str) -> None:
    """A title over the whole figure, with smaller subtitles below it."""
    width = round(figure.get_figwidth() * 11.5)
    lines = [part for line in (words, *below) for part in textwrap.wrap(line, width)]
    # A title may contain a folder or label name, in which a dollar sign is no formula.
    figure.suptitle("\n".join(lines), fontsize=10.5, x=0.01, ha="left", parse_math=False)


def panel_title(axes: Axes, words: str, *below: str) -> None:
    axes.set_title("\n".join((words, *below)), loc="left", fontsize=9, parse_math=False)


def legend(figure: Chart, columns: int = 1) -> None:
    """One legend below the whole figure, without duplicates."""
    entries = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower left",
        fontsize=9,
        frameon=False,
        ncols=columns,
        columnspacing=1.2,
    )


def signed(value: float) -> str:
    """A number with two decimals, its sign, and a typographic minus."""
    return f"{value:+z.2f}".replace("-", "−")


def levels(colour: str) -> Colormap:
    """From transparent to a colour, so that small values take the background."""
    return LinearSegmentedColormap.from_list(colour, [to_rgba(colour, 0.08), to_rgba(colour, 1.0)])
