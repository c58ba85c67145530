"""The board's logic, clicked from Python: whatever goes wrong is one line in it, and nothing is lost."""

import errno
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import cv2
import ipywidgets
import numpy as np
import pandas as pd
import pytest
from browser_cases import ANOMALY_COLUMNS, SIDE, a_board, a_level, a_table, an_image, gone
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.display import display

from boneage.core.errors import BoneAgeError
from boneage.images.augmentations import AUGMENTATIONS
from boneage.images.operators import CORRECTIONS, OPERATORS, apply_operators, parse_operators
from boneage.review.board import ReviewBoard, Suggest, review_board
from boneage.review.board.augmentations_panel import AugmentationsPanel
from boneage.review.board.events import Events
from boneage.review.board.facts import alike, box_in_image, read_cases
from boneage.review.board.grid import TILES
from boneage.review.board.maker import Maker
from boneage.review.board.one_image import Choice
from boneage.review.board.pictures import GREY, Images, ages_figure, render_view, window_of
from boneage.review.board.queue import ALL, ANY, Queue
from boneage.review.board.review_board import AGES, MANY, ONE
from boneage.review.decisions import REASONS
from boneage.review.log import ReviewLog


@pytest.fixture(autouse=True)
def quick_hand(monkeypatch):
    """Tests click faster than a person does."""
    monkeypatch.setattr(review_board, "DOUBLE_CLICK_SECONDS", 0.0)


def said(board: ReviewBoard) -> str:
    return re.sub("<[^>]*>", "", board.message.value)


def status(board: ReviewBoard) -> str:
    return re.sub("<[^>]*>", "", board.status.value.split("</b>")[0])


def log_of(folder: Path) -> list[tuple[str, ...]]:
    return [(row.case_id, row.decision, row.reason) for row in ReviewLog(folder / "log.csv").rows]


def pixels(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)


def level(jpeg: bytes) -> int:
    return int(np.median(pixels(jpeg)))


# Deciding.


def test_keep_reject_undo_back_and_skip_are_on_disk_and_in_the_status(tmp_path):
    board = a_board(tmp_path)
    assert board.current == "C000"
    assert status(board) == "1 of 6 · 0 rejected · nothing saved yet"
    board.keep_button.click()
    assert level(board.one.picture.value) == pytest.approx(21, abs=2)
    board.reject_buttons["ring"].click()
    assert log_of(tmp_path) == [("C000", "keep", ""), ("C001", "reject", "ring")]
    assert re.fullmatch(r"3 of 6 · 1 rejected · saved \d\d:\d\d:\d\d", status(board))
    board.undo_button.click()
    assert board.current == "C001"
    assert "taken back: the decision on C001" in said(board)
    assert log_of(tmp_path)[-1] == ("C001", "undo", "")
    board.skip_button.click()
    assert board.current == "C002"
    board.back_button.click()
    assert board.current == "C001"
    seen = []
    while "first image" not in said(board):
        board.back_button.click()
        seen.append(board.current)
    assert seen == ["C002", "C001", "C000", "C000"]


def test_every_reason_has_a_button_and_other_needs_a_note(tmp_path):
    board = a_board(tmp_path)
    assert list(board.reject_buttons) == list(REASONS)
    board.reject_buttons["other"].click()
    assert "in the note" in said(board)
    assert log_of(tmp_path) == []
    board.note.value = " a ruler "
    board.reject_buttons["other"].click()
    assert ReviewLog(tmp_path / "log.csv").rows[0].note == "a ruler"
    assert board.note.value == ""
    board.back_button.click()
    assert board.note.value == "a ruler"
    assert "rejected: other" in board.one.facts.value


def test_it_reopens_at_the_first_undecided_and_ends_with_what_comes_next(tmp_path):
    board = a_board(tmp_path, 4, what_next="Run cell 7.")
    board.keep_button.click()
    board.skip_button.click()
    board.keep_button.click()
    again = a_board(tmp_path, 4, what_next="Run cell 7.")
    assert again.current == "C001"
    again.reject_buttons["bracelet"].click()
    again.keep_button.click()
    assert again.current is None
    for words in ("All 4 images are decided", "3 kept", "1 rejected (bracelet 1)", "Run cell 7."):
        assert words in again.overview.words.value
    assert bytes(again.overview.picture.value).startswith(b"\x89PNG")
    again.keep_button.click()
    assert len(log_of(tmp_path)) == 4
    again.undo_button.click()
    assert again.current == "C003"
    assert a_board(tmp_path, 4).current == "C003"


def test_after_the_last_image_it_goes_on_with_those_that_were_skipped(tmp_path):
    board = a_board(tmp_path, 3)
    board.skip_button.click()
    board.keep_button.click()
    board.keep_button.click()
    assert board.current == "C000"


def test_the_second_half_of_a_double_click_decides_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(review_board, "DOUBLE_CLICK_SECONDS", 60.0)
    board = a_board(tmp_path)
    board.keep_button.click()
    assert "ignored as a double click" in said(board)
    assert log_of(tmp_path) == []


def test_the_queue_sets_the_order_and_leaves_out_what_is_not_in_the_table(tmp_path):
    board = a_board(tmp_path, queue=["C004", "nowhere", "C001", "C004"])
    assert board.current == "C004"
    assert status(board).startswith("1 of 2")


def test_jumping_by_id_and_by_place(tmp_path):
    board = a_board(tmp_path)
    board.jump.value = "C004"
    assert (board.current, board.jump.value) == ("C004", "")
    board.jump.value = "C999"
    assert "C999: not among the images" in said(board)
    board.place.value = 2
    assert board.current == "C001"


def test_filters_leave_cases_out_and_say_so_at_their_end(tmp_path):
    board = a_board(tmp_path)
    assert [label for label, _ in board.age_filter.options][:2] == ["All ages (6)", "5 years (2)"]
    board.kind_filter.value = ANY
    assert (board.current, status(board)[:6]) == ("C001", "1 of 2")
    board.kind_filter.value = "bracelet"
    board.keep_button.click()
    assert board.current is None
    assert "5 others are undecided" in board.overview.words.value
    assert board.overview.clear_button.layout.display == ""
    board.overview.clear_button.click()
    assert (board.current, board.kind_filter.value) == ("C000", ALL)
    board.undecided_only.value = True
    assert status(board).startswith("1 of 5")
    board.age_filter.value = 7
    assert board.current == "C005"
    board.jump.value = "C002"
    assert (board.current, board.age_filter.value) == ("C002", ALL)


