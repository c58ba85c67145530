"""Wording of titles, sources and numbers in a report."""

from collections.abc import Mapping, Sequence

import numpy as np

from boneage.core.columns import Column
from boneage.core.settings import VARIANTS
from boneage.core.tables import MONTHS_PER_YEAR
from boneage.dataset.labels import UNKNOWN, Labels
from boneage.evaluation import Run
from boneage.evaluation.runs import Record
from boneage.networks import find

NETWORK = Column("Network", "Its architecture.")
EPOCHS = Column("Epochs", "How many epochs it was trained for.", ".0f")
RUN = Column("Run", "The folder of the run.")

NOT_RUN = "not run yet"
BASELINE = "Training median (baseline)"

_WORDS_OF_SOURCE = {
    "phantom": "drawn hands (phantoms, not children)",
    "dha": "the Digital Hand Atlas",
    "rsna": "the RSNA Pediatric Bone Age Challenge 2017",
}


def table_title(epochs: int) -> str:
    """The title of the results table of that many epochs."""
    return f"{epochs} Epoch"


def title_of(run: Run) -> str:
    """A run's network and epochs in words."""
    return f"{find(run.record['network']).title}, {run.record['epochs']} epochs"


def words_of_record(record: Record) -> str:
    """What a run trained, in words: ``CNN, 18 epochs, sex as a second input, seed 2026``."""
    variant = VARIANTS[record["variant"]] if record["variant"] else ""
    title = record.get("title") or find(record["network"]).title
    fold = f"without fold {str(record['fold']).replace('-', ' ')}" if "fold" in record else ""
    words = (str(title), f"{record['epochs']} epochs", variant, fold, f"seed {record['train_seed']}")
    return ", ".join(filter(None, words))


def words_of_width(record: dict) -> str:
    """The note on tiny networks, if the run is of one."""
    is_tiny = record["settings"]["width"] == "tiny"
    return " Tiny networks, narrower and shallower than published." if is_tiny else ""


def known_source(labels: Labels, runs: Sequence[Run]) -> str:
    """The source of the radiographs, from the labels or else from a record."""
    sources = [labels.source, *(str(run.record["source"]) for run in runs)]
    return next((source for source in sources if source != UNKNOWN), UNKNOWN)


def source_words(source: str) -> str:
    """A source, or several joined by " and ", in words."""
    return " and ".join(_WORDS_OF_SOURCE.get(name, name) for name in source.split(" and "))


def years_and_months(years: Mapping[str, float]) -> dict[str, float]:
    """Each value in years and in months, with the unit in its name: ``MAE (years)``, ``MAE (months)``."""
    return {
        **{f"{name} (years)": value for name, value in years.items()},
        **{f"{name} (months)": value * MONTHS_PER_YEAR for name, value in years.items()},
    }


def number(value: object) -> float:
    """A record's number, or NaN if it is not one."""
    return float(value) if type(value) in (int, float) and abs(value) < 1e300 else np.nan


def printable(value: object) -> str:
    """Text that UTF-8 can encode; a file name may not be."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
