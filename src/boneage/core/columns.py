"""Tables declared once: each column's name, unit, format and meaning.

CSV, HTML, Markdown and the text that explains a column come from the declaration. Iterating over a
:class:`Table` gives its column names: ``list(CASES)``, ``read_table(path, CASES)``.
"""

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jinja2
import pandas as pd

from boneage.core.errors import BoneAgeError

# The last four are read as the first four where full-width letters are written (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Record = Mapping[Any, Any]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Name in the CSV.
        meaning: One sentence.
        format: Number format, such as ``.2f`` or ``+.2f``; empty for text.
        heading: Shown heading; by default the name without the unit in brackets.
        unit: Shown below the heading; by default what the name has in brackets.
        ends: The two columns with the ends of its interval, shown below the value.
        best: ``min`` or ``max`` if the best value is to be marked.
        mark: Row -> ``significant`` or ``few`` to highlight a cell, else an empty string.
    """

    name: str
    meaning: str = ""
    format: str = ""
    heading: str = ""
    unit: str = ""
    ends: tuple[str, ...] = ()
    best: str = ""
    mark: Callable[[Record], str] | None = None

    def __post_init__(self) -> None:
        heading, _, unit = self.name.partition(" (")
        object.__setattr__(self, "heading", self.heading or heading)
        object.__setattr__(self, "unit", self.unit or unit.removesuffix(")"))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its CSV columns."""
        return (self.name, *self.ends)

    def cell(self, row: Record) -> "Cell":
        """The column's cell in a row."""
        value = row.get(self.name)
        below = interval([row.get(end) for end in self.ends], self.format)
        text = number(value, self.format) if self.format else str("" if pd.isna(value) else value) or "–"
        return Cell(text, below, self.mark(row) if self.mark else "")


def with_interval(name: str, meaning: str = "", format: str = "", **options: Any) -> Column:
    """A column with its interval ends in two more columns, ``… low`` and ``… high``."""
    heading, bracket, unit = name.partition(" (")
    low, high = (f"{heading} {end}{bracket}{unit}" for end in ("low", "high"))
    return Column(name, meaning, format, ends=(low, high), **options)


def leaves_out_zero(*ends: str) -> Callable[[Record], str]:
    """Marks a difference as significant if its interval excludes zero."""
    return lambda row: "significant" if row[ends[0]] > 0 or row[ends[1]] < 0 else ""


def number(value: float | None, spec: str) -> str:
    """A number with a typographic minus sign and no negative zero; a dash if missing."""
    if value is None or pd.isna(value):
        return "–"
    sign, spec = ("+", spec[1:]) if spec.startswith("+") else ("", spec)
    return f"{value:{sign}{'' if spec.endswith('d') else 'z'}{spec}}".replace("-", "−")


def interval(ends: Sequence[float | None], spec: str) -> str:
    """The two ends of an interval as text; empty if missing."""
    if not ends or pd.isna(ends[0]):
        return ""
    return (" to " if spec.startswith("+") else "–").join(number(end, spec) for end in ends)


