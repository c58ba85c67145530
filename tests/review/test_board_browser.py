"""Journeys over the board in real Chromium, with the mouse; on whichever ipywidgets is imported."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
from browser_cases import a_board, an_image
from browser_page import (
    FAILURES,
    button,
    faults_of_layout,
    heard,
    measured,
    middle,
    panel,
    picture,
    places,
    preview,
    start_notebook,
    start_stopwatch,
    status,
    wait_for_corner,
    wait_for_measures,
)
from IPython.display import display
from machine import CHROMIUM
from playwright.sync_api import Page, Request, expect, sync_playwright
from solara.server.starlette import ServerStarlette

from boneage.review.board import ReviewBoard, Suggest
from boneage.review.log import ReviewLog

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ENOUGH_MILLISECONDS = 150
WIDTHS = [1366, 1024, 620]
KEEP, UNDO, BACK, SKIP = "✓ Keep [K]", "↶ Undo [U]", "‹ Back [←]", "Skip › [→]"
RING, BRACELET, GROWTH, OTHER = "Ring [1]", "Bracelet [2]", "Growth abnormality [4]", "Other [5]"
GROUND = 21  # The grey level of the first image's ground; each further image's is one brighter.


# The plugins' own browser and server live as long as the whole run, and the browser's event loop with them,
# in which nothing else can run a loop of its own.


@pytest.fixture(scope="module")
def solara_server(pytestconfig):
    server = ServerStarlette(pytestconfig.option.solara_port, "localhost")
    server.serve_threaded()
    server.wait_until_serving()
    yield server
    server.stop_serving()


@pytest.fixture(scope="module")
def page_session():
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
        page.set_default_timeout(15_000)
        yield page
        browser.close()


@pytest.fixture
def page(page_session, request, monkeypatch):
    """The page; what it asks for must lie on this machine, and a failure leaves a picture of it."""
    asked: list[str] = []

    def note(asks: Request) -> None:
        asked.append(asks.url)

    page_session.on("request", note)
    # A locator waits for what it clicks, but not as long as a person does.
    monkeypatch.setattr("boneage.review.board.review_board.DOUBLE_CLICK_SECONDS", 0.0)
    page_session.set_viewport_size({"width": WIDTHS[0], "height": 900})
    yield page_session
    page_session.remove_listener("request", note)
    if request.node.rep_call.failed:
        FAILURES.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"\W+", "-", request.node.name)
        page_session.screenshot(path=FAILURES / f"{name}.png", full_page=True)
    elsewhere = [url for url in asked if not url.startswith(("http://localhost:", "data:", "blob:"))]
    assert elsewhere == []


@pytest.fixture
def board(page, solara_test, tmp_path):
    return shown(page, a_board(tmp_path, 30, an_image))


def shown(page: Page, board: ReviewBoard) -> ReviewBoard:
    display(board)
    button(page, "Ages").wait_for()
    return board


def rows_of(folder: Path) -> list[tuple[str, str, str]]:
    return [(row.case_id, row.decision, row.reason) for row in ReviewLog(folder / "log.csv", "Ann").rows]


def test_keep_shows_the_next_image(board, page, tmp_path):
    wait_for_corner(picture(page), GROUND)
    button(page, KEEP).click()
    wait_for_corner(picture(page), GROUND + 1)
    status(page, "2 of 30 · 0 rejected · saved ")
    assert rows_of(tmp_path) == [("C000", "keep", "")]


def test_reject_with_a_reason_and_with_a_note(board, page, tmp_path):
    button(page, GROWTH).click()
    status(page, "2 of 30 · 1 rejected")
    button(page, OTHER).click()
    expect(page.locator(".ba-error")).to_contain_text("in the note")
    page.get_by_placeholder("note").click()
    page.keyboard.type("a ruler")
    button(page, OTHER).click()
    status(page, "3 of 30 · 2 rejected")
    assert rows_of(tmp_path) == [("C000", "reject", "growth abnormality"), ("C001", "reject", "other")]
    assert ReviewLog(tmp_path / "log.csv").rows[1].note == "a ruler"


def test_undo_back_and_skip(board, page, tmp_path):
    button(page, RING).click()
    status(page, "2 of 30")
    button(page, UNDO).click()
    status(page, "1 of 30 · 0 rejected")
    wait_for_corner(picture(page), GROUND)
    expect(page.locator(".ba-done")).to_contain_text("taken back: the decision on C000")
    button(page, SKIP).click()
    wait_for_corner(picture(page), GROUND + 1)
    button(page, BACK).click()
    wait_for_corner(picture(page), GROUND)
    assert [row[1] for row in rows_of(tmp_path)] == ["reject", "undo"]


def test_corrections_change_the_preview_and_stand_in_the_log(board, page, tmp_path):
    corrections = panel(page, "Corrections")
    wait_for_corner(preview(page), GROUND)
    corrections.get_by_role("button", name="invert").click()
    wait_for_corner(preview(page), 255 - GROUND)
    wait_for_corner(picture(page), GROUND)
    # On the slider's right half: brighter.
    row = corrections.locator(".ba-dials .ba-row", has=button(page, "brightness"))
    slider = row.locator(".slider-container").bounding_box()
    page.mouse.click(slider["x"] + slider["width"] * 0.75, slider["y"] + slider["height"] / 2)
    expect(button(page, "brightness")).to_have_class(re.compile("mod-active"))
    expect(page.locator(".ba-title").nth(0)).to_contain_text("2 corrections")
    button(page, KEEP).click()
    status(page, "2 of 30")
    recorded = ReviewLog(tmp_path / "log.csv").rows[0].corrections
    levels = int(
        float(re.fullmatch(r'\[{"name": "invert"}, {"name": "brightness", "levels": (.*)}\]', recorded)[1])
    )
    assert 20 < levels < 80
    wait_for_corner(preview(page), GROUND + 1)
    corrections.get_by_role("button", name="invert").click()
    wait_for_corner(preview(page), 254 - GROUND)
    corrections.get_by_role("button", name="None").click()
    wait_for_corner(preview(page), GROUND + 1)


def test_augmentations_are_chosen_beside_them_and_shown_by_a_copy(page, solara_test, tmp_path):
    suggest = Suggest(lambda case_id, image: [{"name": "rotate", "degrees": 9.4}], lambda image: ["tilt"])
    shown(page, a_board(tmp_path, 30, an_image, suggest=suggest))
    augmentations = panel(page, "Augmentations")
    expect(augmentations).to_contain_text("as suggested")
    expect(page.locator(".ba-copy")).to_contain_text("a copy: rotate")
    augmentations.get_by_role("button", name="invert").click()
    augmentations.get_by_role("button", name="tilt").click()
    expect(augmentations).to_contain_text("chosen")
    expect(page.locator(".ba-copy")).to_contain_text("a copy: invert")
    button(page, KEEP).click()
    status(page, "2 of 30")
    augmentations.get_by_role("button", name="None").click()
    expect(augmentations).to_contain_text("no copies")
    button(page, KEEP).click()
    status(page, "3 of 30")
    button(page, "Use suggested").click()
    expect(page.locator(".ba-title").nth(0)).to_contain_text("1 correction")
    button(page, KEEP).click()
    status(page, "4 of 30")
    rows = ReviewLog(tmp_path / "log.csv").rows
    assert [row.augmentations for row in rows] == ['["invert"]', "[]", ""]
    assert [row.corrections for row in rows] == ["[]", "[]", '[{"name": "rotate", "degrees": 9.4}]']


def test_the_anomaly_is_shown_with_its_box_which_can_be_blanked(board, page):
    button(page, SKIP).click()
    expect(page.locator(".ba-why")).to_contain_text("letters beside the hand")
    button(page, "Blank the marked box").click()
    expect(page.locator(".ba-title").nth(0)).to_contain_text("1 correction")
    page.locator(".ba-anomalies select").select_option(label="● growth out of step · 0.60")
    expect(page.locator(".ba-why")).to_contain_text("2.4 SD")
    # As it was marked: no slider rounded it to what it can show.
    assert board.one.corrections.corrections == [
        {"name": "blank", "x": 0.123, "y": 0.056, "width": 0.248, "height": 0.08}
    ]


def test_undo_puts_back_what_stood_before(board, page, tmp_path):
    button(page, SKIP).click()
    button(page, "Blank the marked box").click()
    button(page, KEEP).click()
    status(page, "3 of 30")
    button(page, BACK).click()
    panel(page, "Corrections").get_by_role("button", name="None").click()
    button(page, RING).click()
    status(page, "3 of 30 · 1 rejected")
    button(page, UNDO).click()
    status(page, "2 of 30 · 0 rejected")
    expect(page.locator(".ba-facts")).to_contain_text("kept")
    expect(page.locator(".ba-title").nth(0)).to_contain_text("1 correction")
    expect(page.locator(".ba-done")).to_contain_text("now kept")
    assert rows_of(tmp_path)[-1] == ("C001", "undo", "")


# Keys.


def test_keys_decide_after_a_click_and_none_reaches_the_notebook(board, page, tmp_path):
    page.wait_for_selector(".ba-live")
    start_notebook(page)
    page.keyboard.press("k")
    assert heard(page)  # The board has no right to keys before it is clicked.
    page.evaluate("() => { window.heard = []; }")
    page.mouse.click(*middle(picture(page)))
    for key in ("x", "a", "b", "d", "d", "z", "Shift+M", "Shift+Enter", "Control+Enter", " ", "0", "6"):
        page.keyboard.press(key)
    page.keyboard.press("k")
    status(page, "2 of 30")
    page.keyboard.press("Enter")
    status(page, "3 of 30")
    page.keyboard.press("3")
    status(page, "4 of 30 · 1 rejected")
    page.keyboard.press("u")
    status(page, "3 of 30 · 0 rejected")
    page.keyboard.press("ArrowRight")
    status(page, "4 of 30")
    page.keyboard.press("ArrowLeft")
    status(page, "3 of 30")
    # After the mouse the keys are the board's again: Enter keeps, and does not press the button once more.
    button(page, RING).click()
    status(page, "4 of 30 · 1 rejected")
    page.keyboard.press("Enter")
    status(page, "5 of 30 · 1 rejected")
    page.locator(".ba-ways select").nth(0).select_option(label="5 years (10)")
    status(page, "3 of 10")
    page.keyboard.press("x")
    page.keyboard.press("2")
    status(page, "4 of 10 · 2 rejected")
    assert [one for one in heard(page) if "Control" not in one] == []
    # What is meant for the notebook gets there.
    page.keyboard.press("Control+s")
    assert "keydown s" in heard(page)
    assert [row[1:] for row in rows_of(tmp_path)] == [
        ("keep", ""),
        ("keep", ""),
        ("reject", "skeleton unknown"),
        ("undo", ""),
        ("reject", "ring"),
        ("keep", ""),
        ("reject", "bracelet"),
    ]


def test_digits_that_need_shift_are_keys_too(board, page, tmp_path):
    page.wait_for_selector(".ba-live")
    for key in ("3", "K"):
        # As on a French keyboard, which Playwright does not have.
        page.locator(".ba-board").dispatch_event("keydown", {"key": key, "shiftKey": True})
    status(page, "2 of 30 · 1 rejected")
    assert rows_of(tmp_path) == [("C000", "reject", "skeleton unknown")]


def test_what_is_typed_is_no_key(board, page, tmp_path):
    page.wait_for_selector(".ba-live")
    start_notebook(page)
    page.get_by_placeholder("note").click()
    page.keyboard.type("kk 123 ux")
    expect(page.get_by_placeholder("note")).to_have_value("kk 123 ux")
    assert rows_of(tmp_path) == []
    page.keyboard.press("Enter")  # Gives the keys back.
    page.keyboard.press("5")
    status(page, "2 of 30 · 1 rejected")
    page.locator(".ba-jump input").click()
    page.keyboard.type("C017")
    page.keyboard.press("Enter")
    status(page, "18 of 30")
    page.keyboard.press("k")
    status(page, "19 of 30")
    assert [(row.case_id, row.note) for row in ReviewLog(tmp_path / "log.csv").rows] == [
        ("C000", "kk 123 ux"),
        ("C017", ""),
    ]
    assert heard(page) == []


def test_a_decision_has_its_whole_note_though_the_kernel_is_slow(board, page, tmp_path):
    page.wait_for_selector(".ba-live")
    board.note.observe(lambda _change: time.sleep(0.3), "value")
    page.get_by_placeholder("note").click()
    page.keyboard.type("a plaster")
    page.keyboard.press("Enter")
    page.keyboard.press("5")
    status(page, "2 of 30 · 1 rejected")
    page.get_by_placeholder("note").click()
    page.keyboard.type("a cast")
    button(page, RING).click()
    status(page, "3 of 30 · 2 rejected")
    assert [row.note for row in ReviewLog(tmp_path / "log.csv").rows] == ["a plaster", "a cast"]


def test_a_held_key_decides_once_and_quick_ones_only_what_was_seen(board, page, tmp_path):
    page.wait_for_selector(".ba-live")
    page.mouse.click(*middle(picture(page)))
    for _ in range(20):
        page.keyboard.down("k")  # Without letting go: the browser says that it repeats.
    page.keyboard.up("k")
    status(page, "2 of 30")
    page.wait_for_timeout(300)
    assert len(rows_of(tmp_path)) == 1
    # All at once, as a cat does, or a person while the kernel is busy.
    page.evaluate(
        """() => { for (let at = 0; at < 20; at++) for (const type of ['keydown', 'keyup'])
        document.activeElement.dispatchEvent(new KeyboardEvent(type, {key: 'k', bubbles: true})); }"""
    )
    status(page, "3 of 30")
    page.wait_for_timeout(300)
    assert len(rows_of(tmp_path)) == 2
    # An arrow goes on while it is held, one image after the other.
    for _ in range(30):
        page.keyboard.down("ArrowRight")
        page.wait_for_timeout(20)
    page.keyboard.up("ArrowRight")
    page.wait_for_function("() => parseInt(document.querySelector('.ba-status b').innerText) > 4")


def test_buttons_reached_with_tab_are_pressed_by_their_own_keys(board, page, tmp_path):
    page.wait_for_selector(".ba-live")
    page.mouse.click(*middle(picture(page)))
    button(page, SKIP).focus()
    page.keyboard.press("Enter")
    status(page, "2 of 30")
    page.keyboard.press("Space")
    status(page, "3 of 30")
    assert rows_of(tmp_path) == []


def test_a_click_takes_the_focus_at_once_and_never_later(board, page):
    page.wait_for_selector(".ba-live")
    button(page, SKIP).focus()
    held = button(page, SKIP).evaluate(
        """skip => {
            const board = skip.closest(".ba-board");
            for (const type of ["pointerdown", "pointerup"])
                board.dispatchEvent(new PointerEvent(type, {bubbles: true}));
            const atOnce = document.activeElement === board;
            skip.focus();
            const later = () => [atOnce, document.activeElement === skip];
            return new Promise(done => setTimeout(() => done(later()), 200));
        }"""
    )
    assert held == [True, True]


def test_a_page_of_images_is_decided_by_keys(board, page, tmp_path):
    page.wait_for_selector(".ba-live")
    start_notebook(page)
    button(page, "24 images").click()
    page.locator(".ba-grid .ba-over").nth(2).click()
    button(page, "Reject the marked (1), keep the rest (23)").wait_for()
    page.keyboard.press("1")
    page.keyboard.press("k")
    status(page, "25 of 30 · 1 rejected")
    assert rows_of(tmp_path)[2] == ("C002", "reject", "ring")
    page.keyboard.press("u")
    status(page, "1 of 30 · 0 rejected")
    page.keyboard.press("ArrowRight")
    status(page, "25 of 30")
    assert heard(page) == []


# The pointer.


def test_the_wheel_zooms_at_the_pointer_and_dragging_moves(board, page):
    page.wait_for_selector(".ba-live")
    box = picture(page).bounding_box()
    x, y = box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25
    page.mouse.move(x, y)
    page.mouse.wheel(0, -250)
    expect(page.locator(".ba-columns .widget-readout").nth(0)).to_contain_text("2.0")
    # What was under the pointer still is.
    wait_until(lambda: board.script.widget.view == pytest.approx([0.375, 0.125, 0.5], abs=0.01))
    page.mouse.down()
    page.mouse.move(x + box["width"] / 4, y + box["height"] / 8, steps=6)
    page.mouse.up()
    wait_until(lambda: board.script.widget.view == pytest.approx([0.25, 0.0625, 0.5], abs=0.01))
    # Drawn anew, nothing is stretched any more; both pictures show the same part.
    page.wait_for_function(
        "() => [...document.querySelectorAll('.ba-look img')].every(img => !img.style.transform)"
    )
    assert board.one.picture.value == board.one.preview.value
    page.mouse.dblclick(x, y)
    expect(page.locator(".ba-columns .widget-readout").nth(0)).to_contain_text("1.0")
    # There is nothing smaller to see: the page scrolls.
    scroll = """() => { let got;
      document.addEventListener('wheel', event => { got = event.defaultPrevented; });
      const wheel = new WheelEvent('wheel', {deltaY: 100, bubbles: true, cancelable: true});
      document.querySelector('.ba-look').dispatchEvent(wheel); return got; }"""
    assert page.evaluate(scroll) is False


def test_boxes_are_drawn_with_the_mouse(board, page, tmp_path):
    page.wait_for_selector(".ba-live")
    button(page, "Draw a box").click()
    page.wait_for_selector(".ba-drawing")
    box = picture(page).bounding_box()
    for left, top in ((0.25, 0.25), (0.6, 0.7)):
        page.mouse.move(box["x"] + box["width"] * left, box["y"] + box["height"] * top)
        page.mouse.down()
        page.mouse.move(
            box["x"] + box["width"] * (left + 0.2), box["y"] + box["height"] * (top + 0.1), steps=4
        )
        expect(page.locator(".ba-drawn")).to_have_count(1)
        page.mouse.up()
    expect(page.locator(".ba-drawn")).to_have_count(0)
    expect(page.locator(".ba-title").nth(0)).to_contain_text("2 corrections")
    button(page, "✕").click()
    expect(page.locator(".ba-title").nth(0)).to_contain_text("1 correction")
    button(page, KEEP).click()
    status(page, "2 of 30")
    (drawn,) = json.loads(ReviewLog(tmp_path / "log.csv").rows[0].corrections)
    assert [drawn[side] for side in ("x", "y", "width", "height")] == pytest.approx(
        [0.25, 0.25, 0.2, 0.1], abs=0.005
    )
    # The next image begins without the tool: a drag moves it again.
    expect(page.locator(".ba-drawing")).to_have_count(0)


def test_level_and_window_by_the_right_button_change_the_view_alone(board, page, tmp_path):
    page.wait_for_selector(".ba-live")
    wait_for_corner(picture(page), GROUND)
    x, y = middle(picture(page))
    side = picture(page).bounding_box()["width"]
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x, y - 100, steps=5)
    page.mouse.up(button="right")
    wait_until(lambda: board.one.level.value == pytest.approx(127.5 - 255 * 100 / side, abs=2))
    wait_until(lambda: board.one.window.value == 255)
    brighter = GROUND + 127.5 - board.one.level.value
    wait_for_corner(picture(page), round(brighter))
    button(page, KEEP).click()
    wait_for_corner(picture(page), GROUND + 1)
    assert ReviewLog(tmp_path / "log.csv").rows[0].corrections == "[]"


def test_all_works_with_the_mouse_where_the_script_is_not(page, solara_test, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    board = shown(page, a_board(tmp_path, 30, an_image))
    page.mouse.click(*middle(picture(page)))
    expect(page.locator(".ba-columns .widget-readout").nth(0)).to_contain_text("3.0")
    button(page, "Whole").click()
    expect(page.locator(".ba-columns .widget-readout").nth(0)).to_contain_text("1.0")
    button(page, "+ box").click()
    expect(page.locator(".ba-title").nth(0)).to_contain_text("1 correction")
    button(page, "Ring").click()
    status(page, "2 of 30 · 1 rejected")
    button(page, "↶ Undo").click()
    status(page, "1 of 30 · 0 rejected")
    assert len(board.one.corrections.boxes) == 1
    assert faults_of_layout(page) == []


def wait_until(holds, seconds: float = 5.0) -> None:
    """Returns when something holds on the Python side."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_click_on_a_neighbour_compares(board, page):
    page.locator(".ba-strip .ba-over").nth(1).click()
    expect(page.locator(".ba-title").nth(0)).to_contain_text("For comparison: case")
    wait_for_corner(preview(page), GROUND + int(board.one.neighbours[1].case_id[1:]))


