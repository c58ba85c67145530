"""The command line: a thin verb for every stage.

Each verb says what it wrote and exits 0; what a person can put right ends it with 2 and one line on
standard error that says what to do. Most options are fields of the settings, with their description as help.
"""

import argparse
import contextlib
import functools
import io
import itertools
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from boneage import pipeline, report
from boneage.anomalies import LIKELY
from boneage.core.cluster import LOCAL, on_cluster
from boneage.core.errors import BoneAgeError, one_line
from boneage.core.files import folder_for_now, write_bytes, write_error
from boneage.core.left_out import in_words
from boneage.core.runtime import keras_module, package
from boneage.core.settings import EXPORTS, PRESETS, TOTAL, VARIANTS, Settings, choices
from boneage.core.tables import ESTIMATE_TABLE, SEXES, SPLITS, skipped_table, write_table
from boneage.dataset.enough import check_enough
from boneage.dataset.labels import Labels, read_labels, repeated
from boneage.dataset.pack import open_pack, rows_of
from boneage.evaluation import Run, RunKey
from boneage.evaluation.bootstrap import mae_interval
from boneage.networks import NETWORKS, find
from boneage.sources import drive, local
from boneage.status import next_stage, status_of
from boneage.workspace import Workspace

_Does = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Args:
        arguments: The words after ``python -m boneage``; those of the process by default.

    Returns:
        The exit status: 0, 2 for what a person can put right, 130 when stopped by hand.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that knows ASCII only gets é as \xe9, not a traceback.
        sys.stdout.reconfigure(errors="backslashreplace")
    given = argparse.Namespace(put_back=None, scheduler=None)
    # OpenBLAS takes its memory with the first matrix and, where there is none, tries for ever and hears no
    # Ctrl-C (OpenMathLib/OpenBLAS, issue 5289): so while there is some.
    np.linalg.inv(np.eye(1))
    try:
        make_parser().parse_args(arguments, given)
        with on_cluster(given.scheduler) if given.scheduler else contextlib.nullcontext():
            given.verb(given)
    except BoneAgeError as error:
        return _fail(error, given)
    except OSError as error:
        return _fail(write_error(error.filename or "disk", error), given)
    except (MemoryError, RuntimeError, ImportError) as error:
        # A thread needs memory, too, and so does a library.
        needs_memory = "can't start new thread" in str(error) or "failed to map segment" in str(error)
        if not (isinstance(error, MemoryError) or needs_memory):
            raise
        return _fail(BoneAgeError("out of memory; close other programs and run the same again"), given)
    except KeyboardInterrupt:
        again = "begins anew" if given.verb is _estimate else "goes on from here"
        print(f"boneage: stopped; the same command {again}", file=sys.stderr)
        return 130
    return 0


