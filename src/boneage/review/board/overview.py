"""Progress of the review: ages before and after, counts, and what to do at the end."""

import html
from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import pandas as pd

from boneage.review.applying import apply_log, summary
from boneage.review.board.facts import Case
from boneage.review.board.maker import Maker
from boneage.review.board.pictures import ages_figure
from boneage.review.log import ReviewLog

_MOST_NAMED = 12


class Overview:
    """The age histogram, and the end of a review; ``what_next`` says what to do then."""

    def __init__(self, make: Maker, cases: Mapping[str, Case], log: ReviewLog, what_next: str):
        self._cases, self._log, self._what_next = cases, log, what_next
        self.picture = make(widgets.Image, "ages", format="png")
        self.words = make.words("", "end")
        self.clear_button = make(
            widgets.Button,
            description="Show all images",
            tooltip="clear the filters",
            button_style="primary",
            layout=widgets.Layout(),
        )
        self.widget = make.column(self.words, self.clear_button, self.picture, classes=("view", "card"))

    def show_ages(self, ids: Sequence[str]) -> None:
        """Shows the ages of cases before and after the review."""
        self._show(ids, "Ages before and after the review", "")

    def show_end(self, ids: Sequence[str], undecided: int, is_filtered: bool) -> None:
        """Says that nothing is left to decide, with these filters or at all."""
        if not ids:
            self._show(ids, "There is no image to review", "Open the board with a table that has cases.")
        elif undecided:
            advice = f"{undecided} others are undecided; clear the filters to continue with them."
            self._show(ids, "All of these images are decided", advice, is_filtered)
        else:
            self._show(ids, f"All {len(ids)} images are decided", self._what_next, is_filtered)

    def _show(self, ids: Sequence[str], title: str, advice: str, can_clear: bool = False) -> None:
        accepted = apply_log(pd.DataFrame({"case_id": list(ids)}), self._log)[0]["case_id"]
        years = [
            [year for year in (self._cases[case_id].year for case_id in of) if year is not None]
            for of in (ids, accepted)
        ]
        self.words.value = "".join(
            f'<div class="ba-{look}">{html.escape(words)}</div>'
            for look, words in (("headline", title), ("counts", self._counts(ids)), ("advice", advice))
            if words
        )
        self.clear_button.layout.display = "" if can_clear else "none"
        self.picture.value = ages_figure(*years)

    def _counts(self, ids: Sequence[str]) -> str:
        counts = summary(self._log, ids)
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts.rejected.items())
        words = [
            f"{counts.accepted} kept",
            f"{sum(counts.rejected.values())} rejected" + (f" ({reasons})" if reasons else ""),
            f"{counts.undecided} undecided",
        ]
        if counts.disagreements:
            named = ", ".join(counts.disagreements[:_MOST_NAMED])
            more = ", …" * (len(counts.disagreements) > _MOST_NAMED)
            words.append(f"reviewers disagree on {named}{more}; the last decision counts")
        return " · ".join(words)
