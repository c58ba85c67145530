"""Words and numbers as a report shows them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from boneage.core.tables import MONTHS_PER_YEAR
from boneage.dataset.labels import UNKNOWN, Labels
from boneage.evaluation.metrics import Run, width_of
from boneage.networks import find

NOT_RUN = "not run yet"
BASELINE = "Constant predictor"

_UNIT_OF_COLUMN = {"MAE": "years", "Loss": "years²", "Accuracy": "share"}
_DECIMALS = {"MAE": 2, "Loss": 2, "Accuracy": 3}

_WORDS_OF_SOURCE = {
    "phantom": "drawn hands (phantoms, not children)",
    "dha": "the Digital Hand Atlas",
    "rsna": "the RSNA Pediatric Bone Age Challenge 2017",
}


def table_title(epochs: int) -> str:
    """The title of the table of that many epochs."""
    return f"{epochs} Epoch"


def title_of(run: Run) -> str:
    """A run's network and epochs in words."""
    return f"{find(run.record['network']).title}, {run.record['epochs']} epochs"


def words_of_width(record: dict) -> str:
    """What a table must say where its networks are not the published ones."""
    return " Tiny networks, narrower and shallower than published." if width_of(record) == "tiny" else ""


def known_source(labels: Labels, runs: Sequence[Run]) -> str:
    """The source of the radiographs, from the labels or else from a record that tells it."""
    sources = [labels.source, *(str(run.record["source"]) for run in runs)]
    return next((source for source in sources if source != UNKNOWN), UNKNOWN)


def source_words(source: str) -> str:
    """A source, or several joined by " and ", in words."""
    return " and ".join(_WORDS_OF_SOURCE.get(name, name) for name in source.split(" and "))


def unit_of(column: str) -> str:
    """The unit of a column of the two tables."""
    return _UNIT_OF_COLUMN[column.removeprefix("Validation ")]


def cell_of(column: str, value: float, empty: str) -> str:
    """A value of the two tables with its column's decimals."""
    return empty if np.isnan(value) else f"{value:.{_DECIMALS[column.removeprefix('Validation ')]}f}"


def shown(value: float, decimals: int = 2, sign: bool = False) -> str:
    """A number with a proper minus sign, which zero has not; a dash where there is none."""
    text = "–" if pd.isna(value) else f"{value:{'+' if sign else ''}z,.{decimals}f}"
    return text.replace("-", "−")


def shown_range(low: float, high: float, decimals: int = 2, sign: bool = False) -> str:
    """An interval; nothing where there is none."""
    if pd.isna(low):
        return ""
    between = " to " if sign else "–"
    return f"{shown(low, decimals, sign)}{between}{shown(high, decimals, sign)}"


def years_and_months(years: Mapping[str, float]) -> dict[str, float]:
    """Each value twice, with its unit in its name: ``MAE (years)``, then all again as ``MAE (months)``."""
    return {
        **{f"{name} (years)": value for name, value in years.items()},
        **{f"{name} (months)": value * MONTHS_PER_YEAR for name, value in years.items()},
    }


def number(value: object) -> float:
    """A record's number, or NaN where it holds anything else."""
    return float(value) if type(value) in (int, float) and abs(value) < 1e300 else np.nan


def printable(value: object) -> str:
    """Text that UTF-8 can hold: a file name need not be."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
