"""Writing burnt into an image: names, dates and hospital labels, which tell who the child is.

Most images carry a lead L or R with its technician's initials beside it, which tell nothing of the child.
What sets other writing apart: more letters in a row, strokes thinner than lead allows, the same ink in every
letter, and paper that is flat between them, be it air or an opaque box. Bones have none of this.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from boneage.anomalies.anomaly import Anomaly
from boneage.anomalies.hand import Hand
from boneage.anomalies.limb import SIDE, at_side, connected

_LOWEST_LETTER, _HIGHEST_LETTER = 5, 44
_STROKE = 9
"""Strokes of this width and more are no writing: those of lead letters are, and bones."""

_INK_SHARE = 0.2
_LEAST_INK, _MOST_INK = 12, 45
"""Ink stands out by this share of the image's range, at least and at most by so many grey levels."""

_MOST_LETTERS = 300
"""Shapes looked at in an image, those that stand out most; a cast's weave has thousands."""

_LEAST_FLAT, _LEAST_CROSSINGS = 0.5, 0.7
"""Rows below are bones and noise, not worth measuring further."""

_LEAST_DARK = (4, 0.7)
"""Dark letters count from so many on, on paper so flat: the insides of bright letters look like dark ones."""

_LEAST_SCORE = 0.05
_MOST_ANOMALIES = 3

# Logistic regression of images with writing on their most likely row; fitted on a random half of 1025 real
# images (27 with writing).
_ROW_WEIGHTS = {
    "intercept": -8.58,
    "count": 2.09,
    "stroke": -3.74,
    "flatness": 5.81,
    "crossings": 3.46,
    "ink": -0.96,
    "ink_spread": -4.60,
    "by_marker": -1.63,
    "on_hand": -4.13,
}
_INITIALS, _NAME = 4, 0.8
"""Initials have so many letters at most. Each further one adds so much, in lead, too: not fitted (one of the
real images shows a name in lead), but what has five letters and more is a word."""


@dataclass(frozen=True)
class _Shapes:
    """Shapes thin and small enough for letters.

    Attributes:
        boxes: int, (n, 4): x, y, width, height.
        numbers: int, (n,): the number of each in ``labels``.
        labels: int, (height, width).
        ink: uint8, (height, width): by how much each pixel stands out from the paper.
    """

    boxes: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray
    ink: np.ndarray


