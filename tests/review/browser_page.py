"""A real page to look at a board on: what is there, what it shows, and whether it lies well."""

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

FAILURES = Path(__file__).resolve().parents[2] / "work" / "browser-failures"
"""Screenshots of failed journeys; git ignores the folder."""

# The grey level of a picture's upper left corner, the ground of the drawn hands; null until it is loaded.
_CORNER = """
img => {
  if (!img.complete || !img.naturalWidth) return null;
  const canvas = document.createElement('canvas');
  canvas.width = img.naturalWidth; canvas.height = img.naturalHeight;
  const context = canvas.getContext('2d');
  context.drawImage(img, 0, 0);
  const area = context.getImageData(4, 4, 16, 16).data;
  let sum = 0;
  for (let at = 0; at < area.length; at += 4) sum += area[at];
  return Math.round(sum / (area.length / 4));
}
"""

# What a person would call badly laid out, in words: beyond the board, over something else, or cut off.
_FAULTS = """
() => {
  const board = document.querySelector('.ba-board'), whole = board.getBoundingClientRect(), faults = [];
  const name = one => one.tagName + '.' + one.className + ' "' + (one.innerText || '').slice(0, 20) + '"';
  const root = document.scrollingElement;
  if (root.scrollWidth > root.clientWidth) faults.push('the page scrolls sideways');
  if (board.scrollWidth > board.clientWidth + 1) faults.push('the board scrolls sideways');
  const things = [...board.querySelectorAll(
    'button, select, input[type=text], .widget-slider, .widget-html-content, img, .widget-label')]
    .filter(one => one.offsetParent !== null && getComputedStyle(one).visibility === 'visible')
    .filter(one => !one.closest('.widget-slider') || one.matches('.widget-slider'))
    .map(one => ({one, box: one.getBoundingClientRect(), over: one.matches('.ba-cell, .ba-over')}))
    .filter(thing => thing.box.width > 0 && thing.box.height > 0);
  for (const {one, box, over} of things) {
    if (box.left < whole.left - 1 || box.right > whole.right + 1)
      faults.push(name(one) + ' leaves the board');
    for (let up = one.parentElement; up !== board.parentElement; up = up.parentElement) {
      const outer = up.getBoundingClientRect(), style = getComputedStyle(up);
      const cuts = style.overflowX !== 'visible' || style.overflowY !== 'visible';
      if (cuts && (box.left < outer.left - 1 || box.right > outer.right + 1 || box.top < outer.top - 1
          || box.bottom > outer.bottom + 1) && style.overflowY !== 'auto')
        faults.push(name(one) + ' is cut off by ' + up.className);
    }
    if (one.matches('button') && !over && one.scrollWidth > one.clientWidth + 1)
      faults.push('the words of ' + name(one) + ' are cut off');
    if (one.matches('.widget-html-content') && !one.querySelector('.ba-clip, [title]')
        && one.scrollWidth > one.clientWidth + 1) faults.push('the words of ' + name(one) + ' are cut off');
  }
  for (const label of board.querySelectorAll('.widget-label'))
    if (label.offsetParent !== null && label.scrollWidth > label.clientWidth + 1)
      faults.push('the label ' + name(label) + ' is cut off');
  for (let i = 0; i < things.length; i++) for (let j = i + 1; j < things.length; j++) {
    const a = things[i], b = things[j];
    if (a.one.contains(b.one) || b.one.contains(a.one)) continue;
    const inFrame = [a, b].some(thing => thing.over || thing.one.closest('.ba-strip .ba-caption'))
      && [a, b].some(thing => thing.one.tagName === 'IMG' || thing.over);
    if (inFrame) continue;
    const wide = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left);
    const high = Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top);
    if (wide > 1 && high > 1) faults.push(name(a.one) + ' lies over ' + name(b.one));
  }
  return faults;
}
"""

# Where the parts lie that a person's eye and hand come back to.
_PLACES = """
() => Object.fromEntries(
  ['.ba-keep', '.ba-decide', '.ba-columns', '.ba-columns .ba-frame', '.ba-facts', '.ba-why', '.ba-panel',
   '.ba-strip', '.ba-status'].map(one => {
    const box = document.querySelector('.ba-board ' + one).getBoundingClientRect();
    return [one, [box.left, box.top, box.width, box.height].map(Math.round)];
  }))
"""

# Milliseconds from a click on a button to the large image being loaded, one for each click.
_STOPWATCH = """
() => {
  window.measured = [];
  const img = document.querySelector('.ba-columns .ba-frame img');
  let clicked = null;
  document.addEventListener('click', () => { clicked = performance.now(); }, true);
  img.addEventListener('load', () => {
    if (clicked !== null) { window.measured.push(performance.now() - clicked); clicked = null; }
  });
}
"""


def button(page: Page, words: str) -> Locator:
    """The button of the board with exactly these words."""
    return page.get_by_role("button", name=words, exact=True)


def panel(page: Page, title: str) -> Locator:
    """The list of corrections, or that of augmentations."""
    return page.locator(".ba-panel", has_text=title)


def picture(page: Page) -> Locator:
    """The large image."""
    return page.locator(".ba-columns .ba-frame img").nth(0)


def preview(page: Page) -> Locator:
    """What the image becomes."""
    return page.locator(".ba-columns .ba-frame img").nth(1)


def wait_for_corner(image: Locator, level: int) -> None:
    """Returns when the ground of a picture has a grey level, give or take what JPEG costs."""
    handle = image.element_handle()
    image.page.wait_for_function(
        f"([img, level]) => Math.abs(({_CORNER})(img) - level) < 3", arg=[handle, level]
    )


def status(page: Page, words: str) -> None:
    """Returns when the status line starts with these words."""
    expect(page.locator(".ba-status b")).to_contain_text(words)


def faults_of_layout(page: Page) -> list[str]:
    """What lies badly, in words."""
    return page.evaluate(_FAULTS)


def places(page: Page) -> dict[str, list[int]]:
    """Left, top, width and height of the main parts, in pixels."""
    return page.evaluate(_PLACES)


def start_stopwatch(page: Page) -> None:
    """From now on the time from each click to the image is measured."""
    page.evaluate(_STOPWATCH)


def wait_for_measures(page: Page, count: int) -> None:
    """Returns when so many clicks have been measured."""
    page.wait_for_function("count => window.measured.length >= count", arg=count)


def measured(page: Page) -> list[float]:
    """Milliseconds from click to picture, of each click so far."""
    return page.evaluate("() => window.measured")


# What a notebook hears: JupyterLab listens on the document, on the way down; others on the way up.
_NOTEBOOK = """
() => {
  window.heard = [];
  for (const type of ['keydown', 'keypress', 'keyup'])
    for (const capture of [true, false])
      document.addEventListener(type, event => window.heard.push(`${type} ${event.key}`), {capture});
}
"""


def start_notebook(page: Page) -> None:
    """From now on the page listens to keys as a notebook does."""
    page.evaluate(_NOTEBOOK)


def heard(page: Page) -> list[str]:
    """The keys that reached the notebook."""
    return page.evaluate("() => window.heard")


def middle(image: Locator) -> tuple[float, float]:
    """The middle of a picture, in pixels of the page."""
    box = image.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
