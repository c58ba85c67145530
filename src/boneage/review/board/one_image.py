"""One image large, its preview with corrections, its anomalies, and similar cases."""

import html
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import cv2
import ipywidgets as widgets
import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.images.augmentations import draw_example
from boneage.images.operators import apply_operators, format_corrections, in_words, parse_corrections
from boneage.review.board.augmentations_panel import AugmentationsPanel
from boneage.review.board.corrections_panel import CorrectionsPanel
from boneage.review.board.events import Events
from boneage.review.board.facts import Anomaly, Box, Case, alike, words_of_bone_age, words_of_decision
from boneage.review.board.keys_and_pointer import KeysAndPointer
from boneage.review.board.maker import Maker, Tile
from boneage.review.board.pictures import (
    AMBER,
    BLUE,
    GREY,
    PLAIN_TONE,
    TILE_PIXELS,
    Images,
    empty_picture,
    render_view,
    window_of,
)
from boneage.review.decisions import Decision

NEIGHBOURS = 8

CAN_BE_HIDDEN = ("burnt-in text", "ring", "bracelet", "metal")
"""Kinds of anomaly whose box holds an object; the others' box holds the hand, which must not be blanked."""

LARGEST_ZOOM = 8.0
"""Shows 116 of 928 pixels; more would only blur."""

_ZOOM_OF_A_CLICK = 3.0
_CELLS = 7  # The image has 7 x 7 places to click, so that one is in the middle.
_SUGGESTIONS_KEPT = 256
_NARROWEST_WINDOW, _WIDEST_WINDOW = 8.0, 512.0


@dataclass(frozen=True)
class Suggest:
    """Suggests corrections for a case and its image, and augmentations for a corrected image."""

    corrections: Callable[[str, np.ndarray], list[dict[str, Any]]]
    augmentations: Callable[[np.ndarray], list[str]]


@dataclass(frozen=True)
class Choice:
    """The state of the controls: corrections, and augmentations or None if nobody chose any."""

    corrections: Sequence[Mapping[str, Any]] = ()
    augmentations: Sequence[str] | None = None


