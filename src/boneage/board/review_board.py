"""The board itself: its controls, and what each click does."""

import html
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd

from boneage.anomalies import LIKELY
from boneage.augmentations import parse_augmentations
from boneage.board.facts import read_cases, read_suspicions, words_of_year
from boneage.board.grid import TILES, Grid
from boneage.board.one_photo import OnePhoto
from boneage.board.overview import Overview
from boneage.board.parts import Hands, Maker
from boneage.board.pictures import Photos
from boneage.board.queue import ALL, ANY, Queue
from boneage.board.style import STYLE
from boneage.errors import BoneAgeError
from boneage.operators import parse_corrections
from boneage.review import REASONS, Decision, ReviewLog

DOUBLE_CLICK_SECONDS = 0.25
"""A decision so soon after a photo came up is the second half of a double click, and not meant for it."""

ONE, MANY, AGES = "One photo", f"{TILES} photos", "Ages"

_Draft = tuple[list[dict[str, Any]], str]  # Operators and note of a photo.
_NOTHING: _Draft = ([], "")

# Photos that are read ahead: two seconds of a hasty person's clicks.
_AHEAD = 4
_MOST_NAMED = 3


class ReviewBoard:
    """A board on which a person reviews photos; the last expression of a cell shows it.

    It opens at the first photo of the queue that is undecided. Several boards may share a log: each reads
    what the others wrote before it shows the next photo.

    Args:
        cases: A case table (``tables.CASE_COLUMNS``).
        suspicions: ``case_id, kind, score`` (0 to 1), ``x, y, width, height`` (shares of the photo; empty
            where there is no box), ``why``; the most suspicious first.
        log: Where decisions are written.
        read_photo: Gives the photo of a case, uint8 (side, side); raises BoneAgeError where it is gone. It
            is called from a thread, too.
        queue: Case ids in the order of the review; the table's order where None.
        suggest: Gives what may put a case's photo right.
        what_next: What to do when every photo is decided, for the person to read.

    Attributes:
        widget: All of it.
        one, grid, overview: The views of one photo, of many, and of the ages.
    """

    def __init__(
        self,
        cases: pd.DataFrame,
        suspicions: pd.DataFrame,
        log: ReviewLog,
        read_photo: Callable[[str], np.ndarray],
        queue: Sequence[str] | None = None,
        suggest: Callable[[str, np.ndarray], list[dict[str, Any]]] | None = None,
        what_next: str = "Run the next cell: it applies the log.",
    ):
        self._cases = read_cases(cases)
        suspected = read_suspicions(suspicions, self._cases)
        ids = self._cases if queue is None else map(str, queue)
        self._queue = Queue(
            [case_id for case_id in dict.fromkeys(ids) if case_id in self._cases],
            {case_id: case.year for case_id, case in self._cases.items()},
            # Faint suspicions order the queue; a filter that shows them too would pass nearly everything.
            {
                case_id: {one.kind for one in found if one.score >= LIKELY}
                for case_id, found in suspected.items()
            },
        )
        self._log = log
        self._photos = Photos(read_photo)
        self._state: dict[str, Decision] = {}
        self._clicks: list[list[str]] = []
        self._shown_at = -math.inf
        self._drafts: dict[str, _Draft] = {}
        self._drafted_for: str | None = None
        self._untouched = _NOTHING
        make, hands = Maker(), Hands(self._attempt)
        self._make_controls(make)
        self.one = OnePhoto(make, hands, self._cases, suspected, self._photos, suggest)
        self.grid = Grid(make, hands, self._cases, suspected, self._photos, self._open_large)
        self.overview = Overview(make, self._cases, log, what_next)
        self._wire(hands)
        self.widget = self._lay_out(make)
        hands.run(self._open)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)

    @property
    def current(self) -> str | None:
        """The case in sight; None when nothing is left to decide."""
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
        self.undecided_only = make.switch("Undecided only", "leave out what is decided")
        self.jump = make(
            widgets.Combobox,
            "jump",
            options=self._queue.ids,
            placeholder="case id",
            continuous_update=False,
        )
        self.go_button = make.button("Go", "show the case with this id")
        self.back_button = make.button("‹ Back", "the photo that was in sight before")
        self.undo_button = make.button("↶ Undo", "take the last decision back")
        self.skip_button = make.button("Skip ›", "the next photo, without a decision")
        self.keep_button = make.button(
            "✓ Keep", "keep this photo, with the operators that are on", "keep", look="success"
        )
        self.reject_buttons = {
            reason: make.button(reason.capitalize(), f"reject this photo: {reason}", look="danger")
            for reason in REASONS
        }
        self.note = make(widgets.Text, "note", placeholder="note (needed for “other”)")

    def _age_options(self) -> list[tuple[str, Any]]:
        years = [self._cases[case_id].year for case_id in self._queue.ids]
        known = sorted({year for year in years if year is not None})
        options: list[tuple[str, Any]] = [(f"All ages ({len(years)})", ALL)]
        for year in [*known, None] if None in years else known:
            options.append((f"{words_of_year(year).capitalize()} ({years.count(year)})", year))
        return options

    def _kind_options(self) -> list[tuple[str, str]]:
        counts = self._queue.kind_counts()
        options = [("All photos", ALL), (f"Any suspicion ({counts.pop(ANY)})", ANY)]
        return options + [(f"{kind} ({count})", kind) for kind, count in counts.items()]

    def _wire(self, hands: Hands) -> None:
        hands.value(self.mode, lambda _: self._show_in_mode())
        for chosen in (self.age_filter, self.kind_filter, self.undecided_only):
            hands.value(chosen, lambda _: self._filter())
        hands.value(self.jump, self._jump)
        hands.value(self.place, self._move_to)
        hands.click(self.go_button, lambda: self._jump(self.jump.value))
        hands.click(self.back_button, self._back)
        hands.click(self.undo_button, self._undo)
        hands.click(self.skip_button, self._skip)
        hands.click(self.keep_button, lambda: self._decide("keep", ""))
        for reason, button in self.reject_buttons.items():
            hands.click(button, lambda reason=reason: self._decide("reject", reason))
        hands.click(self.grid.decide_button, self._decide_page)
        hands.click(self.overview.clear_button, self._clear_filters)

    def _lay_out(self, make: Maker) -> widgets.VBox:
        who = f"reviewer {html.escape(self._log.reviewer)}" if self._log.reviewer else "no reviewer named"
        head = make.row(self.mode, self.status, make.words(who, "dim"), classes=("head",))
        moves = (self.go_button, self.back_button, self.undo_button, self.skip_button)
        ways = make.row(
            self.age_filter, self.kind_filter, self.undecided_only, self.jump, *moves, classes=("ways",)
        )
        decisions = make.row(
            self.keep_button,
            make.words("Reject:", "label"),
            *self.reject_buttons.values(),
            self.note,
            classes=("decide",),
        )
        self._one_view = make.column(decisions, self.one.widget, classes=("view",))
        self._body = make.box(self._one_view, classes=("body",))
        style = make.words(f"<style>{STYLE}</style>", "style")
        parts = (style, head, self.place, ways, self.message, self._body, self.notices)
        return make.column(*parts, classes=("board",))

    # What is in sight.

    def _attempt(self, act: Callable[[], None]) -> None:
        """Runs what a click asks for; what goes wrong is said in the board, and the person can go on."""
        self._say()
        try:
            act()
        except BoneAgeError as error:
            self._say(str(error), "error")
        except Exception as error:
            # Notebooks hide what a click raises; a board that stands still would be a riddle.
            self._say(
                f"the board has a defect ({error!r}); what was saved is safe, run its cell again", "error"
            )
            raise

    def _say(self, words: str = "", look: str = "") -> None:
        line = html.escape(" ".join(words.split()))
        self.message.value = f'<div class="ba-{look}" title="{line}">{line}</div>' if words else ""

    def _open(self) -> None:
        self._state = self._log.state()
        self._refresh()
        self._show_notices()
        self._go(self._first_undecided())

    def _refresh(self) -> None:
        """Reads what other boards wrote; where that fails, the person goes on with what was read before."""
        known = len(self._log.notices)
        try:
            self._log.refresh()
        except BoneAgeError as error:
            self._say(str(error), "error")
        self._state = self._log.state()
        if len(self._log.notices) > known:
            self._show_notices()

    def _show_notices(self) -> None:
        """Lists what the log tells, and says the latest."""
        lines = [*self._log.notices]
        gone = sum(case_id not in self._cases for case_id in self._state)
        if gone:
            lines.append(f"{gone} decided cases are no longer in the case table; their rows stay in the log")
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
        """Shows the current case as the person looks at cases, or the end where there is none."""
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
        self._show_status()
        self._shown_at = time.monotonic()

    def _show_one(self, case_id: str) -> None:
        self._keep_draft()
        self._show_body(self._one_view)
        decision, rejected = self._state.get(case_id), self._rejected()
        recorded, fault = _recorded(decision)
        operators, self.note.value = self._drafts.pop(case_id, recorded)
        fault = self.one.show(case_id, decision, operators, rejected) or fault
        self._drafted_for, self._untouched = case_id, recorded
        if fault:
            self._say(fault, "error")
        self.keep_button.disabled = not self.one.is_seen
        coming = self._queue.coming(self._state, _AHEAD)
        others = [other for one in coming for other in self.one.neighbours_of(one, rejected)]
        self._photos.read_ahead(coming, [(other, None) for other in dict.fromkeys(others)])

    def _keep_draft(self) -> None:
        """What was set and typed for a photo, but not decided, is there again when the photo is."""
        draft = (self.one.operators.operators, self.note.value)
        if self._drafted_for is not None and draft != self._untouched:
            self._drafts[self._drafted_for] = draft
        self._drafted_for = None

    def _show_page(self) -> None:
        self._keep_draft()
        self._show_body(self.grid.widget)
        self.grid.show(self._queue.page(TILES), self._state)
        self.grid.read_ahead(self._queue.page(TILES, by=1))

    def _show_body(self, view: widgets.Widget) -> None:
        if self._body.children != (view,):
            self._body.children = [view]

    def _show_status(self) -> None:
        """Such as "37 of 1390 · 5 rejected · saved 12:04:10"."""
        count, decided = len(self._queue.view), sum(one in self._state for one in self._queue.ids)
        at = count if self._queue.at is None else self._queue.at + 1
        rejected = len(self._rejected().intersection(self._queue.ids))
        saved = self._log.saved
        words = [
            f"{at} of {count}",
            f"{rejected} rejected",
            f"saved {saved.astimezone():%H:%M:%S}" if saved else "nothing saved yet",
        ]
        more = f"{decided} of {len(self._queue.ids)} decided"
        self.status.value = f'<b>{" · ".join(words)}</b><span class="ba-dim">{more}</span>'
        self.place.max = max(count, 1)
        self.place.value = max(at, 1)
        self.place.disabled = count < 2

    # What a click does.

    def _decide(self, decision: str, reason: str) -> None:
        case_id = self._queue.current
        if case_id is None:
            return
        self._check_hand()
        if decision == "keep" and not self.one.is_seen:
            raise BoneAgeError(f"case {case_id}: what cannot be seen cannot be kept; skip it, or reject it")
        note = _checked_note(reason, self.note.value)
        self._log.append(
            case_id, decision, reason, self.one.operators.operators, self._augmentations(case_id), note
        )
        self._drafted_for = None
        self._state = self._log.state()
        self._clicks.append([case_id])
        self._go(self._queue.next(self._state))

    def _augmentations(self, case_id: str) -> list[str] | None:
        """What copies may be drawn from stays as it was chosen."""
        decision = self._state.get(case_id)
        return None if decision is None else parse_augmentations(decision.augmentations)

    def _check_hand(self) -> None:
        if time.monotonic() - self._shown_at < DOUBLE_CLICK_SECONDS:
            raise BoneAgeError("so quick a second click is taken for a double click; click again to decide")

    def _decide_page(self) -> None:
        self._check_hand()
        marked, rest, page = self.grid.marked, self.grid.rest, self._queue.page(TILES)
        reason = self.grid.reason.value
        if marked and not reason:
            raise BoneAgeError("choose a reason for the marked photos, then click again")
        note = _checked_note(reason, self.grid.note.value) if marked else ""
        done: list[str] = []
        self._clicks.append(done)
        try:
            for case_id in page:
                operators = self._drafts.get(case_id, _NOTHING)[0]
                if case_id in marked:
                    self._log.append(case_id, "reject", reason, operators, self._augmentations(case_id), note)
                elif case_id in rest:
                    self._log.append(case_id, "keep", "", operators, self._augmentations(case_id))
                else:
                    continue
                self._drafts.pop(case_id, None)
                done.append(case_id)
        except BoneAgeError as error:
            self._state = self._log.state()
            self._show()
            self.grid.mark([case_id for case_id in marked if case_id not in done])
            raise BoneAgeError(f"{len(done)} of {len(marked + rest)} decisions are saved; {error}") from None
        self._state = self._log.state()
        self.grid.note.value = ""
        unseen = self.grid.unseen
        self._queue.current = page[-1]
        self._go(self._queue.next({*self._state, *unseen}) or self._first_undecided())
        if unseen:
            named = ", ".join(unseen[:_MOST_NAMED])
            self._say(f"{len(unseen)} photos cannot be read and stay undecided: {named}", "error")
        else:
            rejected = sum(case_id in marked for case_id in done)
            kept = len(done) - rejected
            self._say(f"{kept} kept, {rejected} rejected; Undo takes them back", "done")

    def _skip(self) -> None:
        self._refresh()
        if self.mode.value == MANY:
            self._turn_page(1)
            return
        case_id = self._queue.next(self._state if self.undecided_only.value else ())
        if case_id is None:
            raise BoneAgeError("there is no other photo here; choose other filters to see more")
        self._go(case_id)

    def _back(self) -> None:
        self._refresh()
        if self.mode.value == MANY and self._queue.current is not None:
            self._turn_page(-1)
        elif self._queue.back():
            self._show()
        else:
            raise BoneAgeError("this is the first photo that was in sight")

    def _turn_page(self, by: int) -> None:
        page = self._queue.page(TILES, by)
        if not page:
            raise BoneAgeError(f"this is the {'last' if by > 0 else 'first'} page")
        self._go(page[0])

    def _undo(self) -> None:
        """Takes back what this board's last click decided, be it a page; else the log's last decision."""
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
            self._state = self._log.state()
            # Where an earlier decision stands again, it is shown as it was made.
            self._drafts |= {
                case_id: _recorded(before.get(case_id))[0] for case_id in taken if case_id not in self._state
            }
            if taken:
                self._show_case(taken[0])
        named = ", ".join(taken[:_MOST_NAMED]) + ", …" * (len(taken) > _MOST_NAMED)
        self._say(f"taken back: the decision{'s' * (len(taken) != 1)} on {named}", "done")

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
            raise BoneAgeError(f"case {case_id}: not among the photos of this review; check the id")
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
    """The operators and the note of a decision; and what of them cannot be read, in words."""
    if decision is None:
        return _NOTHING, ""
    try:
        return (parse_corrections(decision.corrections), decision.note), ""
    except BoneAgeError as error:
        return ([], decision.note), f"case {decision.case_id}: {error}; shown without its recorded operators"


def _checked_note(reason: str, note: str) -> str:
    note = note.strip()
    if reason == "other" and not note:
        raise BoneAgeError("other: write in the note what it is, then click again")
    return note
