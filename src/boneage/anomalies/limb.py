"""The forearm straightened: strips of an image along it, with the skin in one column.

What is worn on a wrist shows best in the soft tissue beside the bones and in the air beside the skin. Once
the skin runs straight down a strip, whatever does not follow it stands out.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import uniform_filter1d

from boneage.anomalies.hand import Hand
from boneage.anomalies.masks import narrowed, square
from boneage.anomalies.order import percentiles

SIDE = 464
"""Images are analysed at this side; lengths in pixels below refer to it."""

# Palm radii below the palm's centre where strips begin, and where the skin's direction begins to count.
_START, _FOREARM_START = 0.8, 1.3
_NARROWEST = 0.3  # Anything narrower than this share of the palm's radius is not a forearm.
_BORDER = 5  # Mask edges this close to the field's border, in mask pixels, are the field's.
# Where the skin is searched for: from inside to outside the mask's edge, in forearm widths.
_SKIN_REACH = (-0.14, 0.30)
_SIDE_REACH = (-0.16, 0.50)  # Extent of a side's strip: from inside to outside the skin, in forearm widths.
_BEND = 0.7  # Grey levels above air are compressed by h / (h + this), h in steps from air to soft tissue.
_STEP = 3  # The skin is traced on every third row.
_EDGE_MARGIN = 2


@dataclass(frozen=True, eq=False)
class Strip:
    """A side of the forearm; rows run down from the wrist, columns outwards.

    Attributes:
        levels: float32, (rows, columns): the image.
        valid: bool, (rows, columns): inside the field.
        x: float32, (rows, columns): pixel of the image (of ``SIDE``).
        y: float32, (rows, columns).
        skin: The skin's column.
        start: Distance of the first row from the palm's centre, along the axis, in pixels.
    """

    levels: np.ndarray
    valid: np.ndarray
    x: np.ndarray
    y: np.ndarray
    skin: int
    start: int


@dataclass(frozen=True, eq=False)
class Forearm:
    """Wrist and forearm.

    Attributes:
        width: In pixels of an image of ``SIDE``.
        sides: Strips of the one or two sides with visible skin.
    """

    width: float
    sides: tuple[Strip, ...]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Mask edges on lines across the forearm; in mask pixels.

    Attributes:
        at: (n,): distance of each line from ``origin``, along ``down``.
        edges: (2, n): where the mask ends to the left and to the right.
        seen: bool, (2, n): whether that is skin and not the border of the field.
    """

    at: np.ndarray
    edges: np.ndarray
    seen: np.ndarray


