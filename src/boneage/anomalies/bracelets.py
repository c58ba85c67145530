"""Things worn on the wrist: plastic bracelets, bands and cuffs, metal bangles, beads.

A hospital's plastic band is fainter than skin. It shows in the air beside the forearm, where its loop stands
off the skin: thin edges that run along the skin and end abruptly, on one side or both. Metal and beads
outshine everything: across the soft tissue beside the bones, on both sides at the same height.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from boneage.anomalies.anomaly import Anomaly, logistic
from boneage.anomalies.boxes import Box, shares, union
from boneage.anomalies.hand import Hand
from boneage.anomalies.limb import SIDE, Forearm, Strip
from boneage.anomalies.masks import connected, square, widened
from boneage.anomalies.order import percentiles

# Lengths are in pixels of an image of 464 unless said otherwise.
_INSIDE = 7  # Columns inside the skin that are searched for traces.
_SKIN_MARGIN = 3  # Columns outside the skin that show its own edge.
# Edges are averaged over this many pixels along themselves; those of a band are longer.
_ALONG, _ACROSS = 9, 5
# Edges along and across the skin count as traces if they exceed the local noise by this factor.
_ALONG_NOISE, _ACROSS_NOISE = 5.0, 6.0
# Floor of the noise in grey levels: a black background has none, and rounding makes some.
_LEAST_ALONG, _LEAST_ACROSS = 0.04, 0.08
# Floor of the contrast from air to soft tissue in grey levels; below it everything would be noise.
_LEAST_CONTRAST = 3.0
_BLOCK = 7
_OUTER = 0.48  # What reaches this far from the skin, in forearm widths, is a plate or a frame, not worn.
_SMALLEST_TRACE = 6
_OTHER_SIDE = 0.6  # Weight of the other side's trace.
_LEAST_SCORE = 0.02
# Soft tissue beside the bones: from and to this far inside the skin, in forearm widths.
_MARGIN = (0.10, 0.02)
# Air that nothing worn reaches: from and to this far outside the skin, in forearm widths.
_FAR = (0.25, 0.45)
_WIDEST_BAND = 0.3
_SHARP = 2
_SAME_HEIGHT = 0.3  # Tolerance for both ends of a metal band to be at the same height, in forearm widths.
_ONE_SIDE = 0.5  # Weight of a bright place on one side only.
# Logistic curve: brightness, in steps from air to the bones' margin, at probability 0.5; and slope.
_DENSE_HALF, _DENSE_SLOPE = 0.65, 8.0


@dataclass(frozen=True)
class Trace:
    """Connected edges beside the skin; lengths in forearm widths, grey levels in steps from air to tissue.

    Attributes:
        area: Pixels, per forearm width.
        farthest: Distance of its farthest pixel from the skin.
        along: Height of its edges along the skin.
        across: Height of its edges across the skin.
        thickness: Radius of the largest circle inside, in pixels.
        level: Mean difference from the air at the same distance.
        at_top: Whether it reaches the upper end of the strip, where the thumb comes in.
        at_outer: Whether it reaches too far out to be worn on the wrist.
        box: x, y, width, height, in pixels of the image.
    """

    area: float
    farthest: float
    along: float
    across: float
    thickness: float
    level: float
    at_top: bool
    at_outer: bool
    box: Box

    def likelihood(self) -> float:
        """Probability that it is a bracelet's."""
        # Fitted to the clearest trace of each image, faint bracelets included, on a random half of 1025 real
        # images (61 with a bracelet), and on 15 drawn hands with and without a band, which count half. The
        # intercept is 0.7 lower, so that no bare drawn hand reaches 0.1.
        return logistic(
            -0.98,
            2.77 * math.log(self.area),
            -5.09 * min(self.farthest, 0.4),
            1.43 * math.log(max(self.along, 0.005)),
            -0.96 * math.log(max(self.across, 0.005)),
            0.68 * math.log(self.thickness),
            -1.62 * abs(self.level),
            -2.42 * self.at_top,
            -4.80 * self.at_outer,
        )


def bracelet_anomalies(image: np.ndarray, hand: Hand, forearm: Forearm) -> list[Anomaly]:
    """Anomalies of a faint and of a dense band on an image, uint8 (464, 464), bone bright."""
    found = [_faint(image, hand, forearm), _dense(forearm)]
    return [anomaly for anomaly in found if anomaly is not None and anomaly.score >= _LEAST_SCORE]


def _faint(image: np.ndarray, hand: Hand, forearm: Forearm) -> Anomaly | None:
    lead = _lead(image, hand)
    best = []
    for strip in forearm.sides:
        traces = find_traces(strip, forearm.width, lead)
        if traces:
            best.append(max(((trace.likelihood(), trace) for trace in traces), key=lambda pair: pair[0]))
    if not best:
        return None
    best.sort(key=lambda pair: -pair[0])
    score = 1 - (1 - best[0][0]) * np.prod([1 - _OTHER_SIDE * likelihood for likelihood, _ in best[1:]])
    clear = [trace for likelihood, trace in best if likelihood >= 0.5 * best[0][0]]
    sides = "both sides" if len(clear) > 1 else "one side"
    why = (
        f"sharp edges in the air beside the skin of the forearm, on {sides}, as of a plastic band: "
        f"{100 * clear[0].along:.0f} % as high as the skin's own edge"
    )
    return Anomaly("bracelet", float(score), why, shares(union([trace.box for trace in clear]), SIDE))


