"""What an examination of a network found, kept beside the comparison's tables so that it is done once.

Made in :mod:`boneage.report.examine`, which needs Keras; nothing here does.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from boneage.core.files import sha256_of, write_bytes, write_text
from boneage.core.pictures import Picture
from boneage.core.tables import read_table, write_table
from boneage.evaluation.metrics import Run
from boneage.evaluation.robustness import PERTURBATIONS, ROBUSTNESS_COLUMNS
from boneage.networks import find
from boneage.report.words import printable, title_of

EXAMINED = 3
"""How many networks are examined where nothing else is said."""

# Raised when an examination finds something else for the same run, so that what was kept is made anew.
_FORMAT = 3

RUN_ROBUSTNESS_COLUMNS = ("Network", "Epochs", *ROBUSTNESS_COLUMNS, "Run", "Finished")
"""A table of several runs; when each had finished tells a later training of the same name apart."""

_WORDS_OF_ROBUSTNESS = ("Photos", "Perturbation")


@dataclass(frozen=True)
class Examination:
    """What was found out about one network from its photos.

    Attributes:
        run: Name of the run's folder.
        title: Network and epochs in words.
        robustness: ``robustness.ROBUSTNESS_COLUMNS``.
        heat: A sheet as PNG: its best, median, a random and its worst test case, and where the network looks.
        centres: ``explain.CENTRE_COLUMNS``, one row a drawn hand; None where it was trained on others.
    """

    run: str
    title: str
    robustness: pd.DataFrame
    heat: bytes
    centres: pd.DataFrame | None

    @property
    def sheet(self) -> Picture:
        """The sheet of heat maps, with its words."""
        words = f"Where {self.title} looks: its best, median, a random and its worst test case"
        return Picture.read(io.BytesIO(self.heat), words)


@dataclass(frozen=True)
class ExaminedFiles:
    """Where the parts of a run's examination lie, and whether they are its own.

    Attributes:
        run: The run.
        folder: The comparison's folder.
    """

    run: Run
    folder: Path

    @property
    def robustness(self) -> Path:
        """The table of changed photos."""
        return self.folder / f"robustness-{self.run.folder.name}.csv"

    @property
    def heat(self) -> Path:
        """The sheet of heat maps. It shows test cases."""
        return self.folder / f"heat-{self.run.folder.name}.png"

    @property
    def centres(self) -> Path | None:
        """The table of growth centres; None where the network was trained on none that are known."""
        drawn = "phantom" in str(self.run.record["source"]).split(" and ")
        return self.folder / f"centres-{self.run.folder.name}.csv" if drawn else None

    @property
    def parts(self) -> list[Path]:
        """All of them."""
        return [path for path in (self.robustness, self.heat, self.centres) if path]

    def is_current(self, path: Path) -> bool:
        """Whether a part is there as it was made, from this very training."""
        try:
            stamp = json.loads(_stamp_file(path).read_text(encoding="utf-8"))["stamp"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False
        return path.is_file() and stamp == self._stamp() + sha256_of(path)

    def keep(self, path: Path, made: pd.DataFrame | bytes) -> None:
        """Writes a part and what it was made from."""
        # The stamp goes first and last: a part from an older training is never taken for this one's.
        write_text(_stamp_file(path), "{}\n")
        if isinstance(made, bytes):
            write_bytes(path, made)
        else:
            write_table(path, made)
        write_text(_stamp_file(path), json.dumps({"stamp": self._stamp() + sha256_of(path)}) + "\n")

    def read(self) -> Examination:
        """What was kept; every part is there and current."""
        centres = None
        if self.centres:
            centres = _numbers(read_table(self.centres, ("Male",)), ("Male",))
            centres["Male"] = centres["Male"] == "True"
        return Examination(
            self.run.folder.name,
            title_of(self.run),
            _numbers(read_table(self.robustness, ROBUSTNESS_COLUMNS), _WORDS_OF_ROBUSTNESS),
            self.heat.read_bytes(),
            centres,
        )

    def _stamp(self) -> str:
        record = self.run.record
        facts = [_FORMAT, record["finished"], record["fingerprint"], list(PERTURBATIONS)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def kept_examinations(runs: Sequence[Run], folder: Path) -> list[Examination]:
    """The examinations that are there of runs as they are, in the runs' order.

    Args:
        runs: The plain runs.
        folder: The comparison's folder.
    """
    files = [ExaminedFiles(run, folder) for run in runs]
    return [one.read() for one in files if all(one.is_current(path) for path in one.parts)]


def robustness_of_runs(
    runs: Sequence[Run], examinations: Sequence[Examination], recorded: Path
) -> pd.DataFrame:
    """What changed photos do to each examined run.

    Args:
        runs: The plain runs, in the tables' order.
        examinations: Of some of them.
        recorded: Such a table from earlier, if it is there; of runs that are as they were, and not examined
            now, its rows are taken over.

    Returns:
        ``RUN_ROBUSTNESS_COLUMNS``.
    """
    earlier = pd.DataFrame(columns=list(RUN_ROBUSTNESS_COLUMNS))
    if recorded.is_file():
        words = (*_WORDS_OF_ROBUSTNESS, "Network", "Run", "Finished")
        earlier = _numbers(read_table(recorded, RUN_ROBUSTNESS_COLUMNS), words)
    now = {one.run: one.robustness for one in examinations}
    tables = []
    for run in runs:
        name, finished = printable(run.folder.name), printable(run.record["finished"])
        if run.folder.name in now:
            first = {"Network": find(run.record["network"]).title, "Epochs": run.record["epochs"]}
            of_run = now[run.folder.name].assign(**first, Run=name, Finished=finished)
            tables.append(of_run[list(RUN_ROBUSTNESS_COLUMNS)])
        else:
            tables.append(earlier[(earlier["Run"] == name) & (earlier["Finished"] == finished)])
    made = [table for table in tables if len(table)]
    return pd.concat(made, ignore_index=True) if made else earlier.iloc[:0]


def _stamp_file(path: Path) -> Path:
    return path.with_suffix(".json")


def _numbers(table: pd.DataFrame, words: Sequence[str]) -> pd.DataFrame:
    numbers = [name for name in table if name not in words]
    return table.assign(**{name: pd.to_numeric(table[name]) for name in numbers})
