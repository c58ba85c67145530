"""Where every stage of a work folder stands, told from its records: no image is read."""

import contextlib
from collections.abc import Iterator, Mapping

import pandas as pd

from boneage import evaluation
from boneage.core.errors import BoneAgeError
from boneage.core.left_out import in_words
from boneage.core.settings import Settings
from boneage.core.tables import read_table
from boneage.workspace import STAGES, Stage, Workspace

UP_TO_DATE, OUT_OF_DATE, MISSING, EDITED = "up to date", "out of date", "missing", "edited"

STATUS_COLUMNS = ("Stage", "State", "Made (UTC)", "Left out", "Why")


def status_of(work: Workspace) -> pd.DataFrame:
    """Where every stage stands (:data:`STATUS_COLUMNS`).

    Tables are compared by their cells, the pack and the report by their size, start and end, runs by
    their records. A stage is out of date, too, where one is whose table it reads.
    """
    return pd.DataFrame(_rows(work), columns=list(STATUS_COLUMNS))


def next_stage(status: pd.DataFrame) -> str:
    """The verb to go on with; empty where everything is up to date.

    Args:
        status: From :func:`status_of`.
    """
    states: dict[str, str] = dict(zip(status["Stage"], status["State"], strict=True))
    todo = (name for name, state in states.items() if state == OUT_OF_DATE or _is_lacking(name, states))
    return next(todo, "")


def _is_lacking(name: str, states: Mapping[str, str]) -> bool:
    """Whether a stage is missing that those after it cannot, or should not, do without."""
    order = list(states)
    up_to_labels = order[order.index(name) + 1 : order.index("labels") + 1]
    if states[name] != MISSING or not up_to_labels:
        return states[name] == MISSING
    if states["labels"] in (UP_TO_DATE, EDITED) and states["pack"] == UP_TO_DATE:
        # They need nothing of what they were made from; both may have been carried here.
        return False
    if name == "augment":
        return states["plan"] != MISSING
    # Whoever went on without it has left it out.
    return not (STAGES[name].optional and any(states[one] != MISSING for one in up_to_labels))


def _rows(work: Workspace) -> Iterator[tuple[str, str, str, str, str]]:
    outdated = work.outdated()
    for name, stage in STAGES.items():
        if name == "compare":
            yield "train", *_runs(work, bool(outdated["pack"]))
        state, why = _state(work, stage, outdated[name])
        made = work.made(name) if state != MISSING else None
        said = f"{made.count:,} on {made.at[:16].replace('T', ' ')}" if made else ""
        yield name, state, said, _left_out(work, stage), "; ".join(why)


def _state(work: Workspace, stage: Stage, outdated: list[str]) -> tuple[str, list[str]]:
    if not work.is_made(stage.name):
        unreadable = filter(work.is_unreadable, work.reads(stage))
        return MISSING, [f"{work.words_of(one)} cannot be read" for one in unreadable]
    if outdated:
        return OUT_OF_DATE, outdated
    corrected = work.is_corrected(stage.name)
    return (EDITED, ["corrected by hand, and kept as it is"]) if corrected else (UP_TO_DATE, [])


def _runs(work: Workspace, pack_is_outdated: bool) -> tuple[str, str, str, str]:
    """The state of the runs, how many there are, what was left out, and why."""
    runs, left_out = evaluation.read_runs(work.runs)
    other = [run for run in runs if _is_other(run, work)]
    again = [run for run in other if _is_chosen(run, work.settings)]
    plain = (run for run in runs if not run.key.variant)
    used = {run.key.epochs for run in plain if run in again or run not in other}
    absent = [str(epochs) for epochs in work.settings.epochs if epochs not in used]
    why, kept = [], evaluation.aside(work.runs).name
    if again:
        why.append(f"{_named(again)} trained on other labels or images; train keeps the old in {kept}/")
    elif runs and pack_is_outdated:
        why.append("the pack out of date")
    if runs and absent:
        why.append(f"no run of {' or '.join(absent)} epochs")
    state = OUT_OF_DATE if why else UP_TO_DATE if runs else MISSING
    if beside := [run for run in other if run not in again]:
        why.append(f"{_named(beside)} trained on other labels or images, not in the report")
    ours = [run for run in runs if run not in other and _is_chosen(run, work.settings)]
    if unlike := [run for run in ours if evaluation.changed_settings(run.record, work.settings)]:
        changed = " and ".join(evaluation.changed_settings(unlike[0].record, work.settings))
        why.append(f"{_named(unlike)} trained with another {changed}, which train refuses")
    said = in_words(left_out, len(runs) + len(left_out)) if len(left_out) else ""
    return state, f"{len(runs):,}" if runs else "", said, "; ".join(why)


def _named(runs: list[evaluation.Run]) -> str:
    return runs[0].name if len(runs) == 1 else f"{len(runs)} runs (the first: {runs[0].name})"


def _is_chosen(run: evaluation.Run, settings: Settings) -> bool:
    """Whether `train` would take it up with these settings and no other options."""
    plain = not run.key.variant and run.key.train_seed == settings.train_seed
    return plain and run.key.epochs in settings.epochs


def _is_other(run: evaluation.Run, work: Workspace) -> bool:
    """Whether a run was trained on something else than the pack as it is; not where that is unknown."""
    if not _is_chosen(run, work.settings):
        work = Workspace(work.settings.model_copy(update={"train_size": run.record["size"]}))
    pack = work.made("pack")
    if pack is None or pack.more.get("set") != run.key.set:
        return False
    return pack.more.get("fingerprint") != run.record["fingerprint"]


def _left_out(work: Workspace, stage: Stage) -> str:
    path = work.rejected if stage.name == "review" else work.skipped(stage.name)
    made, output = work.made(stage.name), work.where(stage.makes)
    try:
        skipped = read_table(path, ("reason",))
    except BoneAgeError:
        lost = made is not None and stage.name != "compare" and work.is_made(stage.name)
        return f"{path.name} {'cannot be read' if path.exists() else 'is missing'}" if lost else ""
    if stage.name not in ("preprocess", "augment") and output.suffix == ".csv":
        # Of what was kept, too, something may be said.
        with contextlib.suppress(BoneAgeError):
            skipped = skipped[~skipped.iloc[:, 0].isin(read_table(output, ()).iloc[:, 0])]
    return in_words(skipped, len(skipped) + (made.count if made else 0)) if len(skipped) else ""
