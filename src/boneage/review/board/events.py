"""Tells a person's changes from the board's own."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ipywidgets as widgets

_ECHO_SECONDS = 2.0


class Events:
    """Connects widgets to actions, and ignores changes that the board itself makes.

    Args:
        attempt: Runs an action and reports errors.
    """

    def __init__(self, attempt: Callable[[Callable[[], None]], None]):
        self._attempt = attempt
        self._busy = False

    def click(self, button: widgets.Button, act: Callable[[], None]) -> None:
        """Runs an action at each click."""
        button.on_click(lambda _: self.run(act))

    def value(self, control: widgets.Widget, act: Callable[[Any], None]) -> None:
        """Runs an action with each value that a person sets."""
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
        """Runs an action unless another is running."""
        if not self._busy:
            with self.away():
                self._attempt(act)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Changes made inside are the board's own."""
        before, self._busy = self._busy, True
        try:
            yield
        finally:
            self._busy = before


class _Echoes:
    """Recognises a slider's echo of a value that the board has set.

    The slider of ipywidgets 8 rounds to its steps and reports that, perhaps when the next image is already
    in view: taken for a person's change, it would alter that image too.

    Attributes:
        stands: The value that the slider should have.
    """

    def __init__(self, control: widgets.Widget):
        self.stands = getattr(control, "value", None)
        self._step = getattr(control, "step", None)
        self._base = getattr(control, "base", None)
        self._set: list[tuple[float, float]] = []

    def note(self, value: Any) -> None:
        """Remembers a value set by the board."""
        self.stands = value
        if self._step is not None:
            self._set = [*self._recent(), (time.monotonic(), value)]

    def has(self, value: Any) -> bool:
        """Whether the board has just set this value, apart from rounding."""
        return any(abs(value - was) <= self._rounding(was) for _, was in self._recent())

    def _recent(self) -> list[tuple[float, float]]:
        return [(at, value) for at, value in self._set if time.monotonic() - at < _ECHO_SECONDS]

    def _rounding(self, value: float) -> float:
        # A logarithmic slider steps its exponent.
        step = self._step if self._base is None else abs(value) * (self._base**self._step - 1)
        return 0.51 * step
