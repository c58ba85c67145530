"""Image quality: is the hand readable, a left one, upright, and complete?

Each measure has a unit that can be checked by eye, and becomes a score between two marks: nobody would mind
below the first, nobody would doubt beyond the second.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from boneage.anomalies.anomaly import Anomaly, between
from boneage.anomalies.boxes import Box, box_of
from boneage.anomalies.hand import WORKING_SIDE, Hand
from boneage.anomalies.masks import disc, narrowed, resized, square, widened
from boneage.anomalies.order import percentiles
from boneage.anomalies.outline import slopes

# Marks (no anomaly, certain anomaly) of each measure. Nine in ten ordinary radiographs are before the first;
# what a person found very odd is at the second or beyond.
_LEVELS_OF_HAND = (60.0, 20.0)
_DARKEST_QUARTER = (45.0, 15.0)
_BONE_DETAIL = (0.036, 0.018)
_DEGREES_ASKEW = (10.0, 40.0)
_LEFTNESS = (0.25, -0.5)
_FRAME_SHARE = (0.04, 0.25)
_DEGREES_TILTED = (1.5, 8.0)
# Edges tilted both ways (a plate in perspective) have no rotation that corrects them all.
_ONE_SIDED = 0.5
_RADII_CUT = (0.05, 0.4)
_RADII_BELOW_PALM = (1.7, 1.2)

# The outline is accurate to a few pixels only.
_EDGE_PIXELS = 6
# A plate's edge: least step between pixels as a share of the hand's grey levels, least length as a share of
# the image's side. Two plates have eight edges; as many lines again may be those of bones.
_LINES_SIDE = 160
_LEAST_STEP = 0.03
_LEAST_LENGTH = 0.35
_LINES_AT_MOST = 16
# Lines nearer to each other than this, in pixels and in angles of 2 degrees, are one.
_PEAK_ROWS, _PEAK_COLUMNS = 8, 4


def quality_anomalies(hand: Hand) -> list[Anomaly]:
    """Anomalies of an image's exposure, pose and framing, unordered."""
    if not hand.found:
        return [_made("not one hand", 1.0 - hand.confidence, "no hand found")]
    found = [*_exposure(hand), *_pose(hand), *_framing(hand)]
    if hand.second is not None:
        found.append(_made("not one hand", 1.0, "a second hand beside the first", hand.second))
    return [anomaly for anomaly in found if anomaly.score > 0.0]


def _made(
    kind: str, score: float, why: str, box: Box | None = None, measured: float | None = None
) -> Anomaly:
    return Anomaly(kind, round(score, 4), why, box, measured)


def _exposure(hand: Hand) -> list[Anomaly]:
    low, quarter, high = percentiles(hand.levels, 5, 25, 95)
    span, detail = float(high - low), _detail(hand)
    found = [
        _made(
            "low contrast", between(span, _LEVELS_OF_HAND), f"the hand spans {span:.0f} of 255 grey levels"
        ),
        _made(
            "dark",
            between(float(quarter), _DARKEST_QUARTER),
            f"a quarter of the hand is darker than grey level {quarter:.0f} of 255",
        ),
        _made(
            "unreadable skeleton",
            between(detail, _BONE_DETAIL),
            f"bones hardly visible: their edges are {100 * detail:.1f}% of the step from air to hand",
            box_of(hand.mask),
        ),
    ]
    if hand.inverted:
        found.append(_made("inverted", hand.confidence, "bone is dark and air is bright"))
    return found


def _detail(hand: Hand) -> float:
    """Steepness of the steepest twentieth of edges inside the hand, relative to the step from air to hand."""
    mask = hand.mask.astype(np.uint8)
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_3)
    inner = depth > max(1.0, 0.12 * hand.palm * WORKING_SIDE)
    air = hand.field & (cv2.dilate(mask, disc(4)) == 0)
    if not inner.any() or not air.any():
        return _BONE_DETAIL[0]
    edges = np.abs(cv2.GaussianBlur(hand.small, (0, 0), 1.0) - cv2.GaussianBlur(hand.small, (0, 0), 2.0))
    dark = percentiles(hand.small[air].astype(np.uint8), 50)[0]
    step = abs(percentiles(hand.levels, 10 if hand.inverted else 90)[0] - dark)
    return float(percentiles(edges[inner], 95)[0]) / max(step, 1.0)