# The image, its operators, and what is known of it.


def test_facts_anomalies_and_their_boxes_are_shown(tmp_path):
    board = a_board(tmp_path)
    board.skip_button.click()
    for words in ("Case C001", "boy · 6 years · African American", "bone age 6.4 years (readings 6.2, 6.6)"):
        assert words in board.one.facts.value
    labels = [label for label, _ in board.one.anomaly_list.options]
    assert labels == ["● burnt-in text · 0.90", "● growth out of step · 0.60"]
    assert "letters beside" in board.one.why.value
    with_box = board.one.picture.value
    board.one.anomaly_list.index = 1
    assert "2.4 SD" in board.one.why.value
    assert board.one.picture.value != with_box
    board.one.anomaly_list.index = 0
    assert board.one.picture.value == with_box
    board.one.show_box.value = False
    assert board.one.picture.value != with_box


def test_operators_change_the_preview_and_are_written_with_the_decision(tmp_path):
    board = a_board(tmp_path, read_image=an_image)
    panel = board.one.corrections
    before = board.one.preview.value
    assert before == render_view(an_image("C000"))
    for name, switch in panel.switches.items():
        shown = board.one.preview.value
        switch.value = True
        assert board.one.preview.value != shown, name
    panel.add_box.click()
    chosen = panel.corrections
    assert [one["name"] for one in chosen] == list(CORRECTIONS)
    assert board.one.preview.value == render_view(apply_operators(an_image("C000"), chosen))
    assert f"({len(chosen)} corrections)" in board.one.preview_title.value
    board.keep_button.click()
    assert panel.corrections == []
    assert parse_operators(ReviewLog(tmp_path / "log.csv", "Ann").rows[0].corrections) == chosen
    board.back_button.click()
    assert panel.corrections == chosen
    panel.reset_button.click()
    assert board.one.preview.value == before


def test_what_was_set_and_typed_is_there_again_when_the_image_is(tmp_path):
    board = a_board(tmp_path)
    flip = board.one.corrections.switches["flip"]
    flip.value, board.note.value = True, "look again"
    board.skip_button.click()
    assert (flip.value, board.note.value) == (False, "")
    board.mode.value = MANY
    board.mode.value = AGES
    board.jump.value = "C000"
    assert (flip.value, board.note.value) == (True, "look again")
    board.keep_button.click()
    board.undo_button.click()
    assert (board.current, flip.value, board.note.value) == ("C000", True, "look again")
    flip.value, board.note.value = False, ""
    board.skip_button.click()
    board.back_button.click()
    assert (flip.value, board.note.value) == (False, "")


def test_what_was_set_for_an_image_is_kept_with_it_by_its_page(tmp_path):
    board = a_board(tmp_path, 3)
    board.skip_button.click()
    board.one.corrections.switches["flip"].value = True
    board.mode.value = MANY
    board.grid.decide_button.click()
    assert [row.corrections for row in ReviewLog(tmp_path / "log.csv").rows] == [
        "[]",
        '[{"name": "flip"}]',
        "[]",
    ]


