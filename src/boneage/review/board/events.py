"""Tells what a person does from what the board itself changes."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ipywidgets as widgets

_ECHO_SECONDS = 2.0


class Events:
    """Wires what a person does to acts; what the board changes while it acts is not a person's doing.

    Args:
        attempt: Runs an act and tells what goes wrong.
    """

    def __init__(self, attempt: Callable[[Callable[[], None]], None]):
        self._attempt = attempt
        self._busy = False

    def click(self, button: widgets.Button, act: Callable[[], None]) -> None:
        """Runs an act at each click."""
        button.on_click(lambda _: self.run(act))

    def value(self, control: widgets.Widget, act: Callable[[Any], None]) -> None:
        """Runs an act with each value that a person sets."""
        echoes = _Echoes(control)

        def changed(change: Mapping[str, Any]) -> None:
            if self._busy:
                echoes.note(change["new"])
            elif echoes.has(change["new"]):
                with self.away():
                    control.value = echoes.stands
            else:
                echoes.stands = change["new"]
                self.run(lambda: act(change["new"]))

        control.observe(changed, "value")

    def run(self, act: Callable[[], None]) -> None:
        """Runs an act unless another is under way."""
        if not self._busy:
            with self.away():
                self._attempt(act)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """What changes in here is not a person's doing."""
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before


class _Echoes:
    """What a slider on the page says back of what the board set it to.

    That of ipywidgets 8 rounds to its steps and tells so, perhaps when the next image is in sight already:
    taken for a person's doing, it would turn that one too.

    Attributes:
        stands: The value that the slider ought to have.
    """

    def __init__(self, control: widgets.Widget):
        self.stands = getattr(control, "value", None)
        self._step = getattr(control, "step", None)
        self._base = getattr(control, "base", None)
        self._set: list[tuple[float, float]] = []

    def note(self, value: Any) -> None:
        """Remembers what the board sets."""
        self.stands = value
        if self._step is not None:
            self._set = [*self._recent(), (time.monotonic(), value)]

    def has(self, value: Any) -> bool:
        """Whether a value is, but for rounding, one that the board has just set."""
        return any(abs(value - was) <= self._rounding(was) for _, was in self._recent())

    def _recent(self) -> list[tuple[float, float]]:
        return [(at, value) for at, value in self._set if time.monotonic() - at < _ECHO_SECONDS]

    def _rounding(self, value: float) -> float:
        # The steps of a logarithmic slider are those of its exponent.
        step = self._step if self._base is None else abs(value) * (self._base**self._step - 1)
        return 0.51 * step
