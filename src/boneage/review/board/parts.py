"""Parts that the board is put together from."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import ipywidgets as widgets

W = TypeVar("W", bound=widgets.DOMWidget)

_ECHO_SECONDS = 2.0


class Maker:
    """Makes widgets that share one layout, and one style a kind: the style sheet does the rest.

    By default a widget brings two more models along, which would be more than half of what a board sends.
    """

    def __init__(self) -> None:
        self._layout = widgets.Layout()
        self._styles: dict[type, widgets.Widget] = {}

    def __call__(self, kind: type[W], *classes: str, **traits: Any) -> W:
        """A widget of a kind with classes of the style sheet and traits."""
        if kind in self._styles:
            traits.setdefault("style", self._styles[kind])
        traits.setdefault("layout", self._layout)
        made = kind(_dom_classes=[f"ba-{name}" for name in classes], **traits)
        if hasattr(made, "style"):
            self._styles.setdefault(kind, made.style)
        return made

    def button(self, words: str, tip: str, *classes: str, look: str = "") -> widgets.Button:
        """A button; ``look`` is one of ipywidgets' button styles."""
        return self(widgets.Button, *classes, description=words, tooltip=tip, button_style=look)

    def switch(self, words: str, tip: str, *classes: str, on: bool = False) -> widgets.ToggleButton:
        """A button that stays pressed."""
        return self(widgets.ToggleButton, *classes, description=words, tooltip=tip, value=on)

    def words(self, text: str, *classes: str) -> widgets.HTML:
        """Text, HTML where it has marks."""
        return self(widgets.HTML, *classes, value=text)

    def row(self, *children: widgets.Widget, classes: tuple[str, ...] = ()) -> widgets.HBox:
        """Widgets beside each other."""
        return self(widgets.HBox, "row", *classes, children=children)

    def column(self, *children: widgets.Widget, classes: tuple[str, ...] = ()) -> widgets.VBox:
        """Widgets below each other."""
        return self(widgets.VBox, *classes, children=children)

    def box(self, *children: widgets.Widget, classes: tuple[str, ...] = ()) -> widgets.Box:
        """Widgets laid out by the style sheet."""
        return self(widgets.Box, *classes, children=children)


class Hands:
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


class Tile:
    """A small picture that is marked by a click on it: a switch lies over it.

    Args:
        make: Makes the widgets.
        tip: What a click does.
        below: Widgets beside the caption.
    """

    def __init__(self, make: Maker, tip: str, *below: widgets.Widget):
        self.case_id: str | None = None
        self.image = make(widgets.Image, "image", format="jpeg")
        self.switch = make.switch("", tip, "over")
        self.caption = make.words("", "caption")
        self.widget = make(
            widgets.VBox,
            "tile",
            layout=widgets.Layout(),
            children=[
                make.box(self.image, self.switch, classes=("frame",)),
                make.row(self.caption, *below, classes=("spread",)),
            ],
        )

    def show(self, case_id: str, jpeg: bytes, caption: str) -> None:
        """Shows a case, not marked."""
        self.case_id = case_id
        self.image.value = jpeg
        self.caption.value = caption
        self.mark(False)
        self.widget.layout.visibility = "visible"

    def clear(self) -> None:
        """Leaves the place empty; it keeps its size."""
        self.case_id = None
        self.mark(False)
        self.widget.layout.visibility = "hidden"

    def mark(self, on: bool, words: str = "") -> None:
        """Sets the mark and what stands on it."""
        self.switch.value = on
        self.switch.description = words