def _pose(hand: Hand) -> list[Anomaly]:
    askew = abs(hand.up_degrees)
    left = hand.thumb_confidence * (1 if hand.thumb_side == "right" else -1)
    side = "right" if hand.up_degrees > 0 else "left"
    return [
        _made(
            "rotated",
            between(askew, _DEGREES_ASKEW),
            f"the fingers point {askew:.0f} degrees to the {side} of up",
            measured=round(hand.up_degrees, 1),
        ),
        _made(
            "right hand",
            between(left, _LEFTNESS),
            "the outline looks like a right hand or a mirrored image: the thumb seems to be on the left",
            box_of(hand.mask),
        ),
    ]


def _framing(hand: Hand) -> list[Anomaly]:
    frame, tilt, turn = _plate(hand)
    found = [
        _made(
            "frame",
            between(frame, _FRAME_SHARE),
            f"{frame:.0%} of the image is outside the plate or the beam",
        ),
        _made(
            "tilted scan",
            between(tilt, _DEGREES_TILTED),
            f"the plate's edges are tilted by {tilt:.1f} degrees",
            measured=turn,
        ),
    ]
    return [*found, _cropped(hand)]


def _cropped(hand: Hand) -> Anomaly:
    """Fingers at the edge of the image, or a missing wrist."""
    y, x = np.nonzero(hand.mask)
    upward = hand.upward((x + 0.5) / WORKING_SIDE, (y + 0.5) / WORKING_SIDE) / hand.palm
    field = hand.field.astype(np.uint8)
    rim = field - narrowed(field, disc(_EDGE_PIXELS))
    cut = np.count_nonzero((rim[y, x] > 0) & (upward > -0.5)) / _EDGE_PIXELS / (hand.palm * WORKING_SIDE)
    below = -float(upward.min())
    fingers, wrist = between(cut, _RADII_CUT), between(below, _RADII_BELOW_PALM)
    if fingers >= wrist:
        return _made("cropped", fingers, "a finger reaches the edge of the image")
    return _made("cropped", wrist, "the image ends at the wrist: little of radius and ulna is visible")


@dataclass(frozen=True)
class _Line:
    """A straight edge beside the hand: a point on it, its normal away from the hand, its relative length."""

    point: tuple[float, float]
    normal: tuple[float, float]
    length: float


def _plate(hand: Hand) -> tuple[float, float, float | None]:
    """Share of the image outside a plate or beam, tilt of its edges, and the rotation that corrects it.

    In degrees, anticlockwise; the rotation is None if the edges disagree on the side.
    """
    side = _LINES_SIDE
    small = cv2.resize(hand.small, (side, side), interpolation=cv2.INTER_AREA)
    inside, mask = resized(hand.content, side), resized(hand.mask, side)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    outside = np.zeros((side, side), bool)
    turns, lengths = [], []
    for line in _lines(small, inside, mask, hand):
        outside |= (x - line.point[0]) * line.normal[0] + (y - line.point[1]) * line.normal[1] > 0
        turns.append((np.rad2deg(np.arctan2(line.normal[1], line.normal[0])) + 45) % 90 - 45)
        lengths.append(min(line.length, 1.0))
    outside_share = float((outside & (inside > 0)).sum()) / max(int(inside.sum()), 1)
    outside_share = min(1.0, outside_share + _unexplained_bars(inside))
    if not turns:
        return outside_share, 0.0, None
    tilt, turn = (float(np.average(one, weights=lengths)) for one in (np.abs(turns), turns))
    return outside_share, tilt, round(turn, 1) if abs(turn) > _ONE_SIDED * tilt else None


def _unexplained_bars(inside: np.ndarray) -> float:
    """Uniform margins, as fractions of the side, beyond the two that pad an oblong image."""
    side = inside.shape[0]
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    margins = np.array([rows[0], side - 1 - rows[-1], columns[0], side - 1 - columns[-1]], float)
    top, bottom, left, right = np.maximum(margins - 1, 0) / side
    return float(top + bottom + left + right - 2 * max(min(top, bottom), min(left, right)))


