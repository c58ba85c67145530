"""Many small images at once: a click marks one, one button decides the page."""

import html
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets

from boneage.review.board.events import Events
from boneage.review.board.facts import Anomaly, Box, Case, words_of_bone_age, words_of_decision
from boneage.review.board.maker import Maker, Tile
from boneage.review.board.pictures import TILE_PIXELS, Images, empty_picture
from boneage.review.board.queue import ALL
from boneage.review.decisions import REASONS, Decision

TILES = 24


class Grid:
    """A page of tiles, and which of them are marked.

    Attributes:
        unseen: Cases of the page whose images cannot be read.
    """

    def __init__(
        self,
        make: Maker,
        events: Events,
        cases: Mapping[str, Case],
        anomalies: Mapping[str, list[Anomaly]],
        images: Images,
        open_case: Callable[[str], None],
    ):
        self._cases, self._anomalies, self._images = cases, anomalies, images
        self._state: Mapping[str, Decision] = {}
        self._kind = ALL
        self.unseen: list[str] = []
        self.tiles: list[Tile] = []
        self.open_buttons = [make.button("⤢", "show this image large", "open") for _ in range(TILES)]
        for button in self.open_buttons:
            tile = Tile(make, "mark this image for rejection", button)
            self.tiles.append(tile)
            events.value(tile.switch, lambda on, tile=tile: self._mark(tile, on))
            events.click(button, lambda tile=tile: open_case(tile.case_id))
        self.reason = make(
            widgets.Dropdown, "filter", options=[("choose a reason", ""), *((one, one) for one in REASONS)]
        )
        self.note = make.note()
        self.decide_button = make.button("", "record a decision for each image on this page", "page")
        self.unmark_button = make.button("Unmark all", "remove all marks")
        events.click(self.unmark_button, self._unmark)
        self.widget = make.column(
            make.row(
                make.words("Reject the marked for", "label"),
                self.reason,
                self.note,
                self.decide_button,
                self.unmark_button,
                classes=("page",),
            ),
            make.box(*(tile.widget for tile in self.tiles), classes=("grid",)),
            classes=("view",),
        )

    @property
    def marked(self) -> list[str]:
        """The marked cases of the page."""
        return [tile.case_id for tile in self.tiles if tile.case_id is not None and tile.switch.value]

    @property
    def rest(self) -> list[str]:
        """The readable cases of the page that are neither marked nor decided."""
        return [
            tile.case_id
            for tile in self.tiles
            if tile.case_id is not None
            and not tile.switch.value
            and tile.case_id not in self._state
            and tile.case_id not in self.unseen
        ]

    def show(self, page: Sequence[str], state: Mapping[str, Decision], kind: str = ALL) -> None:
        """Shows a page of at most :data:`TILES` cases, none of them marked, with the decisions in force.

        Each tile shows the anomaly of the kind filtered for.
        """
        self._state, self._kind = state, kind
        self.unseen = []
        for tile, case_id in zip(self.tiles, page, strict=False):
            jpeg = self._images.tile(*self._looked_at(case_id))
            if jpeg is None:
                self.unseen.append(case_id)
            tile.show(case_id, jpeg or empty_picture(TILE_PIXELS), self._caption(case_id))
        for tile in self.tiles[len(page) :]:
            tile.clear()
        self._show_counts()

    def read_ahead(self, page: Sequence[str]) -> None:
        """Prepares the tiles of a page."""
        self._images.read_ahead([], [self._looked_at(case_id) for case_id in page])

    def _looked_at(self, case_id: str) -> tuple[str, Box | None]:
        """A case and the box of its anomaly."""
        found = self._anomaly(case_id)
        return case_id, None if found is None else found.box

    def _anomaly(self, case_id: str) -> Anomaly | None:
        """The likely anomaly of the kind filtered for, else the case's first likely one."""
        likely = [one for one in self._anomalies.get(case_id, ()) if one.is_likely]
        return next((one for one in likely if one.kind == self._kind), likely[0] if likely else None)

    def mark(self, case_ids: Sequence[str]) -> None:
        """Marks cases of the page."""
        for tile in self.tiles:
            if tile.case_id in case_ids:
                self._mark(tile, True)

    def _caption(self, case_id: str) -> str:
        found = self._anomaly(case_id)
        words, look = ("nothing likely", "undecided") if found is None else (found.kind, "flagged")
        if case_id in self._state:
            words, look = words_of_decision(self._state[case_id])
        case = html.escape(f"{case_id} · {words_of_bone_age(self._cases[case_id], short=True)}")
        words = html.escape(words)
        return (
            f'<div class="ba-clip" title="{case}">{case}</div>'
            f'<div class="ba-clip ba-{look}" title="{words}">{words}</div>'
        )

    def _mark(self, tile: Tile, on: bool) -> None:
        tile.mark(on, "✕" if on else "")
        self._show_counts()

    def _unmark(self) -> None:
        for tile in self.tiles:
            tile.mark(False)
        self._show_counts()

    def _show_counts(self) -> None:
        marked, rest = len(self.marked), len(self.rest)
        self.decide_button.description = (
            f"Reject the marked ({marked}), keep the rest ({rest})" if marked else f"Keep the rest ({rest})"
        )
        self.decide_button.button_style = "danger" if marked else "success"
        self.decide_button.disabled = not (marked or rest)
        self.unmark_button.disabled = not marked
