"""The stages in their order, each a function of the settings: what the notebooks and the verbs call.

Every stage reads the tables of the stages before it from the work folder, writes its own, and can be run
again at any time: what is done is not done again.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pandas as pd

from boneage import atlas, atlas_index, evaluation, manifest, phantom, preprocess, report, rsna, runtime
from boneage.dataset import Store, build_store, open_store
from boneage.errors import BoneAgeError
from boneage.files import make_folder
from boneage.labels import Labels, build_labels, read_labels, write_labels
from boneage.settings import Settings
from boneage.tables import SKIPPED_COLUMNS, read_cases, read_table, skipped_table, write_table
from boneage.web import Web


@dataclass(frozen=True)
class WorkFolder:
    """Where everything lies below the work folder."""

    root: Path

    @property
    def settings(self) -> Path:
        """The settings of the last notebook or verb, so that the next verb needs no repeating of them."""
        return self.root / "settings.json"

    @property
    def data(self) -> Path:
        """Radiographs that were fetched, unpacked or drawn."""
        return self.root / "data"

    @property
    def cases(self) -> Path:
        """The case table."""
        return self.root / "cases.csv"

    @property
    def photos(self) -> Path:
        """The square photos, ``<case id>.png``."""
        return self.root / "photos"

    @property
    def preprocess(self) -> Path:
        """What came in: one row a case."""
        return self.root / "preprocess.csv"

    @property
    def contact_sheet(self) -> Path:
        """A sample of the photos on one sheet."""
        return self.root / "contact_sheet.png"

    @property
    def labels(self) -> Path:
        """The label CSV."""
        return self.root / "labels.csv"

    def store(self, size: int) -> Path:
        """The packed photos at a training size."""
        return self.root / f"store-{size}.npy"

    @property
    def runs(self) -> Path:
        """One folder a training run."""
        return self.root / "runs"

    @property
    def report(self) -> Path:
        """The comparison, to open in a browser."""
        return self.root / "report.html"

    def skipped(self, stage: str) -> Path:
        """What a stage left out, and why."""
        return self.root / f"skipped-{stage}.csv"


def work_folder(settings: Settings) -> WorkFolder:
    """The work folder of the settings; made where it is absent.

    Raises:
        BoneAgeError: It cannot be made.
    """
    return WorkFolder(make_folder(settings.work))


def get_data(settings: Settings) -> Path:
    """The folder with the source's radiographs: drawn, local, unpacked, or fetched by the manifest.

    Raises:
        BoneAgeError: There is no such folder, the archive is unsafe, or the download failed.
    """
    work = work_folder(settings)
    if settings.source == "phantom" and not settings.data:
        return phantom.write_phantom_atlas(work.data / "phantom", settings.phantoms_per_group, settings.seed)
    return manifest.data_for(settings.source, settings.data, work.root)


def fetch_by_index(settings: Settings) -> Settings:
    """Pages through the Digital Hand Atlas's web index where there is no archive of it; resumes.

    Returns:
        The settings with the fetched folder as their data.

    Raises:
        BoneAgeError: Another source, or the index does not answer as expected.
    """
    if settings.source != "dha":
        raise BoneAgeError(f"source {settings.source}: only the Digital Hand Atlas (dha) has a web index")
    work = work_folder(settings)
    folder = work.data / "dha"
    skipped = atlas_index.fetch_atlas(manifest.source_of("dha_index"), folder)
    write_table(work.skipped("fetch"), skipped)
    return settings.replace(data=str(folder))


def make_cases(settings: Settings) -> pd.DataFrame:
    """Reads the source into the case table, and writes it with what was left out.

    Raises:
        BoneAgeError: The source holds no radiograph.
    """
    work = work_folder(settings)
    folder = get_data(settings)
    if settings.source == "rsna":
        cases, skipped = rsna.read_rsna(folder)
    else:
        cases, skipped = atlas.read_atlas(folder, _readings(settings, folder), settings.source)
    write_table(work.skipped("cases"), skipped)
    write_table(work.cases, cases)
    return cases


def _readings(settings: Settings, folder: Path) -> Path | None:
    found = atlas.find_readings(folder)
    if found or settings.source != "dha" or settings.label != "reading":
        return found
    work = work_folder(settings)
    try:
        return manifest.fetch("la_dha.csv", work.data, record=work.root / "fetched.csv", web=Web(attempts=2))
    except BoneAgeError as error:
        print(f"no readings, so the label is the atlas folder's year of age: {error}")
        return None


def load_cases(settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The case table that :func:`make_cases` wrote, perhaps corrected by hand since.

    Returns:
        The cases, and the rows that cannot be used with their reasons (``item``, ``reason``).

    Raises:
        BoneAgeError: There is none yet, it is damaged, or none of its rows can be used.
    """
    path = work_folder(settings).cases
    if not path.is_file():
        raise BoneAgeError(f"{path}: not there yet; run notebook 01 or `python -m boneage cases` first")
    cases, faults = read_cases(path)
    if cases.empty:
        why = f" (the first: {faults['reason'].iloc[0]})" if len(faults) else ""
        raise BoneAgeError(
            f"{path}: no usable case{why}; mend it, or make it anew with `python -m boneage cases`"
        )
    return cases, faults


def make_photos(settings: Settings) -> pd.DataFrame:
    """Makes every case's square photo and the contact sheet; returns the report, one row a case.

    Raises:
        BoneAgeError: No case table yet, or the work folder is full or read-only.
    """
    work = work_folder(settings)
    cases, faults = load_cases(settings)
    came_in = preprocess.preprocess(cases, work.root, settings.photo_size, settings.pad)
    if len(faults):
        skipped = read_table(work.skipped("preprocess"), SKIPPED_COLUMNS)
        write_table(work.skipped("preprocess"), pd.concat([faults, skipped], ignore_index=True))
    preprocess.write_contact_sheet(work.contact_sheet, cases, came_in, work.root)
    return came_in


