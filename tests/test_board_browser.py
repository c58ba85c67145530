"""Journeys over the board in real Chromium, with the mouse; on whichever ipywidgets is imported."""

import errno
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
from browser_cases import a_board, a_photo
from browser_page import (
    FAILURES,
    button,
    faults_of_layout,
    measured,
    picture,
    places,
    preview,
    start_stopwatch,
    status,
    wait_for_corner,
    wait_for_measures,
)
from conftest import CHROMIUM
from IPython.display import display
from playwright.sync_api import Page, Request, expect, sync_playwright
from solara.server.starlette import ServerStarlette

from boneage.board import ReviewBoard
from boneage.review import ReviewLog

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ENOUGH_MILLISECONDS = 150
WIDTHS = [1366, 1024, 620]
GROUND = 21  # The shade of the first photo's ground; each further photo's is one brighter.


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
    monkeypatch.setattr("boneage.board.review_board.DOUBLE_CLICK_SECONDS", 0.0)
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
    return shown(page, a_board(tmp_path, 30, a_photo))


def shown(page: Page, board: ReviewBoard) -> ReviewBoard:
    display(board)
    button(page, "Ages").wait_for()
    return board


def rows_of(folder: Path) -> list[tuple[str, str, str]]:
    return [(row.case_id, row.decision, row.reason) for row in ReviewLog(folder / "log.csv", "Ann").rows]


def test_keep_shows_the_next_photo(board, page, tmp_path):
    wait_for_corner(picture(page), GROUND)
    button(page, "✓ Keep").click()
    wait_for_corner(picture(page), GROUND + 1)
    status(page, "2 of 30 · 0 rejected · saved ")
    assert rows_of(tmp_path) == [("C000", "keep", "")]


def test_reject_with_a_reason_and_with_a_note(board, page, tmp_path):
    button(page, "Growth abnormality").click()
    status(page, "2 of 30 · 1 rejected")
    button(page, "Other").click()
    expect(page.locator(".ba-error")).to_contain_text("write in the note")
    page.get_by_placeholder("note").click()
    page.keyboard.type("a ruler")
    button(page, "Other").click()
    status(page, "3 of 30 · 2 rejected")
    assert rows_of(tmp_path) == [("C000", "reject", "growth abnormality"), ("C001", "reject", "other")]
    assert ReviewLog(tmp_path / "log.csv").rows[1].note == "a ruler"


def test_undo_back_and_skip(board, page, tmp_path):
    button(page, "Ring").click()
    status(page, "2 of 30")
    button(page, "↶ Undo").click()
    status(page, "1 of 30 · 0 rejected")
    wait_for_corner(picture(page), GROUND)
    expect(page.locator(".ba-done")).to_contain_text("taken back: the decision on C000")
    button(page, "Skip ›").click()
    wait_for_corner(picture(page), GROUND + 1)
    button(page, "‹ Back").click()
    wait_for_corner(picture(page), GROUND)
    assert [row[1] for row in rows_of(tmp_path)] == ["reject", "undo"]


def test_operators_change_the_preview_and_stand_in_the_log(board, page, tmp_path):
    wait_for_corner(preview(page), GROUND)
    button(page, "invert").click()
    wait_for_corner(preview(page), 255 - GROUND)
    wait_for_corner(picture(page), GROUND)
    # On the slider's right half: brighter.
    row = page.locator(".ba-operators .ba-row", has=button(page, "brightness"))
    slider = row.locator(".slider-container").bounding_box()
    page.mouse.click(slider["x"] + slider["width"] * 0.75, slider["y"] + slider["height"] / 2)
    expect(button(page, "brightness")).to_have_class(re.compile("mod-active"))
    page.wait_for_function("() => document.querySelector('.ba-title').innerText.includes('2 on')")
    button(page, "✓ Keep").click()
    status(page, "2 of 30")
    operators = ReviewLog(tmp_path / "log.csv").rows[0].corrections
    shades = int(
        float(re.fullmatch(r'\[{"name": "invert"}, {"name": "brightness", "shades": (.*)}\]', operators)[1])
    )
    assert 20 < shades < 80
    wait_for_corner(preview(page), GROUND + 1)
    button(page, "invert").click()
    wait_for_corner(preview(page), 254 - GROUND)
    button(page, "Reset").click()
    wait_for_corner(preview(page), GROUND + 1)


