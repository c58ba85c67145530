"""The controls of the operators that suit a photo."""

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from boneage.board.facts import Box
from boneage.board.parts import Hands, Maker
from boneage.errors import BoneAgeError
from boneage.operators import CORRECTIONS, OPERATORS

_DEFAULT_BOX = (0.0, 0.0, 0.3, 0.1)
_SIDES = {"x": "left", "y": "top", "width": "wide", "height": "high"}


@dataclass(frozen=True)
class _Dial:
    """An operator with one parameter: where it changes nothing, and what it is set to when switched on.

    ``log`` is for factors: twice and half lie equally far from one.
    """

    parameter: str
    neutral: float
    mild: float
    step: float
    form: str = ".2f"
    log: bool = False


_DIALS = {
    "rotate": _Dial("degrees", 0.0, 5.0, 0.5, ".1f"),
    "brightness": _Dial("shades", 0.0, 20.0, 1.0, ".0f"),
    # In steps of log 2, so fine that every hundredth of the log can be set again.
    "contrast": _Dial("factor", 1.0, 1.2, 0.005, log=True),
    "gamma": _Dial("power", 1.0, 0.8, 0.005, log=True),
}
_SWITCHES = ("flip", "invert")


class OperatorPanel:
    """A switch for each operator, a slider where there is something to set, and boxes to blank.

    Args:
        make: Makes the widgets.
        hands: Wires them.
        changed: Called when a person changed something.
        marked_box: The box of the suspicion in sight, if any.
        suggest: What may put the photo in sight right; None where nothing suggests it.
    """

    def __init__(
        self,
        make: Maker,
        hands: Hands,
        changed: Callable[[], None],
        marked_box: Callable[[], Box | None],
        suggest: Callable[[], list[dict[str, Any]]] | None,
    ):
        self._changed = changed
        self._suggest = suggest
        self._boxes: list[Box] = []
        self.switches = {
            name: make.switch(name, "on or off; a slider sets how much", "switch")
            for name in (*_SWITCHES, *_DIALS)
        }
        self.sliders = {name: _slider(make, name) for name in _DIALS}
        self.reset_button = make.button("Reset", "the photo as it is")
        self.suggest_button = make.button("Use suggested", "switch on what was measured")
        self.suggested = make.words("", "suggested", "dim")
        self.blank_marked = make.button("Blank the marked box", "hide what lies in the suspicion's box")
        self.add_box = make.button("+ box", "one more box to blank", "narrow")
        self.remove_box = make.button("− box", "take the chosen box away", "narrow")
        self.which_box = make(widgets.Dropdown, "which", options=[("no box", -1)])
        self.box_sliders = {
            side: make(
                widgets.FloatSlider,
                "slider",
                "box-slider",
                min=0.0,
                max=1.0,
                step=0.001,
                description=words,
                readout=False,
            )
            for side, words in _SIDES.items()
        }
        self._wire(hands, marked_box)
        self._show_boxes()
        self.widget = self._lay_out(make)

    @property
    def operators(self) -> list[dict[str, Any]]:
        """What is switched on, in the order in which it is applied."""
        chosen: list[dict[str, Any]] = [
            {"name": "blank", **dict(zip(_SIDES, box, strict=True))} for box in self._boxes
        ]
        for name in CORRECTIONS:
            if name in self.switches and self.switches[name].value:
                dial = _DIALS.get(name)
                setting = {dial.parameter: round(float(self.sliders[name].value), 2)} if dial else {}
                chosen.append({"name": name, **setting})
        return chosen

    def show(self, operators: Sequence[Mapping[str, Any]]) -> bool:
        """Sets the controls to operators; whether they can say all of it."""
        self._boxes = [
            tuple(float(one[side]) for side in _SIDES) for one in operators if one["name"] == "blank"
        ]
        by_name = {one["name"]: one for one in operators}
        for name, switch in self.switches.items():
            switch.value = name in by_name
        for name, dial in _DIALS.items():
            self.sliders[name].value = by_name[name][dial.parameter] if name in by_name else dial.neutral
        self._show_boxes()
        return self.operators == [dict(one) for one in operators]

    def suggest(self) -> None:
        """Says what suits the photo in sight."""
        if self._suggest is not None:
            names = ", ".join(one["name"] for one in self._suggest())
            self.suggested.value = f"suggested: {html.escape(names) or 'nothing'}"

    def _wire(self, hands: Hands, marked_box: Callable[[], Box | None]) -> None:
        for name, switch in self.switches.items():
            hands.value(switch, lambda on, name=name: self._switched(name, on))
        for name, slider in self.sliders.items():
            hands.value(slider, lambda value, name=name: self._slid(name, value))
        for slider in self.box_sliders.values():
            hands.value(slider, lambda _: self._box_slid())
        hands.value(self.which_box, self._show_boxes)
        hands.click(self.reset_button, lambda: self._set([]))
        hands.click(self.suggest_button, self._use_suggestion)
        hands.click(self.blank_marked, lambda: self._blank(marked_box()))
        hands.click(self.add_box, lambda: self._add_box(_DEFAULT_BOX))
        hands.click(self.remove_box, self._remove_box)

    def _lay_out(self, make: Maker) -> widgets.VBox:
        title = make.words("<b>What puts this photo right</b>")
        if self._suggest is None:
            rows = [make.row(title, self.reset_button, classes=("spread",))]
        else:
            buttons = make.row(self.suggest_button, self.reset_button, classes=("halves",))
            rows = [title, self.suggested, buttons]
        rows.append(make.row(*(self.switches[name] for name in _SWITCHES), classes=("halves",)))
        rows += [make.row(self.switches[name], self.sliders[name]) for name in _DIALS]
        rows.append(make.row(self.blank_marked, self.add_box, classes=("boxes",)))
        rows.append(make.row(self.which_box, self.remove_box, classes=("boxes",)))
        for pair in (("x", "width"), ("y", "height")):
            rows.append(make.row(*(self.box_sliders[side] for side in pair), classes=("halves",)))
        return make.column(*rows, classes=("operators",))

    def _set(self, operators: Sequence[Mapping[str, Any]]) -> None:
        self.show(operators)
        self._changed()

    def _use_suggestion(self) -> None:
        self._set([one for one in self.operators if one["name"] == "blank"] + self._suggest())

    def _switched(self, name: str, on: bool) -> None:
        if name in _DIALS:
            slider, dial = self.sliders[name], _DIALS[name]
            if not on:
                slider.value = dial.neutral
            elif math.isclose(slider.value, dial.neutral, abs_tol=1e-9):
                slider.value = dial.mild
        self._changed()

    def _slid(self, name: str, value: float) -> None:
        self.switches[name].value = not math.isclose(value, _DIALS[name].neutral, abs_tol=1e-9)
        self._changed()

    def _blank(self, marked: Box | None) -> None:
        if marked is None:
            raise BoneAgeError("no box is marked on this photo; draw one with + box and its sliders")
        self._add_box(marked)

    def _add_box(self, box: Box) -> None:
        # Outward to whole thousandths, which are the steps of the log: what was marked stays covered.
        left, top = (math.floor(start * 1000) / 1000 for start in box[:2])
        right, bottom = (min(math.ceil((box[at] + box[at + 2]) * 1000) / 1000, 1.0) for at in (0, 1))
        new = (left, top, round(right - left, 3), round(bottom - top, 3))
        if new not in self._boxes:
            self._boxes.append(new)
        self._show_boxes(self._boxes.index(new))
        self._changed()

    def _remove_box(self) -> None:
        del self._boxes[self.which_box.value]
        self._show_boxes()
        self._changed()

    def _show_boxes(self, chosen: int | None = None) -> None:
        """Lists the boxes and sets the sliders to the chosen one, by default the last."""
        count = len(self._boxes)
        chosen = count - 1 if chosen is None else chosen
        boxes = [(f"box {at + 1} of {count}", at) for at in range(count)] or [("no box", -1)]
        if list(self.which_box.options) != boxes:
            self.which_box.options = boxes
        self.which_box.value = chosen
        self.remove_box.disabled = self.which_box.disabled = not count
        box = self._boxes[chosen] if count else (0.0, 0.0, 0.0, 0.0)
        for slider, value in zip(self.box_sliders.values(), box, strict=True):
            slider.disabled = not count
            slider.value = value

    def _box_slid(self) -> None:
        if self._boxes:
            box = tuple(round(float(slider.value), 3) for slider in self.box_sliders.values())
            self._boxes[self.which_box.value] = box
            self._changed()


def _slider(make: Maker, name: str) -> widgets.Widget:
    dial = _DIALS[name]
    low, high = OPERATORS[name].ranges[dial.parameter]
    traits = {"value": dial.neutral, "step": dial.step, "readout_format": dial.form}
    if dial.log:
        return make(
            widgets.FloatLogSlider, "slider", base=2, min=math.log2(low), max=math.log2(high), **traits
        )
    return make(widgets.FloatSlider, "slider", min=low, max=high, **traits)
