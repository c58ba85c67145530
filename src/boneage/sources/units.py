"""The unit of a column of ages: months or years or, if its header says so, weeks or days; and why."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.tables import MONTHS_PER_YEAR, OLDEST_YEARS
from boneage.sources.spellings import plain, word_set

_DAYS_PER_YEAR = 365.25
PER_YEAR = {"months": MONTHS_PER_YEAR, "years": 1.0, "weeks": _DAYS_PER_YEAR / 7, "days": _DAYS_PER_YEAR}

# The units of columns that state none.
_UNSTATED = ("months", "years")
_WORDS = {
    "months": word_set(
        "month months mon mons mo mos mths mth monat monate monaten mois mes meses mese mesi maand maanden "
        "manad manader maned maneder miesiac miesiace mesic mesice ay месяц месяцы месяцев мес μηνεσ 月 月齢 "
        "个月 月龄 개월"
    ),
    "years": word_set(
        "year years yr yrs y jahr jahre jahren annee annees an ans ano anos anno anni jaar jaren ar lata rok "
        "roky let yil год годы лет года ετη 年 岁 歳 年龄 세"
    ),
    # Without words that are others too, such as the German "Tag" or a "d".
    "weeks": word_set(
        "week weeks wk wks woche wochen lebenswochen semaine semaines semana semanas settimana settimane "
        "weken vecka veckor uke uker uge uger tygodnie tygodni tydny tydnu hafta неделя недели недель "
        "εβδομαδεσ 周 週 周龄 週齢 주"
    ),
    "days": word_set(
        "day days tage tagen lebenstage jour jours dias giorni dagen dagar dager dage день дни дней ημερεσ "
        "天 日 日龄 日齢 일"
    ),
}
_ENDINGS = {
    "months": ("months", "month", "monate", "mois", "meses", "mesi"),
    "years": ("years", "yrs", "jahre"),
    "weeks": ("weeks", "wochen", "semaines", "semanas"),
    "days": ("days", "jours"),
}
_NUMBER = r"([0-9]+(?:[.,][0-9]+)?)\s*"
_WITH_UNIT = re.compile(rf"{_NUMBER}([^\W\d_]+)\.?[\s,]*(?:{_NUMBER}([^\W\d_]+)\.?)?")
_OPTION = '--unit months or --unit years (in a notebook OVERRIDES = {"unit": "years"})'
# Up to this share of a column may be typing errors.
_STRAYS = 0.1
# This many fractions of a year do not all happen to be below .12.
_FEW_FRACTIONS = 8
# One unit must be nearer to the folders' years of age than the other by this many years ...
_CLEARLY_NEARER = 0.3
# ... or a value in years be 0.4 to 2.2 times the middle of the folder's year, one in months 5 to 27 times.
_LIKE = (0.4, 2.2)


@dataclass(frozen=True)
class Unit:
    """The unit of a column of ages.

    Attributes:
        name: ``months``, ``years``, ``weeks`` or ``days``.
        why: The evidence, in words.
    """

    name: str
    why: str

    @property
    def per_year(self) -> float:
        """How many of it make a year."""
        return PER_YEAR[self.name]


def unit_in_words(text: str) -> str:
    """The unit in a column's name or a cell: ``months``, ``years``, ``weeks``, ``days``, or "" for none or
    several.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    words = [plain(word) for word in re.split(r"[\W\d_]+", spaced) if word]
    found = {
        unit
        for unit in PER_YEAR
        if any(word in _WORDS[unit] for word in words) or any(word.endswith(_ENDINGS[unit]) for word in words)
    }
    return found.pop() if len(found) == 1 else ""


def number_of(text: str) -> float:
    """A cell's number, perhaps with a decimal comma; NaN if it has none."""
    try:
        return float(text.replace(",", ".", 1)) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return math.nan


def years_of(cell: str, unit: Unit) -> float:
    """A cell's age in years; NaN if it has none.

    A unit in the cell takes precedence over the column's: ``7 years``, ``90 mo``, ``7y 6m``.
    """
    stated = _stated(cell)
    return number_of(cell) / unit.per_year if stated is None else stated


def bare_numbers(cells: Iterable[str]) -> list[float]:
    """The numbers of the cells without a unit of their own, for :func:`find_unit`."""
    return [number_of(cell) for cell in cells if _stated(cell) is None]


def _stated(cell: str) -> float | None:
    """The age in years of a cell with a unit, or None."""
    parts = _WITH_UNIT.fullmatch(cell.strip())
    if not parts:
        return None
    first, rest = unit_in_words(parts[2]), parts[4]
    if not first or (
        rest and (first != "years" or not (rest.lower() == "m" or unit_in_words(rest) == "months"))
    ):
        return None
    return number_of(parts[1]) / PER_YEAR[first] + (number_of(parts[3]) / MONTHS_PER_YEAR if rest else 0.0)


