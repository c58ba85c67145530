"""The order of a review under filters, and the current place in it; knows nothing of widgets or the log."""

from collections.abc import Collection, Mapping, Sequence

ALL, ANY = "all", "any"
"""Filters that pass every case, and every case with an anomaly."""


class Queue:
    """A person's way through the cases.

    Args:
        ids: The cases in review order.
        years: The year of age of each, None if unknown.
        kinds: The kinds of anomaly of each case that has any.

    Attributes:
        view: The ids that pass the filters, in order.
        current: The case in view; None at the end.
    """

    def __init__(
        self, ids: Sequence[str], years: Mapping[str, int | None], kinds: Mapping[str, Collection[str]]
    ):
        self.ids = list(ids)
        self.view = self.ids
        self.current: str | None = None
        self._years = years
        self._kinds = kinds
        self._history: list[str] = []

    @property
    def at(self) -> int | None:
        """The position of the current case in the view, from 0."""
        return self.view.index(self.current) if self.current in self.view else None

    @property
    def is_filtered(self) -> bool:
        """Whether the filters leave out any case."""
        return len(self.view) < len(self.ids)

    def filter(self, year: int | str | None, kind: str, left_out: Collection[str] = ()) -> None:
        """Filters by year of age and kind of anomaly (or ``ALL``, ``ANY``)."""
        self.view = [
            case_id
            for case_id in self.ids
            if year in (ALL, self._years[case_id])
            and self._is_flagged(case_id, kind)
            and case_id not in left_out
        ]

    def _is_flagged(self, case_id: str, kind: str) -> bool:
        kinds = self._kinds.get(case_id, ())
        return kind == ALL or (bool(kinds) if kind == ANY else kind in kinds)

    def go(self, case_id: str | None) -> None:
        """Moves to a case, or with None to the end, and remembers the previous one."""
        if self.current is not None and self.current != case_id:
            self._history.append(self.current)
        self.current = case_id

    def back(self) -> bool:
        """Moves to the previous case; returns whether there is one."""
        if not self._history:
            return False
        self.current = self._history.pop()
        return True

    def next(self, left_out: Collection[str] = ()) -> str | None:
        """The next case that is not in ``left_out``, wrapping round at the end."""
        at = -1 if self.at is None else self.at
        around = self.view[at + 1 :] + self.view[: max(at, 0)]
        return next((case_id for case_id in around if case_id not in left_out), None)

    def coming(self, left_out: Collection[str], most: int) -> list[str]:
        """The cases that the next clicks may show: those after, the very next one, and the one before."""
        at = -1 if self.at is None else self.at
        soon = [case_id for case_id in self.view[at + 1 :] if case_id not in left_out][:most]
        return list(dict.fromkeys([*soon, *self.view[at + 1 : at + 2], *self._history[-1:]]))

    def page(self, size: int, by: int = 0) -> list[str]:
        """The page of the view with the current case, or one ``by`` pages on; empty beyond the ends."""
        first = ((self.at or 0) // size + by) * size
        return self.view[first : first + size] if first >= 0 else []

    def kind_counts(self) -> dict[str, int]:
        """Number of cases with each kind of anomaly; ``ANY`` first."""
        found = [self._kinds.get(case_id, ()) for case_id in self.ids]
        names = sorted({kind for kinds in found for kind in kinds})
        return {ANY: sum(map(bool, found)), **{name: sum(name in kinds for kinds in found) for name in names}}
