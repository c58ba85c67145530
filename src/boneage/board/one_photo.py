"""One photo large, what it becomes beside it, what is known and suspected of it, and others like it."""

import html
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np

from boneage.board.facts import Box, Case, Suspicion, alike, words_of_bone_age, words_of_decision
from boneage.board.operator_panel import OperatorPanel
from boneage.board.parts import Hands, Maker, Tile
from boneage.board.pictures import Photos, empty_picture, render_view, window_of
from boneage.errors import BoneAgeError
from boneage.operators import apply_operators
from boneage.review import Decision

NEIGHBOURS = 8

CAN_BE_HIDDEN = ("burnt-in text", "ring", "bracelet", "metal")
"""Kinds of suspicion whose box holds a thing; that of the others is the hand, and blanked nothing is left."""

LARGEST_ZOOM = 8.0
"""Of a photo of 928 pixels it shows 116: every pixel is seen, more would only be blur."""

_ZOOM_OF_A_CLICK = 3.0
_CELLS = 7  # A click on the photo falls into one of 7 x 7 places; the middle one is the photo's middle.


class OnePhoto:
    """The view of one case.

    Args:
        make: Makes the widgets.
        hands: Wires them.
        cases: Every case by id.
        suspicions: Of the cases that have any.
        photos: Where photos come from.
        suggest: Gives what may put a case's photo right.

    Attributes:
        picture, preview: The photo, and what it becomes.
        cells: Buttons over the photo, row by row; a click enlarges there.
        operators: The operators' panel.
        neighbours: Tiles of cases of the same sex and year.
    """

    def __init__(
        self,
        make: Maker,
        hands: Hands,
        cases: Mapping[str, Case],
        suspicions: Mapping[str, list[Suspicion]],
        photos: Photos,
        suggest: Callable[[str, np.ndarray], list[dict[str, Any]]] | None,
    ):
        self._cases, self._suspicions, self._photos, self._suggest = cases, suspicions, photos, suggest
        self._case_id: str | None = None
        self._photo: np.ndarray | None = None
        self._compared: str | None = None
        self._zoom, self._centre = 1.0, (0.5, 0.5)
        self.picture = make(widgets.Image, "image", format="jpeg")
        self.preview = make(widgets.Image, "image", format="jpeg")
        self.preview_title = make.words("", "title")
        self.facts = make.words("", "facts")
        self.suspicion_list = make(widgets.Select, "suspicions", options=[], rows=3)
        self.why = make.words("", "why")
        self.cells = [make.button("", "enlarge here", "cell") for _ in range(_CELLS * _CELLS)]
        self.zoom = make(
            widgets.FloatSlider, "slider", min=1.0, max=LARGEST_ZOOM, step=0.25, readout_format=".1f"
        )
        self.zoom_out = make.button("−", "smaller", "narrow")
        self.zoom_in = make.button("+", "larger", "narrow")
        self.whole_button = make.button("Whole", "see all of the photo again")
        self.show_box = make.switch("Box", "draw the suspicion's box", on=True)
        self.operators = OperatorPanel(
            make,
            hands,
            self._operators_changed,
            self._box_to_blank,
            None
            if suggest is None
            else lambda: [] if self._photo is None else suggest(self._case_id, self._photo),
        )
        self.neighbours = [
            Tile(make, "see this one beside the photo; click again to leave it") for _ in range(NEIGHBOURS)
        ]
        self.neighbours_title = make.words("", "title")
        self._wire(hands)
        self.widget = self._lay_out(make)

    @property
    def is_seen(self) -> bool:
        """Whether the photo could be read."""
        return self._photo is not None

    def show(
        self,
        case_id: str,
        decision: Decision | None,
        operators: Sequence[Mapping[str, Any]],
        rejected: Collection[str],
    ) -> str:
        """Shows a case, its pictures first.

        Args:
            case_id: The case.
            decision: The one that stands, if any.
            operators: What the controls are set to.
            rejected: Cases that are not to be compared with.

        Returns:
            What went wrong, in words; empty if nothing.
        """
        self._case_id, self._compared = case_id, None
        self._zoom, self._centre = 1.0, (0.5, 0.5)
        self.zoom.value = 1.0
        fault = "" if self.operators.show(operators) else "the controls cannot show all of its operators"
        try:
            self._photo = self._photos.photo(case_id)
        except BoneAgeError as error:
            self._photo, fault = None, f"{error}; skip it, or reject it"
        self._show_suspicions()
        self._show_picture()
        self._show_preview()
        self._show_facts(decision)
        self._show_neighbours(rejected)
        self.operators.suggest()
        return fault and f"case {case_id}: {fault}"

    def neighbours_of(self, case_id: str, rejected: Collection[str]) -> list[str]:
        """The cases that are shown for comparison with a case."""
        return alike(case_id, self._cases, rejected, NEIGHBOURS)

    def _suggested(self) -> list[dict[str, Any]]:
        return [] if self._photo is None else self._suggest(self._case_id, self._photo)

    def _wire(self, hands: Hands) -> None:
        hands.value(self.suspicion_list, lambda _: self._suspicion_picked())
        hands.value(self.zoom, self._zoom_to)
        hands.value(self.show_box, lambda _: self._show_picture())
        hands.click(self.zoom_out, lambda: self._zoom_to(self._zoom - 1))
        hands.click(self.zoom_in, lambda: self._zoom_to(self._zoom + 1))
        hands.click(self.whole_button, lambda: self._zoom_to(1.0))
        for at, cell in enumerate(self.cells):
            hands.click(cell, lambda at=at: self._enlarge(at))
        for tile in self.neighbours:
            hands.value(tile.switch, lambda on, tile=tile: self._compare(tile, on))

    def _lay_out(self, make: Maker) -> widgets.VBox:
        left = make.column(
            make.box(self.picture, make.box(*self.cells, classes=("cells",)), classes=("frame",)),
            make.row(self.zoom_out, self.zoom, self.zoom_in, self.whole_button, self.show_box),
        )
        middle = make.column(
            self.facts,
            self.suspicion_list,
            self.why,
            self.preview_title,
            make.box(self.preview, classes=("frame",)),
        )
        return make.column(
            make.row(left, middle, self.operators.widget, classes=("columns",)),
            self.neighbours_title,
            make.box(*(tile.widget for tile in self.neighbours), classes=("strip",)),
            classes=("view",),
        )

    def _show_suspicions(self) -> None:
        found = self._suspicions.get(self._case_id, [])
        self.suspicion_list.options = [(f"{one.kind} · {one.score:.2f}", at) for at, one in enumerate(found)]
        self.suspicion_list.index = 0 if found else None
        self._show_why()

    def _picked(self) -> Suspicion | None:
        at = self.suspicion_list.index
        return None if at is None else self._suspicions[self._case_id][at]

    def _marked_box(self) -> Box | None:
        picked = self._picked()
        return None if picked is None else picked.box

    def _box_to_blank(self) -> Box | None:
        picked = self._picked()
        if picked is not None and picked.box is not None and picked.kind not in CAN_BE_HIDDEN:
            raise BoneAgeError(
                f"{picked.kind}: its box holds the hand itself, which a network must see; "
                "draw a smaller one with + box"
            )
        return self._marked_box()

    def _show_why(self) -> None:
        picked = self._picked()
        self.why.value = "Nothing suspicious was found." if picked is None else html.escape(picked.why)

    def _suspicion_picked(self) -> None:
        self._show_why()
        self._show_picture()

    def _show_picture(self) -> None:
        if self._photo is None:
            self.picture.value = empty_picture()
        else:
            box = self._marked_box() if self.show_box.value else None
            self.picture.value = render_view(self._photo, self._zoom, self._centre, box)

    def _show_preview(self) -> None:
        """What the photo becomes, or the neighbour that a person wants beside it."""
        if self._compared is not None:
            case = self._cases[self._compared]
            self.preview_title.value = (
                f"For comparison: case {html.escape(case.case_id)}, {words_of_bone_age(case, short=True)}"
            )
            self.preview.value = render_view(self._photos.photo(case.case_id))
            return
        chosen = self.operators.operators
        self.preview_title.value = f"After the operators ({len(chosen) or 'none'} on)"
        if self._photo is None:
            self.preview.value = empty_picture()
        else:
            self.preview.value = render_view(apply_operators(self._photo, chosen), self._zoom, self._centre)

    def _operators_changed(self) -> None:
        self._compare_none()
        self._show_preview()

    def _show_facts(self, decision: Decision | None) -> None:
        words, look = words_of_decision(decision)
        lines = [html.escape(line) for line in self._cases[self._case_id].about]
        self.facts.value = (
            f'<div class="ba-id">Case {html.escape(self._case_id)}'
            f'<span class="ba-chip ba-{look}">{html.escape(words)}</span></div>'
            + "".join(f'<div class="ba-clip" title="{line}">{line}</div>' for line in lines)
        )

    def _show_neighbours(self, rejected: Collection[str]) -> None:
        found = self.neighbours_of(self._case_id, rejected)
        who = html.escape(self._cases[self._case_id].who)
        self.neighbours_title.value = (
            f"Others like this one ({who}), least mature first; click one to compare"
            if found
            else f"No other case like this one ({who}) to compare with"
        )
        for tile, case_id in zip(self.neighbours, found, strict=False):
            caption = words_of_bone_age(self._cases[case_id], short=True)
            tile.show(case_id, self._photos.tile(case_id) or empty_picture(), caption)
        for tile in self.neighbours[len(found) :]:
            tile.clear()

    def _compare(self, tile: Tile, on: bool) -> None:
        self._compare_none()
        if on:
            self._compared = tile.case_id
            tile.mark(True)
        self._show_preview()

    def _compare_none(self) -> None:
        self._compared = None
        for tile in self.neighbours:
            tile.mark(False)

    def _zoom_to(self, zoom: float, centre: tuple[float, float] | None = None) -> None:
        self._zoom = min(max(zoom, 1.0), LARGEST_ZOOM)
        left, top, side = window_of(self._zoom, centre or self._centre)
        self._centre = (left + side / 2, top + side / 2)
        self.zoom.value = self._zoom
        self._show_picture()
        self._show_preview()

    def _enlarge(self, at: int) -> None:
        """Enlarges where the photo was clicked; where it is enlarged already, moves there."""
        left, top, side = window_of(self._zoom, self._centre)
        down, across = divmod(at, _CELLS)
        centre = (left + (across + 0.5) / _CELLS * side, top + (down + 0.5) / _CELLS * side)
        self._zoom_to(_ZOOM_OF_A_CLICK if self._zoom == 1 else self._zoom, centre)
