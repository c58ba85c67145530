"""The choice of augmentations: how copies of an image may differ, in training only."""

from collections.abc import Callable, Sequence

from boneage.review.board.events import Events
from boneage.review.board.maker import Maker

_TIPS = {
    "flip": "mirrored",
    "tilt": "turned by up to 5 degrees",
    "rotate": "turned by up to 15 degrees",
    "brighten": "brighter",
    "darken": "darker",
    "contrast": "with more or less contrast",
    "contrast up": "with more contrast",
    "gamma lighter": "with lighter dark parts",
    "gamma darker": "with darker dark parts",
    "clahe": "with more local contrast",
    "sharpen": "sharper",
    "tint": "as through a warm or cool filter",
    "invert": "inverted",
}
# Names that stand for two others; a log that has them is shown with those two.
_BOTH = {"brightness": ("brighten", "darken"), "gamma": ("gamma lighter", "gamma darker")}


class AugmentationsPanel:
    """A switch for each augmentation. Until a person chooses, the suggested ones are on."""

    def __init__(self, make: Maker, events: Events, changed: Callable[[], None]):
        self._changed = changed
        self._is_chosen = False
        self.switches = {
            name: make.switch(name, f"copies may be {tip}", "chip") for name, tip in _TIPS.items()
        }
        self.title = make.words("", "title")
        self.none_button = make.button("None", "no copies of this image", "small")
        for switch in self.switches.values():
            events.value(switch, lambda _: self._choose())
        events.click(self.none_button, self._choose_none)
        self.widget = make.column(
            make.row(self.title, self.none_button, classes=("spread",)),
            make.box(*self.switches.values(), classes=("chips",)),
            classes=("panel",),
        )
        self.show(None, [])

    @property
    def augmentations(self) -> list[str] | None:
        """What a person chose, an empty list for no copies; None if nobody chose."""
        return self.names if self._is_chosen else None

    @property
    def names(self) -> list[str]:
        """What copies are drawn from now, chosen or suggested."""
        return [name for name, switch in self.switches.items() if switch.value]

    def show(self, chosen: Sequence[str] | None, suggested: Sequence[str]) -> None:
        """Shows the choice, or for None the suggestion."""
        self._is_chosen = chosen is not None
        names = [
            one for name in (suggested if chosen is None else chosen) for one in _BOTH.get(name, (name,))
        ]
        for name, switch in self.switches.items():
            switch.value = name in names
        self._show_title()

    def _choose(self) -> None:
        self._is_chosen = True
        self._show_title()
        self._changed()

    def _choose_none(self) -> None:
        self.show([], ())
        self._changed()

    def _show_title(self) -> None:
        state = (
            "chosen" if self._is_chosen and self.names else "no copies" if self._is_chosen else "as suggested"
        )
        self.title.value = (
            '<b>Augmentations</b> <span class="ba-dim">of copies, training only · </span>'
            f'<span class="ba-state">{state}</span>'
        )