def _fail(error: BoneAgeError, given: argparse.Namespace) -> int:
    # Nobody wants to go on with the settings of a command that came to nothing.
    if given.put_back:
        given.put_back()
    print(f"boneage: {error.line()}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BoneAgeError(f"{message}; see `{self.prog} --help`")


class Verb(NamedTuple):
    """A verb of the command line."""

    does: Callable[[argparse.Namespace], None]
    says: str
    settings: tuple[str, ...]
    """Fields of the settings that it takes as options, beside those of every verb."""
    own: dict[str, dict[str, Any]]
    """Its other options, as argparse takes them."""


VERBS: dict[str, Verb] = {}

EVERY_VERB = ("work", "cache", "split_seed")
THIS_COMMAND_ONLY = ("accept_losses", "train_seed")
"""Settings that the next verb does not take over."""

_ABSOLUTE = {"data": local.absolute, "recorded_review": drive.absolute, "cache": drive.absolute}
"""What makes a setting mean the same for a verb that is started in another folder."""

_SOURCE = ("source", "data", "unit", "phantoms_per_group", "phantom_anomalies")
_IMAGE = ("image_size", "pad")
_PLAN = ("total", "laterality_matters")
_LABEL = ("label", "validation_share", "test_share")
_TRAINING = (
    *(
        "epochs",
        "train_seed",
        "train_size",
        "batch_size",
        "learning_rate",
        "weight_decay",
        "width",
        "weights",
    ),
    *("degradation", "accept_losses", "precision", "backend"),
)
_PRETRAINING = tuple(
    one for one in _TRAINING if one not in ("epochs", "train_seed", "weights", "accept_losses")
)
_KEYS = f"networks (default: all): {', '.join(NETWORKS)}"
_LABEL_FILE = {"labels": {"type": Path, "help": "label CSV (default: the work folder's)"}}
_SCHEDULER = {
    "scheduler": {
        "metavar": "ADDRESS",
        "help": "work on the Dask cluster with this scheduler (tcp://host:8786), whose workers must reach "
        f"the same folders, or on a cluster of processes on this machine ({LOCAL})",
    }
}
_IMAGE_FOLDER = {"images": {"type": Path, "help": "folder of images (default: the work folder's)"}}
_NETWORKS_OF: dict[str, dict[str, Any]] = {
    "run": {
        "type": Path,
        "nargs": "+",
        "default": [],
        "metavar": "FOLDER",
        "help": "runs of your own, whose mean is taken, or a folder of models (default: the models that come "
        "with the repository)",
    }
}


def verb(says: str, *settings: str, **own: dict[str, Any]) -> Callable[[_Does], _Does]:
    """Makes a function a verb of its name; see :class:`Verb`."""

    def declare(does: _Does) -> _Does:
        VERBS[does.__name__.removeprefix("_")] = Verb(does, says, settings, own)
        return does

    return declare


def make_parser() -> argparse.ArgumentParser:
    """The parser of every verb and its options."""
    parser = _Parser(prog="python -m boneage", description="Bone age from hand radiographs, stage by stage.")
    verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=_Parser)
    for name, one in VERBS.items():
        options = verbs.add_parser(name, help=one.says, description=one.says)
        options.set_defaults(verb=one.does)
        for field in (*EVERY_VERB, *one.settings):
            options.add_argument(option_name(field), dest=field, **_option(field))
        for option, how in one.own.items():
            options.add_argument(option_name(option), **how)
    return parser


def option_name(name: str) -> str:
    """The option of a field of the settings: ``--train-size``; a name in capitals stands without dashes."""
    return name if name.isupper() else f"--{name.replace('_', '-')}"


def _option(name: str) -> dict[str, Any]:
    field = Settings.model_fields[name]
    default = field.default
    option: dict[str, Any] = {"help": (field.description or "").replace("%", "%%")}
    if isinstance(default, bool):
        return option | {"action": argparse.BooleanOptionalAction}
    if isinstance(default, tuple):
        return option | {"nargs": "+", "type": int}
    if named := choices(name):
        return option | {"choices": named}
    return option | {"type": type(default)}


def _overrides(given: argparse.Namespace) -> dict[str, object]:
    return {
        name: value
        for name, value in vars(given).items()
        if name in Settings.model_fields and value is not None
    }


def _workspace(given: argparse.Namespace, keep: bool = True) -> Workspace:
    """The work folder, its settings as the command line changes them; kept for the next verb.

    They are kept from the start, for a verb that is killed, and put back if it fails.
    """
    overrides = _overrides(given)
    for name, absolute in _ABSOLUTE.items():
        if overrides.get(name):
            overrides[name] = absolute(str(overrides[name]))
    path = Workspace.at(str(overrides.get("work", Settings().work))).settings_file
    settings = Settings.load(path) if path.is_file() else Settings()
    # Whoever accepts losses has seen those of this command, and no later ones.
    before = settings = settings.replace(accept_losses=False)
    if overrides.get("source", settings.source) != settings.source:
        # The folder that was named for one source holds nothing of another.
        overrides.setdefault("data", "")
    if overrides.get("data", settings.data) != settings.data:
        # Nor does the unit of one table hold for another.
        overrides.setdefault("unit", "")
    settings = settings.replace(**{"work": str(path.parent), **overrides})
    if keep:
        given.put_back = functools.partial(_put_back, path, path.read_bytes() if path.is_file() else None)
        settings.replace(**{name: getattr(before, name) for name in THIS_COMMAND_ONLY}).save(path)
    return Workspace(settings)


def _put_back(path: Path, content: bytes | None) -> None:
    with contextlib.suppress(OSError, BoneAgeError):
        path.unlink(missing_ok=True) if content is None else write_bytes(path, content)


