"""Where every stage of a work folder stands, told from its records: no image is read."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.left_out import in_words
from boneage.core.tables import SKIPPED_TABLE, read_table
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
    states = dict(zip(status["Stage"], status["State"], strict=True))
    labelled = states["labels"] in (UP_TO_DATE, EDITED)
    # Labels that were carried here with their pack need nothing of what they were made from.
    before_labels = list(STAGES)[: list(STAGES).index("labels")]
    needless = [one for one in before_labels if STAGES[one].optional or states["pack"] == UP_TO_DATE]
    todo = (
        str(name)
        for name, state in states.items()
        if state == OUT_OF_DATE or (state == MISSING and not (labelled and name in needless))
    )
    return next(todo, "")


def _rows(work: Workspace) -> Iterator[tuple[str, str, str, str, str]]:
    states: dict[str, str] = {}
    for stage in STAGES.values():
        if stage.name == "compare":
            states["runs"], count, why = _runs(work, states["pack"])
            yield "train", states["runs"], count, "", "; ".join(why)
        state, why = _state(work, stage, states)
        states[stage.makes] = state
        made = work.made(stage.name) if state != MISSING else None
        said = f"{made.count:,} on {made.at[:16].replace('T', ' ')}" if made else ""
        yield stage.name, state, said, _left_out(work, stage), "; ".join(why)


def _state(work: Workspace, stage: Stage, states: Mapping[str, str]) -> tuple[str, list[str]]:
    if not work.where(stage.makes).exists() or (
        # What corrected images without a plan are made for, the labels, tells of them.
        stage.name == "augment" and not work.plan.is_file()
    ):
        return MISSING, []
    why = work.changes(stage.name)
    behind = [work.words_of(one) for one in work.reads(stage) if states.get(one) == OUT_OF_DATE]
    why += [f"{one} out of date" for one in behind if not any(said.startswith(one) for said in why)]
    edited = work.is_edited(stage.name)
    if edited and not stage.by_hand:
        why.append(f"{work.where(stage.makes).name} was edited")
    elif edited and work.is_damaged(stage.name):
        why.append(f"{work.where(stage.makes).name} cannot be read")
    if why:
        return OUT_OF_DATE, why
    return (EDITED, ["corrected by hand, which stands"]) if edited else (UP_TO_DATE, [])


def _runs(work: Workspace, pack: str) -> tuple[str, str, list[str]]:
    """The state of the runs, how many there are, and why."""
    records = {path.parent.name: _record(path) for path in sorted(work.runs.glob("*/record.json"))}
    other = [name for name, record in records.items() if not _is_of_pack(work, record)]
    trained = [record.get("epochs") for record in records.values()]
    absent = [str(epochs) for epochs in work.settings.epochs if epochs not in trained]
    why = []
    if other:
        why.append(f"{len(other)} trained on other images or labels (the first: {other[0]})")
    elif records and pack == OUT_OF_DATE:
        why.append("the pack out of date")
    if records and absent:
        why.append(f"no run of {' or '.join(absent)} epochs")
    state = OUT_OF_DATE if why else UP_TO_DATE if records else MISSING
    if unfinished := sum(1 for _ in work.runs.glob("*/checkpoint")):
        why.append(f"{unfinished} not finished")
    return state, f"{len(records):,}" if records else "", why


def _record(path: Path) -> dict:
    """What a run's record says; nothing where it cannot be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _is_of_pack(work: Workspace, record: dict) -> bool:
    """Whether a run was trained on the pack of its size as it is now; also where that is not known."""
    try:
        pack = work.replace(train_size=record.get("size")).made("pack")
    except BoneAgeError:
        return True
    if pack is None or pack.more.get("set") != record.get("set"):
        return True
    return bool(record.get("fingerprint") == pack.more.get("fingerprint"))


def _left_out(work: Workspace, stage: Stage) -> str:
    try:
        if stage.name == "review":
            skipped = read_table(work.rejected, ("case_id", "reason")).rename(columns={"case_id": "item"})
        else:
            skipped = read_table(work.skipped(stage.name), SKIPPED_TABLE)
        output = work.where(stage.makes)
        kept = read_table(output, ()).iloc[:, 0] if output.suffix == ".csv" else skipped["item"][:0]
    except BoneAgeError:
        return ""
    if stage.name not in ("preprocess", "augment"):
        # Of what was kept, too, something may be said.
        skipped = skipped[~skipped["item"].isin(kept)]
    made = work.made(stage.name)
    return in_words(skipped, len(skipped) + (made.count if made else 0)) if len(skipped) else ""