def make_labels(settings: Settings) -> Labels:
    """Draws the split over the cases that have a photo and writes the label CSV.

    Raises:
        BoneAgeError: No photos yet, or no case has both a photo and a label.
    """
    work = work_folder(settings)
    cases, faults = load_cases(settings)
    labels = build_labels(
        cases,
        settings.label,
        settings.validation_share,
        settings.test_share,
        settings.seed,
        _without_photo(work, cases),
    )
    labels = replace(labels, skipped=pd.concat([faults, labels.skipped], ignore_index=True))
    write_table(work.skipped("labels"), labels.skipped)
    write_labels(work.labels, labels)
    return labels


def load_labels(settings: Settings) -> Labels:
    """The labels that :func:`make_labels` wrote.

    Raises:
        BoneAgeError: There are none yet, or they are damaged.
    """
    path = work_folder(settings).labels
    if not path.is_file():
        raise BoneAgeError(f"{path}: not there yet; run notebook 03 or `python -m boneage labels` first")
    return read_labels(path)


def _without_photo(work: WorkFolder, cases: pd.DataFrame) -> dict[str, str]:
    if not work.preprocess.is_file():
        raise BoneAgeError(
            f"{work.preprocess}: not there yet; run notebook 01 or `python -m boneage preprocess` first"
        )
    came_in = read_table(work.preprocess, ("case_id", "status", "reason", "doubled_of"))
    came_in = came_in.drop_duplicates("case_id").set_index("case_id")
    reasons = {}
    for case_id in cases["case_id"]:
        if case_id not in came_in.index:
            reasons[case_id] = "label without a photo: run preprocess again"
        elif came_in.at[case_id, "status"] != "ok":
            reasons[case_id] = f"label without a photo: {came_in.at[case_id, 'reason']}"
        elif came_in.at[case_id, "doubled_of"]:
            reasons[case_id] = f"the same file as case {came_in.at[case_id, 'doubled_of']}"
    return reasons


def make_store(settings: Settings, labels: Labels | None = None, photos: Path | None = None) -> Store:
    """Packs the labelled photos at the training size; an up-to-date store is kept.

    Args:
        settings: Work folder and training size.
        labels: Labels; the work folder's by default.
        photos: Folder of photos; the work folder's by default.

    Raises:
        BoneAgeError: No labels or no photos yet, or the disk is full.
    """
    work = work_folder(settings)
    labels = labels or load_labels(settings)
    path = work.store(settings.train_size)
    skipped = build_store(labels.table["Case ID"].tolist(), photos or work.photos, settings.train_size, path)
    write_table(work.skipped("store"), pd.concat([labels.skipped, skipped], ignore_index=True))
    return open_store(path)


def train_network(
    settings: Settings, network: str, epochs: int, labels: Labels | None = None, store: Store | None = None
) -> evaluation.Run:
    """Trains a network, or takes its run up where it stopped, and reads the finished run back.

    Raises:
        BoneAgeError: See :func:`boneage.training.train`.
    """
    training = _training(settings)
    work = work_folder(settings)
    labels = labels or load_labels(settings)
    store = store or make_store(settings, labels)
    training.train(network, epochs, labels, store, settings, work.runs)
    return evaluation.read_run(work.runs / f"{network}-{epochs}")


def _training(settings: Settings) -> ModuleType:
    """The module that needs Keras, imported late: the other stages do not wait for it."""
    backend = runtime.choose_backend(settings.backend)
    try:
        from boneage import training
    except ImportError as error:
        raise BoneAgeError(
            f"backend {backend}: installed, but it cannot be imported ({' '.join(str(error).split())}); "
            "install it anew or choose the other backend"
        ) from None
    return training


def compare(settings: Settings, outside: Path | None = None) -> report.Comparison:
    """Compares the finished runs and writes the report.

    Args:
        settings: Work folder and epoch counts.
        outside: The work folder of another source, for a test on its photos; needs its labels and store.

    Raises:
        BoneAgeError: No labels, the outside folder holds none or is of the same source, or the disk is full.
    """
    work = work_folder(settings)
    labels = load_labels(settings)
    runs, left_out = evaluation.read_runs(work.runs)
    outside_test = None
    if outside is not None:
        outside_test, untested = _test_outside(settings, runs, labels, WorkFolder(outside))
        left_out = pd.concat([left_out, untested], ignore_index=True)
    comparison = report.compare_runs(runs, labels, settings.epochs, left_out, outside_test)
    report.write_report(comparison, work.report)
    return comparison


def _test_outside(
    settings: Settings, runs: list[evaluation.Run], labels: Labels, other: WorkFolder
) -> tuple[report.Outside, pd.DataFrame]:
    """Estimates another source's photos with every run; also what could not be, and why."""
    others = read_labels(other.labels)
    if others.source == labels.source:
        raise BoneAgeError(
            f"{other.labels}: also of the source {others.source}, so it is no test from outside; name the "
            "work folder of another source"
        )
    training = _training(settings)
    joined, reasons = {}, []
    for run in runs:
        name = run.folder.name
        try:
            store = open_store(other.store(run.record["size"]))
            estimates = training.estimate_store(run.folder, store, others)
            joined[name] = evaluation.join_truth(others.table, estimates)
        except BoneAgeError as error:
            reasons.append((f"{name} on {others.source}", str(error)))
    return report.Outside(others.source, others.kind, joined), skipped_table(reasons)