def straighten(image: np.ndarray, hand: Hand) -> Forearm | None:
    """Straightens the forearm of an image, uint8 (464, 464); None if hardly any of it is visible."""
    size = hand.mask.shape[0]
    scale = image.shape[0] / size
    origin, down, rows = _axis(hand)
    both = rows.seen.all(axis=0)
    if len(rows.at) < 8 or both.sum() < 4:
        return None
    widths = (rows.edges[1] - rows.edges[0])[both]
    width = float(np.median(widths[len(widths) // 2 :])) * scale
    if width < _NARROWEST * hand.palm * image.shape[0]:
        return None
    tissue = float(np.median(cv2.resize(image, (size, size), interpolation=cv2.INTER_NEAREST)[hand.mask]))
    sides = []
    for side, sign in enumerate((-1, 1)):
        seen = rows.seen[side]
        if seen.sum() >= 6:
            at, edge = rows.at[seen] * scale, sign * rows.edges[side, seen] * scale
            sides.append(_side(image, hand, origin * scale, down, sign, at, edge, width, tissue))
    return Forearm(width, tuple(sides)) if sides else None


def _across(down: np.ndarray) -> np.ndarray:
    return np.array([down[1], -down[0]])


def _axis(hand: Hand) -> tuple[np.ndarray, np.ndarray, _Rows]:
    """A point on the forearm's axis, its direction away from the hand, and the mask's edges along it.

    Starts from the hand's own direction and adjusts it to the skin on both sides.
    """
    size = hand.mask.shape[0]
    palm = hand.palm * size
    origin = np.array(hand.centre) * size
    turn = np.deg2rad(hand.up_degrees)
    down = np.array([-np.sin(turn), np.cos(turn)])
    mask = hand.mask.astype(np.uint8)
    rim = mask - narrowed(mask, square(1))
    points = cv2.findNonZero(rim).reshape(-1, 2) + 0.5
    inner = narrowed(hand.field, square(_BORDER)) > 0
    for _ in range(3):
        rows = _rows(points, inner, origin, down, palm)
        both = rows.seen.all(axis=0)
        if not both.any():
            break
        slopes = []
        for edge, seen in zip(rows.edges, rows.seen, strict=True):
            far = seen & (rows.at > _FOREARM_START * palm)
            if far.sum() > 0.25 * palm:
                apart = rows.at[far] - rows.at[far].mean()
                slopes.append(apart @ edge[far] / (apart @ apart))
        slope = float(np.clip(np.mean(slopes), -0.4, 0.4)) if slopes else 0.0
        far = both & (rows.at >= min(_FOREARM_START * palm, percentiles(rows.at[both], 60)[0]))
        middle = np.median(rows.edges[:, far].mean(axis=0))
        origin = origin + _across(down) * (middle - slope * np.median(rows.at[far]))
        down = down + _across(down) * slope
        down /= np.hypot(*down)
    return origin, down, _rows(points, inner, origin, down, palm)


def _rows(points: np.ndarray, inner: np.ndarray, origin: np.ndarray, down: np.ndarray, palm: float) -> _Rows:
    along, aside = (points - origin) @ down, (points - origin) @ _across(down)
    near = (along > _START * palm) & (np.abs(aside) < 1.6 * palm)
    row, aside = along[near].astype(int), aside[near]
    left, right = np.full(2 * len(inner), np.inf), np.full(2 * len(inner), -np.inf)
    np.minimum.at(left, row, aside)
    np.maximum.at(right, row, aside)
    at = np.flatnonzero(np.isfinite(left))
    edges = np.stack([left[at], right[at]])
    places = origin + at[None, :, None] * down + edges[..., None] * _across(down)
    x, y = np.clip(places, 0, len(inner) - 1).astype(int).transpose(2, 0, 1)
    return _Rows(at.astype(float), edges, inner[y, x])


def _side(
    image: np.ndarray,
    hand: Hand,
    origin: np.ndarray,
    down: np.ndarray,
    sign: int,
    at: np.ndarray,
    edge: np.ndarray,
    width: float,
    tissue: float,
) -> Strip:
    """The strip of one side; ``edge`` is the mask's distance from the axis on the lines ``at``."""
    along = np.arange(int(at[0]), int(at[-1]) + 1)
    edge = uniform_filter1d(np.interp(along, at, edge), 7, mode="nearest")
    outwards = sign * _across(down)

    def sample(skin: np.ndarray, reach: tuple[float, float]) -> Strip:
        columns = np.arange(int(reach[0] * width), int(reach[1] * width))
        aside = (skin[:, None] + columns).astype(np.float32)
        line = (origin + along[:, None] * down).astype(np.float32)
        x = line[:, :1] + aside * np.float32(outwards[0])
        y = line[:, 1:] + aside * np.float32(outwards[1])
        levels = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        valid = _in_field(hand, image.shape, x, y)
        return Strip(levels.astype(np.float32), valid, x, y, -int(columns[0]), int(along[0]))

    rough = sample(edge, _SKIN_REACH)
    skin = edge + _follow_skin(rough, tissue, width)
    return sample(skin, _SIDE_REACH)


def _in_field(hand: Hand, shape: tuple[int, ...], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    to_mask = hand.field.shape[0] / shape[0]
    field = hand.field.astype(np.uint8)
    inside = cv2.remap(field, x * to_mask - 0.5, y * to_mask - 0.5, cv2.INTER_NEAREST) > 0
    inside &= (x > _EDGE_MARGIN) & (x < shape[1] - _EDGE_MARGIN)
    return inside & (y > _EDGE_MARGIN) & (y < shape[0] - _EDGE_MARGIN)


def _follow_skin(strip: Strip, tissue: float, width: float) -> np.ndarray:
    """Offset of the skin from the mask's edge on each row: the cheapest smooth path down the strip.

    Grey levels are compressed so that the step from air to soft tissue outweighs that to bone.
    """
    levels = cv2.blur(cv2.GaussianBlur(strip.levels, (0, 0), 0.75), (1, 5))
    outside = slice(strip.skin + int(0.08 * width), None)
    air = levels[:, outside][strip.valid[:, outside]]
    air_level = float(percentiles(air, 10)[0]) if air.size else float(levels.min())
    height = np.maximum(levels - air_level, 0) / max(tissue - air_level, 4.0)
    bent = height / (height + _BEND)
    step = np.zeros_like(bent)
    step[:, 1:-1] = np.maximum(bent[:, :-2] - bent[:, 2:], 0)
    step[~strip.valid] = 0
    # Costs stay above zero, so that a diagonal step, which is longer, costs more.
    cost = 1.8 - np.minimum(step / (percentiles(step, 98)[0] + 1e-3), 1.5)[::_STEP]
    way = np.interp(np.arange(len(step)), np.arange(0, len(step), _STEP), _cheapest_way(cost))
    for length in (7, 5):
        way = uniform_filter1d(way, length, mode="nearest")
    return way - strip.skin


def _cheapest_way(cost: np.ndarray) -> np.ndarray:
    """The column of each row on the cheapest path down, at most one column aside per row (a seam).

    A step costs its length times the mean of both pixels' costs.
    """
    columns = cost.shape[1]
    beside = np.pad(cost[:-1], ((0, 0), (1, 1)), constant_values=np.inf)
    before = sliding_window_view(beside, columns, axis=1)
    paths = (before + cost[1:, None]) * (np.array([[2**0.5], [1.0], [2**0.5]]) / 2)
    total = np.pad(np.zeros(columns), 1, constant_values=np.inf)
    around = sliding_window_view(total, columns)
    for row in paths:
        row += around
        total[1:-1] = row.min(axis=0)
    way = [int(total[1:-1].argmin())]
    for came_from in paths.argmin(axis=1)[::-1] - 1:
        way.append(way[-1] + int(came_from[way[-1]]))
    return np.array(way[::-1])
