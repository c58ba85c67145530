"""The examination of a network, kept beside the comparison's tables so that it is made once.

It is made by :mod:`boneage.report.examine`, which needs Keras; nothing here does.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from boneage.core.columns import Column, Table, View, leaves_out_zero
from boneage.core.errors import BoneAgeError
from boneage.core.files import sha256_of, write_bytes, write_text
from boneage.core.pictures import Picture
from boneage.core.tables import read_table, write_table
from boneage.evaluation import Run, mean_differences
from boneage.evaluation.robustness import PERTURBATIONS, ROBUSTNESS
from boneage.networks import find
from boneage.report.words import EPOCHS, NETWORK, RUN, printable, title_of

EXAMINED = 3
"""Number of networks examined by default."""

# Increase it when examinations change, so that kept ones are made again.
_FORMAT = 3

ROBUSTNESS_OF_RUNS = replace(
    ROBUSTNESS,
    columns=[
        NETWORK,
        EPOCHS,
        *ROBUSTNESS.columns,
        RUN,
        Column("Finished", "When the training ended; differs for a later run of the same name."),
    ],
    file="robustness.csv",
    about="One row per run and change of the images.",
)

CENTRES_OF_RUNS = Table(
    "Heat maps and growth centres",
    [
        Column("Network", "Architecture and epochs."),
        Column("On the hand", "Share of the heat map on the hand, mean over the hands.", ".2f", unit="share"),
        Column("On growth centres", "Share on growth centres.", ".2f", unit="share"),
        Column(
            "Even over the hand",
            "The same for a map as coarse that is even over the hand.",
            ".2f",
            unit="share",
        ),
        Column(
            "More than even",
            "By how much the share on growth centres is above that of an even map.",
            "+.2f",
            unit="share, 95 % interval",
            ends=("low", "high"),
            mark=leaves_out_zero("low", "high"),
        ),
        Column(
            "At best",
            "The same for a map on the place that covers most of a growth centre.",
            ".2f",
            unit="share",
        ),
        Column("Drawn hands", "Number of drawn hands.", ",.0f"),
    ],
    about="One row per network that was trained on drawn hands.",
    note="Means over the hands. Even: what a map as coarse would put on growth centres if it were even over "
    "the hand. At best: if it lay on the one place that covers most of a growth centre.",
)

_WORDS_OF_ROBUSTNESS = ("Images", "Perturbation")


@dataclass(frozen=True)
class Examination:
    """The examination of one network.

    Attributes:
        run: Name of the run's folder.
        title: Network and epochs in words.
        robustness: ``robustness.ROBUSTNESS``.
        heat: A PNG sheet of its best, median, a random and its worst test case with heat maps.
        centres: ``explain.CENTRES``, one row per drawn hand; None unless trained on drawn hands.
    """

    run: str
    title: str
    robustness: pd.DataFrame
    heat: bytes
    centres: pd.DataFrame | None

    @property
    def sheet(self) -> Picture:
        """The sheet of heat maps, with its text alternative."""
        words = f"Where {self.title} looks: its best, median, a random and its worst test case"
        return Picture.read(io.BytesIO(self.heat), words)


@dataclass(frozen=True)
class ExaminedFiles:
    """The files of a run's examination, and whether they are up to date.

    Attributes:
        run: The run.
        folder: The comparison's folder.
    """

    run: Run
    folder: Path

    @property
    def robustness(self) -> Path:
        """The robustness table."""
        return self.folder / f"robustness-{self.run.name}.csv"

    @property
    def heat(self) -> Path:
        """The sheet of heat maps, which shows test cases."""
        return self.folder / f"heat-{self.run.name}.png"

    @property
    def centres(self) -> Path | None:
        """The table of growth centres; None unless trained on drawn hands."""
        drawn = "phantom" in str(self.run.record["source"]).split(" and ")
        return self.folder / f"centres-{self.run.name}.csv" if drawn else None

    @property
    def parts(self) -> list[Path]:
        return [path for path in (self.robustness, self.heat, self.centres) if path]

    def is_current(self, path: Path) -> bool:
        """Whether a file is unchanged and from this training."""
        try:
            stamp = json.loads(_stamp_file(path).read_text(encoding="utf-8"))["stamp"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False
        return path.is_file() and stamp == self._stamp() + sha256_of(path)

    def keep(self, path: Path, made: pd.DataFrame | bytes) -> None:
        """Writes a file, and what it was made from."""
        # The stamp is removed first and written last, so an old file is never taken for this training's.
        write_text(_stamp_file(path), "{}\n")
        if isinstance(made, bytes):
            write_bytes(path, made)
        else:
            write_table(path, made)
        write_text(_stamp_file(path), json.dumps({"stamp": self._stamp() + sha256_of(path)}) + "\n")

    def read(self) -> Examination:
        """The kept examination; every file must be there and current."""
        centres = None
        if self.centres:
            centres = _numbers(read_table(self.centres, ("Male",)), ("Male",))
            centres["Male"] = centres["Male"] == "True"
        return Examination(
            self.run.name,
            title_of(self.run),
            _numbers(read_table(self.robustness, ROBUSTNESS), _WORDS_OF_ROBUSTNESS),
            self.heat.read_bytes(),
            centres,
        )

    def _stamp(self) -> str:
        record = self.run.record
        facts = [_FORMAT, record["finished"], record["fingerprint"], list(PERTURBATIONS)]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def kept_examinations(runs: Sequence[Run], folder: Path) -> list[Examination]:
    """The kept, up-to-date examinations of plain runs, in the runs' order.

    Args:
        runs: The plain runs.
        folder: The comparison's folder.
    """
    files = [ExaminedFiles(run, folder) for run in runs]
    return [one.read() for one in files if all(one.is_current(path) for path in one.parts)]


def robustness_of_runs(
    runs: Sequence[Run], examinations: Sequence[Examination], recorded: Path
) -> pd.DataFrame:
    """Robustness of each examined run.

    Args:
        runs: The runs, in the tables' order.
        examinations: Of some of them.
        recorded: Such a table from earlier, if any; its rows are kept for unchanged runs that were not
            examined now.

    Returns:
        ``ROBUSTNESS_OF_RUNS``.
    """
    earlier = pd.DataFrame(columns=list(ROBUSTNESS_OF_RUNS))
    if recorded.is_file():
        words = (*_WORDS_OF_ROBUSTNESS, "Network", "Run", "Finished")
        try:
            earlier = _numbers(read_table(recorded, ROBUSTNESS_OF_RUNS), words)
        except ValueError as error:
            raise BoneAgeError(f"{recorded}: {error}; restore the file, or delete it") from None
    now = {one.run: one.robustness for one in examinations}
    tables = []
    for run in runs:
        name, finished = run.name, printable(run.record["finished"])
        if run.name in now:
            first = {"Network": find(run.record["network"]).title, "Epochs": run.record["epochs"]}
            of_run = now[run.name].assign(**first, Run=name, Finished=finished)
            tables.append(of_run[list(ROBUSTNESS_OF_RUNS)])
        else:
            tables.append(earlier[(earlier["Run"] == name) & (earlier["Finished"] == finished)])
    made = [table for table in tables if len(table)]
    return pd.concat(made, ignore_index=True) if made else earlier.iloc[:0]


def centres_view(examinations: Sequence[Examination]) -> View:
    """The share of each network's heat maps on the growth centres of drawn hands."""
    rows = []
    for one in (one for one in examinations if one.centres is not None):
        mean = one.centres.mean(numeric_only=True)
        more = one.centres["On centres"] - one.centres["Even over the hand"]
        change = mean_differences([more.to_numpy()]).iloc[0][["difference", "low", "high"]]
        first = one.title, mean["On the hand"], mean["On centres"], mean["Even over the hand"]
        rows.append((*first, *change, mean["At best"], len(one.centres)))
    return CENTRES_OF_RUNS.show(CENTRES_OF_RUNS.frame(rows))


def _stamp_file(path: Path) -> Path:
    return path.with_suffix(".json")


def _numbers(table: pd.DataFrame, words: Sequence[str]) -> pd.DataFrame:
    numbers = [name for name in table if name not in words]
    return table.assign(**{name: pd.to_numeric(table[name]) for name in numbers})
