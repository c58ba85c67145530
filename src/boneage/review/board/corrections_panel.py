"""The controls for corrections, which apply to an image in every split."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from boneage.core.errors import BoneAgeError
from boneage.images.augmentations import NEUTRAL
from boneage.images.operators import CORRECTIONS, OPERATORS
from boneage.review.board.events import Events
from boneage.review.board.facts import Box
from boneage.review.board.maker import Maker

_DEFAULT_BOX = (0.0, 0.0, 0.3, 0.1)
_SIDES = {"x": "left", "y": "top", "width": "width", "height": "height"}


# Each slider's value when its operator is switched on, its step and format.
_DIALS = {
    "rotate": (5.0, 0.1, ".1f"),
    "brightness": (20.0, 1.0, ".0f"),
    # Steps of log 2, fine enough to set every hundredth that a log may hold.
    "contrast": (1.2, 0.005, ".2f"),
    "gamma": (0.8, 0.005, ".2f"),
}
_SWITCHES = {"flip": "mirror a right hand", "invert": "invert an image with dark bones"}
_QUARTER = 90.0


class CorrectionsPanel:
    """A switch for each correction, a slider for each value, and boxes to blank.

    Args:
        make: Makes the widgets.
        events: Connects them.
        changed: Called when a person changed something.
        marked_box: Returns the box of the anomaly in view.
        can_draw: Whether a box can be drawn with the mouse.
        draws: Called with whether the next drag draws a box.
    """

    def __init__(
        self,
        make: Maker,
        events: Events,
        changed: Callable[[], None],
        marked_box: Callable[[], Box | None],
        can_draw: bool,
        draws: Callable[[bool], None],
    ):
        self._changed = changed
        self._boxes: list[Box] = []
        self.switches = {
            name: make.switch(
                name, f"{_SWITCHES.get(name, 'set how much with the slider')}; click again to undo", "switch"
            )
            for name in (*_SWITCHES, *_DIALS)
        }
        self.sliders = {name: _slider(make, name) for name in _DIALS}
        self.turn_left = make.button("↺ 90°", "rotate by 90° anticlockwise", "small")
        self.turn_right = make.button("↻ 90°", "rotate by 90° clockwise", "small")
        self.reset_button = make.button("None", "remove all corrections", "small")
        self.draw_button = make.switch("Draw a box", "then drag over the part to blank", "small")
        self.blank_marked = make.button(
            "Blank the marked box", "blank the box of the anomaly in view", "small"
        )
        self.add_box = make.button("+ box", "add a box to blank, set by the sliders", "small")
        self.remove_box = make.button("✕", "remove the chosen box", "small")
        self.which_box = make(widgets.Dropdown, "which", options=[("no box", -1)])
        self.box_sliders = {
            side: make.slider("box-slider", min=0.0, max=1.0, step=0.001, description=words, readout=False)
            for side, words in _SIDES.items()
        }
        self._can_draw = can_draw
        self._wire(events, marked_box, draws)
        self._show_boxes()
        self.widget = self._lay_out(make)

    @property
    def boxes(self) -> list[Box]:
        """The boxes to blank, as shares of the image."""
        return list(self._boxes)

    @property
    def corrections(self) -> list[dict[str, Any]]:
        """The corrections switched on, in the order applied."""
        chosen: list[dict[str, Any]] = [
            {"name": "blank", **dict(zip(_SIDES, box, strict=True))} for box in self._boxes
        ]
        for name in CORRECTIONS:
            if name in self.switches and self.switches[name].value:
                chosen.append({"name": name})
                if name in _DIALS:
                    chosen[-1][NEUTRAL[name][0]] = round(float(self.sliders[name].value), 2)
        return chosen

    def show(self, corrections: Sequence[Mapping[str, Any]]) -> bool:
        """Sets the controls to corrections; returns whether they can show all of them."""
        self._boxes = [
            tuple(float(one[side]) for side in _SIDES) for one in corrections if one["name"] == "blank"
        ]
        by_name = {one["name"]: one for one in corrections}
        for name, switch in self.switches.items():
            switch.value = name in by_name
        for name, slider in self.sliders.items():
            parameter, neutral = NEUTRAL[name]
            slider.value = by_name[name][parameter] if name in by_name else neutral
        self.draw_button.value = False
        self._show_boxes()
        return self.corrections == [dict(one) for one in corrections]

    def use(self, suggested: Sequence[Mapping[str, Any]]) -> None:
        """Sets the controls to a suggestion; existing boxes stay."""
        boxes = [one for one in self.corrections if one["name"] == "blank"]
        self.show(boxes + [one for one in suggested if one not in boxes])

    def blank(self, box: Box) -> None:
        """Adds a box to blank, in shares of the image."""
        # Rounded outwards to thousandths, the precision of the log, so that the marked part stays covered.
        # Rounding can take a sum slightly above one.
        left, top = (math.floor(round(start * 1000, 6)) / 1000 for start in box[:2])
        ends = (round((box[at] + box[at + 2]) * 1000, 6) for at in (0, 1))
        right, bottom = (min(math.ceil(end) / 1000, 1.0) for end in ends)
        new = (left, top, round(right - left, 3), round(bottom - top, 3))
        if new not in self._boxes:
            self._boxes.append(new)
        self._show_boxes(self._boxes.index(new))
        self._changed()

    def _wire(
        self, events: Events, marked_box: Callable[[], Box | None], draws: Callable[[bool], None]
    ) -> None:
        for name, switch in self.switches.items():
            events.value(switch, lambda on, name=name: self._switched(name, on))
        for name, slider in self.sliders.items():
            events.value(slider, lambda value, name=name: self._slid(name, value))
        for slider in self.box_sliders.values():
            events.value(slider, lambda _: self._box_slid())
        events.value(self.which_box, self._show_boxes)
        # Also when the board resets it for the next image.
        self.draw_button.observe(lambda change: draws(change["new"]), "value")
        events.click(self.turn_left, lambda: self._turn(_QUARTER))
        events.click(self.turn_right, lambda: self._turn(-_QUARTER))
        events.click(self.reset_button, self._reset)
        events.click(self.blank_marked, lambda: self._blank_marked(marked_box()))
        events.click(self.add_box, lambda: self.blank(_DEFAULT_BOX))
        events.click(self.remove_box, self._remove_box)

    def _lay_out(self, make: Maker) -> widgets.VBox:
        title = make.words('<b>Corrections</b> <span class="ba-dim">of this image, in every split</span>')
        switches = [self.switches[name] for name in _SWITCHES]
        dials = [make.row(self.switches[name], self.sliders[name]) for name in _DIALS]
        ways = [self.draw_button] * self._can_draw
        return make.column(
            make.row(title, self.reset_button, classes=("spread",)),
            make.row(*switches, self.turn_left, self.turn_right, classes=("even",)),
            make.box(*dials, classes=("dials",)),
            make.row(
                *ways, self.blank_marked, self.add_box, self.which_box, self.remove_box, classes=("boxes",)
            ),
            make.row(*self.box_sliders.values(), classes=("even",)),
            classes=("panel",),
        )

    def _reset(self) -> None:
        self.show([])
        self._changed()

    def _turn(self, degrees: float) -> None:
        """Rotates on from the current angle, the shorter way round."""
        slider = self.sliders["rotate"]
        slider.value = round((slider.value + degrees + 180) % 360 - 180, 2)
        self.switches["rotate"].value = slider.value != 0
        self._changed()

    def _switched(self, name: str, on: bool) -> None:
        if name in _DIALS:
            slider, neutral = self.sliders[name], NEUTRAL[name][1]
            if not on:
                slider.value = neutral
            elif math.isclose(slider.value, neutral, abs_tol=1e-9):
                slider.value = _DIALS[name][0]
        self._changed()

    def _slid(self, name: str, value: float) -> None:
        self.switches[name].value = not math.isclose(value, NEUTRAL[name][1], abs_tol=1e-9)
        self._changed()

    def _blank_marked(self, marked: Box | None) -> None:
        if marked is None:
            how = "draw one with the mouse" if self._can_draw else "add one with + box and its sliders"
            raise BoneAgeError(f"this image has no marked box; {how}")
        self.blank(marked)

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
    parameter, neutral = NEUTRAL[name]
    low, high = OPERATORS[name].ranges[parameter]
    _, step, form = _DIALS[name]
    traits = {"value": neutral, "step": step, "readout_format": form}
    # Of a factor, double and half are equally far from one.
    if neutral == 1.0:
        return make(
            widgets.FloatLogSlider, "slider", base=2, min=math.log2(low), max=math.log2(high), **traits
        )
    return make.slider(min=low, max=high, **traits)
