"""The board itself: its controls, and what each click does."""

import html
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.images.augmentations import parse_augmentations
from boneage.images.operators import parse_corrections
from boneage.review.applying import notices_of_gone
from boneage.review.board.events import Events
from boneage.review.board.facts import (
    box_in_image,
    read_anomalies,
    read_cases,
    words_of_decision,
    words_of_year,
)
from boneage.review.board.grid import TILES, Grid
from boneage.review.board.keys_and_pointer import KeysAndPointer
from boneage.review.board.maker import Maker
from boneage.review.board.one_image import Choice, OneImage, Suggest
from boneage.review.board.overview import Overview
from boneage.review.board.pictures import Images
from boneage.review.board.queue import ALL, ANY, Queue
from boneage.review.decisions import REASONS, Decision
from boneage.review.log import ReviewLog

DOUBLE_CLICK_SECONDS = 0.25
"""A decision this soon after an image appears is the second half of a double click."""

ONE, MANY, AGES = "One image", f"{TILES} images", "Ages"

_Draft = tuple[Choice, str]  # The controls' state for an image, and its note.
_NOTHING: _Draft = (Choice(), "")

# Images read ahead: two seconds of fast clicking.
_AHEAD = 4
_MOST_NAMED = 3
_STYLE = Path(__file__).with_name("board.css")


