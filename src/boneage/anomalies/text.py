"""Burnt-in text: names, dates and hospital labels, which may identify the child.

Most images carry a lead L or R with the technician's initials, which do not. Other text has more letters in a
row, strokes thinner than lead allows, the same ink in every letter, and a uniform background, be it air or an
opaque box. Bones have none of this.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from boneage.anomalies.anomaly import Anomaly, logistic
from boneage.anomalies.boxes import overlap, shares, union
from boneage.anomalies.hand import Hand
from boneage.anomalies.masks import connected, resized, square
from boneage.anomalies.order import percentiles
from boneage.images.square import square as to_square

SIDE = 928
"""Images are analysed at this side; lengths in pixels below refer to it."""

_LOWEST_LETTER, _HIGHEST_LETTER = 5, 44
_STROKE = 9  # Strokes of at least this width are not text, but lead letters or bones.
# Ink stands out by this share of the image's range, within these bounds in grey levels.
_INK_SHARE, _LEAST_INK, _MOST_INK = 0.2, 12, 45
# Most shapes examined per image, those that stand out most; a cast's weave has thousands.
_MOST_LETTERS = 300
_LEAST_FLAT, _LEAST_CROSSINGS = 0.5, 0.7  # Rows below are bones and noise, not worth measuring further.
# Dark text needs this many letters on this flat a background: the insides of bright letters look similar.
_LEAST_DARK = (4, 0.7)
_LEAST_SCORE = 0.05
_MOST_ANOMALIES = 3
# Initials have at most this many letters. Each further one adds this much, in lead too: not fitted (one
# real image shows a name in lead), but five letters or more make a word.
_INITIALS, _NAME = 4, 0.8


@dataclass(frozen=True)
class _Shapes:
    """Shapes thin and small enough for letters.

    Attributes:
        boxes: int, (n, 4): x, y, width, height.
        numbers: int, (n,): the number of each in ``labels``.
        labels: int, (height, width): all connected shapes, thin and small or not.
        count: Numbers in ``labels``.
        ink: uint8, (height, width): how far each pixel stands out from the background.
    """

    boxes: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray
    count: int
    ink: np.ndarray


@dataclass(frozen=True)
class _Row:
    """A row of letters; lengths in pixels of an image of 928.

    Attributes:
        box: x, y, width, height.
        count: Letters, inferred from the widths where they touch.
        height: Median height of a letter.
        stroke: Mean stroke width.
        crossings: Strokes crossed along the row, per letter height; 1 to 2 in text.
        flatness: Share of the background around the letters with one grey level.
        ink: How far the letters stand out, in grey levels.
        ink_spread: Standard deviation of the letters' grey levels, as a share of ``ink``.
        on_hand: Share of the row on the hand.
        by_marker: Whether a much taller or thicker letter is beside it.
    """

    box: tuple[int, int, int, int]
    count: int
    height: float
    stroke: float
    crossings: float
    flatness: float
    ink: float
    ink_spread: float
    on_hand: float
    by_marker: bool

    def likelihood(self) -> float:
        """Probability that it is text that should not be there."""
        count = min(self.count, 8)
        # Fitted to the likeliest row of each image on a random half of 1025 real images (27 with text),
        # except the last term.
        return logistic(
            -8.58,
            2.09 * math.log(count),
            -3.74 * math.log(max(self.stroke, 0.8)),
            5.81 * self.flatness,
            3.46 * min(self.crossings, 2),
            -0.96 * min(self.ink, 200) / 100,
            -4.60 * min(self.ink_spread, 0.5),
            -1.63 * self.by_marker,
            -4.13 * self.on_hand,
            _NAME * max(count - _INITIALS, 0),
        )


def text_anomalies(image: np.ndarray, hand: Hand) -> list[Anomaly]:
    """Burnt-in text on an image, uint8 (n, n), likeliest block of rows first.

    The lead marker and its initials do not count.
    """
    image = to_square(image, SIDE)
    on_hand = resized(hand.mask & hand.found, len(image))
    least, flat = _LEAST_DARK
    dark = find_rows(image, on_hand, dark=True)
    rows = find_rows(image, on_hand, dark=False)
    rows += [row for row in dark if row.count >= least and row.flatness >= flat]
    scored = [(row.likelihood(), row) for row in rows]
    kept: list[tuple[float, _Row]] = []
    for score, row in sorted(scored, key=lambda pair: -pair[0]):
        # The insides of dark letters are bright rows, and vice versa.
        if score >= _LEAST_SCORE and not any(overlap(row.box, other.box) for _, other in kept):
            kept.append((score, row))
    found = [_anomaly(block, len(image)) for block in _blocks(kept)]
    return sorted(found, key=lambda anomaly: -anomaly.score)[:_MOST_ANOMALIES]


def _blocks(rows: list[tuple[float, _Row]]) -> list[list[tuple[float, _Row]]]:
    """Groups of rows within one and a half heights of each other."""
    blocks: list[list[tuple[float, _Row]]] = []
    for score, row in rows:
        block, apart = [(score, row)], []
        for other in blocks:
            near = any(overlap(row.box, member.box, 1.5 * row.height) for _, member in other)
            (block if near else apart).extend(other if near else [other])
        blocks = [*apart, block]
    return blocks


def _anomaly(block: list[tuple[float, _Row]], side: int) -> Anomaly:
    score, row = max(block, key=lambda member: member[0])
    box = union([member.box for _, member in block])
    rows = "a row" if len(block) == 1 else f"{len(block)} rows"
    letters = sum(member.count for _, member in block)
    why = (
        f"{rows} of about {letters} letters, {100 * row.height / SIDE:.1f} % of the image high, with strokes "
        f"{'as thin as print' if row.stroke < 3 else 'as thick as lead'} on a flat background"
    )
    if row.by_marker:
        why += ", beside a larger letter"
    return Anomaly("burnt-in text", score, why, shares(box, side, row.height / 4))


def _find_shapes(image: np.ndarray, dark: bool) -> _Shapes:
    """Everything that stands out brightly (or darkly) from its surroundings and could be a letter."""
    window = cv2.getStructuringElement(cv2.MORPH_RECT, (_STROKE, _STROKE))
    ink = cv2.morphologyEx(image, cv2.MORPH_BLACKHAT if dark else cv2.MORPH_TOPHAT, window)
    low, high = percentiles(image[::4, ::4], 0.5, 99.9)
    least = np.clip(_INK_SHARE * (high - low), _LEAST_INK, _MOST_INK)
    # Half of the strongest nearby: separates letters joined by JPEG blur.
    drawn = cv2.compare(ink, cv2.max(cv2.dilate(ink, window) // 2, int(least)), cv2.CMP_GT)
    labels, stats = connected(drawn)
    _, _, width, height, area = stats.T
    possible = (height >= _LOWEST_LETTER) & (height <= _HIGHEST_LETTER) & (width <= 12 * height) & (area >= 7)
    # A full box is a pixel fault or a piece of an edge.
    possible &= area < 0.85 * width * height + 6
    possible[0] = False
    numbers = np.flatnonzero(possible)
    if len(numbers) > _MOST_LETTERS:
        strongest = [ink[b : b + d, a : a + c].max() for a, b, c, d in stats[numbers, :4]]
        numbers = np.sort(numbers[np.argsort(strongest, kind="stable")[-_MOST_LETTERS:]])
    return _Shapes(stats[numbers, :4], numbers, labels, len(stats), ink)


def _find_rows(boxes: np.ndarray) -> list[np.ndarray]:
    """Indices of shapes side by side on one line, left to right."""
    order = np.argsort(boxes[:, 0], kind="stable")
    x, y, width, height = boxes[order].astype(float).T
    tall = np.maximum(height[:, None], height[None])
    gap = x[None] - (x + width)[:, None]
    follows = (gap > -0.35 * tall) & (gap < 0.9 * tall) & (x + width / 2 > (x + width / 2)[:, None] + 1)
    follows &= np.abs((y + height)[None] - (y + height)[:, None]) < 0.3 * tall
    follows &= np.abs(y[None] - y[:, None]) < 0.45 * tall
    gap = np.where(follows, gap, np.inf)
    rows = []
    free = np.ones(len(order), bool)
    for first in range(len(order)):
        row = []
        at = first if free[first] else -1
        while at >= 0:
            row.append(at)
            free[at] = False
            gaps = np.where(free, gap[at], np.inf)
            at = int(gaps.argmin()) if np.isfinite(gaps).any() else -1
        if row:
            rows.append(order[row])
    return rows


def _around(box: tuple[int, int, int, int], margin: int) -> tuple[slice, slice]:
    x, y, width, height = box
    return slice(max(y - margin, 0), y + height + margin), slice(max(x - margin, 0), x + width + margin)


def _measure(image: np.ndarray, shapes: _Shapes, members: np.ndarray, on_hand: np.ndarray) -> _Row | None:
    """Measures a row; None if it is too short or plainly not text."""
    boxes, numbers = shapes.boxes[members], shapes.numbers[members]
    box = union(boxes)
    height = float(np.median(boxes[:, 3]))
    if box[2] < 1.2 * height:
        return None
    of_row = np.zeros(shapes.count, np.uint8)
    of_row[numbers] = 1
    drawn = of_row[shapes.labels[_around(box, 0)]]
    crossings = np.count_nonzero(drawn[:, 1:] != drawn[:, :-1]) / 2 / box[3] * height / box[2]
    if crossings < _LEAST_CROSSINGS:
        return None
    place = _around(box, 3)
    near = of_row[shapes.labels[place]]
    paper = image[place][cv2.dilate(near, square(2)) == 0].astype(np.float32)
    ink = float(np.median([shapes.ink[_around(each, 0)].max() for each in boxes.tolist()]))
    flatness = float(np.mean(np.abs(paper - np.median(paper)) <= 0.06 * ink + 1)) if paper.size > 5 else 0.0
    if flatness < _LEAST_FLAT:
        return None
    levels = [percentiles(image[_around(each, 0)], 95)[0] for each in boxes.tolist()]
    depth = cv2.distanceTransform(near, cv2.DIST_L1, 3)
    ridge = depth[(depth > 0) & (depth >= cv2.dilate(depth, square(1)))]
    return _Row(
        box=box,
        count=int(np.maximum(1, np.rint(boxes[:, 2] / (0.85 * boxes[:, 3]))).sum()),
        height=height,
        stroke=float(2 * ridge.mean() - 1),
        crossings=float(crossings),
        flatness=flatness,
        ink=ink,
        ink_spread=float(np.std(levels) / ink),
        on_hand=float(on_hand[_around(box, 0)].mean()),
        by_marker=_by_marker(image, shapes, box, height, ink),
    )


def _by_marker(
    image: np.ndarray, shapes: _Shapes, box: tuple[int, int, int, int], height: float, ink: float
) -> bool:
    """Whether a letter much taller than the row is within three heights of it."""
    place = _around(box, int(3.5 * height))
    area = image[place]
    paper = float(np.median(area))
    bright = area > paper + 0.6 * ink
    _, stats = connected(bright)
    rows, columns = bright.shape
    for x, y, width, tall, _ in stats[1:]:
        inside = x > 0 and y > 0 and x + width < columns and y + tall < rows
        # A word that runs together is long, but no taller than the row.
        long, short = max(width, tall), min(width, tall)
        if inside and tall > 1.3 * height and 0.9 * height < short and long < 2.5 * short:
            return True
    return False


def find_rows(image: np.ndarray, on_hand: np.ndarray, dark: bool) -> list[_Row]:
    """Finds rows of letters on an image, uint8 (928, 928): dark ones on bright, or bright on dark."""
    shapes = _find_shapes(image, dark)
    rows = [_measure(image, shapes, members, on_hand) for members in _find_rows(shapes.boxes)]
    return [row for row in rows if row is not None]