def _lead(image: np.ndarray, hand: Hand) -> np.ndarray:
    """Mask of lead markers and the plates around them: uint8, of the hand mask's shape."""
    size = hand.mask.shape[0]
    # The maximum of each neighbourhood: thin letters would be lost between pixels.
    small = cv2.resize(cv2.dilate(image, square(1)), (size, size), interpolation=cv2.INTER_NEAREST)
    bright = small >= percentiles(small[hand.mask], 92)[0]
    labels, stats = connected(bright)
    letter = (stats[:, 4] >= 6) & (stats[:, 4] < 1200) & (stats[:, 2:4].max(axis=1) < 50)
    on_hand = widened(hand.mask, square(2))
    letter[labels[on_hand]] = False
    letter[0] = False
    return cv2.dilate(letter[labels].astype(np.uint8), square(15))


def _column_medians(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Median of the valid values of each column, from every third row; 0 without any."""
    ordered = np.sort(np.where(valid[::3], values[::3], np.inf), axis=0)
    count = valid[::3].sum(axis=0)
    middle = ordered[np.maximum(count - 1, 0) // 2, np.arange(values.shape[1])]
    return np.where(count > 0, middle, 0).astype(np.float32)


def _contrast(usual: np.ndarray, inside: np.ndarray, skin: int) -> float:
    """Grey levels from the air just outside the skin to the usual level inside."""
    outside = usual[skin + 3 : skin + 7]
    if not inside.size or not outside.size:
        return _LEAST_CONTRAST
    return max(float(np.median(inside) - np.median(outside)), _LEAST_CONTRAST)


def _noise(edges: np.ndarray, valid: np.ndarray, least: float) -> np.ndarray:
    """The noise around each pixel: the median over blocks, so that a band's own edges hardly count."""
    height, width = edges.shape
    blocks = (max(width // _BLOCK, 1), max(height // _BLOCK, 1))
    total = cv2.resize(edges * valid, blocks, interpolation=cv2.INTER_AREA)
    share = cv2.resize(valid.astype(np.float32), blocks, interpolation=cv2.INTER_AREA)
    local = cv2.medianBlur(np.where(share > 0.3, total / np.maximum(share, 0.3), 0).astype(np.float32), 5)
    everywhere = 1.48 * np.median(edges[valid][::7])
    return np.maximum(
        cv2.resize(local, (width, height), interpolation=cv2.INTER_LINEAR), max(everywhere, least)
    )


def find_traces(strip: Strip, width: float, lead: np.ndarray) -> list[Trace]:
    """Finds edges in the air beside the skin that are too sharp for air.

    Args:
        strip: A side of the forearm.
        width: The forearm's, in pixels.
        lead: Mask of lead markers, uint8 (n, n).
    """
    start = max(strip.skin - _INSIDE, 0)
    skin = strip.skin - start
    outer = skin + int(_OUTER * width)
    levels, x, y = strip.levels[:, start:], strip.x[:, start:], strip.y[:, start:]
    to_lead = lead.shape[0] / SIDE
    free = strip.valid[:, start:] & (cv2.remap(lead, x * to_lead, y * to_lead, cv2.INTER_NEAREST) == 0)
    whole = cv2.erode(free.astype(np.uint8), square(2)) > 0
    air = whole.copy()
    air[:, : skin + 3] = False
    if len(levels) < 4 or air[:, :outer].sum() < 75:
        return []
    smooth = cv2.GaussianBlur(levels, (0, 0), 0.5)
    usual = _column_medians(smooth, whole)
    across = np.zeros_like(smooth)
    across[1:-1] = smooth[2:] - smooth[:-2]
    across = np.abs(cv2.blur(across, (_ACROSS, 1)))
    along = np.zeros_like(smooth)
    along[:, 1:-1] = smooth[:, 2:] - smooth[:, :-2]
    along = cv2.blur(along, (1, _ALONG))
    along = np.abs(along - _column_medians(along, whole))
    sharp = np.maximum(
        along / (_ALONG_NOISE * _noise(along, air, _LEAST_ALONG)),
        across / (_ACROSS_NOISE * _noise(across, air, _LEAST_ACROSS)),
    )
    drawn = (sharp > 1) & whole
    drawn[:, : skin + _SKIN_MARGIN] = False
    drawn[:, outer + 2 :] = False
    labels, stats = connected(drawn)
    contrast = _contrast(usual, usual[skin - 6 : skin - 3], skin)
    traces = []
    for number in np.flatnonzero(stats[1:, 4] >= _SMALLEST_TRACE) + 1:
        column, row, columns, rows, area = stats[number]
        place = np.s_[row : row + rows, column : column + columns]
        own = labels[place] == number
        depth = cv2.distanceTransform(np.pad(own.astype(np.uint8), 1), cv2.DIST_L1, 3)
        left, top = x[place][own].min(), y[place][own].min()
        traces.append(
            Trace(
                area=float(area / width),
                farthest=float((column + columns - skin) / width),
                along=float(percentiles(along[place][own], 80)[0]) / contrast,
                across=float(percentiles(across[place][own], 80)[0]) / contrast,
                thickness=float(depth.max()),
                level=float((smooth[place] - usual[column : column + columns])[own].mean()) / contrast,
                at_top=bool(row < 2 or not whole[row - 2, column : column + columns].all()),
                at_outer=bool(column + columns >= outer),
                box=(left, top, x[place][own].max() - left, y[place][own].max() - top),
            )
        )
    return traces


def _dense(forearm: Forearm) -> Anomaly | None:
    """A bright band across the soft tissue on both sides of the bones."""
    start = min(strip.start for strip in forearm.sides)
    stop = max(strip.start + len(strip.levels) for strip in forearm.sides)
    glows = np.zeros((len(forearm.sides), stop - start), np.float32)
    for glow, strip in zip(glows, forearm.sides, strict=True):
        glow[strip.start - start :][: len(strip.levels)] = _glow(strip, forearm.width)
    side, row = np.unravel_index(glows.argmax(), glows.shape)
    height, ends = _ONE_SIDE * float(glows[side, row]), {int(side): int(row) + start}
    if len(glows) == 2:
        reach = int(_SAME_HEIGHT * forearm.width / 2)
        near = cv2.dilate(glows[1][:, None], np.ones((2 * reach + 1, 1), np.uint8))[:, 0]
        common = np.minimum(glows[0], near)
        row = int(common.argmax())
        if common[row] > height:
            low = max(row - reach, 0)
            other = low + int(glows[1][low : row + reach + 1].argmax())
            height, ends = float(common[row]), {0: row + start, 1: other + start}
    score = logistic(_DENSE_SLOPE * (height - _DENSE_HALF))
    boxes = [_band_box(forearm, side, row) for side, row in ends.items()]
    why = (
        f"bright band across the soft tissue {'on both sides' if len(ends) == 2 else 'on one side'} of the "
        f"forearm's bones, {1 + max(height / (_ONE_SIDE if len(ends) == 1 else 1), 0):.1f} times as far from "
        "the air's grey level as the tissue beside it"
    )
    return Anomaly("bracelet", score, why, shares(union(boxes), SIDE))


def _band_box(forearm: Forearm, side: int, row: int) -> Box:
    """A box around a band's end, from the bones to the skin; ``row`` counts from the centre of the palm."""
    strip = forearm.sides[side]
    x = strip.x[row - strip.start, [0, strip.skin]]
    y = strip.y[row - strip.start, [0, strip.skin]]
    half = 0.08 * forearm.width
    return tuple(map(float, (x.min() - half, y.min() - half, np.ptp(x) + 2 * half, np.ptp(y) + 2 * half)))


def _glow(strip: Strip, width: float) -> np.ndarray:
    """How far, in steps from air to the bones' margin, each row of soft tissue outshines its neighbours,
    float32 (rows,).

    Whatever is as bright far out in the air is the edge of a frame and does not count.
    """
    smooth = cv2.GaussianBlur(strip.levels, (0, 0), 0.5)
    usual = _column_medians(smooth, strip.valid)
    smooth /= _contrast(usual, usual[1:4], strip.skin)
    tissue = slice(max(strip.skin - int(_MARGIN[0] * width), 0), strip.skin - max(int(_MARGIN[1] * width), 2))
    far = slice(strip.skin + int(_FAR[0] * width), strip.skin + int(_FAR[1] * width))
    beyond = _ridge(smooth[:, far], strip.valid[:, far], width)
    reach = np.ones((2 * int(_SAME_HEIGHT * width / 2) + 1, 1), np.uint8)
    beyond = cv2.dilate(beyond[:, None], reach)[:, 0]
    return np.maximum(_ridge(smooth[:, tissue], strip.valid[:, tissue], width) - beyond, 0)


def _ridge(levels: np.ndarray, valid: np.ndarray, width: float) -> np.ndarray:
    """How far each row's mean stands out from those above and below, where its edges are sharp."""
    ridge = np.zeros(len(levels), np.float32)
    seen = np.flatnonzero(valid.mean(axis=1) > 0.8) if levels.size else np.zeros(0, int)
    if len(seen) < 10:
        return ridge
    rows = np.arange(seen[0], seen[-1] + 1)
    level = np.interp(rows, seen, levels.mean(axis=1)[seen]).astype(np.float32)[:, None]
    window = np.ones((int(_WIDEST_BAND * width) | 1, 1), np.uint8)
    above = (level - cv2.morphologyEx(level, cv2.MORPH_OPEN, window))[:, 0]
    edge = np.zeros_like(above)
    edge[_SHARP:-_SHARP] = np.abs(level[2 * _SHARP :, 0] - level[: -2 * _SHARP, 0])
    edge = cv2.dilate(edge[:, None], np.ones((4 * _SHARP - 1, 1), np.uint8))[:, 0]
    ridge[rows] = above * np.clip(edge / (above + 0.05), 0, 1)
    return ridge