class ReviewBoard:
    """A board on which a person reviews images; shown as the last expression of a cell.

    It opens at the first undecided image of the queue. Several boards may share a log: each reads what the
    others wrote before it shows the next image.

    Args:
        cases: A case table (``tables.CASE_TABLE``).
        anomalies: ``case_id, kind, score`` (0 to 1), ``x, y, width, height`` (shares of the image; empty
            without a box), ``why``; the highest score first.
        log: Where decisions are written.
        read_image: Returns the image of a case, uint8 (side, side); raises BoneAgeError if it is missing.
            Also called from a thread.
        queue: Case ids in review order; the table's order if None.
        suggest: Suggests corrections and augmentations; None for no suggestions.
        what_next: Shown when every image is decided.

    Attributes:
        widget: The whole board.
        one, grid, overview: The views of one image, of many, and of the ages.
        script: Keys and the pointer, if anywidget is installed; every button works without it.
    """

    def __init__(
        self,
        cases: pd.DataFrame,
        anomalies: pd.DataFrame,
        log: ReviewLog,
        read_image: Callable[[str], np.ndarray],
        queue: Sequence[str] | None = None,
        suggest: Suggest | None = None,
        what_next: str = "Run the next cell to apply the log.",
    ):
        self._cases = read_cases(cases)
        flagged = read_anomalies(anomalies, self._cases)
        ids = self._cases if queue is None else map(str, queue)
        self._queue = Queue(
            [case_id for case_id in dict.fromkeys(ids) if case_id in self._cases],
            {case_id: case.year for case_id, case in self._cases.items()},
            # Faint anomalies only order the queue; a filter with them would pass nearly everything.
            {case_id: {one.kind for one in found if one.is_likely} for case_id, found in flagged.items()},
        )
        self._log = log
        self._images = Images(read_image)
        self._state: dict[str, Decision] = {}
        self._clicks: list[list[str]] = []
        self._shown_at = -math.inf
        self._shown = 0
        self._saved: datetime | None = None
        self._drafts: dict[str, _Draft] = {}
        self._drafted_for: str | None = None
        self._untouched = _NOTHING
        make, events = Maker(), Events(self._attempt)
        self.script = KeysAndPointer(lambda message: events.run(lambda: self._hear(message)))
        self._make_controls(make)
        self.one = OneImage(make, events, self._cases, flagged, self._images, self.script, suggest)
        self.grid = Grid(make, events, self._cases, flagged, self._images, self._open_large)
        self.overview = Overview(make, self._cases, log, what_next)
        self._wire(events)
        self.widget = self._lay_out(make)
        events.run(self._open)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)

    @property
    def current(self) -> str | None:
        """The case in view; None if nothing is left to decide."""
        return self._queue.current

    # Controls.

    def _make_controls(self, make: Maker) -> None:
        self.mode = make(widgets.ToggleButtons, "mode", options=[ONE, MANY, AGES])
        self.status = make.words("", "status")
        self.message = make.words("", "message")
        self.notices = make.words("", "notices")
        self.place = make(
            widgets.IntSlider, "place", min=1, max=1, value=1, readout=False, continuous_update=False
        )
        self.age_filter = make(widgets.Dropdown, "filter", options=self._age_options())
        self.kind_filter = make(widgets.Dropdown, "filter", options=self._kind_options())
        self.undecided_only = make.switch("Undecided only", "hide decided images")
        self.jump = make(
            widgets.Combobox, "jump", options=self._queue.ids, placeholder="case id", continuous_update=False
        )
        self.go_button = make.button("Go", "show the case with this id")
        self.back_button = make.button(self._with_key("‹ Back", "←"), "go back to the previous image")
        self.undo_button = make.button(
            self._with_key("↶ Undo", "U"), "take back the last decision and restore the one before"
        )
        self.skip_button = make.button(
            self._with_key("Skip ›", "→"), "go to the next image without a decision"
        )
        self.keep_button = make.button(
            self._with_key("✓ Keep", "K"),
            "keep this image with its corrections and augmentations",
            "keep",
            look="success",
        )
        self.reject_buttons = {
            reason: make.button(
                self._with_key(reason.capitalize(), str(number)),
                f"reject this image: {reason}",
                look="danger",
            )
            for number, reason in enumerate(REASONS, 1)
        }
        self.note = make.note()

    def _with_key(self, words: str, key: str) -> str:
        return words if self.script.widget is None else f"{words} [{key}]"

    def _age_options(self) -> list[tuple[str, Any]]:
        years = [self._cases[case_id].year for case_id in self._queue.ids]
        known = sorted({year for year in years if year is not None})
        options: list[tuple[str, Any]] = [(f"All ages ({len(years)})", ALL)]
        for year in [*known, None] if None in years else known:
            options.append((f"{words_of_year(year).capitalize()} ({years.count(year)})", year))
        return options

    def _kind_options(self) -> list[tuple[str, str]]:
        counts = self._queue.kind_counts()
        options = [("All images", ALL), (f"Any anomaly ({counts.pop(ANY)})", ANY)]
        return options + [(f"{kind} ({count})", kind) for kind, count in counts.items()]

    def _wire(self, events: Events) -> None:
        events.value(self.mode, lambda _: self._show_in_mode())
        for chosen in (self.age_filter, self.kind_filter, self.undecided_only):
            events.value(chosen, lambda _: self._filter())
        events.value(self.jump, self._jump)
        events.value(self.place, self._move_to)
        events.click(self.go_button, lambda: self._jump(self.jump.value))
        events.click(self.back_button, self._back)
        events.click(self.undo_button, self._undo)
        events.click(self.skip_button, self._skip)
        events.click(self.keep_button, lambda: self._decide("keep", ""))
        for reason, button in self.reject_buttons.items():
            events.click(button, lambda reason=reason: self._decide("reject", reason))
        events.click(self.grid.decide_button, self._decide_page)
        events.click(self.overview.clear_button, self._clear_filters)

    def _lay_out(self, make: Maker) -> widgets.VBox:
        head = make.row(self.mode, self.status, self.message, classes=("head",))
        moves = (self.back_button, self.undo_button, self.skip_button)
        filters = (self.age_filter, self.kind_filter, self.undecided_only, self.jump, self.go_button)
        ways = make.row(self.place, *filters, *moves, classes=("ways",))
        rejections = list(self.reject_buttons.values())
        decisions = make.column(
            make.row(self.keep_button, make.words("Reject:", "label"), *rejections[:2]),
            make.row(*rejections[2:]),
            self.note,
            classes=("decide",),
        )
        self._one_view = self.one.lay_out(make, decisions)
        self._body = make.box(self._one_view, classes=("body",))
        style = make.words(f"<style>{_STYLE.read_text(encoding='utf-8')}</style>", "style")
        parts = [style, head, ways, self._body, self.notices]
        if self.script.widget is not None:
            parts.append(self.script.widget)
        return make.column(*parts, classes=("board",))

    # The current view.

    def _attempt(self, act: Callable[[], None]) -> None:
        """Runs the action of a click; errors are shown in the board, and the person can go on."""
        self._say()
        try:
            act()
        except BoneAgeError as error:
            self._say(str(error), "error")
        except Exception as error:
            # Notebooks hide exceptions in callbacks, so the board would just seem stuck.
            self._say(f"internal error ({error!r}); saved decisions are safe, run this cell again", "error")
            raise

    def _say(self, words: str = "", look: str = "") -> None:
        line = html.escape(" ".join(words.split()))
        self.message.value = f'<div class="ba-{look}" title="{line}">{line}</div>' if words else ""

    def _open(self) -> None:
        self._state = self._log.state(cases=self._cases)
        self._refresh()
        self._show_notices()
        self._go(self._first_undecided())

    def _refresh(self) -> None:
        """Reads what other boards wrote; on failure the person goes on with what was read before."""
        known = len(self._log.notices)
        try:
            self._log.refresh()
        except BoneAgeError as error:
            self._say(str(error), "error")
        self._state = self._log.state(cases=self._cases)
        if len(self._log.notices) > known:
            self._show_notices()

    def _show_notices(self) -> None:
        """Lists the notices of the log, and shows the latest."""
        lines = [*self._log.notices, *notices_of_gone(self._state, self._cases)]
        if lines:
            items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
            title = f"{len(lines)} notice{'s' * (len(lines) != 1)} about the log"
            self.notices.value = f"<details><summary>{title}</summary><ul>{items}</ul></details>"
            self._say((self._log.notices or lines)[-1], "notice")

    def _first_undecided(self) -> str | None:
        return next((case_id for case_id in self._queue.view if case_id not in self._state), None)

    def _rejected(self) -> set[str]:
        return {case_id for case_id, row in self._state.items() if row.decision == "reject"}

    def _go(self, case_id: str | None) -> None:
        self._queue.go(case_id)
        self._show()

    def _show(self) -> None:
        """Shows the current case in the current view, or the end if there is none."""
        case_id = self._queue.current
        if self.mode.value == AGES:
            self.mode.value = ONE
        if case_id is None:
            undecided = sum(one not in self._state for one in self._queue.ids)
            self.overview.show_end(self._queue.ids, undecided, self._queue.is_filtered)
            self._show_body(self.overview.widget)
        elif self.mode.value == MANY:
            self._show_page()
        else:
            self._show_one(case_id)
        # New each time, so that a key pressed earlier is recognised as meant for something else.
        self._shown += 1
        self.script.tell(seen=str(self._shown))
        self._show_status()
        self._shown_at = time.monotonic()

    def _show_one(self, case_id: str) -> None:
        self._keep_draft()
        self._show_body(self._one_view)
        decision, rejected = self._state.get(case_id), self._rejected()
        recorded, fault = _recorded(decision)
        is_draft = case_id in self._drafts
        choice, self.note.value = self._drafts.pop(case_id, recorded)
        fault = self.one.show(case_id, decision, choice, rejected) or fault
        # In the controls' own wording, which may differ from the log's.
        self._drafted_for, self._untouched = case_id, recorded if is_draft else self._draft()
        if fault:
            self._say(fault, "error")
        self.keep_button.disabled = not self.one.is_seen
        coming = self._queue.coming(self._state, _AHEAD)
        recorded = {one: self._state[one].corrections if one in self._state else "[]" for one in coming}
        self.one.read_ahead(recorded, rejected)

    def _keep_draft(self) -> None:
        """Keeps what was set and typed for an undecided image until it is shown again."""
        draft = self._draft()
        if self._drafted_for is not None and draft != self._untouched:
            self._drafts[self._drafted_for] = draft
        self._drafted_for = None

    def _draft(self) -> _Draft:
        return self.one.choice, self.note.value

    def _show_page(self) -> None:
        self._keep_draft()
        self._show_body(self.grid.widget)
        self.grid.show(self._queue.page(TILES), self._state, self.kind_filter.value)
        self.grid.read_ahead(self._queue.page(TILES, by=1))

    def _show_body(self, view: widgets.Widget) -> None:
        if self._body.children != (view,):
            self._body.children = [view]

    def _show_status(self) -> None:
        """Such as "37 of 1390 · 5 rejected · saved 12:04:10"."""
        count, decided = len(self._queue.view), sum(one in self._state for one in self._queue.ids)
        at = count if self._queue.at is None else self._queue.at + 1
        rejected = len(self._rejected().intersection(self._queue.ids))
        # Only decisions made on this board have a save time here.
        earlier = "recorded earlier" if decided else "nothing saved yet"
        saved = earlier if self._saved is None else f"saved {self._saved:%H:%M:%S}"
        words = [f"{at} of {count}", f"{rejected} rejected", saved]
        more = f"{decided} of {len(self._queue.ids)} decided"
        if self._log.reviewer:
            more += f" · {html.escape(self._log.reviewer)}"
        self.status.value = f'<b>{" · ".join(words)}</b><span class="ba-dim">{more}</span>'
        self.place.max = max(count, 1)
        self.place.value = max(at, 1)
        self.place.disabled = count < 2

    # Keys and the pointer.

    def _hear(self, message: Mapping[str, Any]) -> None:
        """Handles a message from the script on the page."""
        if "view" in message:
            self.one.look_at(*map(float, message["view"]))
        if "tone" in message:
            self.one.set_tone(*map(float, message["tone"]))
        moves = {"back": self._back, "next": self._skip, "undo": self._undo}
        if message.get("key") in moves:
            moves[message["key"]]()
        elif "key" in message or "box" in message:
            if message.get("seen") != self.script.seen:
                raise BoneAgeError(
                    "the key was pressed before this image appeared; look at it and press again"
                )
            self._mark_or_decide(message)

    def _mark_or_decide(self, message: Mapping[str, Any]) -> None:
        key = message.get("key")
        if key is None:
            box = box_in_image(*map(float, message["box"]))
            if box is not None and self.one.is_seen:
                self.one.corrections.blank(box)
        elif self._body.children == (self.grid.widget,):
            # On a page a number only sets the reason for the marked images.
            if key == "keep":
                self._decide_page()
            elif self.grid.marked:
                self.grid.reason.value = REASONS[int(key) - 1]
            else:
                raise BoneAgeError("click the images to reject, then press the number")
        elif self._body.children == (self._one_view,):
            self._decide(*(("keep", "") if key == "keep" else ("reject", REASONS[int(key) - 1])))

    # Clicks.

    def _decide(self, decision: str, reason: str) -> None:
        case_id = self._queue.current
        if case_id is None:
            return
        self._check_hand()
        if decision == "keep" and not self.one.is_seen:
            raise BoneAgeError(f"case {case_id}: an unreadable image cannot be kept; skip it or reject it")
        note = _checked_note(reason, self.note.value)
        choice = self.one.choice
        self._log.append(case_id, decision, reason, choice.corrections, choice.augmentations, note)
        self._saved = datetime.now()
        self._drafted_for = None
        self._state = self._log.state(cases=self._cases)
        self._clicks.append([case_id])
        self._go(self._queue.next(self._state))

    def _check_hand(self) -> None:
        if time.monotonic() - self._shown_at < DOUBLE_CLICK_SECONDS:
            raise BoneAgeError("ignored as a double click; click or press again to decide")

    def _decide_page(self) -> None:
        self._check_hand()
        self._refresh()
        marked, shown_undecided, page = self.grid.marked, self.grid.rest, self._queue.page(TILES)
        rest = [case_id for case_id in shown_undecided if case_id not in self._state]
        reason = self.grid.reason.value
        if marked and not reason:
            raise BoneAgeError("choose a reason for the marked images, then click again")
        rows = {case_id: self._row_of(case_id, reason, self.grid.note.value) for case_id in marked}
        rows |= {case_id: self._row_of(case_id) for case_id in rest}
        done: list[str] = []
        self._clicks.append(done)
        try:
            for case_id in [one for one in page if one in rows]:
                self._log.append(*rows[case_id])
                self._saved = datetime.now()
                self._drafts.pop(case_id, None)
                done.append(case_id)
        except BoneAgeError as error:
            self._state = self._log.state(cases=self._cases)
            self._show()
            self.grid.mark([case_id for case_id in marked if case_id not in done])
            raise BoneAgeError(f"{len(done)} of {len(marked + rest)} decisions are saved; {error}") from None
        self._state = self._log.state(cases=self._cases)
        self.grid.note.value = ""
        unseen = self.grid.unseen
        self._queue.current = page[-1]
        self._go(self._queue.next({*self._state, *unseen}) or self._first_undecided())
        others = len(shown_undecided) - len(rest)
        meanwhile = f"; {others} decided on another board meanwhile" if others else ""
        if unseen:
            named = ", ".join(unseen[:_MOST_NAMED])
            self._say(f"{len(unseen)} images cannot be read and stay undecided: {named}{meanwhile}", "error")
        else:
            self._say(f"{len(rest)} kept, {len(marked)} rejected; Undo takes them back{meanwhile}", "done")

    def _row_of(self, case_id: str, reason: str = "", note: str = "") -> tuple[Any, ...]:
        """What to append for a case of a page; it keeps what the single view would show of it."""
        choice, own_note = self._drafts.get(case_id) or _recorded(self._state.get(case_id))[0]
        notes = dict.fromkeys(one.strip() for one in (own_note, note) if one.strip())
        decision = ("reject" if reason else "keep", reason)
        chosen = (choice.corrections, choice.augmentations)
        return (case_id, *decision, *chosen, _checked_note(reason, "; ".join(notes)))

    def _skip(self) -> None:
        self._refresh()
        if self.mode.value == MANY:
            self._turn_page(1)
            return
        case_id = self._queue.next(self._state if self.undecided_only.value else ())
        if case_id is None:
            raise BoneAgeError("no other image matches the filters; change them to see more")
        self._go(case_id)

    def _back(self) -> None:
        self._refresh()
        if self.mode.value == MANY and self._queue.current is not None:
            self._turn_page(-1)
        elif self._queue.back():
            self._show()
        else:
            raise BoneAgeError("this is the first image you looked at")

    def _turn_page(self, by: int) -> None:
        page = self._queue.page(TILES, by)
        if not page:
            raise BoneAgeError(f"this is the {'last' if by > 0 else 'first'} page")
        self._go(page[0])

    def _undo(self) -> None:
        """Takes back this board's last click, even on a whole page; else the log's last decision.

        The previous decision is restored and shown. If there was none, the controls stay as they were set.
        """
        self._refresh()
        while self._clicks and not any(case_id in self._state for case_id in self._clicks[-1]):
            self._clicks.pop()
        if not self._clicks:
            ours = [case_id for case_id in self._state if case_id in self._cases][-1:]
            if not ours:
                raise BoneAgeError("there is no decision to take back")
            self._clicks.append(ours)
        before, taken = self._state, []
        try:
            while self._clicks[-1]:
                self._log.undo(self._clicks[-1][-1])
                taken.insert(0, self._clicks[-1].pop())
        finally:
            self._state = self._log.state(cases=self._cases)
            for case_id in taken:
                self._drafts.pop(case_id, None)
                if case_id not in self._state:
                    self._drafts[case_id] = _recorded(before.get(case_id))[0]
            if taken:
                self._saved = datetime.now()
                self._drafted_for = None
                self._show_case(taken[0])
        named = ", ".join(taken[:_MOST_NAMED]) + ", …" * (len(taken) > _MOST_NAMED)
        now = Counter(words_of_decision(self._state.get(case_id))[0] for case_id in taken)
        stands = ", ".join(f"{count} {words}" if len(taken) > 1 else words for words, count in now.items())
        self._say(f"taken back: the decision{'s' * (len(taken) != 1)} on {named}; now {stands}", "done")

    def _show_case(self, case_id: str) -> None:
        if case_id not in self._queue.view:
            self._take_filters_off()
        self._go(case_id)

    def _open_large(self, case_id: str) -> None:
        self.mode.value = ONE
        self._go(case_id)

    def _jump(self, words: str) -> None:
        case_id = words.strip()
        if not case_id:
            return
        if case_id not in self._queue.ids:
            raise BoneAgeError(f"case {case_id}: not among the images of this review; check the id")
        self.jump.value = ""
        self._refresh()
        self._show_case(case_id)

    def _move_to(self, place: int) -> None:
        self._refresh()
        self._go(self._queue.view[place - 1])

    def _filter(self) -> None:
        self._refresh()
        left_out = self._state if self.undecided_only.value else ()
        self._queue.filter(self.age_filter.value, self.kind_filter.value, left_out)
        if self._queue.at is None:
            self._go(self._first_undecided() or next(iter(self._queue.view), None))
        else:
            self._show()

    def _take_filters_off(self) -> None:
        self.age_filter.value = self.kind_filter.value = ALL
        self.undecided_only.value = False
        self._queue.filter(ALL, ALL)

    def _clear_filters(self) -> None:
        self._take_filters_off()
        self._refresh()
        self._go(self._first_undecided())

    def _show_in_mode(self) -> None:
        self._refresh()
        if self.mode.value == AGES:
            self.overview.show_ages(self._queue.ids)
            self._show_body(self.overview.widget)
        else:
            self._show()


def _recorded(decision: Decision | None) -> tuple[_Draft, str]:
    """The choice and note recorded with a decision, and what of them cannot be read."""
    if decision is None:
        return _NOTHING, ""
    try:
        names = parse_augmentations(decision.augmentations)
        corrections = tuple(parse_corrections(decision.corrections))
        return (Choice(corrections, None if names is None else tuple(names)), decision.note), ""
    except BoneAgeError as error:
        fault = f"case {decision.case_id}: {error}; shown without its recorded choices"
        return (Choice(), decision.note), fault


def _checked_note(reason: str, note: str) -> str:
    note = note.strip()
    if reason == "other" and not note:
        raise BoneAgeError("other: describe it in the note, then click again")
    return note