def find_unit(
    name: str,
    values: Iterable[float],
    columns: Sequence[str],
    folder_ages: Iterable[tuple[float, float]] = (),
    given: str = "",
) -> Unit:
    """Finds the unit of a column of ages.

    Evidence, in order: the user's setting; the column's name; the folders' years of age; the range (no age in
    years is above 20); fractions, which readings in months that are all below 20 do not have. The habit of a
    source does not count: whole numbers up to 20 may be years in any table. Weeks and days are found by the
    name alone.

    Args:
        name: The table, for errors.
        values: Numbers of the column; NaN and negative ones are ignored.
        columns: Names of its age columns.
        folder_ages: Pairs of a value and the folder's whole year of age, if known.
        given: The user's unit, or "".

    Raises:
        BoneAgeError: Both units fit, neither does, or the evidence is contradictory.
    """
    numbers = np.array([value for value in values if math.isfinite(value) and value >= 0], float)
    if given:
        return Unit(given, f"set by --unit {given}")
    stated = {unit_in_words(column) for column in columns} - {""}
    if len(stated) > 1:
        raise _unclear(name, f"its header says both ({', '.join(columns)})")
    by_name = next(iter(stated), "")
    by_range, range_words = _by_range(name, numbers, by_name)
    by_folder, folder_words = _by_folder(folder_ages, by_name)
    if by_range == "months" and by_name == "years":
        raise _unclear(name, f"its header says {by_name}, but {range_words}")
    if by_name and by_folder and by_name != by_folder:
        raise _unclear(name, f"its header says {by_name}, but {folder_words}")
    if by_name not in ("", "years") and by_range == "years" and not by_folder:
        raise _unclear(name, f"its header says {by_name}, but {range_words}")
    if by_name:
        return Unit(by_name, f"its header says so ({', '.join(columns)})")
    if by_folder:
        return Unit(by_folder, folder_words)
    if by_range:
        return Unit(by_range, range_words)
    if not len(numbers):
        return Unit("years", "each age states its own unit")
    if not len(numbers[numbers > 0]):
        return Unit("years", "no value is above 0, so either will do")
    shown = f"{numbers.min():.4g} to {numbers.max():.4g}"
    raise _unclear(name, f"its bone ages ({shown}) could be months as well as years")


def _by_range(name: str, numbers: np.ndarray, by_name: str) -> tuple[str, str]:
    """The unit from range and granularity ("" if undecided), and why.

    ``months`` stands for any unit but years.
    """
    positive = numbers[numbers > 0]
    if not len(positive):
        return "", ""
    most = OLDEST_YEARS * max(MONTHS_PER_YEAR, PER_YEAR.get(by_name, 0.0))
    if np.median(positive) > most:
        is_rare = by_name in ("weeks", "days")
        fault = f"not {by_name} as its header says" if is_rare else "neither months nor years"
        raise BoneAgeError(
            f"{name}: its bone ages are {fault} (half of them are above {most:.4g}); "
            "write them in months or years"
        )
    # 999 and the like, for "unknown", fit neither unit.
    positive = positive[positive <= most]
    above = int((positive > OLDEST_YEARS).sum())
    if above > _STRAYS * len(positive):
        small, large = positive[positive <= OLDEST_YEARS], positive[positive > OLDEST_YEARS]
        if (
            len(small) > _STRAYS * len(positive)
            and (small % 1 > 0).mean() >= 0.5 > 5 * (large % 1 > 0).mean()
        ):
            raise BoneAgeError(
                f"{name}: its bone ages seem to mix both units: {len(large)} values are above "
                f"{OLDEST_YEARS:g}, and most of the {len(small)} others have fractions as ages in years do; "
                f"write all of them in one, or set {_OPTION}"
            )
        return (
            "months",
            f"{above} of {len(positive)} values are above {OLDEST_YEARS:g}, too high for years",
        )
    if above:
        return "", ""
    broken = int((positive % 1 > 0).sum())
    hundredths = (positive * 100).round() % 100
    if broken >= _FEW_FRACTIONS and positive.max() >= 1 and hundredths.max() < MONTHS_PER_YEAR:
        raise BoneAgeError(
            f"{name}: its bone ages seem to be years.months (no fraction is above .11, as in "
            f"{positive[hundredths > 0][0]:.2f}); write them as 12y 6m, or set {_OPTION}"
        )
    # Means of two readings in months may have halves; a quarter with fractions means years.
    if broken >= 0.25 * len(positive):
        return "years", (
            f"none of {len(positive)} values is above {OLDEST_YEARS:g} and {broken} have fractions, "
            "unlike ages in months"
        )
    return "", ""


def _by_folder(pairs: Iterable[tuple[float, float]], by_name: str) -> tuple[str, str]:
    """The unit that agrees with the folders' years of age ("" if none does), and why.

    Of units that agree alike, the header's comes first.
    """
    known = [(value, age) for value, age in pairs if math.isfinite(value) and value > 0]
    if not known:
        return "", ""
    units = list(dict.fromkeys(unit for unit in (by_name, *_UNSTATED) if unit))
    far = {
        unit: float(np.median([years_outside(value / PER_YEAR[unit], age) for value, age in known]))
        for unit in units
    }
    near = [unit for unit in units if far[unit] - min(far.values()) < _CLEARLY_NEARER]
    if near == units:
        # In infants all units are close to the year of age, but months are many times that.
        ratio = float(np.median([value / (age + 0.5) for value, age in known]))
        near = [unit for unit in units if _LIKE[0] <= ratio / PER_YEAR[unit] <= _LIKE[1]]
    return (near[0], f"in {near[0]}, they agree with the folders' years of age") if near else ("", "")


def years_outside(age: float, year: float) -> float:
    """Years by which an age lies outside a whole year of age: 0 from ``year`` to ``year + 1``."""
    return max(year - age, age - (year + 1), 0.0)


def _unclear(name: str, why: str) -> BoneAgeError:
    return BoneAgeError(f"{name}: months or years? {why}; set {_OPTION}")
