"""Foreign objects on a hand: rings, bracelets, and other metal.

Metal is brighter than bone and has sharper edges. A ring is a short bright band across one finger, from skin
to skin, whereas bones run along it and never reach the skin.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from boneage.anomalies.anomaly import Anomaly, clipped, logistic
from boneage.anomalies.boxes import Box, overlap, shares
from boneage.anomalies.bracelets import bracelet_anomalies
from boneage.anomalies.hand import Hand
from boneage.anomalies.limb import SIDE, straighten
from boneage.anomalies.masks import connected, narrowed, resized, square, widened
from boneage.anomalies.order import percentiles
from boneage.images.square import square as to_square

# Fingers are farther from the palm's centre than its radius, and not (cosine) towards the forearm.
_PALM_EDGE, _BACKWARDS = 0.95, -0.3
# Percentiles of the fingers' grey levels that stand for bone and soft tissue, and around them for air.
_BONE, _TISSUE, _AIR = 94, 25, 30
_HOT = 0.15  # Metal exceeds the fingers' bone by this share of the step from soft tissue to bone.
_LARGEST_RING, _USUAL_RING = 0.9, 0.32  # Lengths across the finger, in palm radii.
# Beside a ring the finger continues on both sides: at least this bright, where 0 is air and 1 soft tissue.
# The letters of a lead marker have air there.
_FLANK = 0.4
_BESIDE = 4
_BEYOND, _FLANKING = np.array([3, 5, 7]), np.array([3, 5])  # Pixels beyond a shape's ends, and beside it.
_PIXEL = np.eye(2) / 12  # Covariance of the points within a pixel.
_LEAST_SCORE = 0.05
_RIM = 13  # Mask pixels from the edge of the field, where frames are, that are not searched for metal.
# Least contrast of metal, in steps from soft tissue to bone.
_LEAST_GLINT = 0.8
# (window and least area in pixels, contrast of metal at probability 0.5, slope of the logistic curve). Pins
# and wires are narrower than the blur of any bone's edge; they are compared with the hand's other edges.
# Plates are wider; they are compared with the step from soft tissue to bone.
_PINS = (5, 10, 2.02, 8.0)
_PLATES = (25, 40, 2.2, 4.0)


@dataclass(frozen=True)
class BrightShape:
    """A shape on a finger that is brighter than its bones.

    Attributes:
        box: x, y, width, height, in pixels of the image.
        excess: Brightness above bone, in steps from soft tissue to bone.
        length: In palm radii.
        breadth: In palm radii.
        crosswise: 1 if it lies across the finger, 0 if along it.
        beyond: Grey levels just beyond its two ends, dimmer first: 0 is air, 1 soft tissue.
        fill: Its area as a share of length times breadth.
    """

    box: Box
    excess: float
    length: float
    breadth: float
    crosswise: float
    beyond: tuple[float, float]
    fill: float

    def likelihood(self) -> float:
        """Probability that it is a ring."""
        # Fitted to bright shapes on fingers: 300 rings drawn on real images and 80 on phantoms, against the
        # brightest shapes of 1025 real images and 160 phantoms without rings; a random half of each.
        return logistic(
            -2.41,
            2.65 * math.log(max(self.excess, 0.1)),
            -3.98 * abs(math.log(clipped(self.length, 0.05, 2) / _USUAL_RING)),
            0.61 * self.crosswise,
            -2.02 * clipped(self.beyond[0], -0.5, 2),
            -2.81 * clipped(self.beyond[1], -0.5, 2),
            7.25 * min(self.fill, 1.2),
        )


def foreign_anomalies(image: np.ndarray, hand: Hand) -> list[Anomaly]:
    """Anomalies of rings, bracelets and other metal on the hand of an image, uint8 (n, n)."""
    if not hand.found or not hand.mask.any():
        return []
    image = to_square(255 - image if hand.inverted else image, SIDE)
    found = _rings(image, hand)
    forearm = straighten(image, hand)
    if forearm is not None:
        found += bracelet_anomalies(image, hand, forearm)
    metal = _metal(image, hand)
    # A ring is metal too; report it once.
    told = [other for other in found if metal and other.score >= metal.score]
    if metal and not any(overlap(metal.box, other.box) for other in told):
        found.append(metal)
    return found


def _rings(image: np.ndarray, hand: Hand) -> list[Anomaly]:
    shapes = find_bright_shapes(image, hand)
    if not shapes:
        return []
    likelihood, shape = max(((shape.likelihood(), shape) for shape in shapes), key=lambda pair: pair[0])
    if likelihood < _LEAST_SCORE:
        return []
    why = (
        f"bright band across a finger, brighter than its bone by {shape.excess:.1f} times the step from soft "
        "tissue to bone, and as wide as the finger"
    )
    return [Anomaly("ring", likelihood, why, shares(shape.box, SIDE))]


def find_bright_shapes(image: np.ndarray, hand: Hand) -> list[BrightShape]:
    """Finds shapes brighter than bone on the fingers of an image, uint8 (464, 464), bone bright."""
    mask = resized(hand.mask, SIDE)
    field = resized(hand.field, SIDE)
    centre, palm = np.array(hand.centre) * SIDE, hand.palm * SIDE
    zone = _finger_zone(hand, centre, palm)
    levels = image[::2, ::2][(zone & mask)[::2, ::2] > 0]
    if levels.size < 50:
        return []
    bone, tissue = percentiles(levels, _BONE, _TISSUE)
    outside = ((field & zone > 0) & ~widened(mask, square(4)))[::2, ::2]
    air = percentiles(image[::2, ::2][outside], _AIR)[0] if outside.sum() > 25 else image.min()
    step = max(bone - tissue, 0.25 * (tissue - air), 2.0)
    hot = (image > bone + _HOT * step) & widened(mask, square(3)) & (zone > 0)
    labels, stats = connected(hot)
    small_enough = (stats[:, 4] >= 8) & (stats[:, 2:4].max(axis=1) <= _LARGEST_RING * palm)
    fingers = np.array(hand.fingers).reshape(-1, 2, 2) * SIDE
    shapes = []
    for number in np.flatnonzero(small_enough[1:]) + 1:
        column, row, width, height, area = stats[number].tolist()
        place = np.s_[row : row + height, column : column + width]
        own = labels[place] == number
        points = cv2.findNonZero(own.view(np.uint8)).reshape(-1, 2) + np.array([column, row], float)
        middle = points.sum(axis=0) / area
        apart = points - middle
        spread, axes = np.linalg.eigh(apart.T @ apart / area + _PIXEL)
        breadth, length = np.sqrt(12 * spread).tolist()
        aside, way = axes.T
        if _flank(image, middle, aside, breadth) < air + _FLANK * (tissue - air):
            continue
        reach = apart @ way
        beyond = _levels_beyond(image, middle, way, (reach.min(), reach.max()))
        dimmer, brighter = sorted((level - air) / max(tissue - air, 2.0) for level in beyond)
        shapes.append(
            BrightShape(
                box=(float(column), float(row), float(width), float(height)),
                excess=float((percentiles(image[place][own], 75)[0] - bone) / step),
                length=length / palm,
                breadth=breadth / palm,
                crosswise=float(1 - abs(way @ _finger_axis(fingers, middle, centre, palm))),
                beyond=(float(dimmer), float(brighter)),
                fill=area / (length * breadth),
            )
        )
    return shapes


def _finger_zone(hand: Hand, centre: np.ndarray, palm: float) -> np.ndarray:
    """Where fingers may be: uint8, (464, 464), in blocks of 4 pixels."""
    turn = np.deg2rad(hand.up_degrees)
    places = np.arange(2, SIDE, 4, dtype=np.float32)
    x, y = places - np.float32(centre[0]), places[:, None] - np.float32(centre[1])
    distance = np.sqrt(x * x + y * y)
    upwards = x * np.float32(np.sin(turn)) - y * np.float32(np.cos(turn))
    zone = (distance > _PALM_EDGE * palm) & (upwards > _BACKWARDS * distance)
    return resized(zone, SIDE)


def _finger_axis(fingers: np.ndarray, middle: np.ndarray, centre: np.ndarray, palm: float) -> np.ndarray:
    """Direction of the finger nearest to a point; away from the palm if none is near.

    ``fingers`` are pixels (x, y) of bases and tips, (fingers, 2, 2).
    """
    start, way = fingers[:, 0], fingers[:, 1] - fingers[:, 0]
    length = np.maximum(np.hypot(*way.T), 1e-6)
    way = way / length[:, None]
    along = ((middle - start) * way).sum(axis=1).clip(0, length)
    distance = np.hypot(*(start + way * along[:, None] - middle).T)
    if distance.min(initial=np.inf) < 0.3 * palm:
        return way[distance.argmin()]
    return (middle - centre) / max(np.hypot(*(middle - centre)), 1e-6)


def _levels_beyond(
    image: np.ndarray, middle: np.ndarray, way: np.ndarray, ends: tuple[float, float]
) -> list[float]:
    """The darkest grey levels a few pixels beyond a shape's two ends."""
    away = np.array([ends[0] - _BEYOND, ends[1] + _BEYOND])
    return _at(image, middle + way * away[..., np.newaxis]).min(axis=1).tolist()