def test_a_defect_is_said_too(tmp_path, monkeypatch):
    board = a_board(tmp_path)
    monkeypatch.setattr(board.one, "show", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        board._attempt(board._skip)
    assert "internal error" in said(board)


def test_operators_of_one_image_do_not_stand_on_the_next_though_that_is_gone(tmp_path):
    board = a_board(tmp_path, 2, lambda case_id: gone(case_id) if case_id == "C001" else a_level(case_id))
    board.one.corrections.switches["flip"].value = True
    board.keep_button.click()
    board.reject_buttons["ring"].click()
    assert ReviewLog(tmp_path / "log.csv").rows[1].corrections == "[]"


def test_a_slider_switches_its_operator_on_and_off_again_where_it_changes_nothing(tmp_path):
    panel = a_board(tmp_path).one.corrections
    panel.sliders["rotate"].value = -12.5
    assert panel.corrections == [{"name": "rotate", "degrees": -12.5}]
    panel.sliders["rotate"].value = 0
    assert panel.corrections == []
    panel.switches["gamma"].value = True
    assert panel.corrections == [{"name": "gamma", "power": 0.8}]
    panel.switches["gamma"].value = False
    assert panel.sliders["gamma"].value == 1


@pytest.mark.parametrize("end", ["min", "max"])
def test_the_sliders_reach_as_far_as_the_operators_go_and_no_further(tmp_path, end):
    board = a_board(tmp_path)
    for slider in board.one.corrections.sliders.values():
        base = getattr(slider, "base", None)
        slider.value = getattr(slider, end) if base is None else base ** getattr(slider, end)
    board.keep_button.click()
    assert said(board) == ""
    for one in parse_operators(ReviewLog(tmp_path / "log.csv").rows[0].corrections):
        ranges = OPERATORS[one["name"]].ranges
        assert all(one[name] == ranges[name][end == "max"] for name in ranges)


def test_boxes_to_blank_cover_what_was_marked(tmp_path):
    board = a_board(tmp_path, read_image=an_image)
    board.skip_button.click()
    panel = board.one.corrections
    panel.blank_marked.click()
    panel.blank_marked.click()
    (box,) = panel.corrections
    # Outward from 0.1234, 0.0567 to 0.3702, 0.1356.
    assert box == {"name": "blank", "x": 0.123, "y": 0.056, "width": 0.248, "height": 0.08}
    panel.add_box.click()
    panel.box_sliders["y"].value = 0.5
    assert [one["y"] for one in panel.corrections] == [0.056, 0.5]
    panel.which_box.value = 0
    assert panel.box_sliders["y"].value == 0.056
    panel.remove_box.click()
    assert [one["y"] for one in panel.corrections] == [0.5]
    panel.remove_box.click()
    assert panel.corrections == []
    assert panel.remove_box.disabled
    board.skip_button.click()
    board.skip_button.click()
    panel.blank_marked.click()
    assert "no marked box" in said(board)
    assert panel.corrections == []


def test_use_suggested_fills_both_lists_and_leaves_the_boxes(tmp_path):
    turn = {"name": "rotate", "degrees": 9.4}
    seen = []
    suggest = Suggest(
        lambda case_id, _: [turn] if case_id == "C000" else [], lambda image: names_for(image, seen)
    )
    board = a_board(tmp_path, read_image=an_image, suggest=suggest)
    corrections, augmentations = board.one.corrections, board.one.augmentations
    assert "suggested: rotate 9.4" in board.one.suggested.value
    assert corrections.corrections == []
    corrections.add_box.click()
    augmentations.none_button.click()
    assert (augmentations.augmentations, augmentations.names) == ([], [])
    board.one.suggest_button.click()
    assert corrections.corrections[0]["name"] == "blank"
    assert corrections.corrections[1:] == [turn]
    assert augmentations.names == ["flip", "tilt"]
    # What copies of the corrected image would be drawn from anyhow.
    assert np.array_equal(seen[-1], apply_operators(an_image("C000"), corrections.corrections))
    board.keep_button.click()
    (row,) = ReviewLog(tmp_path / "log.csv", "Ann").rows
    assert (parse_operators(row.corrections)[1:], row.augmentations) == ([turn], "")
    assert "suggested: no correction" in board.one.suggested.value


def names_for(image: np.ndarray, seen: list[np.ndarray]) -> list[str]:
    seen.append(image)
    return ["tilt", "flip"]


def test_the_two_lists_are_recorded_apart_and_shown_again(tmp_path):
    board = a_board(tmp_path, read_image=an_image)
    copy = board.one.copy.value
    for name in ("brighten", "darken", "tint"):
        board.one.augmentations.switches[name].value = True
    assert board.one.copy.value != copy
    assert board.one.preview.value == render_view(an_image("C000"))
    another = board.one.copy.value
    board.one.copy_button.click()
    assert board.one.copy.value != another
    board.one.corrections.switches["invert"].value = True
    board.keep_button.click()
    board.one.augmentations.none_button.click()
    board.keep_button.click()
    board.keep_button.click()
    rows = ReviewLog(tmp_path / "log.csv", "Ann").rows
    assert [row.corrections for row in rows] == ['[{"name": "invert"}]', "[]", "[]"]
    assert [row.augmentations for row in rows] == ['["brighten", "darken", "tint"]', "[]", ""]
    again = a_board(tmp_path, read_image=an_image)
    shown = []
    for case_id in ("C000", "C001", "C002"):
        again.jump.value = case_id
        shown.append(again.one.augmentations.augmentations)
    assert shown == [["brighten", "darken", "tint"], [], None]
    assert again._drafts == {}


def test_what_was_recorded_by_a_wider_name_is_shown_by_its_parts(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    log.append("C000", "keep", augmentations=["brightness", "gamma"])
    board = a_board(tmp_path)
    board.jump.value = "C000"
    assert board.one.augmentations.names == ["brighten", "darken", "gamma lighter", "gamma darker"]
    assert said(board) == ""


def test_every_augmentation_has_a_switch():
    panel = AugmentationsPanel(Maker(), Events(lambda act: act()), lambda: None)
    for name in AUGMENTATIONS:
        panel.show([name], ())
        assert panel.names, name


def test_undo_shows_what_stands_again_boxes_too(tmp_path):
    board = a_board(tmp_path, read_image=an_image)
    board.one.corrections.blank((0.1, 0.1, 0.2, 0.2))
    board.one.augmentations.switches["tilt"].value = True
    board.keep_button.click()
    kept = ReviewLog(tmp_path / "log.csv", "Ann").rows[0]
    board.back_button.click()
    board.one.corrections.blank((0.5, 0.5, 0.1, 0.1))
    board.one.augmentations.none_button.click()
    board.reject_buttons["ring"].click()
    board.undo_button.click()
    assert board.current == "C000"
    assert "now kept" in said(board)
    assert "kept" in board.one.facts.value
    assert board.one.corrections.boxes == [(0.1, 0.1, 0.2, 0.2)]
    assert board.one.augmentations.augmentations == ["tilt"]
    state = ReviewLog(tmp_path / "log.csv", "Ann").state()
    assert (state["C000"].corrections, state["C000"].augmentations) == (kept.corrections, kept.augmentations)
    board.undo_button.click()
    assert "now undecided" in said(board)
    assert "undecided" in board.one.facts.value
    # Nothing stood before: the controls stay as they were set.
    assert board.one.corrections.boxes == [(0.1, 0.1, 0.2, 0.2)]


def test_undo_of_a_page_puts_back_what_stood_on_each_of_its_cases(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    box = {"name": "blank", "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}
    log.append("C001", "keep", corrections=[box])
    board = a_board(tmp_path, 6)
    board.mode.value = MANY
    board.grid.mark(["C001", "C002"])
    board.grid.reason.value = "ring"
    board.grid.decide_button.click()
    board.undo_button.click()
    assert "now 5 undecided, 1 kept" in said(board)
    state = ReviewLog(tmp_path / "log.csv", "Ann").state()
    assert {case_id: row.decision for case_id, row in state.items()} == {"C001": "keep"}
    board.grid.open_buttons[1].click()
    assert board.one.corrections.boxes == [(0.1, 0.1, 0.2, 0.2)]


def test_only_what_is_decided_here_is_said_to_be_saved(tmp_path):
    recorded = ReviewLog(tmp_path / "log.csv", "Ann", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    recorded.append("C000", "keep")
    board = a_board(tmp_path)
    assert status(board).endswith(" · recorded earlier")
    board.keep_button.click()
    assert re.search(r"saved \d\d:\d\d:\d\d$", status(board))


# Level and window.


def test_level_and_window_change_the_view_alone(tmp_path):
    board = a_board(tmp_path, read_image=an_image)
    one = board.one
    before = one.picture.value, one.preview.value
    one.level.value = 60
    assert one.picture.value != before[0]
    one.window.value = 100
    level, window = 60, 100
    expected = np.clip((an_image("C000").astype(float) - level) / window * 255 + 127.5, 0, 255)
    assert np.abs(pixels(one.picture.value).mean() - expected.mean()) < 2
    assert one.choice == Choice()
    board.keep_button.click()
    # Each image comes up by its own grey levels, as at a reading station.
    assert (one.level.value, one.window.value) == (127.5, 255)
    board.back_button.click()
    assert (one.picture.value, one.preview.value) == before
    one.level.value = 60
    one.tone_button.click()
    assert (one.picture.value, one.preview.value) == before
    (row,) = ReviewLog(tmp_path / "log.csv", "Ann").rows
    assert (row.corrections, row.augmentations) == ("[]", "")


def test_what_a_slider_says_back_is_not_taken_for_a_person(tmp_path):
    turn = {"name": "rotate", "degrees": 9.37}
    suggest = Suggest(lambda case_id, _: [turn] if case_id == "C000" else [], lambda image: [])
    board = a_board(tmp_path, read_image=an_image, suggest=suggest)
    rotate = board.one.corrections.sliders["rotate"]
    board.one.suggest_button.click()
    # ipywidgets 8 rounds to the slider's steps, and tells.
    rotate.value = 9.400000000000006
    assert board.one.corrections.corrections == [turn]
    board.keep_button.click()
    # It may come so late that another image is in sight.
    rotate.value = 9.400000000000006
    assert (board.current, rotate.value, board.one.corrections.corrections) == ("C001", 0, [])
    rotate.value = -3
    assert board.one.corrections.corrections == [{"name": "rotate", "degrees": -3.0}]
    board.script.hear({"view": [0.1, 0.1, 1 / 1.87]})
    board.one.zoom.value = 1.75
    assert board.script.widget.view[2] == pytest.approx(1 / 1.87)
    (row,) = ReviewLog(tmp_path / "log.csv", "Ann").rows
    assert parse_operators(row.corrections) == [turn]


# Keys and the pointer, as the script on the page tells of them.


def press(board: ReviewBoard, key: str) -> None:
    board.script.hear({"key": key, "seen": board.script.seen})


def test_keys_do_what_their_buttons_do(tmp_path):
    board = a_board(tmp_path)
    press(board, "keep")
    for number in range(1, 5):
        press(board, str(number))
    assert log_of(tmp_path) == [
        ("C000", "keep", ""),
        *((f"C{number:03d}", "reject", REASONS[number - 1]) for number in range(1, 5)),
    ]
    press(board, "5")
    assert "in the note" in said(board)
    press(board, "undo")
    assert board.current == "C004"
    press(board, "next")
    assert board.current == "C005"
    press(board, "back")
    assert board.current == "C004"
    assert ReviewLog(tmp_path / "log.csv", "Ann").state().keys() == {"C000", "C001", "C002", "C003"}


def test_the_keys_stand_on_the_buttons_where_they_are_heard(tmp_path, monkeypatch):
    board = a_board(tmp_path)
    words = [board.keep_button, *board.reject_buttons.values(), board.undo_button]
    assert [re.search(r"\[(.)\]", button.description)[1] for button in words] == list("K12345U")
    monkeypatch.setitem(sys.modules, "anywidget", None)
    board = a_board(tmp_path)
    assert board.script.widget is None
    assert (board.keep_button.description, board.undo_button.description) == ("✓ Keep", "↶ Undo")
    board.keep_button.click()
    board.one.zoom_in.click()
    board.one.level.value = 60
    board.one.corrections.add_box.click()
    board.undo_button.click()
    assert [row[1] for row in log_of(tmp_path)] == ["keep", "undo"]


def test_a_broken_anywidget_costs_the_keys_and_not_the_board(tmp_path, monkeypatch):
    class Broken:
        def __getattr__(self, name: str):
            raise RuntimeError("needs another version")

    monkeypatch.setitem(sys.modules, "anywidget", Broken())
    board = a_board(tmp_path)
    board.keep_button.click()
    assert board.current == "C001"


def test_a_key_pressed_before_the_image_was_in_sight_decides_nothing(tmp_path):
    board = a_board(tmp_path)
    seen = board.script.seen
    for _ in range(5):
        board.script.hear({"key": "keep", "seen": seen})
    assert log_of(tmp_path) == [("C000", "keep", "")]
    assert "before this image appeared" in said(board)
    press(board, "keep")
    assert len(log_of(tmp_path)) == 2


def test_a_key_as_quick_as_a_double_click_is_a_slip(tmp_path, monkeypatch):
    monkeypatch.setattr(review_board, "DOUBLE_CLICK_SECONDS", 60.0)
    board = a_board(tmp_path)
    press(board, "keep")
    assert log_of(tmp_path) == []
    press(board, "next")
    assert board.current == "C001"


def test_on_a_page_a_number_names_the_reason_and_keep_decides(tmp_path):
    board = a_board(tmp_path, 6)
    board.mode.value = MANY
    press(board, "2")
    assert "click the images to reject" in said(board)
    board.grid.mark(["C003"])
    press(board, "2")
    assert (board.grid.reason.value, log_of(tmp_path)) == ("bracelet", [])
    press(board, "keep")
    assert log_of(tmp_path)[3] == ("C003", "reject", "bracelet")
    board.mode.value = AGES
    for key in ("keep", "1"):
        press(board, key)
    assert len(log_of(tmp_path)) == 6
    press(board, "undo")
    assert ReviewLog(tmp_path / "log.csv", "Ann").state() == {}


def test_keys_on_an_empty_board_and_on_an_image_that_is_gone(tmp_path):
    empty = a_board(tmp_path, 0)
    for key in ("keep", "1", "undo", "back", "next"):
        press(empty, key)
    board = a_board(tmp_path, 2, gone)
    press(board, "keep")
    assert "cannot be kept" in said(board)
    board.script.hear({"box": [0.1, 0.1, 0.2, 0.2], "seen": board.script.seen})
    board.script.hear({"view": [0.2, 0.2, 0.5]})
    assert board.one.corrections.corrections == []
    press(board, "1")
    assert log_of(tmp_path) == [("C000", "reject", "ring")]


def test_a_box_drawn_with_the_pointer_is_blanked_and_marked(tmp_path):
    board = a_board(tmp_path, read_image=an_image)
    before = board.one.picture.value
    for box in ([0.1, 0.2, 0.3, 0.1], [0.8, 0.9, 0.5, 0.5]):
        board.script.hear({"box": box, "seen": board.script.seen})
    # The second reaches beyond the image.
    assert board.one.corrections.boxes == [(0.1, 0.2, 0.3, 0.1), (0.8, 0.9, 0.2, 0.1)]
    assert board.one.picture.value != before
    board.one.corrections.which_box.value = 0
    board.one.corrections.remove_box.click()
    board.keep_button.click()
    (row,) = ReviewLog(tmp_path / "log.csv", "Ann").rows
    assert parse_operators(row.corrections) == [
        {"name": "blank", "x": 0.8, "y": 0.9, "width": 0.2, "height": 0.1}
    ]


def test_the_pointer_moves_the_part_in_sight_of_both_pictures(tmp_path):
    board = a_board(tmp_path, read_image=an_image)
    answered = board.script.widget.answered
    board.script.hear({"view": [0.5, 0.25, 0.25], "tone": [60.0, 100.0]})
    assert board.one.zoom.value == 4
    assert (board.one.level.value, board.one.window.value) == (60, 100)
    assert board.one.picture.value == render_view(an_image("C000"), 4, (0.625, 0.375), tone=(60.0, 100.0))
    assert board.one.preview.value == board.one.picture.value
    assert board.script.widget.view == [0.5, 0.25, 0.25]
    board.script.hear({"view": [0.9, 0.9, 0.001]})
    assert board.one.zoom.value == 8
    assert board.script.widget.answered == answered + 2
    board.keep_button.click()
    assert board.script.widget.view == [0, 0, 1]


def test_zoom_by_clicks_on_the_image_the_slider_and_the_buttons(tmp_path):
    board = a_board(tmp_path, read_image=an_image)
    one = board.one
    whole = one.picture.value
    one.cells[0].click()
    assert one.zoom.value == 3
    assert one.picture.value == render_view(an_image("C000"), 3, (0, 0))
    one.cells[48].click()
    assert one.picture.value != render_view(an_image("C000"), 3, (0, 0))
    one.zoom_in.click()
    one.zoom.value = 8
    one.zoom_in.click()
    assert one.zoom.value == 8
    one.whole_button.click()
    assert one.picture.value == whole
    one.zoom_out.click()
    assert one.zoom.value == 1


def test_neighbours_are_of_the_same_sex_and_year_and_one_is_shown_beside_the_image(tmp_path):
    board = a_board(tmp_path, 40)
    shown = [tile.case_id for tile in board.one.neighbours if tile.case_id]
    assert shown
    assert all(int(case_id[1:]) % 6 == 0 and case_id != "C000" for case_id in shown)
    tile = board.one.neighbours[0]
    tile.switch.value = True
    assert f"For comparison: case {tile.case_id}" in board.one.preview_title.value
    assert level(board.one.preview.value) == pytest.approx(20 + int(tile.case_id[1:]), abs=2)
    board.one.neighbours[1].switch.value = True
    assert not tile.switch.value
    board.one.neighbours[1].switch.value = False
    assert "Corrected" in board.one.preview_title.value


def test_rejected_cases_are_nothing_to_compare_with():
    cases = read_cases(a_table(13))
    assert alike("C000", cases, {"C006"}, 8) == ["C012"]
    assert len(alike("C000", read_cases(a_table(200)), (), 8)) == 8


# The grid.


def test_a_page_is_decided_by_one_button_and_taken_back_by_one(tmp_path):
    board = a_board(tmp_path, 30)
    board.reject_buttons["ring"].click()
    board.mode.value = MANY
    grid = board.grid
    assert grid.decide_button.description == "Keep the rest (23)"
    grid.tiles[3].switch.value = True
    grid.tiles[5].switch.value = True
    assert grid.decide_button.description == "Reject the marked (2), keep the rest (21)"
    grid.unmark_button.click()
    assert grid.marked == []
    grid.tiles[3].switch.value = True
    grid.reason.value = "bracelet"
    grid.decide_button.click()
    rows = log_of(tmp_path)
    assert len(rows) == 1 + 23
    assert ("C003", "reject", "bracelet") in rows
    assert ("C000", "keep", "") not in rows
    assert [tile.case_id for tile in grid.tiles if tile.case_id] == [f"C{at:03d}" for at in range(24, 30)]
    board.undo_button.click()
    assert ReviewLog(tmp_path / "log.csv", "Ann").state().keys() == {"C000"}
    assert grid.tiles[0].case_id == "C000"
    board.skip_button.click()
    assert grid.tiles[0].case_id == "C024"
    board.skip_button.click()
    assert "last page" in said(board)
    board.back_button.click()
    grid.decide_button.click()
    grid.decide_button.click()
    assert board.current is None


def test_a_page_that_was_decided_is_shown_as_saved(tmp_path):
    board = a_board(tmp_path, 30)
    board.mode.value = MANY
    assert "nothing saved yet" in status(board)
    board.grid.decide_button.click()
    assert re.search(r"saved \d\d:\d\d:\d\d$", status(board))


def test_a_tile_opens_large_and_the_grid_needs_a_note_for_other(tmp_path):
    board = a_board(tmp_path, 10)
    board.mode.value = MANY
    board.grid.tiles[2].switch.value = True
    board.grid.reason.value = "other"
    board.grid.decide_button.click()
    assert "in the note" in said(board)
    assert board.grid.marked == ["C002"]
    board.grid.open_buttons[7].click()
    assert (board.mode.value, board.current) == (ONE, "C007")


def test_images_that_cannot_be_seen_are_not_kept_by_the_page(tmp_path):
    board = a_board(tmp_path, 5, lambda case_id: gone(case_id) if case_id == "C002" else a_level(case_id))
    board.mode.value = MANY
    assert board.grid.decide_button.description == "Keep the rest (4)"
    board.grid.decide_button.click()
    assert "1 images cannot be read and stay undecided: C002" in said(board)
    assert board.current == "C002"
    board.grid.tiles[2].switch.value = True
    board.grid.reason.value = "skeleton unknown"
    board.grid.decide_button.click()
    assert board.current is None


def test_a_page_that_fails_midway_keeps_what_is_saved_and_what_is_marked(tmp_path, monkeypatch):
    board = a_board(tmp_path, 6)
    board.mode.value = MANY
    board.grid.tiles[4].switch.value = True
    board.grid.reason.value = "ring"
    append = ReviewLog.append
    left = iter(range(2))

    def failing(self, *values):
        if next(left, None) is None:
            raise BoneAgeError("log.csv: cannot be written: the disk is full")
        return append(self, *values)

    with monkeypatch.context() as patch:
        patch.setattr(ReviewLog, "append", failing)
        board.grid.decide_button.click()
    assert "2 of 6 decisions are saved" in said(board)
    assert "disk is full" in said(board)
    assert board.grid.marked == ["C004"]
    board.grid.decide_button.click()
    assert len(log_of(tmp_path)) == 6
    assert ("C004", "reject", "ring") in log_of(tmp_path)


def test_a_page_keeps_nothing_that_another_board_decided_since_it_appeared(tmp_path):
    board, other = a_board(tmp_path, 6), a_board(tmp_path, 6)
    board.mode.value = MANY
    other.reject_buttons["ring"].click()
    other.keep_button.click()
    board.grid.decide_button.click()
    assert "4 kept, 0 rejected; Undo takes them back; 2 decided on another board meanwhile" in said(board)
    assert log_of(tmp_path)[:2] == [("C000", "reject", "ring"), ("C001", "keep", "")]
    assert len(log_of(tmp_path)) == 6
    board.undo_button.click()
    assert ReviewLog(tmp_path / "log.csv", "Ann").state().keys() == {"C000", "C001"}


def test_a_page_records_what_was_set_and_typed_for_its_images_one_by_one(tmp_path):
    box = {"name": "blank", "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}
    ReviewLog(tmp_path / "log.csv", "Ann").append("C002", "keep", corrections=[box], note="a plaster")
    board = a_board(tmp_path, 4)
    board.note.value = "look again"
    board.skip_button.click()
    board.one.augmentations.none_button.click()
    board.mode.value = MANY
    board.grid.mark(["C001", "C002"])
    board.grid.reason.value, board.grid.note.value = "ring", "as told"
    board.grid.decide_button.click()
    rows = ReviewLog(tmp_path / "log.csv", "Ann").state()
    assert {case_id: row.note for case_id, row in rows.items()} == {
        "C000": "look again",
        "C001": "as told",
        "C002": "a plaster; as told",
        "C003": "",
    }
    assert parse_operators(rows["C002"].corrections) == [box]
    assert rows["C001"].augmentations == "[]"


def test_a_page_rejects_for_another_reason_by_the_notes_of_its_images(tmp_path):
    board = a_board(tmp_path, 3)
    board.note.value = "a ruler"
    board.mode.value = MANY
    board.grid.mark(["C000"])
    board.grid.reason.value = "other"
    board.grid.decide_button.click()
    assert ReviewLog(tmp_path / "log.csv", "Ann").state()["C000"].note == "a ruler"


# Faults.


def test_decisions_under_ids_that_lost_their_zeros_are_shown_and_taken_back(tmp_path):
    table = a_table(3).assign(case_id=["0010", "0011", "0012"])
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    log.append("10", "reject", "ring")
    log.append("12", "keep")
    board = a_board(tmp_path, cases=table, read_image=a_level)
    assert board.current == "0011"
    assert "1 rejected" in status(board)
    assert "not in the case table" not in board.notices.value
    board.undo_button.click()
    assert (board.current, "now undecided" in said(board)) == ("0012", True)
    board.keep_button.click()
    board.keep_button.click()
    assert board.current is None
    assert "2 kept · 1 rejected (ring 1) · 0 undecided" in board.overview.words.value


def test_a_full_disk_is_said_and_the_decision_does_not_count(tmp_path, monkeypatch):
    board = a_board(tmp_path)
    board.keep_button.click()

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        board.keep_button.click()
        assert "disk is full" in said(board)
        assert board.current == "C001"
        board.undo_button.click()
        assert "disk is full" in said(board)
    board.keep_button.click()
    assert log_of(tmp_path) == [("C000", "keep", ""), ("C001", "keep", "")]
    assert said(board) == ""


def test_a_lock_held_elsewhere_is_said_and_work_goes_on_after_it(tmp_path, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr("boneage.review.log._LOCK_SECONDS", 0.05)
    board = a_board(tmp_path)
    with FileLock(tmp_path / "log.csv.lock"):
        board.keep_button.click()
        assert "locked by another board" in said(board)
        assert board.current == "C000"
        board.skip_button.click()
        assert "locked by another board" in said(board)
        assert board.current == "C001"
    board.back_button.click()
    board.keep_button.click()
    assert (board.current, said(board)) == ("C001", "")


def test_a_log_replaced_by_a_folder_is_said(tmp_path):
    board = a_board(tmp_path)
    (tmp_path / "log.csv").mkdir()
    board.keep_button.click()
    assert "folder is in its place" in said(board)
    (tmp_path / "log.csv").rmdir()
    board.keep_button.click()
    assert board.current == "C001"


def test_images_that_vanish_midway_can_be_skipped_or_rejected_but_not_kept(tmp_path):
    there = {"C000", "C003"}
    board = a_board(tmp_path, 4, lambda case_id: a_level(case_id) if case_id in there else gone(case_id))
    board.keep_button.click()
    assert "C001.png: is gone" in said(board)
    assert board.keep_button.disabled
    board.keep_button.click()
    assert "cannot be kept" in said(board)
    board.one.zoom_in.click()
    board.one.corrections.switches["flip"].value = True
    board.skip_button.click()
    assert "C002.png: is gone" in said(board)
    board.reject_buttons["skeleton unknown"].click()
    assert (board.current, said(board), board.keep_button.disabled) == ("C003", "", False)
    board.mode.value = MANY
    assert log_of(tmp_path) == [("C000", "keep", ""), ("C002", "reject", "skeleton unknown")]


def test_a_neighbour_that_vanished_is_said(tmp_path):
    away = set()
    board = a_board(tmp_path, 7, lambda one: gone(one) if one in away else a_level(one))
    board._images.wait()
    away.add("C006")
    board._images._images.clear()
    board.one.neighbours[0].switch.value = True
    assert "C006.png: is gone" in said(board)


def test_a_log_of_another_table_and_broken_rows_are_told_and_left_alone(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    log.append("C000", "keep")
    log.append("elsewhere", "reject", "ring")
    with open(log.path, "a", encoding="utf-8") as file:
        file.write(
            '2026-01-01,C001,keep,,"[{""name"": ""swirl""}]",,,"Ann"\n2026-01-01,C002,keep,,"[{",,,"Ann"\n'
        )
    board = a_board(tmp_path)
    assert "swirl" in board.notices.value
    assert "not in the case table" in board.notices.value
    assert board.message.value
    board.jump.value = "C001"
    assert board.one.corrections.corrections == []
    board.keep_button.click()
    board.undo_button.click()
    board.undo_button.click()
    assert "elsewhere" in ReviewLog(log.path, "Ann").state()


def test_recorded_operators_that_the_controls_cannot_show_are_told(tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    log.append("C000", "keep", corrections=[{"name": "gamma", "power": 0.80004}])
    board = a_board(tmp_path)
    board.jump.value = "C000"
    assert "cannot show all" in said(board)


def test_an_unknown_operator_in_a_decision_is_told(tmp_path, monkeypatch):
    board = a_board(tmp_path)
    board.keep_button.click()
    row = board._state["C000"]
    object.__setattr__(row, "corrections", '[{"name": "swirl"}]')
    board.back_button.click()
    assert "swirl" in said(board)
    assert board.one.corrections.corrections == []


def test_two_boards_on_one_log_see_each_other(tmp_path):
    first, second = a_board(tmp_path), a_board(tmp_path)
    first.keep_button.click()
    first.keep_button.click()
    second.keep_button.click()
    assert second.current == "C002"
    assert [row[0] for row in log_of(tmp_path)] == ["C000", "C001", "C000"]
    first.reject_buttons["ring"].click()
    second.skip_button.click()
    assert status(second).startswith("4 of 6 · 1 rejected")
    second.undecided_only.value = True
    assert second.current == "C003"


def test_reviewers_are_named_and_their_disagreement_is_listed(tmp_path):
    ann, bob = a_board(tmp_path), a_board(tmp_path, reviewer="Bob")
    ann.keep_button.click()
    bob.reject_buttons["ring"].click()
    assert bob.current == "C001"
    bob.mode.value = AGES
    assert "reviewers disagree on C000" in bob.overview.words.value
    bob.undo_button.click()
    assert (bob.mode.value, bob.current) == (ONE, "C000")


@pytest.mark.parametrize("mode", [ONE, MANY, AGES])
def test_an_empty_queue_says_so_and_no_click_breaks_it(tmp_path, mode):
    board = a_board(tmp_path, 0)
    assert "There is no image to review" in board.overview.words.value
    board.mode.value = mode
    for button in (board.keep_button, board.skip_button, board.back_button, board.undo_button):
        button.click()
    board.undecided_only.value = True
    board.kind_filter.value = ANY
    board.place.value = 1
    assert log_of(tmp_path) == []


def test_one_case_is_a_whole_review(tmp_path):
    board = a_board(tmp_path, 1)
    board.skip_button.click()
    assert "no other image" in said(board)
    assert "No similar case" in board.one.neighbours_title.value
    board.keep_button.click()
    assert "All 1 images are decided" in board.overview.words.value


def test_ages_that_are_unknown_races_and_marks_in_text(tmp_path):
    table = a_table(3)
    table.loc[0, ["age_group", "bone_age", "reading_1", "reading_2"]] = pd.NA
    table.loc[0, ["sex", "race"]] = ["", "<script>"]
    table.loc[1, "race"] = None
    table.loc[2, "age_group"] = pd.NA
    anomalies = pd.DataFrame(
        [("C000", "<b>ring", "0.5", "", "", "", "", "<img src=x>")], columns=ANOMALY_COLUMNS
    )
    board = a_board(tmp_path, cases=table, anomalies=anomalies)
    assert "sex unknown · age unknown · &lt;script&gt;" in board.one.facts.value
    assert "bone age unknown" in board.one.facts.value
    assert board.one.why.value == "&lt;img src=x&gt;"
    assert ("Age unknown (1)", None) in board.age_filter.options
    board.age_filter.value = None
    assert status(board).startswith("1 of 1")
    board.age_filter.value = 7
    assert board.current == "C002"
    board.mode.value = AGES
    assert board.overview.picture.value


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_whatever_is_clicked_the_log_holds_what_the_status_says(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    board = a_board(folder, 30, queue=[f"C{at:03d}" for at in range(30)][:26])

    def choose(control: ipywidgets.Widget, values: list) -> None:
        control.value = data.draw(st.sampled_from(values))

    acts = [
        board.keep_button.click,
        board.reject_buttons["ring"].click,
        board.undo_button.click,
        board.back_button.click,
        board.skip_button.click,
        board.grid.decide_button.click,
        board.overview.clear_button.click,
        board.grid.unmark_button.click,
        lambda: choose(board.mode, [ONE, MANY, AGES]),
        lambda: choose(board.age_filter, [ALL, 5, 6, 7]),
        lambda: choose(board.kind_filter, [ALL, ANY, "bracelet"]),
        lambda: choose(board.undecided_only, [True, False]),
        lambda: choose(board.grid.tiles[2].switch, [True, False]),
        lambda: choose(board.place, list(range(1, board.place.max + 1))),
    ]
    for act in data.draw(st.lists(st.sampled_from(acts), max_size=25)):
        act()
    state = ReviewLog(folder / "log.csv", "Ann").state()
    rejected = sum(row.decision == "reject" for row in state.values())
    assert f" · {rejected} rejected · " in status(board)
    assert f"{len(state)} of 26 decided" in board.status.value
    assert board.current is None or board.current in board._queue.ids


# Parts.


@settings(max_examples=100, deadline=None)
@given(zoom=st.floats(1, 8), x=st.floats(-1, 2), y=st.floats(-1, 2))
def test_a_window_lies_in_the_image(zoom, x, y):
    left, top, side = window_of(zoom, (x, y))
    assert 0 <= left <= left + side <= 1 + 1e-9
    assert 0 <= top <= top + side <= 1 + 1e-9


def test_a_view_shows_its_part_and_its_box():
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[: SIDE // 2, : SIDE // 2] = 200
    assert pixels(render_view(image, 2, (0.25, 0.25))).min() > 190
    boxed = cv2.imdecode(np.frombuffer(render_view(image, box=(0.6, 0.6, 0.2, 0.2)), np.uint8), 1)
    assert boxed.shape == (600, 600, 3)
    assert boxed[360:480, 356, 2].min() > 150
    assert boxed[420, 420].max() < 30


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((0.5, 0.5, 0.2, 0.2), (0.5, 0.5, 0.2, 0.2)),
        ((-0.1, 0.9, 0.2, 0.5), (0.0, 0.9, 0.1, 0.1)),
        ((1.2, 0, 0.1, 0.1), None),
        ((0.1, 0.1, 0, 0.1), None),
        ((0.1, None, 0.1, 0.1), None),
    ],
)
def test_boxes_are_cut_to_the_image(box, inside):
    found = box_in_image(*box)
    assert found == (None if inside is None else pytest.approx(inside))


def test_the_queue_knows_its_way():
    queue = Queue(list("abcd"), dict.fromkeys("abcd", 5) | {"d": None}, {"b": {"ring"}})
    queue.go("a")
    assert queue.next() == "b"
    assert queue.next({"b", "c"}) == "d"
    queue.go("d")
    assert queue.next({"b"}) == "a"
    assert queue.next("abc") is None
    assert queue.back()
    assert queue.current == "a"
    assert not queue.back()
    queue.filter(5, ANY)
    assert (queue.view, queue.at, queue.is_filtered) == (["b"], None, True)
    queue.filter(None, ALL)
    assert queue.view == ["d"]
    assert queue.page(2, by=-1) == []


def test_images_are_read_once_and_ahead_and_forgotten_in_the_end():
    reads = []

    def read(case_id: str) -> np.ndarray:
        reads.append(case_id)
        return gone(case_id) if case_id == "C002" else a_level(case_id)

    images = Images(read)
    images.read_ahead(["C001", "C002"], [("C003", None), ("C001", None)])
    images.wait()
    assert reads == ["C001", "C002", "C003"]
    images.image("C001")
    assert images.tile("C001")
    assert images.tile("C002") is None
    with pytest.raises(BoneAgeError):
        images.image("C002")
    for number in range(100):
        images.image(f"C{number + 100}")
    assert len(images._images) < 100


def test_the_next_image_is_ready_before_it_is_asked_for(tmp_path):
    reads = []

    def read(case_id: str) -> np.ndarray:
        reads.append(case_id)
        return a_level(case_id)

    board = a_board(tmp_path, 12, read)
    board._images.wait()
    before = len(reads)
    board.one.show("C001", None, Choice(), ())
    assert len(reads) == before


def test_the_ages_are_drawn_without_pyplot():
    line = (
        "import sys; from boneage.review.board.pictures import ages_figure; ages_figure([1, 19, 20], []); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
    assert ages_figure([], []).startswith(b"\x89PNG")


def test_a_cell_that_ends_in_the_board_shows_it(tmp_path, capsys):
    board = a_board(tmp_path)
    display(board)
    assert "VBox" in capsys.readouterr().out


def test_a_board_is_few_enough_models_to_open_fast(tmp_path):
    def living() -> int:
        kept = getattr(ipywidgets.Widget, "widgets", None)
        return len(ipywidgets.widgets.widget._instances if kept is None else kept)

    before = living()
    board = a_board(tmp_path)
    # Each tile is seven; half of the board are tiles.
    assert living() - before < 20 * TILES, board


def test_a_box_round_the_whole_hand_is_not_blanked(tmp_path):
    rows = [("C000", "unreadable skeleton", 0.9, 0.1, 0.1, 0.8, 0.8, "bones hardly visible")]
    anomalies = pd.DataFrame(rows, columns=ANOMALY_COLUMNS)
    board = a_board(tmp_path, read_image=an_image, anomalies=anomalies)
    board.jump.value = "C000"
    board.one.corrections.blank_marked.click()
    assert "holds the hand," in said(board)
    assert board.one.corrections.corrections == []


def test_faint_anomalies_count_nowhere_and_look_faint(tmp_path):
    rows = [
        ("C000", "ring", 0.49, 0.1, 0.1, 0.2, 0.2, "faint"),
        ("C001", "bracelet", 0.1, *[np.nan] * 4, "faint"),
        ("C001", "ring", 0.5, 0.1, 0.1, 0.2, 0.2, "likely"),
        ("C001", "burnt-in text", 0.9, 0.5, 0.5, 0.2, 0.2, "likely"),
    ]
    board = a_board(tmp_path, read_image=an_image, anomalies=pd.DataFrame(rows, columns=ANOMALY_COLUMNS))
    assert [words for words, _ in board.kind_filter.options] == [
        "All images",
        "Any anomaly (1)",
        "burnt-in text (1)",
        "ring (1)",
    ]
    # By itself a faint one points at nothing.
    assert [words for words, _ in board.one.anomaly_list.options] == ["○ ring · 0.49 (faint)"]
    assert board.one.anomaly_list.index is None
    assert "only faint hints" in board.one.why.value
    assert board.one.picture.value == render_view(an_image("C000"))
    board.one.anomaly_list.index = 0
    grey = render_view(an_image("C000"), marks=[((0.1, 0.1, 0.2, 0.2), GREY)])
    assert board.one.picture.value == grey != render_view(an_image("C000"), box=(0.1, 0.1, 0.2, 0.2))
    board.mode.value = MANY
    assert "nothing likely" in board.grid.tiles[0].caption.value
    assert pixels(board.grid.tiles[0].image.value).mean() == pytest.approx(
        pixels(render_view(an_image("C000"), pixels=240)).mean()
    )
    # Filtered for a kind, each tile shows why it is there.
    board.kind_filter.value = "ring"
    (shown,) = [tile for tile in board.grid.tiles if tile.case_id]
    assert "ring" in shown.caption.value
    assert shown.image.value == render_view(an_image("C001"), box=(0.1, 0.1, 0.2, 0.2), pixels=240)


def test_go_says_that_an_id_is_unknown_however_often(tmp_path):
    board = a_board(tmp_path)
    board.jump.value = "C999"
    assert "C999: not among" in said(board)
    board.go_button.click()
    assert "C999: not among" in said(board)


def test_marked_images_need_a_reason_that_somebody_chose(tmp_path):
    board = a_board(tmp_path, 10)
    board.mode.value = MANY
    board.grid.tiles[2].switch.value = True
    board.grid.decide_button.click()
    assert "choose a reason" in said(board)
    assert board.grid.marked == ["C002"]
    assert not (tmp_path / "log.csv").exists() or log_of(tmp_path) == []
    board.grid.reason.value = "ring"
    board.grid.decide_button.click()
    assert "9 kept, 1 rejected; Undo takes them back" in said(board)