def test_the_grid_is_marked_by_clicks_on_images_and_decided_by_one_button(board, page, tmp_path):
    button(page, "24 images").click()
    tiles = page.locator(".ba-grid .ba-tile")
    expect(tiles).to_have_count(24)
    for at in (2, 9):
        box = tiles.nth(at).locator("img").bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    button(page, "Reject the marked (2), keep the rest (22)").wait_for()
    page.locator(".ba-grid").locator("xpath=..").locator("select").select_option("bracelet")
    button(page, "Reject the marked (2), keep the rest (22)").click()
    status(page, "25 of 30 · 2 rejected")
    button(page, "Keep the rest (6)").wait_for()
    rows = rows_of(tmp_path)
    assert len(rows) == 24
    assert [row for row in rows if row[1] == "reject"] == [
        ("C002", "reject", "bracelet"),
        ("C009", "reject", "bracelet"),
    ]


def test_filters_and_jumping(board, page):
    page.locator(".ba-ways select").nth(1).select_option(label="bracelet (1)")
    status(page, "1 of 1 · 0 rejected")
    wait_for_corner(picture(page), GROUND + 2)
    page.locator(".ba-jump input").click()
    page.keyboard.type("C017")
    button(page, "Go").click()
    wait_for_corner(picture(page), GROUND + 17)
    status(page, "18 of 30")
    button(page, "Undecided only").click()
    button(page, KEEP).click()
    status(page, "19 of 30")