@verb(
    "the notebooks in order, executed copies and report.html",
    *(*_SOURCE, *_IMAGE, "recorded_review", *_PLAN, *_LABEL, *_TRAINING),
    preset={"choices": PRESETS, "default": "demo", "help": "a set of settings to start from (default: demo)"},
)
def _run(given: argparse.Namespace) -> None:
    from boneage.notebooks import run_notebooks

    settings = Settings.preset(given.preset, **_overrides(given))
    run_notebooks(settings, given.preset)
    print(Workspace(settings).report)


@verb(
    "draw, unpack or download the source's radiographs",
    *_SOURCE,
    index={"action": "store_true", "help": "page through the Digital Hand Atlas's web index (hours)"},
)
def _fetch(given: argparse.Namespace) -> None:
    work = _workspace(given)
    if given.index:
        work = work.replace(data=str(pipeline.fetch_by_index(work)))
        work.settings.save(work.settings_file)
    print(f"radiographs: {pipeline.get_data(work)}")


@verb("read the source into cases.csv", *_SOURCE)
def _cases(given: argparse.Namespace) -> None:
    work = _workspace(given)
    cases = pipeline.make_cases(work)
    _wrote(work.cases, f"{len(cases)} cases")


@verb("make every image square: images/, preprocess.csv", *_IMAGE, **_SCHEDULER)
def _preprocess(given: argparse.Namespace) -> None:
    work = _workspace(given)
    came_in = pipeline.make_images(work)
    _wrote(work.images, f"{(came_in['status'] == 'ok').sum()} images of {work.settings.image_size} px")
    _wrote(work.preprocess, f"{len(came_in)} cases")
    _wrote(work.contact_sheet, "a sample of the images")


@verb("look for what may be wrong with the images: anomalies.csv", **_SCHEDULER)
def _anomalies(given: argparse.Namespace) -> None:
    work = _workspace(given)
    anomalies = pipeline.make_anomalies(work)
    likely = anomalies[anomalies["score"] >= LIKELY]
    for kind, cases in likely.groupby("kind", sort=False)["case_id"].nunique().items():
        print(f"{cases:5} {kind}")
    _wrote(work.anomalies, f"{len(anomalies)} anomalies, {len(likely)} as likely as not or likelier")


@verb(
    "where the review stands: accepted.csv, rejected.csv",
    apply={
        "type": Path,
        "metavar": "LOG",
        "help": "decide undecided cases as this recorded log does",
    },
    reject_likely={
        "action": "store_true",
        "help": "without a reviewer: reject undecided cases with a likely anomaly that no correction mends",
    },
)
def _review(given: argparse.Namespace) -> None:
    work = _workspace(given)
    if given.apply:
        print(pipeline.fill_review(work, given.apply))
    if given.reject_likely:
        print(pipeline.reject_likely(work))
    reviewed = pipeline.apply_review(work)
    for notice in reviewed.notices:
        print(notice)
    _wrote(work.accepted, f"{len(reviewed.accepted)} cases")
    _wrote(work.rejected, f"{len(reviewed.rejected)} cases")


@verb("draw the split over the accepted cases and plan the augmented set", *_PLAN, *_LABEL)
def _plan(given: argparse.Namespace) -> None:
    work = _workspace(given)
    plan, notices = pipeline.make_plan(work)
    for notice in notices:
        print(notice)
    counts = plan["split"].value_counts()
    _wrote(work.plan, f"{len(plan)} images: {', '.join(f'{counts.get(one, 0)} {one}' for one in SPLITS)}")


@verb("make the images of the plan: augmented/", **_SCHEDULER)
def _augment(given: argparse.Namespace) -> None:
    work = _workspace(given)
    record = pipeline.make_augmented(work)
    _wrote(work.augmented, f"{(record['status'] == 'ok').sum()} of {len(record)} images")


@verb("label every image: labels.csv", *_LABEL)
def _labels(given: argparse.Namespace) -> None:
    work = _workspace(given)
    labels = pipeline.make_labels(work)
    counts = labels.table["Split"].value_counts()
    _wrote(work.labels, f"{', '.join(f'{counts.get(split, 0)} {split}' for split in SPLITS)}; {labels.kind}")


@verb(
    "pack the labelled images into the folder pack-<size>",
    "train_size",
    **_LABEL_FILE,
    **_IMAGE_FOLDER,
    **_SCHEDULER,
)
def _pack(given: argparse.Namespace) -> None:
    work = _workspace(given)
    pack = pipeline.make_pack(work, _given_labels(given), given.images)
    _wrote(pack.path, f"{len(pack.images)} images of {pack.size} px")