def _at(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The grey levels nearest to points (x, y) in the last axis."""
    places = np.minimum(np.maximum(np.rint(points), 0), SIDE - 1).astype(int)
    return image[places[..., 1], places[..., 0]]


def _flank(image: np.ndarray, middle: np.ndarray, aside: np.ndarray, breadth: float) -> float:
    """The grey level beside a shape's centre, on the darker of its two long sides."""
    away = _FLANKING + breadth / 2
    return float(_at(image, middle + aside * np.array([away, -away])[..., np.newaxis]).max(axis=1).min())


def _metal(image: np.ndarray, hand: Hand) -> Anomaly | None:
    """Metal that is neither ring nor bracelet: pins, wires, plates, buttons."""
    on_hand = cv2.erode(hand.mask.astype(np.uint8), square(1)) & narrowed(hand.field, square(_RIM // 2))
    pins = _strongest_glint(image, on_hand, _PINS, against_edges=True)
    plates = _strongest_glint(image, on_hand, _PLATES, against_edges=False)
    score, glint, box = max(pins, plates)
    if score < _LEAST_SCORE:
        return None
    why = (
        f"sharp-edged spot on the hand that outshines what lies around it by {glint:.1f} times the step from "
        "soft tissue to bone, as metal does"
    )
    return Anomaly("metal", score, why, shares(box, SIDE))


def _strongest_glint(
    image: np.ndarray, on_hand: np.ndarray, scale: tuple[int, int, float, float], against_edges: bool
) -> tuple[float, float, Box]:
    """Probability, contrast and box (in pixels) of the most metal-like shape.

    ``scale`` is as ``_PINS``; ``against_edges`` compares with the hand's other edges, not with its tissue.
    """
    window, least, half, slope = scale
    nothing = (0.0, 0.0, (0.0, 0.0, 0.0, 0.0))
    mask = resized(on_hand, SIDE)
    left, top, columns, rows = cv2.boundingRect(mask)
    crop = np.s_[top : top + rows, left : left + columns]
    image, mask = np.ascontiguousarray(image[crop]), mask[crop] > 0
    levels = image[::3, ::3][mask[::3, ::3]]
    if levels.size < 200:
        return nothing
    bone, tissue = percentiles(levels, _BONE, _TISSUE)
    step = max(bone - tissue, 4.0)
    outside = image[::3, ::3][~mask[::3, ::3]]
    dark = _FLANK * tissue + (1 - _FLANK) * (percentiles(outside, _AIR)[0] if outside.size else 0.0)
    above = cv2.morphologyEx(image, cv2.MORPH_TOPHAT, np.ones((window, window), np.uint8))
    edges = float(percentiles(above[::3, ::3][mask[::3, ::3]], 99.5)[0])
    labels, stats = connected((above > max(edges, 0.35 * step)) & mask)
    glints = []
    for number in np.flatnonzero(stats[1:, 4] > least) + 1:
        x, y, width, height, _ = stats[number].tolist()
        place = np.s_[y : y + height, x : x + width]
        own = labels[place] == number
        glint = float(percentiles(above[place][own], 75)[0])
        level = float(percentiles(image[place][own], 75)[0])
        if glint >= _LEAST_GLINT * step and (against_edges or level >= bone + 0.3 * step):
            glints.append((glint, (x, y, width, height)))
    best = nothing
    for glint, (x, y, width, height) in glints:
        # Lead letters come in groups with air between them; single metal has tissue on at least one side.
        reach = max(width, height)
        around = (x - reach, y - reach, width + 2 * reach, height + 2 * reach)
        company = sum(other >= 0.6 * glint and overlap(around, box) for other, box in glints) > 1
        beside = _sides(image, x, y, width, height)
        if (np.median(beside) if company else max(beside)) < dark:
            continue
        contrast = glint / max(edges, 1.0) if against_edges else glint / step
        likelihood = logistic(slope * (contrast - half))
        box = (float(x + left), float(y + top), float(width), float(height))
        best = max(best, (likelihood, glint / step, box))
    return best


def _sides(image: np.ndarray, x: int, y: int, width: int, height: int) -> list[float]:
    """Median grey levels along a box's four sides, a few pixels outside."""
    left, top = max(x - _BESIDE, 0), max(y - _BESIDE, 0)
    rows, columns = slice(y, y + height), slice(x, x + width)
    sides = (
        image[top:y, columns],
        image[y + height :, columns][:_BESIDE],
        image[rows, left:x],
        image[rows, x + width :][:, :_BESIDE],
    )
    return [float(np.median(side)) for side in sides if side.size] or [0.0]