def test_it_reopens_at_the_first_undecided_image(page, solara_test, tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    for case_id in ("C000", "C001", "C003"):
        log.append(case_id, "keep")
    shown(page, a_board(tmp_path, 30, an_image))
    status(page, "3 of 30")
    wait_for_corner(picture(page), GROUND + 2)


def test_the_end_says_what_comes_next(page, solara_test, tmp_path):
    shown(page, a_board(tmp_path, 2, an_image, what_next="Run the cell below."))
    button(page, KEEP).click()
    button(page, RING).click()
    expect(page.get_by_text("All 2 images are decided")).to_be_visible()
    expect(page.get_by_text("1 kept · 1 rejected (ring 1) · 0 undecided")).to_be_visible()
    expect(page.get_by_text("Run the cell below.")).to_be_visible()
    assert faults_of_layout(page) == []


def test_a_full_disk_is_said_and_the_person_goes_on(board, page, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        button(page, KEEP).click()
        expect(page.locator(".ba-error")).to_contain_text("the disk is full")
    button(page, KEEP).click()
    status(page, "2 of 30")
    assert rows_of(tmp_path) == [("C000", "keep", "")]


def test_all_of_a_case_is_on_one_screen(page, solara_test, tmp_path):
    # What JupyterLab leaves of a screen of 1366 x 768.
    page.set_viewport_size({"width": 1186, "height": 650})
    shown(page, a_board(tmp_path, 60, an_image))
    page.wait_for_selector(".ba-live")
    inside = """() => ['.ba-look', '.ba-keep', '.ba-decide', '.ba-alike', '.ba-strip', '.ba-facts', '.ba-why']
      .map(one => document.querySelector(one).getBoundingClientRect())
      .every(box => box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth)"""
    page.wait_for_function(inside)
    assert faults_of_layout(page) == []
    large = picture(page).bounding_box()["width"]
    assert large > 350
    # In the output of a notebook whose bars leave less the image is smaller, and all is there.
    page.set_viewport_size({"width": 1186, "height": 540})
    page.wait_for_function(inside)
    page.set_viewport_size({"width": 1700, "height": 900})
    page.wait_for_function(inside)
    assert picture(page).bounding_box()["width"] > large * 1.3


def test_tiles_fill_their_rows(page, solara_test, tmp_path):
    shown(page, a_board(tmp_path, 30, an_image))
    button(page, "24 images").click()
    expect(page.locator(".ba-grid .ba-tile")).to_have_count(24)
    for width in (1900, 1366, 1000, 700, 480, 390):
        page.set_viewport_size({"width": width, "height": 900})
        in_a_row = page.evaluate(
            """() => { const rows = {}; for (const one of document.querySelectorAll('.ba-grid .ba-tile')) {
            const top = Math.round(one.getBoundingClientRect().top); rows[top] = (rows[top] ?? 0) + 1; }
            return Object.values(rows); }"""
        )
        assert len(set(in_a_row)) == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overlaps_is_cut_off_or_jumps(page, solara_test, tmp_path, width):
    page.set_viewport_size({"width": width, "height": 900})
    shown(
        page,
        a_board(tmp_path, 30, an_image, suggest=Suggest(lambda case_id, image: [], lambda image: ["flip"])),
    )
    assert faults_of_layout(page) == []
    first = places(page)
    for number in (2, 3):  # With two anomalies, then with one.
        button(page, SKIP).click()
        status(page, f"{number} of 30")
        assert places(page) == first
    button(page, "Blank the marked box").click()
    button(page, OTHER).click()  # With an error.
    expect(page.locator(".ba-error")).to_be_visible()
    assert places(page) == first
    assert faults_of_layout(page) == []
    button(page, "24 images").click()
    expect(page.locator(".ba-grid .ba-tile")).to_have_count(24)
    page.locator(".ba-grid .ba-over").nth(2).click()
    button(page, "Reject the marked (1), keep the rest (23)").wait_for()
    assert faults_of_layout(page) == []
    button(page, "Ages").click()
    page.locator(".ba-ages").wait_for()
    assert faults_of_layout(page) == []


def test_on_a_telephone_nothing_overlaps_or_is_cut_off(page, solara_test, tmp_path):
    page.set_viewport_size({"width": 390, "height": 844})
    shown(page, a_board(tmp_path, 30, an_image))
    assert faults_of_layout(page) == []
    assert picture(page).bounding_box()["width"] > 340
    button(page, "24 images").click()
    expect(page.locator(".ba-grid .ba-tile")).to_have_count(24)
    assert faults_of_layout(page) == []
    button(page, "Ages").click()
    page.locator(".ba-ages").wait_for()
    assert faults_of_layout(page) == []


def test_an_image_shows_soon_after_the_click(board, page):
    wait_for_corner(picture(page), GROUND)
    start_stopwatch(page)
    for number in range(1, 17):
        button(page, KEEP).click()
        wait_for_corner(picture(page), GROUND + number)
        wait_for_measures(page, number)
    assert median(measured(page)) < ENOUGH_MILLISECONDS


def test_a_kernel_killed_in_the_middle_loses_nothing_that_was_shown_as_saved(page, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    app = Path(__file__).with_name("browser_app.py")
    command = [sys.executable, "-m", "solara", "run", str(app), "--port", str(port), "--no-open"]
    kernel = subprocess.Popen(
        command,
        env={**os.environ, "BOARD_FOLDER": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _open_when_served(page, f"http://localhost:{port}", kernel)
        button(page, "Ages").wait_for()
        for number in range(2, 8):
            time.sleep(0.3)  # As a person does; the killed board has its guard against double clicks.
            button(page, KEEP if number % 2 else RING).click()
            status(page, f"{number} of 12")
        time.sleep(0.3)
        button(page, KEEP).click(no_wait_after=True)
        kernel.send_signal(signal.SIGKILL)
    finally:
        kernel.kill()
        kernel.wait()
        page.goto("about:blank")
    rows = rows_of(tmp_path)
    acknowledged = [(f"C{at:03d}", "keep" if at % 2 else "reject") for at in range(6)]
    assert [row[:2] for row in rows][:6] == acknowledged
    # The click that was under way is on disk as a whole, or not at all.
    assert rows[6:] in ([], [("C006", "keep", "")])
    assert a_board(tmp_path, 12).current == f"C{len(rows):03d}"


def _open_when_served(page: Page, url: str, kernel: subprocess.Popen) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert kernel.poll() is None
        try:
            page.goto(url)
            return
        except Exception:
            time.sleep(0.2)
    pytest.fail(f"{url} is not served")