@verb(
    "have networks learn from drawn hands first, for train --weights phantom: pretrained/",
    *_PRETRAINING,
    "hands",
    arch={"nargs": "+", "default": ["all"], "metavar": "NETWORK", "help": _KEYS},
    variant={
        "default": "",
        "choices": [one for one in VARIANTS if one not in ("", "tta")],
        "help": "the variant that is to be trained afterwards",
    },
)
def _pretrain(given: argparse.Namespace) -> None:
    work = _workspace(given)
    for network in _networks(given.arch):
        run = pipeline.pretrain_network(work, network, given.variant)
        given.put_back = None
        error = run.record["metrics"]["validation"]["mae"]
        _wrote(run.folder / "record.json", f"{run.record['title']}, {error:.2f} years on other drawn hands")


def _networks(named: list[str]) -> list[str]:
    return list(NETWORKS) if named == ["all"] else [find(key).key for key in named]


@verb(
    "train networks, or go on where they stopped: runs/",
    *_TRAINING,
    arch={"nargs": "+", "default": ["all"], "metavar": "NETWORK", "help": _KEYS},
    variant={
        "nargs": "+",
        "default": [""],
        "choices": [one for one in VARIANTS if one],
        "help": "train these in place of the plain networks: "
        + "; ".join(f"{key}: {words}" for key, words in VARIANTS.items() if key),
    },
    **_LABEL_FILE,
    **_IMAGE_FOLDER,
    pack={"type": Path, "help": "the folder of a pack, in place of images"},
    repeat_to={
        "type": int,
        "metavar": "N",
        "help": "repeat the plain set in each epoch until it has as many images as an augmented set of N "
        f"images has (the method's: {TOTAL}): what longer training gives without augmentation",
    },
    folds={
        "type": int,
        "metavar": "N",
        "help": "cross-validation: train each network N times, each time without another Nth of the cases, "
        "test cases included: runs-fold-1-of-N/ ... On augmented images, too, if the plan gave all cases to "
        "training (plan --validation-share 0 --test-share 0)",
    },
)
def _train(given: argparse.Namespace) -> None:
    work = _workspace(given)
    networks = _networks(given.arch)
    if given.pack and given.images:
        raise BoneAgeError("--pack: not allowed with --images; name one of them")
    labels = _given_labels(given) or pipeline.load_labels(work)
    pack = open_pack(given.pack) if given.pack else pipeline.make_pack(work, labels, given.images)
    if given.pack and given.train_size not in (None, pack.size):
        raise BoneAgeError(
            f"{given.pack}: images of {pack.size} px, not {given.train_size}; leave --train-size out"
        )
    if given.folds is not None and (given.labels or given.repeat_to is not None):
        raise BoneAgeError("--folds: not allowed with --labels or --repeat-to; leave those out")
    folds = [labels]
    if given.repeat_to is not None:
        folds = [repeated(labels, given.repeat_to)]
    if given.folds is not None:
        folds = pipeline.make_folds(work, given.folds)
    if not work.settings.accept_losses:
        # Once, and not for each network.
        check_enough(folds[0], rows_of(pack, folds[0].table)[0], accepted=False)
    rows: list[dict[str, object]] = []
    finished: list[Run] = []
    failures: dict[str, BoneAgeError] = {}
    wanted = list(itertools.product(networks, work.settings.epochs, given.variant, folds))
    # No bar over a single run: it has one of its own.
    for network, epochs, variant, labels in tqdm(wanted, "runs", unit="run", disable=len(wanted) == 1):
        try:
            run = pipeline.train_network(work, network, epochs, labels, pack, variant)
        except BoneAgeError as error:
            name = str(RunKey(network, epochs, labels.set, work.settings.train_seed, variant))
            name += f" ({labels.fold})" * bool(labels.fold)
            failures[name] = error
            print(f"failed: {name}: {error.line()}")
            continue
        _wrote(run.folder / "record.json", run.record["title"])
        rows.append(_result_row(run.record))
        finished.append(run)
        given.put_back = None
    if rows:
        print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.2f}"))
    if given.folds is not None:
        _print_cross_validated(finished, folds)
    if not failures:
        return
    first = next(iter(failures.values()))
    if len(wanted) == 1:
        raise first
    # Once more, below the table, where they are seen.
    for reason, names in itertools.groupby(failures, lambda name: failures[name].line()):
        print(f"failed: {', '.join(names)}: {reason}")
    raise BoneAgeError(f"{len(failures)} of {len(wanted)} runs failed; the first: {first}")


