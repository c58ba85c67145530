"""Learning curve: what more radiographs would give.

The CNN of the recipe on fewer cases, each row with as many steps as on all of them. The cases of a smaller
set are drawn by sex and age and are part of the larger ones. Validated on the same cases; what is said of the
test cases is not looked at. Augmented images are left out. A row that is in the table is not trained again,
and a run that was stopped goes on.

    python benchmarks/learning_curve.py --work WORK --out results/learning_curve.csv

The work folder needs labels, packed images and what the CNN learnt from drawn hands (`pretrain --arch cnn
--variant sex --degradation 0.25`).
"""

import argparse
from dataclasses import replace
from pathlib import Path

import pandas as pd

from boneage.core.runtime import choose_backend, device
from boneage.core.settings import Settings
from boneage.dataset.labels import Labels, read_labels
from boneage.dataset.pack import open_pack
from boneage.workspace import Workspace

SIZE, EPOCHS, VARIANT = 128, 18, "sex"
COUNTS = (150, 300, None)
"""Training cases; None for all."""


def labels_of_some(labels: Labels, count: int | None, seed: int) -> Labels:
    """The labels of some training cases and of all others, with the steps of all training cases.

    Args:
        labels: Labels of a plain or an augmented set.
        count: Number of training cases; None for all.
        seed: Seeds which.
    """
    own = labels.table[labels.table["Case ID"] == labels.table["Source ID"]]
    train = own[own["Split"] == "train"].sort_values("Case ID").sample(frac=1, random_state=seed)
    # Every n-th of the cases in order of sex and age would not make smaller sets part of larger ones. Turns
    # do: the first case of each year and sex, then the second, and so on.
    turn = train.groupby([train["Male"], train["Bone Age"].round()]).cumcount()
    size = train.groupby([train["Male"], train["Bone Age"].round()])["Case ID"].transform("size")
    train = train.iloc[((turn + 0.5) / size).argsort(kind="stable")][:count]
    table = pd.concat([train, own[own["Split"] != "train"]]).sort_index().reset_index(drop=True)
    return replace(labels, table=table, repeated_to=len(own))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="work folder with labels and a pack")
    parser.add_argument("--seeds", type=int, nargs="+", default=[Settings().train_seed])
    parser.add_argument("--out", type=Path, required=True, help="the table")
    given = parser.parse_args()
    choose_backend()
    from boneage.training import train

    work = Workspace.at(given.work)
    labels, pack = read_labels(work.labels), open_pack(work.pack(SIZE))
    done = pd.read_csv(given.out)[["Cases", "Seed"]].values.tolist() if given.out.is_file() else []
    for seed in given.seeds:
        settings = work.settings.replace(
            train_seed=seed, train_size=SIZE, width="full", weights="phantom", degradation=0.25
        )
        for count in COUNTS:
            some = labels_of_some(labels, count, seed)
            cases = int((some.table["Split"] == "train").sum())
            if [cases, seed] in done:
                continue
            runs = work.root / "learning_curve" / str(cases)
            metrics = train("cnn", EPOCHS, some, pack, settings, runs, VARIANT)["metrics"]
            row = {"Cases": cases, "Seed": seed, "Epochs": EPOCHS}
            row |= {f"{one} MAE": round(metrics[one]["mae"], 4) for one in ("train", "validation")}
            row |= {"Validation cases": metrics["validation"]["count"], "Size": SIZE, "Device": device()}
            pd.DataFrame([row]).to_csv(given.out, mode="a", header=not given.out.is_file(), index=False)
            print(row, flush=True)


if __name__ == "__main__":
    main()
