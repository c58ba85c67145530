"""One hand in, an estimate with its interval and its reasons out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.tables import MONTHS_PER_YEAR, OLDEST_YEARS, SEXES
from boneage.estimate.ensemble import Ensemble, read_images
from boneage.estimate.hands import CheckedHand
from boneage.estimate.interval import ensemble_intervals
from boneage.estimate.likeness import FAR, USUAL, in_words, nearest_cases, strangeness
from boneage.estimate.standards import check_age, standard, z_score

_UNUSUAL = "unlike most radiographs that the networks learnt from"
NO_SEX = "sex not given: the mean of what the networks say for a girl and for a boy"


@dataclass(frozen=True)
class Neighbour:
    """A training case near an image: its bone age in years, and its sex. There is nothing else of it."""

    bone_age: float
    sex: str


@dataclass(frozen=True)
class Estimate:
    """What is said of a hand; years.

    Attributes:
        bone_age: The mean of the votes; NaN where there is none, with a refusal.
        low: Lower end of the 90 % interval; NaN if the training cases are not known.
        high: Its upper end.
        votes: What each network says.
        strangeness: Distance from the training cases, 1 as far as one held-out case in a hundred; or NaN.
        nearest: The nearest training cases.
        sex: ``F``, ``M``, or empty.
        age: Chronological age, or None.
        notes: What was put right on the image, and what was assumed.
        warnings: What makes it doubtful.
        refusal: Why there is none; empty if there is one.
    """

    bone_age: float = np.nan
    low: float = np.nan
    high: float = np.nan
    votes: tuple[float, ...] = ()
    strangeness: float = np.nan
    nearest: tuple[Neighbour, ...] = ()
    sex: str = ""
    age: float | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refusal: str = ""

    @property
    def status(self) -> str:
        """``estimated``, ``doubtful`` or ``refused``."""
        return "refused" if self.refusal else "doubtful" if self.warnings else "estimated"

    @property
    def spread(self) -> float:
        """From the lowest to the highest vote; NaN with fewer than two."""
        return float(np.ptp(self.votes)) if len(self.votes) > 1 else np.nan

    @property
    def likeness(self) -> str:
        """The distance from the training cases as a word; empty if it is not known."""
        return "" if np.isnan(self.strangeness) else in_words(self.strangeness)

    @property
    def difference(self) -> float:
        """Bone age minus chronological age; NaN without one of them."""
        return np.nan if self.age is None else self.bone_age - self.age

    @property
    def z_score(self) -> float:
        """By :mod:`standards`; NaN without age and sex, or outside its ages."""
        z = z_score(self.bone_age, self.age, self.sex) if self.sex and self.age is not None else None
        return np.nan if z is None else z

    @property
    def mean_of_age(self) -> float:
        """Mean bone age of children of that age and sex; NaN where there is no z-score."""
        of_age = standard(self.age, self.sex) if self.sex and self.age is not None else None
        return np.nan if of_age is None else of_age[0]


def age_in_words(years: float) -> str:
    """An age as ``9 years 4 months``."""
    whole, months = divmod(round(years * MONTHS_PER_YEAR), 12)
    return f"{whole} year{'s' * (whole != 1)} {months} month{'s' * (months != 1)}"


@dataclass(frozen=True)
class Child:
    """What is known of the child on a radiograph.

    Attributes:
        sex: ``F``, ``M``, or empty if it is not known.
        age: Chronological age in years, or None.

    Raises:
        BoneAgeError: The sex or the age is impossible.
    """

    sex: str = ""
    age: float | None = None

    def __post_init__(self) -> None:
        if self.sex and self.sex not in SEXES:
            raise BoneAgeError(f"sex: {self.sex!r} must be {' or '.join(SEXES)}, or left out")
        check_age(self.age)


UNKNOWN = Child()
"""A child of whom nothing is known."""


def estimate_hands(
    hands: Sequence[CheckedHand], ensemble: Ensemble, children: Sequence[Child]
) -> list[Estimate]:
    """An estimate of each hand, or a refusal.

    Args:
        hands: From :func:`boneage.estimate.hands.check_hands`.
        ensemble: The networks.
        children: The child of each hand.
    """
    said = [
        Estimate(sex=child.sex, age=child.age, refusal=hand.refusal)
        for hand, child in zip(hands, children, strict=True)
    ]
    # Together, as many at once are quicker; the networks are asked about one sex at a time.
    for sex in sorted({child.sex for child in children}):
        rows = [at for at, one in enumerate(said) if one.sex == sex and not one.refusal]
        if rows:
            of_sex = _estimates([hands[at] for at in rows], ensemble, sex)
            for at, one in zip(rows, of_sex, strict=True):
                said[at] = replace(one, age=children[at].age)
    return said


def _estimates(hands: Sequence[CheckedHand], ensemble: Ensemble, sex: str) -> list[Estimate]:
    reading, reference = read_images(ensemble, [hand.image for hand in hands], sex), ensemble.reference
    votes = np.clip(reading.votes, 0.0, OLDEST_YEARS)
    strange, low, high = np.full((3, len(hands)), np.nan)
    nearest: list[tuple[Neighbour, ...]] = [() for _ in hands]
    if reference is not None:
        strange = strangeness(reference.known, reading.features)
        # Where the sex is not known, the interval covers that of a girl and that of a boy.
        ends = [ensemble_intervals(reference.years, reference.held_out, of_sex) for of_sex in votes]
        low, high = np.min([one[0] for one in ends], axis=0), np.max([one[1] for one in ends], axis=0)
        nearest = [
            tuple(Neighbour(float(reference.years[at]), SEXES[int(reference.male[at])]) for at in row)
            for row in nearest_cases(reference.known, reading.features, reference.features)
        ]
    of_members = votes.mean(axis=0)
    assumed = (NO_SEX,) if len(votes) > 1 else ()
    return [
        _strange(float(strange[at]), sex)
        if strange[at] > FAR
        else Estimate(
            float(of_members[:, at].mean()),
            float(low[at]),
            float(high[at]),
            tuple(of_members[:, at].tolist()),
            float(strange[at]),
            nearest[at],
            sex,
            notes=(*hand.changes, *assumed),
            warnings=(*hand.warnings, *([_UNUSUAL] if strange[at] > USUAL else [])),
        )
        for at, hand in enumerate(hands)
    ]


def _strange(strangeness: float, sex: str) -> Estimate:
    refusal = (
        f"unlike the radiographs that the networks learnt from (distance {strangeness:.1f}; one hand in a "
        "hundred exceeds 1); give a radiograph of one hand"
    )
    return Estimate(strangeness=strangeness, sex=sex, refusal=refusal)