def _result_row(record: dict) -> dict[str, object]:
    row = {"Network": record["title"], "Epochs": record["epochs"]}
    for name in ("variant", "fold"):
        if record.get(name):
            row[name.capitalize()] = record[name]
    for split in SPLITS:
        if "fold" in record and split == "test":
            continue
        row[f"{split} MAE (years)"] = record["metrics"].get(split, {}).get("mae", float("nan"))
    return row


def _print_cross_validated(runs: list[Run], folds: list[Labels]) -> None:
    """The error over all cases, each by the network that it was held out of, where all folds are trained."""
    for _, of_network in itertools.groupby(runs, lambda run: run.key):
        of_folds = list(of_network)
        if len(of_folds) < len(folds):
            continue
        table = pd.concat([run.predictions for run in of_folds])
        held_out = table[table["Split"] == "validation"].set_index("Case ID")["Prediction"]
        # Cases without an image in the pack have no prediction.
        error = (held_out - folds[0].table.set_index("Case ID")["Bone Age"]).dropna().to_numpy()
        low, high = mae_interval(error)
        print(
            f"{of_folds[0].record['title']}: {abs(error).mean():.2f} years ({low:.2f} to {high:.2f}) over "
            f"{len(error)} cases, each held out once"
        )


@verb(
    "compare the finished runs: report.html, comparison/",
    "epochs",
    "backend",
    outside={"type": Path, "help": "work folder of another source to test the runs on"},
    rejected={"action": "store_true", "help": "also test the runs on the cases that the review rejected"},
    examine={
        "type": int,
        "nargs": "?",
        "const": report.EXAMINED,
        "metavar": "N",
        "help": "also examine the best N networks: changed images, heat maps (default: the best "
        f"{report.EXAMINED})",
    },
    record={
        "action": "store_true",
        "help": "compare the runs of --results too, and put all runs, without weights, and the tables there",
    },
    results={"type": Path, "default": Path("results"), "help": "folder of recorded runs"},
)
def _compare(given: argparse.Namespace) -> None:
    work = _workspace(given)
    recorded = given.results if given.record else None
    comparison = pipeline.compare(work, given.outside, given.examine, recorded, given.rejected)
    _print_left_out(comparison.tables.left_out, len(comparison.runs.tabled))
    for epochs, table in comparison.tables.results.items():
        shown = report.RESULTS.show(table.reset_index()).to_markdown()
        print(f"\n## {report.table_title(epochs)}\n\n{shown}")
    _wrote(work.report, f"{len(comparison.runs.tabled)} runs compared")
    if recorded:
        pipeline.record(comparison, recorded)
        _wrote(recorded, f"{len(comparison.runs.all)} runs, without weights")


