"""The work folder: where each table and folder of a run is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boneage.core.settings import Settings

RUNS_NAME = "runs"
"""The folder of all runs, in the work folder and among the records."""


@dataclass(frozen=True)
class Workspace:
    """The work folder of some settings, and the cache folder for what is large and can be made again.

    Nothing is made by asking where something is.

    Attributes:
        settings: What the stages make, and where.
    """

    settings: Settings

    @classmethod
    def at(cls, folder: Path | str) -> "Workspace":
        """A work folder of which no more is asked than where its tables are."""
        return cls(Settings(work=str(folder)))

    def replace(self, **overrides: Any) -> "Workspace":
        """The work folder of the same settings but for some; see :meth:`Settings.replace`."""
        return Workspace(self.settings.replace(**overrides))

    @property
    def root(self) -> Path:
        """The work folder."""
        return Path(self.settings.work)

    @property
    def large(self) -> Path:
        """The folder of the source's files, the images and the packed images: the cache, if there is one."""
        return Path(self.settings.cache) if self.settings.cache else self.root

    @property
    def settings_file(self) -> Path:
        """The settings of the last notebook or verb, so that the next verb needs no repeating of them."""
        return self.root / "settings.json"

    @property
    def data(self) -> Path:
        """Radiographs that were fetched, unpacked or drawn."""
        return self.large / "data"

    @property
    def cases(self) -> Path:
        """The case table."""
        return self.root / "cases.csv"

    @property
    def images(self) -> Path:
        """The square images, ``<case id>.png``."""
        return self.large / "images"

    @property
    def preprocess(self) -> Path:
        """What came in: one row a case; it tells of the images beside it."""
        return self.large / "preprocess.csv"

    @property
    def contact_sheet(self) -> Path:
        """A sample of the images on one sheet."""
        return self.root / "contact_sheet.png"

    @property
    def anomalies(self) -> Path:
        """What the detectors say, highest score first."""
        return self.root / "anomalies.csv"

    @property
    def review(self) -> Path:
        """The review log: every decision of a person, append-only."""
        return self.root / "review.csv"

    @property
    def accepted(self) -> Path:
        """The case table without the rejected cases, with what was chosen for each image."""
        return self.root / "accepted.csv"

    @property
    def rejected(self) -> Path:
        """The rejected cases, each with its reason."""
        return self.root / "rejected.csv"

    @property
    def plan(self) -> Path:
        """The augmentation plan: how each image of the augmented set is made."""
        return self.root / "plan.csv"

    @property
    def augmented(self) -> Path:
        """The images of the plan, ``<image id>.png``."""
        return self.large / "augmented"

    @property
    def labels(self) -> Path:
        """The label CSV."""
        return self.root / "labels.csv"

    def pack(self, size: int = 0) -> Path:
        """The packed images at a training size; that of the settings by default."""
        return self.large / f"pack-{size or self.settings.train_size}.npy"

    @property
    def runs(self) -> Path:
        """One folder a training run."""
        return self.root / RUNS_NAME

    @property
    def report(self) -> Path:
        """The comparison, to open in a browser."""
        return self.root / "report.html"

    def skipped(self, stage: str) -> Path:
        """What a stage left out, and why."""
        return self.root / f"skipped-{stage}.csv"
