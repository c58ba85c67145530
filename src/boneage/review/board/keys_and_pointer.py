"""Keys and the pointer, which core widgets cannot handle: a small script, if anywidget is installed.

Without it the board works with its buttons and sliders alone.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

_SCRIPT = Path(__file__).with_suffix(".js")


class KeysAndPointer:
    """Messages to and from the script on the page.

    From it: ``{"key": name, "seen": ...}``, ``{"box": [x, y, width, height], "seen": ...}`` in shares of the
    image, ``{"view": [left, top, side]}`` likewise, and ``{"tone": [level, window]}`` in grey levels. After a
    view or a tone it waits for the answer before it sends another. ``seen`` is what was in view when the key
    was pressed: the decision applies to that and nothing else.

    Args:
        act: Called with each message.

    Attributes:
        widget: The widget to add to the board; None without anywidget.
        seen: What is in view.
    """

    def __init__(self, act: Callable[[Mapping[str, Any]], None]):
        self._act = act
        self.seen = ""
        self.widget = _make_widget()
        if self.widget is not None:
            self.widget.on_msg(lambda _widget, content, _buffers: self.hear(content))

    def hear(self, message: Mapping[str, Any]) -> None:
        """Handles a message from the script."""
        self._act(message)
        if self.widget is not None and ("view" in message or "tone" in message):
            self.widget.answered += 1

    def tell(self, **state: Any) -> None:
        """Tells the script what is in view (``seen``, ``view``, ``tone``), or that a box is drawn next."""
        self.seen = state.get("seen", self.seen)
        if self.widget is not None:
            for name, value in state.items():
                setattr(self.widget, name, value)


def _make_widget() -> widgets.DOMWidget | None:
    try:
        import traitlets
        from anywidget import AnyWidget
    except Exception:
        # Missing, or broken by another package's version: the board works without it.
        return None

    class Script(AnyWidget):
        _esm = _SCRIPT.read_text(encoding="utf-8")
        seen = traitlets.Unicode().tag(sync=True)
        view = traitlets.List([0.0, 0.0, 1.0]).tag(sync=True)
        tone = traitlets.List([127.5, 255.0]).tag(sync=True)
        drawing = traitlets.Bool(False).tag(sync=True)
        answered = traitlets.Int().tag(sync=True)

    script = Script()
    script.add_class("ba-script")
    return script