def _lines(small: np.ndarray, inside: np.ndarray, mask: np.ndarray, hand: Hand) -> list[_Line]:
    """Long straight edges with the whole hand, without its forearm, on one side.

    A Hough transform proposes lines; those with enough pixels whose own gradient agrees (O'Gorman and Clowes,
    1976) count, as a plate's do, and few of bones and letters.
    """
    from skimage.transform import hough_line

    side = small.shape[0]
    x_slope, y_slope, steepness = slopes(small)
    low, high = percentiles(hand.levels, 5, 95)
    free = (narrowed(inside, square(1)) > 0) & ~widened(mask, disc(3))
    steep = (steepness / 8 > _LEAST_STEP * max(float(high - low), 6.0)) & free
    y, x = np.nonzero(steep)
    angle = np.arctan2(y_slope[steep], x_slope[steep])
    core = _core(mask, hand)
    found = []
    votes, turns, distances = hough_line(steep, np.linspace(-np.pi / 2, np.pi / 2, 90, endpoint=False))
    least = _LEAST_LENGTH * side
    for row, column in _peaks(votes.astype(np.float32), least / 2):
        turn, distance = turns[column], distances[row]
        off = np.abs(x * np.cos(turn) + y * np.sin(turn) - distance)
        askew = np.rad2deg(np.abs((angle - turn + np.pi / 2) % np.pi - np.pi / 2))
        on = (off < 4) & (askew < 5)
        if np.count_nonzero((off < 3) & (askew < 3)) >= least:
            line = _fitted(x[on], y[on], side, core)
            found += [] if line is None else [line]
    return found


def _peaks(votes: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Row and column of the highest local maxima above ``least``, none near another.

    Those that ``skimage.transform.hough_line_peaks`` finds, in a tenth of the time.
    """
    rows, columns = votes.shape
    near = np.ones((2 * _PEAK_ROWS + 1, 2 * _PEAK_COLUMNS + 1), np.uint8)
    highest = (votes > least) & (votes >= cv2.dilate(votes, near))
    y, x = np.nonzero(highest)
    labels = cv2.connectedComponents(highest.astype(np.uint8), connectivity=8)[1][y, x]
    # Equal neighbours are one, at their middle.
    _, first, one = np.unique(labels, return_index=True, return_inverse=True)
    middles = np.stack([np.bincount(one, y), np.bincount(one, x)], axis=1) / np.bincount(one)[:, np.newaxis]
    heights = votes[y, x][first]
    order = np.lexsort((first, heights))[::-1]
    peaks: list[tuple[int, int, float]] = []
    for row, column, height in zip(
        *np.rint(middles[order]).astype(int).T.tolist(), heights[order], strict=True
    ):
        # After the last angle comes the first again, with distances of the other sign.
        same = ((row, column), (rows - row, column - columns), (rows - row, column + columns))
        if not any(
            abs(y - top) <= _PEAK_ROWS and abs(x - left) <= _PEAK_COLUMNS
            for y, x in same
            for top, left, _ in peaks
        ):
            peaks.append((row, column, height))
    strongest = np.argsort([height for _, _, height in peaks])[::-1][:_LINES_AT_MOST]
    return [peaks[at][:2] for at in strongest]


def _core(mask: np.ndarray, hand: Hand) -> np.ndarray:
    """Pixels (x, y) of palm and fingers, (n, 2)."""
    y, x = np.nonzero(mask)
    upward = hand.upward(x / len(mask), y / len(mask))
    return np.stack([x, y], axis=1)[upward > -0.8 * hand.palm]


def _fitted(x: np.ndarray, y: np.ndarray, side: int, core: np.ndarray) -> _Line | None:
    """The line through pixels, if it is long enough and has the hand on one side."""
    if len(x) < 10:
        return None
    across, down, *point = cv2.fitLine(
        np.stack([x, y], 1).astype(np.float32), cv2.DIST_L2, 0, 0.01, 0.01
    ).ravel()
    normal = np.array([-down, across])
    along = np.unique(np.rint((x * across + y * down) / 2))
    if 2 * len(along) < _LEAST_LENGTH * side:
        return None
    beyond = float((((core - point) @ normal) > 0).mean())
    if 0.03 < beyond < 0.97:
        return None
    normal = normal if beyond < 0.5 else -normal
    return _Line(tuple(point), tuple(normal), 2 * len(along) / side)
