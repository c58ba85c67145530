"""Finished runs of different recipes side by side, judged by validation alone.

For each run the validation MAE on the images as they are, and on changed ones that stand for what clinics
send. The test cases are left alone. A run that is in the table already is measured again.

    python benchmarks/recipes.py WORK/runs/* OTHER/runs/* --out results/recipes.csv

The work folder of each run must hold its labels and packed images.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from boneage.core.runtime import choose_backend
from boneage.dataset.labels import read_labels
from boneage.dataset.pack import open_pack, rows_of
from boneage.evaluation import Run, read_run
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
RUN = ["Network", "Epochs", "Set", "Sex", "Weights", "Degradation", "Precision", "Seed"]


def row_of(run: Run) -> dict[str, object]:
    """A row of the table; MAE in years."""
    from boneage.training import load_model
    from boneage.training.predictions import prediction

    work = Workspace.at(run.folder.parents[1])
    table, rows, _ = rows_of(open_pack(work.pack(run.record["size"])), read_labels(work.labels).table)
    watched = (table["Split"] == "validation").to_numpy()
    images = np.asarray(open_pack(work.pack(run.record["size"])).images[rows[watched]])
    years, male = (table.loc[watched, name].to_numpy(float) for name in ("Bone Age", "Male"))
    model, record = load_model(run.folder), run.record
    errors = {}
    for words, change in CHANGES.items():
        said = prediction(model, images if change is None else perturbed(images, *change), male)
        errors[words] = round(float(np.abs(np.ravel(said) - years).mean()), 4)
    settings = record["settings"]
    key = (
        *(record["network"], run.key.epochs, run.key.set, "yes" if run.key.variant == "sex" else "no"),
        *(record["weights"], settings["degradation"], settings["precision"], run.key.train_seed),
    )
    facts = {"Steps": steps_of(run), "Size": record["size"], "Cases": int(watched.sum())}
    return dict(zip(RUN, key, strict=True)) | facts | errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders")
    parser.add_argument("--out", type=Path, required=True, help="the table")
    given = parser.parse_args()
    choose_backend()
    table = pd.DataFrame([row_of(read_run(folder)) for folder in given.runs])
    if given.out.is_file():
        table = pd.concat([pd.read_csv(given.out), table]).drop_duplicates(RUN, keep="last")
    table.sort_values([*RUN[:4], "Seed"]).to_csv(given.out, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
