"""Journeys over the page in real Chromium: from a file to an age and a page to keep."""

import re
import threading

import cv2
import numpy as np
import pytest
from machine import CHROMIUM
from playwright.sync_api import Page, expect, sync_playwright

from boneage.estimate import Child, estimate_files, find_radiographs, serving
from boneage.estimate.page import heats_of, page_of
from boneage.phantom.drawing import draw_hand

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LAPTOP, PHONE = {"width": 1366, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def url(ensemble):
    with serving.listen("127.0.0.1", 0) as listening:
        server = serving.make_server(serving.app_of(ensemble, True, "127.0.0.1"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield serving.address(listening)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser():
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(params=[LAPTOP, PHONE], ids=["laptop", "phone"])
def page(browser, url, request):
    """The page as it is opened; it asks for nothing elsewhere, and nothing of it is forbidden to itself."""
    page = browser.new_page(viewport=request.param)
    page.set_default_timeout(30_000)
    asked, told = [], []
    page.on("request", lambda asks: asked.append(asks.url))
    page.on("console", lambda one: told.append(one.text))
    page.on("pageerror", lambda one: told.append(str(one)))
    page.goto(url)
    yield page
    assert page.evaluate("document.scrollingElement.scrollWidth") <= request.param["width"]
    page.close()
    assert [one for one in asked if not one.startswith((url, "data:", f"blob:{url}"))] == []
    # What the browser says of an answer with an error is told on the page.
    assert [one for one in told if not one.startswith("Failed to load resource")] == []


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    hand = draw_hand(9.0, "F", 500, height=700).image
    cv2.imwrite(str(folder / "a hand & more.png"), hand)
    cv2.imwrite(str(folder / "both.tif"), np.hstack([hand, hand[:, ::-1]]))
    cv2.imwrite(str(folder / "noise.png"), np.random.default_rng(1).integers(0, 255, (400, 300), np.uint8))
    (folder / "cut.jpg").write_bytes(cv2.imencode(".jpg", hand)[1].tobytes()[:4000])
    (folder / "letter.docx").write_bytes(b"PK\3\4 no radiograph")
    return folder


def estimate(page: Page, *, wait: bool = True) -> None:
    page.get_by_role("button", name="Estimate").click()
    if wait:
        page.locator("form[aria-busy=false]").wait_for()


def headings(page: Page) -> list[str]:
    return page.get_by_role("heading", level=2).all_inner_texts()


def test_from_a_file_to_an_age_and_a_page_to_keep(page, films, ensemble, tmp_path):
    page.get_by_label("Radiograph").set_input_files(films / "a hand & more.png")
    page.get_by_label("girl").check()
    page.get_by_label("years").fill("9")
    page.get_by_label("months").fill("6")
    estimate(page)
    assert headings(page) == ["a hand & more.png"]
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    expect(page.get_by_role("heading", level=2)).to_be_in_viewport()
    result = page.get_by_role("article")
    for words in ("prediction interval", "z-score", "among girls", "Nearest training cases", "9.5 years"):
        expect(result).to_contain_text(words)
    assert result.get_by_role("img").evaluate_all("all => all.map(one => one.naturalWidth)") == [480, 480]
    with page.expect_download() as download:
        result.get_by_role("link", name="Download this page").click()
    assert download.value.suggested_filename == "0001-a-hand-more.html"
    radiographs = find_radiographs(films / "a hand & more.png", tmp_path)
    (one,) = estimate_files(radiographs, ensemble, Child("F", 9.5))
    written = page_of(one, *heats_of([one], ensemble), ensemble)
    assert download.value.path().read_text(encoding="utf-8") == written


def test_with_the_keyboard_alone(page, films):
    def focused() -> str:
        return page.evaluate("document.activeElement.id || document.activeElement.innerText")

    # From here on no chooser is shown; asked for with the key press, that may come too late.
    page.on("filechooser", lambda _: None)
    page.keyboard.press("Tab")
    assert focused() == "radiograph"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(films / "a hand & more.png")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("boy")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("10")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert focused() == "Estimate the bone age"
    page.keyboard.press("Enter")
    page.get_by_role("article").wait_for()
    expect(page.get_by_role("article")).to_contain_text("among boys")
    assert focused() == "a hand & more.png"
    page.keyboard.press("Tab")
    assert focused() == "Download this page"


def test_a_dropped_film_of_both_hands_gives_two_results(page, films):
    data = list((films / "both.tif").read_bytes())
    dropped = page.evaluate_handle(
        "bytes => { const all = new DataTransfer();"
        " all.items.add(new File([new Uint8Array(bytes)], 'both.tif')); return all; }",
        data,
    )
    page.dispatch_event("h1", "dragenter", {"dataTransfer": dropped})
    expect(page.locator(".drop")).to_have_class(re.compile("over"))
    page.dispatch_event("h1", "drop", {"dataTransfer": dropped})
    expect(page.get_by_role("button", name="Estimate")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("article").nth(1).wait_for()
    assert headings(page) == ["both.tif, left of the film", "both.tif, right of the film"]
    expect(page.get_by_role("status")).to_have_text("2 hands: the results are below.")
    expect(page.get_by_role("article").nth(0)).to_contain_text("sex not given")
    dropped = page.evaluate_handle(
        "() => { const all = new DataTransfer();"
        " for (const name of ['a', 'b']) all.items.add(new File(['x'], name)); return all; }"
    )
    page.dispatch_event("h1", "drop", {"dataTransfer": dropped})
    expect(page.get_by_role("alert")).to_have_text("One radiograph at a time: drop one file")


def test_what_is_no_hand_is_refused_with_the_reason(page, films):
    page.get_by_label("Radiograph").set_input_files(films / "noise.png")
    estimate(page)
    expect(page.get_by_role("article")).to_contain_text("No estimate")
    expect(page.get_by_role("article")).to_contain_text("give a radiograph of one hand")


def test_a_wrong_file_gets_one_line_and_takes_the_last_result_away(page, films):
    estimate(page)
    expect(page.get_by_role("alert")).to_have_text("No radiograph yet: choose a file or drop one")
    page.get_by_label("Radiograph").set_input_files(films / "noise.png")
    expect(page.get_by_role("alert")).to_be_hidden()
    estimate(page)
    assert headings(page) == ["noise.png"]
    for name, words in (("cut.jpg", "cut.jpg: cut short"), ("letter.docx", "letter.docx: ")):
        page.get_by_label("Radiograph").set_input_files(films / name)
        estimate(page)
        expect(page.get_by_role("alert")).to_contain_text(words)
        expect(page.get_by_role("alert")).to_be_in_viewport()
        assert headings(page) == []
    page.get_by_label("Radiograph").set_input_files(films / "noise.png")
    page.get_by_label("years").fill("120")
    estimate(page)
    expect(page.get_by_role("alert")).to_contain_text("age: 120 must be from 0 to 25; give years, not months")


def test_while_it_is_read_it_says_so_and_takes_no_second_one(page, films):
    held = []
    page.route("**/estimate", lambda route: held.append(route))
    page.get_by_label("Radiograph").set_input_files(films / "noise.png")
    estimate(page, wait=False)
    expect(page.get_by_role("status")).to_have_text("Reading noise.png …")
    expect(page.get_by_role("button", name="Estimate")).to_have_attribute("aria-disabled", "true")
    page.get_by_label("years").press("Enter")
    assert len(held) == 1
    held[0].abort()
    expect(page.get_by_role("alert")).to_contain_text("is the program that serves this page still running?")
    expect(page.get_by_role("button", name="Estimate")).to_have_attribute("aria-disabled", "false")
