"""Compares the runs of a work folder: report, examinations and recorded results."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
from tqdm.auto import tqdm

from boneage import evaluation, report
from boneage.core import runtime
from boneage.core.errors import BoneAgeError
from boneage.core.left_out import in_words
from boneage.core.tables import skipped_table, write_table
from boneage.dataset.in_force import load_labels
from boneage.dataset.labels import Labels, read_labels
from boneage.dataset.pack import build_pack, fingerprint, open_pack, rows_of
from boneage.dataset.rejected import rejected_labels
from boneage.evaluation.runs import OUTSIDE_NAME, REJECTED_NAME
from boneage.workspace import RUNS_NAME, Workspace

RECORDED_TABLES = ("details", "differences", "seeds", "sets", "variants", "groups", "coverage")
RECORDED_TABLES += ("outside", "rejected")
"""The tables that are recorded because they need the labels, which are not passed on."""


def compare(
    work: Workspace,
    outside: Path | None = None,
    examined: int | None = None,
    recorded: Path | None = None,
    rejected: bool = False,
) -> report.Comparison:
    """Compares the finished runs and writes the report.

    Args:
        work: The work folder.
        outside: The work folder of another source, with labels and pack, for an external test.
        examined: Number of networks to :func:`examine`; earlier examinations are shown in any case.
        recorded: Folder with earlier recorded runs (:func:`record`) to include.
        rejected: Whether to test the runs on the cases that the review rejected, too.

    Raises:
        BoneAgeError: No labels, no rejected case to test on, the outside folder has no labels or is of the
            same source, no recorded run can be compared with these, or the disk is full.
    """
    labels = load_labels(work)
    if len(labels.skipped):
        of = len(labels.skipped) + len(labels.table)
        print(f"left out of {work.labels.name}: {in_words(labels.skipped, of)}")
    folders = [work.runs] if recorded is None else [work.runs, recorded / RUNS_NAME]
    found, left_out = evaluation.read_runs(*folders, preferred=lambda run: report.belongs(run, labels))
    runs = report.match_runs(found, left_out, labels)
    if recorded is not None:
        _check_recorded(found, runs, recorded)
    outside_test = None
    if outside is not None:
        outside_test, untested = _test_outside(work, runs, Workspace.at(outside))
        runs = replace(runs, left_out=pd.concat([runs.left_out, untested], ignore_index=True))
    of_rejected = {}
    if rejected:
        of_rejected, untested = _test_rejected(work, runs)
        runs = replace(runs, left_out=pd.concat([runs.left_out, untested], ignore_index=True))
    comparison = report.compare_runs(runs, work.settings.epochs, outside_test, of_rejected)
    if examined is not None:
        return examine(work, comparison, examined)
    comparison = _with_examinations(comparison, work)
    _write_report(comparison, work)
    return comparison


def _check_recorded(found: Sequence[evaluation.Run], runs: report.ComparedRuns, recorded: Path) -> None:
    """Refuses a folder whose tables or runs would be replaced by those of other data.

    Raises:
        BoneAgeError: It holds runs, none of which can be compared with those of the work folder, or one of
            other data under the name of one of those.
    """
    there = [run.name for run in found if run.folder.parent == recorded / RUNS_NAME]
    if there and not {run.name for run in runs.all} & set(there):
        why = in_words(runs.left_out[runs.left_out["item"].isin(there)], len(there))
        raise BoneAgeError(
            f"{recorded}: none of its runs can be compared with these, left out {why}; "
            "name another folder with --results"
        )
    for run in runs.all:
        theirs = _readable_run(recorded / RUNS_NAME / run.name)
        if theirs is not None and not evaluation.are_of_same_data(theirs, run):
            raise BoneAgeError(
                f"{theirs.folder}: of other data than {run.name} here, which would replace it; move it away "
                "or name another folder with --results"
            )


def _readable_run(folder: Path) -> evaluation.Run | None:
    with contextlib.suppress(BoneAgeError):
        return evaluation.read_run(folder)
    return None


def record(comparison: report.Comparison, folder: Path) -> None:
    """Copies the runs, without weights, and the tables for README to a folder.

    Args:
        comparison: From :func:`compare`.
        folder: The folder.

    Raises:
        BoneAgeError: The folder is read-only, or the disk is full.
    """
    for run in comparison.runs.all:
        evaluation.record_run(run, folder / RUNS_NAME)
    for name in RECORDED_TABLES:
        table = getattr(comparison.tables, name)
        # Without an external test, or one on rejected cases, this time, the earlier one stays.
        if len(table):
            write_table(folder / f"{name}.csv", table)
    path = folder / "robustness.csv"
    # Those of recorded runs that are in no table this time stay, too.
    runs, _ = evaluation.read_runs(folder / RUNS_NAME)
    robustness = report.robustness_of_runs(runs, comparison.examinations, path)
    if len(robustness) or path.is_file():
        write_table(path, robustness)


def examine(
    work: Workspace, comparison: report.Comparison, count: int = report.EXAMINED
) -> report.Comparison:
    """Examines the best networks on the test images, and writes the report again.

    It measures robustness to changed images, shows heat maps, and for networks trained on drawn hands
    measures how much of the heat maps lies on growth centres. Results are kept in ``comparison/``, so an
    interrupted examination resumes and none is repeated.

    Args:
        work: The work folder.
        comparison: From :func:`compare`.
        count: Number of networks: those with the lowest validation MAE, each with its best number of epochs;
            one that cannot be examined is replaced by the next.

    Returns:
        The comparison with its ``examinations``; networks that failed are in ``left_out``.

    Raises:
        BoneAgeError: The count is below one, or the disk is full.
    """
    if count < 1:
        raise BoneAgeError(f"examine {count}: the number of networks must be at least 1")
    training_of(work)
    # Imported here because it needs Keras.
    from boneage.report.examine import examine_run

    folder, reasons = report.tables_folder(work.report), []
    runs = report.best_networks(comparison.runs.tabled, comparison.runs.joined, len(comparison.runs.tabled))
    if comparison.runs.tabled and not runs:
        reasons.append(("examination", "no run has validation cases to choose the best by"))
    examined, count = 0, min(count, len(runs))
    # No bar for a single network, which has its own.
    with tqdm(desc="examination", total=count, unit="network", disable=count == 1) as bar:
        for run in runs:
            if examined == count:
                break
            name, files = run.name, report.ExaminedFiles(run, folder)
            try:
                pack = work.pack(run.record["size"])
                examine_run(files, pack, comparison.runs.labels, comparison.runs.joined[name])
            except BoneAgeError as error:
                reasons.append((f"{name}, examination", str(error)))
                continue
            examined += 1
            bar.update()
    comparison = _with_examinations(comparison, work, reasons)
    _write_report(comparison, work)
    return comparison


def _write_report(comparison: report.Comparison, work: Workspace) -> None:
    with work.making("compare") as making:
        report.write_report(comparison, work.report)
        making.count = len(comparison.runs.all)


def _with_examinations(
    comparison: report.Comparison, work: Workspace, reasons: Sequence[tuple[str, str]] = ()
) -> report.Comparison:
    kept = report.kept_examinations(comparison.runs.tabled, report.tables_folder(work.report))
    left_out = pd.concat([comparison.tables.left_out, skipped_table(reasons)], ignore_index=True)
    tables = replace(comparison.tables, left_out=left_out)
    return replace(comparison, examinations=tuple(kept), tables=tables)


def _test_outside(
    work: Workspace, runs: report.ComparedRuns, other: Workspace
) -> tuple[report.Outside, pd.DataFrame]:
    """The runs' predictions for another source's images, and what failed with the reason."""
    others = read_labels(other.labels)
    if others.source == runs.labels.source:
        raise BoneAgeError(
            f"{other.labels}: from the same source {others.source}, so it is no external test; name the "
            "work folder of another source"
        )
    joined, untested = _predicted(work, runs, others, other.pack, OUTSIDE_NAME, others.source)
    return report.Outside(others.source, others.kind, joined), untested


def _test_rejected(
    work: Workspace, runs: report.ComparedRuns
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """The runs' predictions for the rejected cases, and what failed with the reason."""
    labels = rejected_labels(work)
    if len(labels.skipped):
        of = len(labels.skipped) + len(labels.table)
        print(f"left out of the rejected cases: {in_words(labels.skipped, of)}")

    def packed(size: int) -> Path:
        path = work.pack(size).with_name(f"rejected-{size}")
        build_pack(labels.table["Case ID"].tolist(), work.images, size, path)
        return path

    return _predicted(work, runs, labels, functools.cache(packed), REJECTED_NAME, "rejected cases")


