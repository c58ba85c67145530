"""JPEGs of an image at the size the board shows, and a cache that reads ahead."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

import cv2
import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.tables import OLDEST_YEARS
from boneage.review.board.facts import Box

K = TypeVar("K")
T = TypeVar("T")

IMAGE_PIXELS = 600
"""Side of the large image in pixels: what the widest layout shows, about 30 kB."""

TILE_PIXELS = 240
_JPEG_QUALITY = 85
_MARGIN = 4  # Pixels between a box and the object in it, which is often no wider than the line.
_IMAGES_KEPT = 48  # Decoded, 0.9 MB each.
_TILES_KEPT = 2048  # As JPEG, 8 kB each.

# Blue, green, red, as in OpenCV; the same colours as in the style sheet.
AMBER, BLUE, GREY = (59, 177, 242), (233, 180, 86), (150, 150, 150)

Tone = tuple[float, float]
"""Level (shown as middle grey) and window (shown from black to white), in grey levels."""

PLAIN_TONE: Tone = (127.5, 255.0)
"""Unchanged grey levels."""


def window_of(zoom: float, centre: tuple[float, float]) -> tuple[float, float, float]:
    """The part of an image that a zoom shows.

    Args:
        zoom: Magnification, from 1.
        centre: Its (x, y) in shares of the image; moved inwards to keep the window inside.

    Returns:
        Left, top and side of the window, in shares of the image.
    """
    side = 1.0 / max(zoom, 1.0)
    left, top = (min(max(place - side / 2, 0.0), 1.0 - side) for place in centre)
    return left, top, side


def render_view(
    image: np.ndarray,
    zoom: float = 1.0,
    centre: tuple[float, float] = (0.5, 0.5),
    box: Box | None = None,
    pixels: int = IMAGE_PIXELS,
    tone: Tone = PLAIN_TONE,
    marks: Sequence[tuple[Box, tuple[int, int, int]]] = (),
) -> bytes:
    """An image, or a part of it, as the JPEG that the board shows.

    Args:
        image: uint8, (side, side).
        zoom: Magnification, from 1.
        centre: (x, y) of the part, in shares of the image.
        box: A box to draw, as for a likely anomaly.
        pixels: Side of the JPEG.
        tone: Level and window of the view.
        marks: More boxes, each with its colour (blue, green, red).
    """
    left, top, side = window_of(zoom, centre)
    size = image.shape[0]
    count = max(1, round(side * size))
    x, y = (min(round(share * size), size - count) for share in (left, top))
    how = cv2.INTER_AREA if count >= pixels else cv2.INTER_CUBIC
    view = cv2.resize(image[y : y + count, x : x + count], (pixels, pixels), interpolation=how)
    if tone != PLAIN_TONE:
        view = cv2.LUT(view, _curve_of(tone))
    marks = [*([] if box is None else [(box, AMBER)]), *marks]
    if marks:
        view = cv2.cvtColor(view, cv2.COLOR_GRAY2BGR)
    for (across, down, width, height), colour in marks:
        first, last = (
            (round((x - left) / side * pixels) + out, round((y - top) / side * pixels) + out)
            for x, y, out in ((across, down, -_MARGIN), (across + width, down + height, _MARGIN))
        )
        # Dark next to bright, to be visible on any grey level.
        cv2.rectangle(view, first, last, (0, 0, 0), 4)
        cv2.rectangle(view, first, last, colour, 2)
    return cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()


def _curve_of(tone: Tone) -> np.ndarray:
    """The grey level shown for each grey level, uint8 (256,)."""
    level, window = tone
    shown = (np.arange(256) - level) / max(window, 1.0) * 255 + 127.5
    return np.clip(np.rint(shown), 0, 255).astype(np.uint8)


def empty_picture(pixels: int = IMAGE_PIXELS, words: str = "no image") -> bytes:
    """A placeholder for a missing image, as JPEG."""
    picture = np.full((pixels, pixels), 24, np.uint8)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, pixels / 500
    (width, _), _ = cv2.getTextSize(words, font, scale, 1)
    cv2.putText(picture, words, ((pixels - width) // 2, pixels // 2), font, scale, 150, 1, cv2.LINE_AA)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def ages_figure(before: Sequence[int], after: Sequence[int]) -> bytes:
    """Histogram of ages before and after a review, as PNG for a dark background.

    Args:
        before: Whole years of age of all cases.
        after: Those of the cases not rejected.
    """
    # Imported only when the ages are shown: matplotlib is slow to import.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    ground, ink, grey, blue = "#151a20", "#c3cad1", "#5b6672", "#56B4E9"
    figure = Figure(figsize=(9.0, 3.4), facecolor=ground)
    axes = figure.add_axes((0.07, 0.16, 0.92, 0.72))
    years = np.arange(int(OLDEST_YEARS) + 1)
    for ages, colour, width, words in (
        (before, grey, 0.85, "before the review"),
        (after, blue, 0.55, "not rejected"),
    ):
        counts = np.bincount(np.clip(np.asarray(ages, int), 0, years[-1]), minlength=len(years))
        axes.bar(years, counts, color=colour, width=width, label=f"{words} ({len(ages):,})")
    axes.set(xlabel="Age (whole years)", ylabel="Cases per year of age", facecolor=ground)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=21))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(grey)
    axes.tick_params(colors=ink)
    axes.xaxis.label.set_color(ink)
    axes.yaxis.label.set_color(ink)
    axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), labelcolor=ink)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


class Images:
    """A cache of images and tiles (least recently used dropped first) that a thread fills ahead.

    The thread touches no widget.

    Args:
        read_image: Returns a case's image, uint8 (side, side); raises BoneAgeError if it cannot.
    """

    def __init__(self, read_image: Callable[[str], np.ndarray]):
        self._read_image = read_image
        self._lock = threading.Lock()
        self._images: OrderedDict[str, np.ndarray] = OrderedDict()
        self._tiles: OrderedDict[tuple[str, Box | None], bytes] = OrderedDict()
        self._reader = ThreadPoolExecutor(1)
        self._coming: list[Future] = []

    def image(self, case_id: str) -> np.ndarray:
        """An image, uint8 (side, side).

        Raises:
            BoneAgeError: It cannot be read.
        """
        image = self._kept(self._images, case_id)
        if image is None:
            image = self._read_image(case_id)
            self._keep(self._images, case_id, image, _IMAGES_KEPT)
        return image

    def tile(self, case_id: str, box: Box | None = None) -> bytes | None:
        """A small image with a box on it, as JPEG; None if the image cannot be read."""
        tile = self._kept(self._tiles, (case_id, box))
        if tile is None:
            # Bypasses the image cache: a page of tiles must not push the next image out.
            image = self._kept(self._images, case_id)
            try:
                image = self._read_image(case_id) if image is None else image
            except BoneAgeError:
                return None
            tile = render_view(image, box=box, pixels=TILE_PIXELS)
            self._keep(self._tiles, (case_id, box), tile, _TILES_KEPT)
        return tile

    def read_ahead(
        self,
        images: Sequence[str],
        tiles: Sequence[tuple[str, Box | None]],
        finds: Sequence[Callable[[], object]] = (),
    ) -> None:
        """Prepares images, then tiles, then the results of ``finds``; drops what was queued before."""
        for one in self._coming:
            one.cancel()
        reads = [partial(self.image, one) for one in images] + [partial(self.tile, *one) for one in tiles]
        # An unreadable image is reported when it is shown.
        self._coming = [self._reader.submit(read) for read in (*reads, *finds)]

    def wait(self) -> None:
        """Waits until everything queued is read."""
        wait(self._coming)

    def _kept(self, kept: OrderedDict[K, T], key: K) -> T | None:
        with self._lock:
            if key in kept:
                kept.move_to_end(key)
            return kept.get(key)

    def _keep(self, kept: OrderedDict[K, T], key: K, value: T, most: int) -> None:
        with self._lock:
            kept[key] = value
            kept.move_to_end(key)
            while len(kept) > most:
                kept.popitem(last=False)
