"""The command line: a thin verb for every stage.

Each verb says what it wrote and exits 0; what a person can put right ends it with 2 and one line on
standard error that says what to do.
"""

import argparse
import dataclasses
import io
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from boneage import pipeline, report
from boneage.anomalies import LIKELY
from boneage.core.errors import BoneAgeError
from boneage.core.files import write_error
from boneage.core.left_out import in_words
from boneage.core.settings import (
    BACKENDS,
    LABEL_KINDS,
    PADS,
    PRECISIONS,
    PRESETS,
    SOURCES,
    UNITS,
    VARIANTS,
    WEIGHTS,
    WIDTHS,
    Settings,
)
from boneage.core.tables import SPLITS
from boneage.dataset.enough import check_enough
from boneage.dataset.labels import Labels, read_labels
from boneage.dataset.pack import open_store, rows_of
from boneage.evaluation.metrics import run_name
from boneage.networks import NETWORKS, find
from boneage.sources import drive


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
    try:
        given = make_parser().parse_args(arguments)
        given.verb(given)
    except BoneAgeError as error:
        return _fail(error)
    except OSError as error:
        return _fail(write_error(error.filename or "disk", error))
    except KeyboardInterrupt:
        print("boneage: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _fail(error: BoneAgeError) -> int:
    print(f"boneage: {error.line()}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        raise BoneAgeError(f"{message}; see `{self.prog} --help`")


def make_parser() -> argparse.ArgumentParser:
    """The parser of every verb and its options."""
    parser = _Parser(prog="python -m boneage", description="Bone age from hand radiographs, stage by stage.")
    verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=_Parser)

    run = _verb(verbs, "run", _run, "the notebooks in order, executed copies and report.html")
    run.add_argument("--preset", choices=PRESETS, default="demo", help="a set of settings to start from")
    _source_options(run)
    run.add_argument("--photo-size", type=int, help="side of the square photos in pixels")
    _pad_option(run)
    run.add_argument("--recorded-review", metavar="LOG", help="a review log, as no person is at hand")
    _growing_options(run)
    _label_options(run)
    _training_options(run)

    fetch = _verb(verbs, "fetch", _fetch, "draw, unpack or download the source's radiographs")
    _source_options(fetch)
    fetch.add_argument(
        "--index", action="store_true", help="page through the Digital Hand Atlas's web index (hours)"
    )

    _source_options(_verb(verbs, "cases", _cases, "read the source into cases.csv"))

    photos = _verb(verbs, "preprocess", _preprocess, "make every photo square: photos/, preprocess.csv")
    photos.add_argument("--size", dest="photo_size", type=int, help="side of the square photos in pixels")
    _pad_option(photos)

    _verb(verbs, "suspicions", _suspicions, "look for what may be wrong with the photos: suspicions.csv")

    review = _verb(verbs, "review", _review, "where the review stands: accepted.csv, rejected.csv")
    review.add_argument(
        "--apply", type=Path, metavar="LOG", help="decide by this recorded log what nobody has decided yet"
    )
    review.add_argument(
        "--reject-likely",
        action="store_true",
        help="with no person at hand: reject what detectors find likely spoilt and nobody has decided yet",
    )

    plan = _verb(verbs, "plan", _plan, "draw the split over the accepted cases and plan the grown set")
    _growing_options(plan)
    _label_options(plan)

    _verb(verbs, "materialise", _materialise, "make the photos of the plan: grown/")

    _label_options(_verb(verbs, "labels", _labels, "label every photo: labels.csv"))

    store = _verb(verbs, "store", _store, "pack the labelled photos into store-<size>.npy")
    store.add_argument("--size", dest="train_size", type=int, help="side of the packed photos in pixels")
    _label_file_option(store)
    store.add_argument("--photos", type=Path, help="folder of photos (default: the work folder's)")

    train = _verb(verbs, "train", _train, "train networks, or go on where they stopped: runs/")
    train.add_argument("--arch", nargs="+", default=["all"], metavar="NETWORK", help="networks, or all")
    train.add_argument(
        "--variant",
        nargs="+",
        default=[""],
        choices=[one for one in VARIANTS if one],
        help="train these in place of the plain networks: "
        + "; ".join(f"{key}: {words}" for key, words in VARIANTS.items() if key),
    )
    _training_options(train)
    _label_file_option(train)
    photos_or_store = train.add_mutually_exclusive_group()
    photos_or_store.add_argument("--photos", type=Path, help="folder of photos (default: the work folder's)")
    photos_or_store.add_argument("--store", type=Path, help="a packed store file in place of photos")

    compare = _verb(verbs, "compare", _compare, "compare the finished runs: report.html, comparison/")
    compare.add_argument("--epochs", type=int, nargs="+", help="the epoch counts to show tables of")
    compare.add_argument("--outside", type=Path, help="work folder of another source to test the runs on")
    compare.add_argument(
        "--grown", type=Path, help="work folder of the same cases, grown: its runs stand among the variants"
    )
    compare.add_argument(
        "--seeds",
        type=Path,
        nargs="+",
        default=[],
        metavar="WORK",
        help="work folders whose runs were trained on the same photos with other seeds",
    )
    compare.add_argument(
        "--examine",
        type=int,
        nargs="?",
        const=report.EXAMINED,
        metavar="N",
        help="also examine the best N networks: changed photos, heat maps (default: the best "
        f"{report.EXAMINED})",
    )
    compare.add_argument(
        "--record",
        action="store_true",
        help="compare the runs of --results too, and put all runs, without weights, and the tables there",
    )
    compare.add_argument("--results", type=Path, default=Path("results"), help="folder of recorded runs")
    compare.add_argument("--backend", choices=BACKENDS, help="Keras backend (default: TensorFlow, else JAX)")
    return parser


def _verb(verbs, name: str, function, description: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=description, description=description)
    parser.set_defaults(verb=function)
    parser.add_argument("--work", help="folder for everything that is made (default: work)")
    parser.add_argument("--cache", help="folder for photos, where the work folder's disk is slow")
    parser.add_argument("--seed", type=int, help="drives every random choice")
    return parser


def _source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", choices=SOURCES, help="where the radiographs come from")
    parser.add_argument("--data", help="folder or zip with them, or the link of a zip on Google Drive")
    parser.add_argument("--unit", choices=UNITS, help="what its bone ages are in (default: found, and said)")
    parser.add_argument("--phantoms-per-group", type=int, help="phantoms for each year, sex and race")
    parser.add_argument("--phantom-anomalies", type=float, help="share of phantoms with something wrong")


def _pad_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pad", choices=PADS, help="shade of the bars that make a photo square")


def _growing_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--total", type=int, help="photos in the grown set; 0 grows nothing")
    parser.add_argument(
        "--laterality-matters",
        action=argparse.BooleanOptionalAction,
        help="flip nothing: left stays left",
    )


def _label_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--label", choices=LABEL_KINDS, help="which age is the label")
    parser.add_argument("--validation-share", type=float, help="share of the cases for validation")
    parser.add_argument("--test-share", type=float, help="share of the cases for testing")


def _label_file_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--labels", type=Path, help="label CSV (default: the work folder's)")


def _training_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--epochs", type=int, nargs="+", help="each number is a run of its own")
    parser.add_argument("--size", dest="train_size", type=int, help="side of the networks' photos in pixels")
    parser.add_argument("--batch-size", type=int, help="photos a step")
    parser.add_argument("--learning-rate", type=float, help="the highest learning rate")
    parser.add_argument("--weight-decay", type=float, help="AdamW's weight decay")
    parser.add_argument("--width", choices=WIDTHS, help="the networks as published, or tiny ones for a CPU")
    parser.add_argument(
        "--weights", choices=WEIGHTS, help="what to begin with (default: ImageNet if possible)"
    )
    parser.add_argument(
        "--accept-losses",
        action="store_true",
        default=None,
        help="train all the same where few cases are left, none to validate or test, or many were lost",
    )
    parser.add_argument("--precision", choices=PRECISIONS, help="the numbers that the sums are done in")
    parser.add_argument("--backend", choices=BACKENDS, help="Keras backend (default: TensorFlow, else JAX)")


def _overrides(given: argparse.Namespace) -> dict[str, object]:
    names = {field.name for field in dataclasses.fields(Settings)}
    return {name: value for name, value in vars(given).items() if name in names and value is not None}


def _settings(given: argparse.Namespace) -> Settings:
    """The work folder's settings, with what the command line says in their place, kept for the next verb."""
    overrides = _overrides(given)
    for name in ("data", "recorded_review", "cache"):
        if overrides.get(name):
            overrides[name] = drive.absolute(overrides[name])
    path = pipeline.WorkFolder(Path(overrides.get("work", Settings.work))).settings
    settings = Settings.load(path) if path.is_file() else Settings()
    # Whoever accepts losses has seen those of this command, and no later ones.
    settings = settings.replace(accept_losses=False)
    if overrides.get("source", settings.source) != settings.source:
        # The folder that was named for one source holds nothing of another.
        overrides.setdefault("data", "")
    if overrides.get("data", settings.data) != settings.data:
        # Nor does the unit of one table hold for another.
        overrides.setdefault("unit", "")
    settings = settings.replace(**{"work": str(path.parent), **overrides})
    settings.save(path)
    return settings


def _run(given: argparse.Namespace) -> None:
    from boneage.notebooks import run_notebooks

    settings = Settings.preset(given.preset, **_overrides(given))
    run_notebooks(settings, given.preset)
    print(pipeline.work_folder(settings).report)


def _fetch(given: argparse.Namespace) -> None:
    settings = _settings(given)
    if given.index:
        settings = pipeline.fetch_by_index(settings)
        settings.save(pipeline.work_folder(settings).settings)
    print(f"radiographs: {pipeline.get_data(settings)}")


def _cases(given: argparse.Namespace) -> None:
    settings = _settings(given)
    cases = pipeline.make_cases(settings)
    work = pipeline.work_folder(settings)
    _wrote(work.cases, f"{len(cases)} cases")


def _preprocess(given: argparse.Namespace) -> None:
    settings = _settings(given)
    came_in = pipeline.make_photos(settings)
    work = pipeline.work_folder(settings)
    _wrote(work.photos, f"{(came_in['status'] == 'ok').sum()} photos of {settings.photo_size} px")
    _wrote(work.preprocess, f"{len(came_in)} cases")
    _wrote(work.contact_sheet, "a sample of the photos")


def _suspicions(given: argparse.Namespace) -> None:
    settings = _settings(given)
    suspicions = pipeline.make_suspicions(settings)
    work = pipeline.work_folder(settings)
    likely = suspicions[suspicions["score"] >= LIKELY]
    for kind, cases in likely.groupby("kind", sort=False)["case_id"].nunique().items():
        print(f"{cases:5} {kind}")
    _wrote(work.suspicions, f"{len(suspicions)} suspicions, {len(likely)} as likely as not or likelier")


def _review(given: argparse.Namespace) -> None:
    settings = _settings(given)
    if given.apply:
        print(pipeline.fill_review(settings, given.apply))
    if given.reject_likely:
        print(pipeline.reject_likely(settings))
    reviewed = pipeline.apply_review(settings)
    work = pipeline.work_folder(settings)
    for notice in reviewed.notices:
        print(notice)
    _wrote(work.accepted, f"{len(reviewed.accepted)} cases")
    _wrote(work.rejected, f"{len(reviewed.rejected)} cases")


def _plan(given: argparse.Namespace) -> None:
    settings = _settings(given)
    plan, notices = pipeline.make_plan(settings)
    work = pipeline.work_folder(settings)
    for notice in notices:
        print(notice)
    counts = plan["split"].value_counts()
    _wrote(work.plan, f"{len(plan)} photos: {', '.join(f'{counts.get(one, 0)} {one}' for one in SPLITS)}")


def _materialise(given: argparse.Namespace) -> None:
    settings = _settings(given)
    record = pipeline.make_grown(settings)
    work = pipeline.work_folder(settings)
    _wrote(work.grown, f"{(record['status'] == 'ok').sum()} of {len(record)} photos")


def _labels(given: argparse.Namespace) -> None:
    settings = _settings(given)
    labels = pipeline.make_labels(settings)
    work = pipeline.work_folder(settings)
    counts = labels.table["Split"].value_counts()
    _wrote(work.labels, f"{', '.join(f'{counts.get(split, 0)} {split}' for split in SPLITS)}; {labels.kind}")


def _store(given: argparse.Namespace) -> None:
    settings = _settings(given)
    store = pipeline.make_store(settings, _given_labels(given), given.photos)
    _wrote(store.path, f"{len(store.photos)} photos of {store.size} px")


def _train(given: argparse.Namespace) -> None:
    settings = _settings(given)
    networks = list(NETWORKS) if given.arch == ["all"] else [find(key).key for key in given.arch]
    labels = _given_labels(given) or pipeline.load_labels(settings)
    store = open_store(given.store) if given.store else pipeline.make_store(settings, labels, given.photos)
    if given.store and given.train_size not in (None, store.size):
        raise BoneAgeError(
            f"{given.store}: photos of {store.size} px, not {given.train_size}; leave --size out"
        )
    if not settings.accept_losses:
        # Once, and not for each network.
        check_enough(labels, rows_of(store, labels.table)[0], accepted=False)
    rows: list[dict[str, object]] = []
    failures: dict[str, BoneAgeError] = {}
    wanted = list(itertools.product(networks, settings.epochs, given.variant))
    # No bar over a single run: it has one of its own.
    for network, epochs, variant in tqdm(wanted, "runs", unit="run", disable=len(wanted) == 1):
        try:
            run = pipeline.train_network(settings, network, epochs, labels, store, variant)
        except BoneAgeError as error:
            name = run_name(network, epochs, variant)
            failures[name] = error
            print(f"failed: {name}: {error.line()}")
            continue
        _wrote(run.folder / "record.json", run.record["title"])
        rows.append(_result_row(run.record))
    if rows:
        print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.2f}"))
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
    if record.get("variant"):
        row["Variant"] = record["variant"]
    for split in SPLITS:
        row[f"{split} MAE (years)"] = record["metrics"].get(split, {}).get("mae", float("nan"))
    return row


def _compare(given: argparse.Namespace) -> None:
    settings = _settings(given)
    recorded = given.results if given.record else None
    comparison = pipeline.compare(settings, given.outside, given.examine, recorded, given.grown, given.seeds)
    _print_left_out(comparison.left_out, len(comparison.runs))
    for epochs, table in comparison.tables.items():
        print(f"\n## {report.table_title(epochs)}\n\n{report.markdown_table(table)}")
    _wrote(pipeline.work_folder(settings).report, f"{len(comparison.runs)} runs compared")
    if recorded:
        pipeline.record(comparison, recorded)
        plain = [*comparison.runs, *comparison.reseeded_runs]
        runs = [*plain, *comparison.variant_runs, *comparison.grown_runs]
        _wrote(recorded, f"{len(runs)} runs, without weights")


def _print_left_out(left_out: pd.DataFrame, kept: int) -> None:
    if len(left_out):
        print(f"left out: {in_words(left_out, kept + len(left_out))}")
    for item, reason in left_out.itertuples(index=False):
        print(f"  {item}: {reason}")


def _given_labels(given: argparse.Namespace) -> Labels | None:
    return read_labels(given.labels) if given.labels else None


def _wrote(path: Path, what: str) -> None:
    print(f"wrote {path}: {what}")


if __name__ == "__main__":
    sys.exit(main())
