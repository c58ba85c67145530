"""Finished runs of different recipes side by side, judged by validation alone.

For each run the validation MAE on the images as they are, and on changed ones that stand for what clinics
send. The test cases are left alone. A run that is in the table already is measured again. What the table has
no column for is alike in all its rows; a run that differs there is refused.

    python benchmarks/recipes.py WORK/runs/* OTHER/runs/* --out results/recipes.csv

The work folder of each run must hold its labels and packed images.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.runtime import choose_backend
from boneage.dataset.labels import read_labels
from boneage.dataset.pack import open_pack, rows_of
from boneage.evaluation import Run, read_run, settings_of
from boneage.evaluation.robustness import perturbed
from boneage.report import steps_of
from boneage.workspace import Workspace

CHANGES = {
    "As they are": None,
    "Noise of 5 levels": ("noise", 5.0),
    "Half the resolution": ("resolution", 2),
    "Turned by 15°": ("rotation", 15.0),
    "Turned by −15°": ("rotation", -15.0),
}
RUN = ["Network", "Epochs", "Set", "Sex", "Weights", "Degradation", "Precision", "Seed", "Steps", "Size"]
"""The columns that tell a run from the others."""

UNNAMED: dict[str, tuple[object, ...]] = {
    # The column of the sex tells these two apart; no other variant has one.
    "variant": ("", "sex"),
    "source": ("rsna",),
    "split_seed": (2026,),
    "fold": (None,),
    "width": ("full",),
    "learning_rate": (1e-3,),
    "weight_decay": (1e-2,),
}
"""What no column tells, by its name in a run's record or settings, and the values that the rows have."""


def named(run: Run) -> dict[str, object]:
    """What the table tells of a run: its values of ``RUN``."""
    record, settings = run.record, run.record["settings"]
    key = (
        *(record["network"], run.key.epochs, run.key.set, "yes" if run.key.variant == "sex" else "no"),
        *(record["weights"], settings_of(record)["degradation"], settings["precision"], run.key.train_seed),
        *(steps_of(run), record["size"]),
    )
    return dict(zip(RUN, key, strict=True))


def check_told_apart(runs: Iterable[Run]) -> None:
    """Checks that the table tells runs from each other and from all others that may be in it.

    Raises:
        BoneAgeError: A run has a value of its own in what no column names, or two would have one row.
    """
    rows: dict[tuple[object, ...], Run] = {}
    for run in runs:
        said = {**run.record["settings"], **run.record}
        for name, values in UNNAMED.items():
            if said.get(name) not in values:
                raise BoneAgeError(
                    f"{run.folder}: its {name} is {said.get(name)!r}, for which the table has no column; "
                    f"its rows have {' or '.join(map(repr, values))}"
                )
        other = rows.setdefault(tuple(named(run).values()), run)
        if other.record != run.record:
            raise BoneAgeError(
                f"{other.folder}, {run.folder}: the table cannot tell them apart; give one of them"
            )


def row_of(run: Run) -> dict[str, object]:
    """A row of the table; MAE in years."""
    from boneage.training import load_model
    from boneage.training.predictions import prediction

    work = Workspace.at(run.folder.parents[1])
    table, rows, _ = rows_of(open_pack(work.pack(run.record["size"])), read_labels(work.labels).table)
    watched = (table["Split"] == "validation").to_numpy()
    images = np.asarray(open_pack(work.pack(run.record["size"])).images[rows[watched]])
    years, male = (table.loc[watched, name].to_numpy(float) for name in ("Bone Age", "Male"))
    model = load_model(run.folder)
    errors = {}
    for words, change in CHANGES.items():
        said = prediction(model, images if change is None else perturbed(images, *change), male)
        errors[words] = round(float(np.abs(np.ravel(said) - years).mean()), 4)
    return named(run) | {"Cases": int(watched.sum())} | errors


def joined(*tables: pd.DataFrame) -> pd.DataFrame:
    """Tables as one, in its order; a later row takes the place of an earlier one of the same run."""
    table = pd.concat(tables).drop_duplicates(RUN, keep="last")
    return table.sort_values([*RUN[:4], "Seed"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    parser.add_argument("--out", type=Path, required=True, help="the table")
    given = parser.parse_args()
    choose_backend()
    runs = [read_run(folder) for folder in given.runs]
    check_told_apart(runs)
    known = [pd.read_csv(given.out)] if given.out.is_file() else []
    table = joined(*known, pd.DataFrame([row_of(run) for run in runs]))
    table.to_csv(given.out, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