def test_the_suspicion_is_shown_with_its_box_which_can_be_blanked(board, page):
    button(page, "Skip ›").click()
    expect(page.locator(".ba-why")).to_contain_text("letters beside the hand")
    button(page, "Blank the marked box").click()
    expect(page.locator(".ba-title").nth(0)).to_contain_text("1 on")
    page.locator(".ba-suspicions select").select_option(label="growth out of step · 0.60")
    expect(page.locator(".ba-why")).to_contain_text("2.4 SD")
    # As it was marked: no slider rounded it to what it can show.
    assert board.one.operators.operators == [
        {"name": "blank", "x": 0.123, "y": 0.056, "width": 0.248, "height": 0.08}
    ]


def test_a_click_on_the_photo_enlarges_it_and_one_on_a_neighbour_compares(board, page):
    box = page.locator(".ba-columns .ba-frame").nth(0).bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    expect(page.locator(".ba-columns .widget-readout").nth(0)).to_contain_text("3.0")
    button(page, "Whole").click()
    expect(page.locator(".ba-columns .widget-readout").nth(0)).to_contain_text("1.0")
    page.locator(".ba-strip .ba-over").nth(1).click()
    expect(page.locator(".ba-title").nth(0)).to_contain_text("For comparison: case")
    wait_for_corner(preview(page), GROUND + int(board.one.neighbours[1].case_id[1:]))


def test_the_grid_is_marked_by_clicks_on_photos_and_decided_by_one_button(board, page, tmp_path):
    button(page, "24 photos").click()
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
    button(page, "✓ Keep").click()
    status(page, "19 of 30")


def test_it_reopens_at_the_first_undecided_photo(page, solara_test, tmp_path):
    log = ReviewLog(tmp_path / "log.csv", "Ann")
    for case_id in ("C000", "C001", "C003"):
        log.append(case_id, "keep")
    shown(page, a_board(tmp_path, 30, a_photo))
    status(page, "3 of 30")
    wait_for_corner(picture(page), GROUND + 2)


def test_the_end_says_what_comes_next(page, solara_test, tmp_path):
    shown(page, a_board(tmp_path, 2, a_photo, what_next="Run the cell below."))
    button(page, "✓ Keep").click()
    button(page, "Ring").click()
    expect(page.get_by_text("All 2 photos are decided")).to_be_visible()
    expect(page.get_by_text("1 kept · 1 rejected (ring 1) · 0 undecided")).to_be_visible()
    expect(page.get_by_text("Run the cell below.")).to_be_visible()
    assert faults_of_layout(page) == []


def test_a_full_disk_is_said_and_the_person_goes_on(board, page, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        button(page, "✓ Keep").click()
        expect(page.locator(".ba-error")).to_contain_text("the disk is full")
    button(page, "✓ Keep").click()
    status(page, "2 of 30")
    assert rows_of(tmp_path) == [("C000", "keep", "")]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overlaps_is_cut_off_or_jumps(page, solara_test, tmp_path, width):
    page.set_viewport_size({"width": width, "height": 900})
    shown(page, a_board(tmp_path, 30, a_photo, suggest=lambda photo: ["flip", "gamma lighter"]))
    assert faults_of_layout(page) == []
    first = places(page)
    for number in (2, 3):  # With two suspicions, then with one.
        button(page, "Skip ›").click()
        status(page, f"{number} of 30")
        assert places(page) == first
    button(page, "Blank the marked box").click()
    button(page, "Other").click()  # With an error.
    expect(page.locator(".ba-error")).to_be_visible()
    assert places(page) == first
    assert faults_of_layout(page) == []
    button(page, "24 photos").click()
    expect(page.locator(".ba-grid .ba-tile")).to_have_count(24)
    page.locator(".ba-grid .ba-over").nth(2).click()
    button(page, "Reject the marked (1), keep the rest (23)").wait_for()
    assert faults_of_layout(page) == []
    button(page, "Ages").click()
    page.locator(".ba-ages").wait_for()
    assert faults_of_layout(page) == []


def test_a_photo_shows_soon_after_the_click(board, page):
    wait_for_corner(picture(page), GROUND)
    start_stopwatch(page)
    for number in range(1, 17):
        button(page, "✓ Keep").click()
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
            button(page, "✓ Keep" if number % 2 else "Ring").click()
            status(page, f"{number} of 12")
        time.sleep(0.3)
        button(page, "✓ Keep").click(no_wait_after=True)
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