class OneImage:
    """The view of one case.

    Attributes:
        picture, preview, copy: The image, its preview with corrections, and an example of its copies.
        cells: Buttons over the image, row by row; a click zooms in there.
        corrections, augmentations: The two panels.
        neighbours: Tiles of cases of the same sex and year of age.
    """

    def __init__(
        self,
        make: Maker,
        events: Events,
        cases: Mapping[str, Case],
        anomalies: Mapping[str, list[Anomaly]],
        images: Images,
        script: KeysAndPointer,
        suggest: Suggest | None,
    ):
        self._cases, self._anomalies, self._images = cases, anomalies, images
        self._script, self._suggest = script, suggest
        self._case_id: str | None = None
        self._image: np.ndarray | None = None
        self._corrected: np.ndarray | None = None
        self._compared: str | None = None
        self._suggested: list[dict[str, Any]] = []
        # Cached and prepared ahead: finding letters takes as long as showing an image.
        self._corrections_for = lru_cache(_SUGGESTIONS_KEPT)(self._find_corrections)
        self._names_for = lru_cache(_SUGGESTIONS_KEPT)(self._find_names)
        self._zoom, self._centre, self._tone = 1.0, (0.5, 0.5), PLAIN_TONE
        self._example = 0
        self.picture, self.preview, self.copy = (make.jpeg() for _ in range(3))
        self.preview_title = make.words("", "title")
        self.copy_button = make.button("", "an example copy; click to draw another", "over")
        self.copy_title = make.words("", "caption")
        self.facts = make.words("", "facts")
        self.anomaly_list = make(widgets.Select, "anomalies", options=[], rows=3)
        self.why = make.words("", "why")
        self.cells = [make.button("", "zoom in here", "cell") for _ in range(_CELLS * _CELLS)]
        self.zoom = make.slider(min=1.0, max=LARGEST_ZOOM, step=0.25, readout_format=".1f")
        self.zoom_out = make.button("−", "smaller", "narrow")
        self.zoom_in = make.button("+", "larger", "narrow")
        self.whole_button = make.button("Whole", "show the whole image again")
        self.show_box = make.switch("Boxes", "draw the boxes on the image", on=True)
        self.level, self.window = (
            make.slider("named", min=low, max=high, step=0.5, readout_format=".0f", description=words)
            for words, low, high in (("Level", 0.0, 255.0), ("Window", _NARROWEST_WINDOW, _WIDEST_WINDOW))
        )
        self.tone_button = make.button(
            "As is", "show unchanged grey levels; level and window change the view only"
        )
        self.suggest_button = make.button(
            "Use suggested", "set both lists to the suggestions for this image", "small"
        )
        self.suggested = make.words("", "suggested", "dim")
        can_draw = script.widget is not None
        self.corrections = CorrectionsPanel(
            make,
            events,
            self._corrections_changed,
            self._box_to_blank,
            can_draw,
            lambda on: script.tell(drawing=on),
        )
        self.augmentations = AugmentationsPanel(make, events, self._show_copy)
        self.neighbours = [
            Tile(make, "compare with this case; click again to stop") for _ in range(NEIGHBOURS)
        ]
        self.neighbours_title = make.words("", "title")
        self._wire(events)

    @property
    def is_seen(self) -> bool:
        """Whether the image could be read."""
        return self._image is not None

    @property
    def choice(self) -> Choice:
        """The state of the controls."""
        names = self.augmentations.augmentations
        return Choice(tuple(self.corrections.corrections), None if names is None else tuple(names))

    def show(self, case_id: str, decision: Decision | None, choice: Choice, rejected: Collection[str]) -> str:
        """Shows a case with its decision in force; returns what went wrong, in words.

        Rejected cases are not offered for comparison.
        """
        self._case_id, self._compared, self._example = case_id, None, 0
        self._zoom, self._centre, self._tone = 1.0, (0.5, 0.5), PLAIN_TONE
        fault = (
            "" if self.corrections.show(choice.corrections) else "the controls cannot show all corrections"
        )
        try:
            self._image = self._images.image(case_id)
        except BoneAgeError as error:
            self._image, fault = None, f"{error}; skip it, or reject it"
        self._show_anomalies()
        self._look()
        self._show_facts(decision)
        self._show_neighbours(rejected)
        self._show_suggested()
        self._show_augmentations(choice.augmentations)
        return fault and f"case {case_id}: {fault}"

    def read_ahead(self, coming: Mapping[str, str], rejected: Collection[str]) -> None:
        """Prepares what the coming cases will show, given their corrections as JSON, the next first."""
        others = [other for case_id in coming for other in self.neighbours_of(case_id, rejected)]
        finds = [
            find
            for case_id, corrections in coming.items()
            for find in (
                partial(self._corrections_for, case_id),
                partial(self._names_for, case_id, corrections),
            )
        ]
        self._images.read_ahead(list(coming), [(other, None) for other in dict.fromkeys(others)], finds)

    def neighbours_of(self, case_id: str, rejected: Collection[str]) -> list[str]:
        """The cases shown for comparison with a case."""
        return alike(case_id, self._cases, rejected, NEIGHBOURS)

    def look_at(self, left: float, top: float, side: float) -> None:
        """Shows a part of the image, in shares of it."""
        self._zoom_to(1 / max(side, 1 / LARGEST_ZOOM), (left + side / 2, top + side / 2))

    def set_tone(self, level: float, window: float) -> None:
        """Shows the image with a level and a window, which change the view only."""
        level = min(max(level, self.level.min), self.level.max)
        self._tone = (level, min(max(window, _NARROWEST_WINDOW), _WIDEST_WINDOW))
        self._look()

    def _wire(self, events: Events) -> None:
        events.value(self.anomaly_list, lambda _: self._anomaly_picked())
        events.value(self.zoom, self._zoom_to)
        events.value(self.show_box, lambda _: self._show_picture())
        events.value(self.level, lambda level: self.set_tone(level, self._tone[1]))
        events.value(self.window, lambda window: self.set_tone(self._tone[0], window))
        events.click(self.tone_button, lambda: self.set_tone(*PLAIN_TONE))
        events.click(self.zoom_out, lambda: self._zoom_to(self._zoom - 1))
        events.click(self.zoom_in, lambda: self._zoom_to(self._zoom + 1))
        events.click(self.whole_button, lambda: self._zoom_to(1.0))
        events.click(self.copy_button, self._another_copy)
        events.click(self.suggest_button, self._use_suggestion)
        for at, cell in enumerate(self.cells):
            events.click(cell, lambda at=at: self._enlarge(at))
        for tile in self.neighbours:
            events.value(tile.switch, lambda on, tile=tile: self._compare(tile, on))

    def lay_out(self, make: Maker, decisions: widgets.Widget) -> widgets.VBox:
        """All of a case on one screen, with the controls for the decision."""
        left = make.column(
            make.box(self.picture, make.box(*self.cells, classes=("cells",)), classes=("frame", "look")),
            make.row(self.zoom_out, self.zoom, self.zoom_in, self.whole_button, self.show_box),
            make.row(self.level, self.window, self.tone_button),
        )
        copy = make.column(
            make.box(self.copy, self.copy_button, classes=("frame",)), self.copy_title, classes=("copy",)
        )
        middle = make.column(
            self.preview_title,
            make.box(self.preview, classes=("frame", "look")),
            make.row(copy, make.column(self.anomaly_list, self.why), classes=("below",)),
        )
        panels = [self.corrections.widget, self.augmentations.widget]
        if self._suggest is not None:
            panels.append(make.row(self.suggest_button, self.suggested))
        right = make.column(self.facts, decisions, *panels, classes=("settings",))
        strip = make.box(*(tile.widget for tile in self.neighbours), classes=("strip",))
        others = make.column(self.neighbours_title, strip, classes=("alike",))
        return make.column(make.row(left, middle, right, others, classes=("columns",)), classes=("view",))

    def _show_anomalies(self) -> None:
        found = self._anomalies.get(self._case_id, [])
        self.anomaly_list.options = [(one.words, at) for at, one in enumerate(found)]
        # A faint anomaly is listed, but its box is not drawn unasked.
        self.anomaly_list.index = 0 if found and found[0].is_likely else None
        self._show_why()

    def _picked(self) -> Anomaly | None:
        at = self.anomaly_list.index
        return None if at is None else self._anomalies[self._case_id][at]

    def _box_to_blank(self) -> Box | None:
        picked = self._picked()
        if picked is None or picked.box is None:
            return None
        if picked.kind not in CAN_BE_HIDDEN:
            raise BoneAgeError(
                f"{picked.kind}: its box holds the hand, which a network must see; draw a smaller one"
            )
        return picked.box

    def _show_why(self) -> None:
        picked, found = self._picked(), self._anomalies.get(self._case_id, [])
        if picked is not None:
            self.why.value = html.escape(picked.why)
        else:
            self.why.value = "Nothing likely, only faint hints." if found else "No anomaly was found."

    def _anomaly_picked(self) -> None:
        self._show_why()
        self._show_picture()

    def _look(self) -> None:
        """Shows both images with the zoom and tone set, and updates the controls."""
        self.zoom.value = self._zoom
        self.level.value, self.window.value = self._tone
        self._script.tell(view=list(window_of(self._zoom, self._centre)), tone=list(self._tone))
        self._show_picture()
        self._show_preview()

    def _show_picture(self) -> None:
        if self._image is None:
            self.picture.value = empty_picture()
            return
        picked, marks = self._picked(), []
        if self.show_box.value:
            if picked is not None and picked.box is not None:
                marks.append((picked.box, AMBER if picked.is_likely else GREY))
            marks += [(box, BLUE) for box in self.corrections.boxes]
        self.picture.value = self._render(self._image, marks)

    def _render(self, image: np.ndarray, marks: Sequence[tuple[Box, tuple[int, int, int]]] = ()) -> bytes:
        return render_view(image, self._zoom, self._centre, tone=self._tone, marks=marks)

    def _show_preview(self) -> None:
        """Shows the corrected image, or the case chosen for comparison."""
        if self._compared is not None:
            case = self._cases[self._compared]
            self.preview_title.value = (
                f"For comparison: case {html.escape(case.case_id)}, {words_of_bone_age(case, short=True)}"
            )
            self.preview.value = self._render(self._images.image(case.case_id))
            return
        chosen = self.corrections.corrections
        self.preview_title.value = f"Corrected ({len(chosen) or 'no'} correction{'s' * (len(chosen) != 1)})"
        if self._image is None:
            self._corrected, self.preview.value = None, empty_picture()
        else:
            self._corrected = apply_operators(self._image, chosen)
            self.preview.value = self._render(self._corrected)

    def _show_copy(self) -> None:
        names = self.augmentations.names
        self.copy_button.disabled = self._corrected is None or not names
        if self._corrected is None or not names:
            self.copy.value, self.copy_title.value = empty_picture(TILE_PIXELS, "no copies"), ""
            return
        # Small is enough to recognise, and quick to make.
        side = min(TILE_PIXELS, len(self._corrected))
        small = cv2.resize(self._corrected, (side, side), interpolation=cv2.INTER_AREA)
        drawn = draw_example(names, f"{self._case_id} {self._example}")
        self.copy.value = render_view(apply_operators(small, drawn), pixels=TILE_PIXELS)
        words = html.escape(", ".join(one["name"] for one in drawn))
        self.copy_title.value = f'<div title="a copy: {words}">a copy: {words}</div>'

    def _another_copy(self) -> None:
        self._example += 1
        self._show_copy()

    def _corrections_changed(self) -> None:
        self._compare_none()
        self._look()
        self._show_augmentations(self.augmentations.augmentations)

    def _show_augmentations(self, chosen: Sequence[str] | None) -> None:
        suggested: Sequence[str] = ()
        if self._image is not None:
            suggested = self._names_for(self._case_id, format_corrections(self.corrections.corrections))
        self.augmentations.show(chosen, suggested)
        self._show_copy()

    def _show_suggested(self) -> None:
        self._suggested = [] if self._image is None else self._corrections_for(self._case_id)
        words = html.escape(", ".join(map(in_words, self._suggested)) or "no correction")
        self.suggested.value = f'<div class="ba-clip" title="{words}">suggested: {words}</div>'

    def _find_corrections(self, case_id: str) -> list[dict[str, Any]]:
        return (
            [] if self._suggest is None else self._suggest.corrections(case_id, self._images.image(case_id))
        )

    def _find_names(self, case_id: str, corrections: str) -> list[str]:
        if self._suggest is None:
            return []
        corrected = apply_operators(self._images.image(case_id), parse_corrections(corrections))
        return self._suggest.augmentations(corrected)

    def _use_suggestion(self) -> None:
        self.corrections.use(self._suggested)
        self.augmentations.show(None, ())
        self._corrections_changed()

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
            f"Similar cases ({who}), least mature first; click one to compare"
            if found
            else f"No similar case ({who}) to compare with"
        )
        for tile, case_id in zip(self.neighbours, found, strict=False):
            caption = words_of_bone_age(self._cases[case_id], short=True)
            tile.show(case_id, self._images.tile(case_id) or empty_picture(), caption)
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
        self._look()

    def _enlarge(self, at: int) -> None:
        """Zooms in where the image was clicked; if zoomed in already, moves there."""
        left, top, side = window_of(self._zoom, self._centre)
        down, across = divmod(at, _CELLS)
        centre = (left + (across + 0.5) / _CELLS * side, top + (down + 0.5) / _CELLS * side)
        self._zoom_to(_ZOOM_OF_A_CLICK if self._zoom == 1 else self._zoom, centre)