@verb(
    "the bone age on a radiograph, a folder or an archive of them, with its interval and its reasons",
    "backend",
    RADIOGRAPHS={
        "help": "a JPEG, PNG, TIFF or DICOM file, a folder, a zip or tar of them, or a folder in a bucket "
        "(s3://bucket/folder)"
    },
    **_NETWORKS_OF,
    sex={"choices": SEXES, "default": "", "help": "the child's sex, if it is known"},
    age={"type": float, "metavar": "YEARS", "help": "the chronological age, to compare with"},
    children={
        "type": Path,
        "metavar": "CSV",
        "help": "sex and age for each radiograph, in place of --sex and --age: columns file, sex, age",
    },
    out={"type": Path, "help": "folder for estimates.csv, estimates.json and a page per hand"},
    fhir={"action": "store_true", "help": "with --out: a FHIR Observation per hand as well"},
    show_letters={"action": "store_true", "help": "keep letters beside the hand in the pictures"},
)
def _estimate(given: argparse.Namespace) -> None:
    if given.fhir and not given.out:
        raise BoneAgeError("--fhir: needs --out FOLDER, where the Observations go")
    if given.children and (given.sex or given.age is not None):
        raise BoneAgeError("--children: gives the sex and age of each; leave --sex and --age out")
    estimate = keras_module("boneage.estimate", given.backend or "")
    with folder_for_now("estimate") as folder:
        child = estimate.Child(given.sex, given.age)
        radiographs = estimate.find_radiographs(given.RADIOGRAPHS, folder)
        if given.children:
            child = estimate.read_children(given.children, radiographs.files)
            print(f"{given.children}: {len(child)} of {len(radiographs.files)} radiographs have a row in it")
        ensemble = estimate.load_ensemble(given.run)
        for notice in ensemble.notices:
            print(notice)
        said = estimate.estimate_files(radiographs, ensemble, child, given.show_letters)
        said = estimate.write_estimates(said, ensemble, given.out, given.fhir) if given.out else said
        rows = []
        for one in said:
            print(estimate.line_of(one))
            rows.append((one.title, one.estimate.refusal))
    left_out = skipped_table([row for row in rows if row[1]] + radiographs.skipped)
    kept = sum(not reason for _, reason in rows)
    if given.out:
        write_table(given.out / "skipped-estimate.csv", left_out)
        _wrote(given.out / ESTIMATE_TABLE.file, f"{kept} of {len(rows)} estimated")
    if not kept:
        raise BoneAgeError(f"no estimate: left out {in_words(left_out, len(left_out))}")
    if len(left_out):
        print(one_line(f"left out: {in_words(left_out, kept + len(left_out))}"))
    print(estimate.NOTICE)


@verb(
    "a page for a browser: drop a radiograph on it, see its bone age with its interval and its reasons",
    "backend",
    **_NETWORKS_OF,
    host={
        "default": "127.0.0.1",
        "metavar": "ADDRESS",
        "help": "where it is reached (default: 127.0.0.1, from this machine only)",
    },
    port={"type": int, "default": 8000, "help": "its port (default: 8000; 0 is any free one)"},
)
def _serve(given: argparse.Namespace) -> None:
    for name in ("starlette", "uvicorn"):
        package(name, "run `pip install starlette uvicorn`")
    estimate = keras_module("boneage.estimate", given.backend or "")
    from boneage.estimate import serving

    with serving.listen(given.host, given.port) as listening:
        if not serving.is_local(listening):
            print(
                "warning: whoever reaches this machine can send radiographs to the page and is asked for no "
                "password, and what they send is not encrypted; use it in a network that you trust"
            )
        ensemble = estimate.load_ensemble(given.run)
        for notice in ensemble.notices:
            print(notice)
        print(f"{estimate.NOTICE}\nThe page is at {serving.address(listening)} until Ctrl-C.", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            serving.serve(ensemble, listening, given.host)


@verb(
    "a trained network in the formats of other programs, each checked to say the same",
    RUN={"type": Path, "help": "the folder of a finished run, or a folder of models"},
    format={
        "nargs": "+",
        "default": [],
        "choices": EXPORTS,
        "help": "formats (default: all whose packages are installed)",
    },
    out={"type": Path, "metavar": "FOLDER", "help": "where the files go (default: export/ below the run)"},
)
def _export(given: argparse.Namespace) -> None:
    # Runs of either backend are read; the formats are made by way of TensorFlow.
    module = keras_module("boneage.estimate.export", "tensorflow")
    for path, words in module.export(given.RUN, given.out, given.format):
        _wrote(path, words)


@verb("which stages are made, out of date and why, or missing, and what to do next")
def _status(given: argparse.Namespace) -> None:
    work = _workspace(given, keep=False)
    status = status_of(work).map(one_line)
    widths = [max(map(len, [name, *status[name]])) for name in status]
    for row in [tuple(status), *status.itertuples(index=False)]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    following = next_stage(status)
    again = f"next: python -m boneage {following} --work {shlex.quote(str(work.root))}"
    print(again if following else "all is up to date")


def _print_left_out(left_out: pd.DataFrame, kept: int) -> None:
    if len(left_out):
        print(one_line(f"left out: {in_words(left_out, kept + len(left_out))}"))
    for item, reason in left_out.itertuples(index=False):
        print(one_line(f"  {item}: {reason}"))


def _given_labels(given: argparse.Namespace) -> Labels | None:
    return read_labels(given.labels) if given.labels else None


def _wrote(path: Path, what: str) -> None:
    print(f"wrote {path}: {what}")


if __name__ == "__main__":
    sys.exit(main())
