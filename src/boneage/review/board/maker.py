"""Makes the widgets of the board, and its tiles."""

from typing import Any, TypeVar

import ipywidgets as widgets

W = TypeVar("W", bound=widgets.DOMWidget)


class Maker:
    """Makes widgets that share one layout, and one style a kind; the style sheet does the rest.

    By default every widget brings two more models, which would be over half of what a board sends.
    """

    def __init__(self) -> None:
        self._layout = widgets.Layout()
        self._styles: dict[type, widgets.Widget] = {}

    def __call__(self, kind: type[W], *classes: str, **traits: Any) -> W:
        """A widget of a kind, with classes of the style sheet and traits."""
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
        """A toggle button."""
        return self(widgets.ToggleButton, *classes, description=words, tooltip=tip, value=on)

    def slider(self, *classes: str, **traits: Any) -> widgets.FloatSlider:
        return self(widgets.FloatSlider, "slider", *classes, **traits)

    def jpeg(self) -> widgets.Image:
        return self(widgets.Image, "image", format="jpeg")

    def note(self) -> widgets.Text:
        """A field for a note.

        It hands its text over when it is left: with a message for each letter a slow kernel hears of a
        decision before the end of its note.
        """
        text = "note (needed for “other”)"
        return self(widgets.Text, "note", placeholder=text, continuous_update=False)

    def words(self, text: str, *classes: str) -> widgets.HTML:
        """Text, as HTML."""
        return self(widgets.HTML, *classes, value=text)

    def row(self, *children: widgets.Widget, classes: tuple[str, ...] = ()) -> widgets.HBox:
        """Widgets side by side."""
        return self(widgets.HBox, "row", *classes, children=children)

    def column(self, *children: widgets.Widget, classes: tuple[str, ...] = ()) -> widgets.VBox:
        """Widgets below each other."""
        return self(widgets.VBox, *classes, children=children)

    def box(self, *children: widgets.Widget, classes: tuple[str, ...] = ()) -> widgets.Box:
        """Widgets laid out by the style sheet."""
        return self(widgets.Box, *classes, children=children)


class Tile:
    """A small image that a click marks: a switch lies over it, and a caption below.

    ``tip`` is the tooltip; ``below`` are widgets beside the caption.
    """

    def __init__(self, make: Maker, tip: str, *below: widgets.Widget):
        self.case_id: str | None = None
        self.image = make.jpeg()
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
        """Clears the tile, keeping its size."""
        self.case_id = None
        self.mark(False)
        self.widget.layout.visibility = "hidden"

    def mark(self, on: bool, words: str = "") -> None:
        """Sets the mark and its label."""
        self.switch.value = on
        self.switch.description = words
