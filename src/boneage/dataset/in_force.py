"""The plan and labels of a work folder, refused if they are out of date."""

from pathlib import Path

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.tables import read_plan, read_table, skipped_table
from boneage.dataset.augment import augment
from boneage.dataset.labels import Labels, read_labels
from boneage.dataset.split import plan_without_copies
from boneage.dataset.usable import CHOSEN, UsableCases, split_of
from boneage.workspace import STAGES, Workspace


def load_plan(work: Workspace) -> pd.DataFrame:
    """The work folder's plan.

    Raises:
        BoneAgeError: There is none yet, or it is damaged.
    """
    path = work.plan
    if not path.is_file():
        raise BoneAgeError(f"{path}: not there yet; run notebook 02 or `python -m boneage plan` first")
    return read_plan(path)


def plan_in_force(work: Workspace) -> pd.DataFrame:
    """The plan, if it is unchanged and made from the current decisions and settings."""
    plan = load_plan(work)
    advice = "run the plan of notebook 02 or `python -m boneage plan` again, then augment"
    _check_in_force(work, "plan", advice)
    return plan


def _check_in_force(work: Workspace, name: str, advice: str) -> None:
    """Refuses what no longer holds; where only a stage before it is out of date, that is said."""
    stage = STAGES[name]
    path = work.where(stage.makes)
    if reasons := work.changes(name):
        raise BoneAgeError(f"{path}: out of date ({'; '.join(reasons)}); {advice}")
    outdated = work.outdated()
    if outdated[name]:
        before = [one.name for one in STAGES.values() if one.makes in stage.reads and outdated[one.name]]
        reasons = [why for one in before for why in work.changes(one)]
        print(
            f"{path}: used although out of date ({'; '.join(dict.fromkeys(reasons))}); `python -m boneage "
            "status` says what to run"
        )


def plan_to_label(work: Workspace, usable: UsableCases) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the plan whose image was made, and ``SKIPPED_TABLE`` of the others.

    Without a plan every usable case is in once. The square images are used unless one was corrected; then all
    are made again, so that no network ever sees the uncorrected one.

    Raises:
        BoneAgeError: The plan is out of date, or no image of it was made.
    """
    if work.plan.is_file():
        return _made_of_plan(work, plan_in_force(work))
    corrections = usable.cases.set_index("case_id")["corrections"]
    split, ties = split_of(work, usable)
    for notice in ties:
        print(notice)
    plan = plan_without_copies(split, corrections)
    if (corrections == "[]").all():
        return plan, skipped_table([])
    augment(plan, work.images, work.augmented)
    return _made_of_plan(work, plan)


def _made_of_plan(work: Workspace, plan: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    if not work.augmented_record.is_file():
        raise BoneAgeError(
            f"{work.augmented}: the images of the plan are not made yet; run notebook 02 to its end or "
            "`python -m boneage augment` first"
        )
    recipe = ["image_id", *CHOSEN]
    made = read_table(work.augmented_record, (*recipe, "status"))
    good = set(made.loc[made["status"] == "ok", recipe].itertuples(index=False, name=None))
    is_made = [row in good for row in plan[recipe].itertuples(index=False, name=None)]
    if not any(is_made):
        raise BoneAgeError(
            f"{work.augmented}: holds no image of the plan; see skipped-augment.csv there, then run "
            "`python -m boneage augment` again"
        )
    missing = plan.loc[[not one for one in is_made], "image_id"]
    reason = "label without an image: run `python -m boneage augment` again"
    return plan[is_made].reset_index(drop=True), skipped_table((image_id, reason) for image_id in missing)


def images_folder(work: Workspace, labels: Labels) -> Path:
    """The folder of the labelled images: the augmented set if there is a plan, else the square images.

    Labels with operators belong to augmented images even if the plan is gone: the square images would show
    what a box blanked.
    """
    of_plan = work.plan.is_file() or (labels.table["Operators"] != "[]").any()
    return work.augmented if of_plan else work.images


def load_labels(work: Workspace) -> Labels:
    """The work folder's labels; a changed setting of a stage before them is said.

    Raises:
        BoneAgeError: There are none yet, they are damaged, or cases, decisions or split have changed since.
    """
    path = work.labels
    if not path.is_file():
        raise BoneAgeError(f"{path}: not there yet; run notebook 03 or `python -m boneage labels` first")
    labels = read_labels(path)
    # A case that was rejected since, or a part that was blanked, must not reach a network.
    advice = "run notebooks 02 and 03, or what `python -m boneage status` says, again"
    _check_in_force(work, "labels", advice)
    return labels


def check_made(labels: Labels, folder: Path, work: Workspace) -> None:
    """Raises a BoneAgeError if the folder has uncorrected images although labels have corrections."""
    changed = labels.table.loc[labels.table["Operators"] != "[]", "Case ID"]
    if len(changed) and Path(folder).resolve() == work.images.resolve():
        raise BoneAgeError(
            f"{folder}: holds the images as they came, and {len(changed)} labels tell of corrections or "
            f"copies (the first: {changed.iloc[0]}); name {work.augmented}, or no folder"
        )