def _predicted(
    work: Workspace,
    runs: report.ComparedRuns,
    labels: Labels,
    pack_at: Callable[[int], Path],
    name: str,
    words: str,
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Predictions for other images with ground truth by run, kept ones if there are, and what failed.

    Of the tabled runs, and of plain ones beside them.
    """
    joined, reasons = {}, []
    for run in (run for run in (*runs.tabled, *runs.beside) if not run.key.variant):
        try:
            pack = open_pack(pack_at(run.record["size"]))
            images = fingerprint(pack, rows_of(pack, labels.table)[0])
            predictions = evaluation.kept_predictions(run, name, images)
            if predictions is None:
                predictions = training_of(work).predict_pack(run.folder, pack, labels)
                evaluation.keep_predictions(run, name, predictions, images)
            joined[run.name] = evaluation.join_truth(labels.table, predictions)
        except BoneAgeError as error:
            reasons.append((f"{run.name} on {words}", str(error)))
    return joined, skipped_table(reasons)


def training_of(work: Workspace) -> ModuleType:
    """The training package, imported late as it needs Keras, joined with the other hosts if there are any.

    Raises:
        BoneAgeError: Its backend cannot be imported.
    """
    training = runtime.keras_module("boneage.training", work.settings.backend)
    training.join_hosts(work.settings.train_seed)
    return training
