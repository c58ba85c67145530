"""Parts that the board is put together from."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import ipywidgets as widgets

W = TypeVar("W", bound=widgets.DOMWidget)


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
        control.observe(lambda change: self.run(lambda: act(change["new"])), "value")

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