@dataclass(frozen=True)
class _Row:
    """A row of letters; lengths in pixels of an image of 928.

    Attributes:
        box: x, y, width, height.
        count: Letters, predicted from the widths where they touch.
        height: Median height of a letter.
        stroke: Mean width of the strokes.
        crossings: Strokes crossed on the way along the row, per height of a letter; 1 to 2 in writing.
        flatness: Share of the paper around the letters that has one grey level.
        ink: How far the letters stand out, in grey levels.
        ink_spread: Standard deviation of the letters' grey levels, as a share of ``ink``.
        on_hand: Share of the row that lies on the hand.
        by_marker: Whether a much taller or thicker letter stands beside it.
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
        """How likely it is that of writing that should not be there, from 0 to 1."""
        weights = _ROW_WEIGHTS
        total = weights["intercept"]
        total += weights["count"] * np.log(min(self.count, 8))
        total += weights["stroke"] * np.log(max(self.stroke, 0.8))
        total += weights["flatness"] * self.flatness
        total += weights["crossings"] * min(self.crossings, 2)
        total += weights["ink"] * min(self.ink, 200) / 100
        total += weights["ink_spread"] * min(self.ink_spread, 0.5)
        total += weights["by_marker"] * self.by_marker + weights["on_hand"] * self.on_hand
        total += _NAME * max(min(self.count, 8) - _INITIALS, 0)
        return float(1 / (1 + np.exp(-total)))


def text_anomalies(image: np.ndarray, hand: Hand) -> list[Anomaly]:
    """Where writing is burnt into an image; the lead marker and its initials are none.

    Args:
        image: uint8, (n, n).
        hand: The hand found on it.

    Returns:
        Anomalies of the kind ``burnt-in text``, the likeliest first, one for each block of rows.
    """
    image = at_side(image)
    on_hand = np.zeros(image.shape, np.uint8)
    if hand.found:
        on_hand = cv2.resize(hand.mask.astype(np.uint8), image.shape[::-1], interpolation=cv2.INTER_NEAREST)
    least, flat = _LEAST_DARK
    rows = find_rows(image, on_hand, dark=False)
    rows += [
        row for row in find_rows(image, on_hand, dark=True) if row.count >= least and row.flatness >= flat
    ]
    scored = [(row.likelihood(), row) for row in rows]
    kept: list[tuple[float, _Row]] = []
    for score, row in sorted(scored, key=lambda pair: -pair[0]):
        # The insides of dark letters are bright rows, and the other way round.
        if score >= _LEAST_SCORE and not any(_near(row.box, other.box, 0) for _, other in kept):
            kept.append((score, row))
    blocks = _blocks(kept)
    found = [_anomaly(block, image.shape) for block in blocks]
    return sorted(found, key=lambda anomaly: -anomaly.score)[:_MOST_ANOMALIES]


def _near(first: tuple[int, ...], second: tuple[int, ...], margin: float) -> bool:
    return all(
        first[side] < second[side] + second[side + 2] + margin
        and second[side] < first[side] + first[side + 2] + margin
        for side in (0, 1)
    )


def _blocks(rows: list[tuple[float, _Row]]) -> list[list[tuple[float, _Row]]]:
    """Rows that stand together, within one and a half heights of each other."""
    blocks: list[list[tuple[float, _Row]]] = []
    for score, row in rows:
        block, apart = [(score, row)], []
        for other in blocks:
            near = any(_near(row.box, member.box, 1.5 * row.height) for _, member in other)
            (block if near else apart).extend(other if near else [other])
        blocks = [*apart, block]
    return blocks


def _anomaly(block: list[tuple[float, _Row]], shape: tuple[int, ...]) -> Anomaly:
    score, row = max(block, key=lambda member: member[0])
    left, top, width, height = _bounds(np.array([member.box for _, member in block]))
    margin = row.height / 4
    low = np.clip(((left - margin) / shape[1], (top - margin) / shape[0]), 0, 1)
    high = np.clip(((left + width + margin) / shape[1], (top + height + margin) / shape[0]), 0, 1)
    rows = "a row" if len(block) == 1 else f"{len(block)} rows"
    letters = sum(member.count for _, member in block)
    why = (
        f"{rows} of about {letters} letters, {100 * row.height / SIDE:.1f} % of the image high, with strokes "
        f"{'as thin as print' if row.stroke < 3 else 'as thick as lead'} on flat paper"
    )
    if row.by_marker:
        why += ", beside a larger letter"
    return Anomaly(
        "burnt-in text", score, why, (float(low[0]), float(low[1]), *(float(side) for side in high - low))
    )


def _find_shapes(image: np.ndarray, dark: bool) -> _Shapes:
    """Everything that stands out brightly (or darkly) from its surroundings and could be a letter."""
    window = cv2.getStructuringElement(cv2.MORPH_RECT, (_STROKE, _STROKE))
    ink = cv2.morphologyEx(image, cv2.MORPH_BLACKHAT if dark else cv2.MORPH_TOPHAT, window)
    low, high = np.percentile(image[::4, ::4], (0.5, 99.9))
    least = np.clip(_INK_SHARE * (high - low), _LEAST_INK, _MOST_INK)
    # Half of the strongest nearby: letters that the blur of JPEG joins come apart.
    drawn = cv2.compare(ink, np.maximum(cv2.dilate(ink, window) // 2, np.uint8(least)), cv2.CMP_GT)
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
    return _Shapes(stats[numbers, :4], numbers, labels, ink)


def _find_rows(boxes: np.ndarray) -> list[np.ndarray]:
    """Indices of shapes that stand side by side on one line, from left to right."""
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


def _bounds(boxes: np.ndarray) -> tuple[int, int, int, int]:
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(axis=0)
    return int(left), int(top), int(right - left), int(bottom - top)


def _around(box: tuple[int, int, int, int], margin: int) -> tuple[slice, slice]:
    x, y, width, height = box
    return slice(max(y - margin, 0), y + height + margin), slice(max(x - margin, 0), x + width + margin)


def _measure(image: np.ndarray, shapes: _Shapes, members: np.ndarray, on_hand: np.ndarray) -> _Row | None:
    """Measures a row; None where it is too short, or plainly no writing."""
    boxes, numbers = shapes.boxes[members], shapes.numbers[members]
    box = _bounds(boxes)
    height = float(np.median(boxes[:, 3]))
    if box[2] < 1.2 * height:
        return None
    place = _around(box, 0)
    drawn = np.isin(shapes.labels[place], numbers)
    crossings = np.abs(np.diff(drawn.astype(np.int8), axis=1)).sum() / 2 / box[3] * height / box[2]
    if crossings < _LEAST_CROSSINGS:
        return None
    place = _around(box, 3)
    near = np.isin(shapes.labels[place], numbers).astype(np.uint8)
    paper = image[place][cv2.dilate(near, np.ones((5, 5), np.uint8)) == 0].astype(np.float32)
    ink = float(np.median([shapes.ink[_around(each, 0)].max() for each in boxes.tolist()]))
    flatness = float(np.mean(np.abs(paper - np.median(paper)) <= 0.06 * ink + 1)) if paper.size > 5 else 0.0
    if flatness < _LEAST_FLAT:
        return None
    levels = [np.percentile(image[_around(each, 0)], 95) for each in boxes.tolist()]
    depth = cv2.distanceTransform(near, cv2.DIST_L1, 3)
    ridge = depth[(depth > 0) & (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)))]
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
    """Whether a letter much taller than the row stands within three heights of it."""
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
    """Finds rows of letters.

    Args:
        image: uint8, (928, 928).
        on_hand: uint8, (928, 928), 1 on the hand.
        dark: Whether to look for dark letters on bright paper rather than bright ones on dark.
    """
    shapes = _find_shapes(image, dark)
    rows = [_measure(image, shapes, members, on_hand) for members in _find_rows(shapes.boxes)]
    return [row for row in rows if row is not None]