@dataclass(frozen=True)
class Cell:
    """A cell as shown: text, a smaller line below, and how it is highlighted."""

    text: str
    below: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Table(Collection[str]):
    """A table's declaration.

    Attributes:
        columns: In CSV order.
        file: Name in the work folder.
        about: What a row is, one sentence.
        note: Shown below the table.
        shown: Names of the columns to show, in order; by default all.
        reference: Value of the first shown column that marks a row as a reference, not a result.
        absent: Text for a row without values.
    """

    title: str
    columns: Sequence[Column]
    file: str = ""
    about: str = ""
    note: str = ""
    shown: tuple[str, ...] = ()
    reference: str = ""
    absent: str = ""

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """CSV column names, interval ends included."""
        return tuple(dict.fromkeys(name for column in self.columns for name in column.names))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def frame(self, rows: Iterable[Any] = ()) -> pd.DataFrame:
        """A frame of these rows with all columns in order."""
        return pd.DataFrame(list(rows), columns=list(self.names))

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame reduced to the declared columns, in order.

        Raises:
            BoneAgeError: A column is missing.
        """
        missing = [name for name in self.names if name not in frame]
        if missing:
            raise BoneAgeError(f"{self.title}: column {', '.join(missing)} is missing; make the table again")
        return frame[list(self.names)]

    def to_csv(self, frame: pd.DataFrame) -> str:
        return csv_text(self.check(frame))

    def part(self, title: str, *shown: str, **changes: Any) -> "Table":
        """The same table with other columns shown under another title."""
        return replace(self, title=title, shown=shown or self.shown, **changes)

    def show(self, frame: pd.DataFrame) -> "View":
        return View(self, frame)

    @functools.cached_property
    def shown_columns(self) -> list[Column]:
        return [self[name] for name in self.shown] or list(self.columns)

    def explain(self) -> str:
        """The meaning of each shown column, as a Markdown list."""
        return "".join(
            f"- **{one.heading}**{f' ({one.unit})' if one.unit else ''}: {one.meaning}\n"
            for one in self.shown_columns
        )


@dataclass(frozen=True, repr=False)
class View:
    """Rows of a table, as shown in a notebook, a page or a document."""

    table: Table
    frame: pd.DataFrame

    @property
    def columns(self) -> list[Column]:
        return self.table.shown_columns

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def rows(self) -> list[tuple[str, list[Cell]]]:
        """For each row its kind (``reference``, ``absent`` or empty) and its cells."""
        return [self._row(row) for row in self.frame.to_dict("records")]

    def _row(self, row: Record) -> tuple[str, list[Cell]]:
        columns = self.columns
        if self.table.absent and all(pd.isna(row[column.name]) for column in columns[1:]):
            return "absent", [columns[0].cell(row), Cell(self.table.absent)]
        if self.table.reference and row[columns[0].name] == self.table.reference:
            return "reference", [column.cell(row) for column in columns]
        return "", [self._starred(column, row) for column in columns]

    @property
    def stars(self) -> bool:
        """Whether any column has its best value marked, which takes at least two values."""
        return any(self._competing(column).count() > 1 for column in self.columns if column.best)

    def _competing(self, column: Column) -> pd.Series:
        first = self.frame[self.columns[0].name]
        return self.frame.loc[first != self.table.reference, column.name]

    def _starred(self, column: Column, row: Record) -> Cell:
        cell = column.cell(row)
        if not column.best:
            return cell
        competing = self._competing(column)
        if competing.count() < 2 or row[column.name] != competing.agg(column.best):
            return cell
        return Cell(f"{cell.text} ★", cell.below, "best")

    def to_html(self) -> str:
        """The table as escaped HTML, to be styled by the page."""
        return templates("boneage.core").get_template("table.html.j2").render(view=self)

    __html__ = to_html

    def to_markdown(self) -> str:
        """The table as Markdown, with units in the header and intervals in brackets."""
        columns = self.columns
        heads = [f"{one.heading} ({one.unit})" if one.unit else one.heading for one in columns]
        lines = [heads, ["---:" if one.format else "---" for one in columns]]
        for kind, cells in self.rows:
            texts = [_marked_down(cell, kind) for cell in cells]
            lines.append(texts + [""] * (len(columns) - len(texts)))
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def __repr__(self) -> str:
        return self.table.title

    def _repr_html_(self) -> str:
        return templates("boneage.core").get_template("notebook_table.html.j2").render(view=self)


def _marked_down(cell: Cell, kind: str) -> str:
    text = f"{cell.text} ({cell.below})" if cell.below else cell.text
    text = " ".join(text.replace("|", "\\|").split())
    around = {"significant": "**", "few": "*"}.get(cell.mark, "*" if kind == "reference" else "")
    return f"{around}{text}{around}"


@functools.cache
def templates(*packages: str) -> jinja2.Environment:
    """The Jinja templates of some packages, with autoescaping."""
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as CSV, with no text cell that a spreadsheet would run as a formula.

    Text that starts with ``=``, ``+``, ``-``, ``@``, a tab or a line break gets a leading apostrophe.
    """
    safe = frame.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].map(_defused)
    safe.columns = safe.columns.map(_defused)
    return safe.to_csv(index=False, lineterminator="\n")


def _defused(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    # A browser may send half a surrogate pair, which UTF-8 cannot encode.
    cell = cell.encode("utf-8", "backslashreplace").decode()
    return "'" + cell if cell.startswith(_FORMULA_STARTS) else cell
