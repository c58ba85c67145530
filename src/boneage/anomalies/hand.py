"""Finds the hand on an image of any exposure, where it points, and on which side its thumb is.

On nearly every image some threshold separates hand from background, but no rule gives it, nor whether to
apply it to the grey levels or to their contrast with the surroundings. So we try many and keep the shape most
like a hand: a palm with several narrow fingers and one broad forearm, and a sharp outline all round.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from boneage.anomalies.boxes import Box, box_of
from boneage.anomalies.laterality import leftness
from boneage.anomalies.masks import disc, narrowed, resized
from boneage.anomalies.order import percentiles
from boneage.anomalies.outline import measured, palm_of, slopes, upright

WORKING_SIDE = 320
"""Side in pixels of a hand's mask and normalised image."""

Point = tuple[float, float]

_COARSE = 128
_FIELD_SIDE = 80
# Shares of the image above the thresholds: from a hand in the corner of a plate to a close-up.
_BRIGHT_SHARES = tuple(np.geomspace(0.08, 0.62, 12))
_SMALLEST_SHARE = 0.015
_ANGLES = 256
# Five fingers and a forearm score 1, an outline as steep as the image's steepest seventh 1.2. Of 1025 real
# images the worst hand scored 1.6, and 99 % of them at least 1.9; noise, clouds and plates stayed below 1.55.
_LIKELY = 1.55
_CERTAIN = 1.9
_NO_NEED_TO_LOOK_ON = 2.15
_CLEARLY_BETTER = 0.25
_CERTAIN_BESIDE = 1.6
# Border regions without X-rays or with unattenuated ones: shares of the grey range that bound them; least
# length along the rim (two pixels deep) against the side; least area that may remain of the image, and of its
# convex hull (which the steps of a tilted edge reduce).
_EXTREMES = (0.06, 0.5, 0.94)
_ALONG_RIM = 0.6
_SMALLEST_FIELD = 0.08
_CONVEX = 0.97
# In grey levels, and in standard deviations per pixel: keeps rounding from passing for anatomy.
_LEAST_SPREAD = 0.3
_LEAST_STEEPNESS = 0.05


@dataclass(frozen=True, eq=False)
class Hand:
    """A hand found on an image; points and lengths are fractions of the image's side.

    Attributes:
        found: Whether a hand was found; if not, the rest is a guess.
        confidence: How hand-like it is, 0 to 1.
        inverted: Whether bone is dark.
        small: float32, (320, 320): the image at the working size.
        smooth: float32, (320, 320): the same, smoothed, and even outside the field.
        content: bool, (320, 320): the image without padding bars.
        field: bool, (320, 320): the content without what lies outside the plate or the beam.
        mask: bool, (320, 320): hand and forearm.
        second: Box (x, y, width, height) of another hand, or None.
        centre: Centre (x, y) of the palm, the largest circle inside the mask.
        palm: Radius of that circle.
        up_degrees: Direction of the fingers: 0 is up, 90 to the right, from -180 to 180.
        fingers: (base, tip) of each separate finger, thumb included, left to right with fingers up.
        thumb_side: Seen with fingers up: ``"right"`` for a left hand, ``"left"`` for its mirror image.
        thumb_confidence: From 0 (undecided) to 1.
    """

    found: bool
    confidence: float
    inverted: bool
    small: np.ndarray
    smooth: np.ndarray
    content: np.ndarray
    field: np.ndarray
    mask: np.ndarray
    second: Box | None
    centre: Point
    palm: float
    up_degrees: float
    fingers: tuple[tuple[Point, Point], ...]
    thumb_side: str
    thumb_confidence: float

    @cached_property
    def levels(self) -> np.ndarray:
        """The grey levels of hand and forearm at the working size, uint8 (pixels,)."""
        return self.small[self.mask].astype(np.uint8)

    @cached_property
    def normalised(self) -> np.ndarray:
        """Bone bright, in standard deviations from the surroundings: float32, (320, 320)."""
        return _normalised(-self.smooth if self.inverted else self.smooth, self.field.astype(np.uint8))

    def upward(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """How far points are from the palm's centre towards the fingers, in fractions of the side."""
        angle = np.deg2rad(self.up_degrees)
        return (x - self.centre[0]) * np.sin(angle) - (y - self.centre[1]) * np.cos(angle)

    def upright(self, picture: np.ndarray) -> np.ndarray:
        """A picture, float32 (320, 320), with fingers up; see :func:`outline.upright`."""
        centre = (self.centre[0] * WORKING_SIDE - 0.5, self.centre[1] * WORKING_SIDE - 0.5)
        return upright(picture, centre, self.palm * WORKING_SIDE, self.up_degrees)


@dataclass(frozen=True, eq=False)
class _Shape:
    """A candidate: its hand-likeness, and its mask, uint8 at the coarse size."""

    score: float
    mask: np.ndarray


def find_hand(image: np.ndarray) -> Hand:
    """Finds the hand on an image, uint8 (n, n), of any exposure and either polarity."""
    small = cv2.resize(image, (WORKING_SIDE, WORKING_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    smooth = _blurred(small, 1.0)
    content = _without_bars(image)
    field = _field(smooth, content)
    smooth = np.where(field > 0, smooth, percentiles(smooth[field > 0], 50)[0])
    shapes, inverted = _shapes(smooth, field), False
    if shapes[0].score < _CERTAIN:
        # A dark hand on white is searched for only if no bright one is certain.
        others = _shapes(-smooth, field)
        if others[0].score > shapes[0].score + _CLEARLY_BETTER:
            shapes, inverted = others, True
    return _described(shapes, small, smooth, inverted, content, field)


def _described(
    shapes: list[_Shape],
    small: np.ndarray,
    smooth: np.ndarray,
    inverted: bool,
    content: np.ndarray,
    field: np.ndarray,
) -> Hand:
    """The hand that the shapes, best first, describe."""
    best = shapes[0]
    room = resized(field, _COARSE)
    outline = measured(best.mask, room)
    left = leftness(upright(best.mask.astype(np.float32), outline.centre, outline.radius, outline.up_degrees))
    mask = cv2.resize(best.mask * 255, (WORKING_SIDE, WORKING_SIDE), interpolation=cv2.INTER_LINEAR) > 127

    def placed(point: np.ndarray) -> Point:
        x, y = (np.array(outline.centre) + 0.5 + point * outline.radius) / _COARSE
        return float(x), float(y)

    return Hand(
        found=best.score >= _LIKELY,
        confidence=float(np.clip((best.score - _LIKELY) / (_CERTAIN - _LIKELY), 0.0, 1.0)),
        inverted=inverted,
        small=small,
        smooth=smooth,
        content=content > 0,
        field=field > 0,
        mask=mask,
        second=box_of(shapes[1].mask) if len(shapes) > 1 else None,
        centre=placed(np.zeros(2)),
        palm=outline.radius / _COARSE,
        up_degrees=outline.up_degrees,
        fingers=tuple((placed(base), placed(tip)) for base, tip in outline.fingers),
        thumb_side="right" if left >= 0 else "left",
        thumb_confidence=min(abs(left), 1.0),
    )


def _without_bars(image: np.ndarray) -> np.ndarray:
    """uint8, (320, 320): 0 in uniform padding bars, 1 elsewhere."""
    side = image.shape[0]
    inside = np.zeros((WORKING_SIDE, WORKING_SIDE), np.uint8)
    spans = []
    for axis in (1, 0):
        busy = np.flatnonzero(image.max(axis).astype(int) - image.min(axis) > 1)
        low, high = (busy[0] / side, (busy[-1] + 1) / side) if len(busy) > side // 8 else (0.0, 1.0)
        # One pixel less on each side, where the bar's grey level bleeds in.
        spans.append(slice(int(np.ceil(low * WORKING_SIDE)) + 1, int(high * WORKING_SIDE) - 1))
    inside[spans[0], spans[1]] = 1
    return inside


def _field(small: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """``inside`` without the black or white border left by a collimator or the plate's edge.

    It is removed only if the rest is convex, as a plate or a beam is and a hand is not.
    """
    step = WORKING_SIDE // _FIELD_SIDE
    coarse, room = small[::step, ::step], inside[::step, ::step].copy()
    low, high = percentiles(coarse[room > 0], 0.5, 99.5)
    for share in _EXTREMES:
        level = low + share * (high - low)
        room = _cut(room, coarse >= level if share >= 0.5 else coarse <= level)
    return resized(room, WORKING_SIDE) * inside


def _cut(room: np.ndarray, extreme: np.ndarray) -> np.ndarray:
    """``room`` without extreme regions along its rim, if the rest is large and convex."""
    labels = cv2.connectedComponents((extreme & (room > 0)).astype(np.uint8))[1]
    rim = room - narrowed(room, disc(2))
    along = np.bincount(labels[rim > 0], minlength=1)
    along[0] = 0
    is_outside = along > _ALONG_RIM * room.shape[0]
    if not is_outside.any():
        return room
    rest = np.where(np.isin(labels, np.flatnonzero(is_outside)), 0, room).astype(np.uint8)
    rest = cv2.morphologyEx(rest, cv2.MORPH_OPEN, disc(2))
    if rest.mean() < _SMALLEST_FIELD:
        return room
    hull = np.zeros_like(room)
    cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(rest)), 1)
    if rest.sum() < _CONVEX * hull.sum():
        return room
    return cv2.erode(hull, disc(1)) * room


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def _normalised(picture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Each pixel's deviation from the local mean, in local standard deviations."""
    # At a quarter of the size: means over a sixth of the side do not suffer.
    side = picture.shape[0]
    coarse = cv2.resize(picture, (side // 4, side // 4), interpolation=cv2.INTER_AREA)
    weight = cv2.resize(inside.astype(np.float32), (side // 4, side // 4), interpolation=cv2.INTER_AREA)
    sigma = side / 24
    total = np.maximum(_blurred(weight, sigma), 1e-3)
    mean = _blurred(coarse * weight, sigma) / total
    variance = _blurred((coarse - mean) ** 2 * weight, sigma) / total
    spread = np.sqrt(np.maximum(variance, 0.0))
    # In nearly uniform areas noise must not look like anatomy.
    spread += 0.3 * np.sqrt((variance * weight).sum() / max(float(weight.sum()), 1.0)) + _LEAST_SPREAD
    mean, spread = (cv2.resize(one, (side, side), interpolation=cv2.INTER_LINEAR) for one in (mean, spread))
    return np.where(inside > 0, (picture - mean) / spread, 0.0).astype(np.float32)


def _above_surroundings(picture: np.ndarray) -> np.ndarray:
    """What stands out from a background that is even over more than a hand's breadth (white top-hat)."""
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    broad = disc(14)
    background = cv2.morphologyEx(small, cv2.MORPH_OPEN, broad, borderType=cv2.BORDER_REPLICATE)
    return picture - cv2.resize(
        _blurred(background, 3.0), picture.shape[::-1], interpolation=cv2.INTER_LINEAR
    )


def _shapes(small: np.ndarray, field: np.ndarray) -> list[_Shape]:
    """The shape most like a hand, and the best one beside it, if any."""
    picture = cv2.resize(small, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    room = resized(field, _COARSE)
    rim = room - narrowed(room, disc(1))
    normalised = _normalised(picture, room)
    steepness = slopes(normalised)[2]
    # Letters and plate edges are far steeper than skin, so clip at the steepest seventh.
    usual = percentiles(steepness[room > 0], 85)[0] + _LEAST_STEEPNESS
    steepness = np.minimum(steepness / usual, 1.0)
    middle = np.zeros_like(room)
    middle[_COARSE // 4 : -_COARSE // 4, _COARSE // 4 : -_COARSE // 4] = 1
    shapes = [_Shape(0.0, middle)]
    for one in (picture, _above_surroundings, normalised):
        mapped = one(picture) if callable(one) else one
        shapes += _scored(_candidates(mapped, room), rim, steepness)
        if max(shape.score for shape in shapes) >= _NO_NEED_TO_LOOK_ON:
            break
    shapes.sort(key=lambda shape: -shape.score)
    best = shapes[0]
    for shape in shapes[1:]:
        # Letters and plates look like hands from afar, but are smaller.
        if shape.score < _CERTAIN_BESIDE:
            break
        if shape.mask.sum() > 0.4 * best.mask.sum() and not (shape.mask & best.mask).any():
            return [best, shape]
    return [best]


def _candidates(picture: np.ndarray, room: np.ndarray) -> Iterator[np.ndarray]:
    """The two largest connected shapes above each of several thresholds, as uint8 masks."""
    levels = np.sort(picture[room > 0])
    for share in _BRIGHT_SHARES:
        bright = ((picture > levels[int((1 - share) * (len(levels) - 1))]) & (room > 0)).astype(np.uint8)
        labels = cv2.connectedComponents(bright, connectivity=4)[1]
        areas = np.bincount(labels.ravel())[1:]
        for label in np.argsort(-areas)[:2] + 1:
            if areas[label - 1] >= _SMALLEST_SHARE * bright.size:
                yield (labels == label).astype(np.uint8)


def _scored(masks: Iterable[np.ndarray], rim: np.ndarray, steepness: np.ndarray) -> list[_Shape]:
    """Those masks that can be a hand, with their likeness to one."""
    kept, polar, scores = [], [], []
    for mask in masks:
        centre, radius = palm_of(mask)
        if radius < 4:
            continue
        # Removes what is thinner than a finger: the edges of a plate, the frame of a letter.
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(round(0.12 * radius)))
        labels = cv2.connectedComponents(mask, connectivity=4)[1]
        mask = (labels == labels[centre[1], centre[0]]).astype(np.uint8)
        area = cv2.countNonZero(mask)
        # A palm alone has an area of 3 squared radii; with fingers and forearm 6 to 17; a plate has 4 to 6.
        if not 5.8 < area / radius**2 < 18:
            continue
        edge = (mask - cv2.erode(mask, disc(1))) * (1 - rim)
        sharpness = float(steepness[edge > 0].sum()) / max(cv2.countNonZero(edge), 1)
        # A forearm leaves the image over at most two radii; background leaves it all round.
        leaving = max(0.0, cv2.countNonZero(mask * rim) / radius - 2.0)
        # Of two similar shapes the larger one still has its faint fingertips.
        scores.append(1.2 * sharpness + 0.5 * area / mask.size - 0.2 * leaving)
        kept.append(mask)
        # Circles outside the image must cross nothing; without the last flag they read stale memory.
        how = cv2.WARP_POLAR_LINEAR | cv2.INTER_NEAREST | cv2.WARP_FILL_OUTLIERS
        polar.append(cv2.warpPolar(mask, (52, _ANGLES), centre, 2.6 * radius, how)[:, _CIRCLES])
    if not kept:
        return []
    parts = _parts(np.array(polar)) / 5.5
    return [_Shape(float(score), mask) for score, mask in zip(parts + scores, kept, strict=True)]


def _parts(circles: np.ndarray) -> np.ndarray:
    """What circles around palms cross: a point per finger, up to 5, and half a point for a forearm.

    Args:
        circles: uint8, (hands, angles, circles).
    """
    hands = len(circles)
    rings = circles.transpose(0, 2, 1).reshape(-1, _ANGLES) > 0
    ring, lengths = _runs(rings)
    widths = lengths * (2 * np.pi / _ANGLES / 20) * np.tile(np.array(_CIRCLES) + 0.5, hands)[ring]

    def crossed(these: np.ndarray) -> np.ndarray:
        return np.bincount(ring[these], minlength=len(rings))

    broad = crossed(widths >= 0.85)
    fingers = crossed(widths > 0.15) - broad
    points = np.minimum(fingers, 5) - 2 * np.maximum(0, fingers - 6)
    points = points + 0.5 * np.minimum(broad, 1) - np.maximum(0, broad - 2)
    # Fingers held together form one broad part opposite the forearm.
    points[(fingers <= 2) & (broad == 2)] = 2.5
    points[rings.all(axis=1) | (crossed(widths >= 2.0) > 0)] = 0.0
    points = points.reshape(hands, -1)
    # A corner of a plate crosses only one circle, a finger several.
    return np.minimum(points[:, 1:], points[:, :-1]).max(axis=1)


# Columns of the polar picture: circles of 1.4 to 2.3 palm radii.
_CIRCLES = (28, 34, 40, 46)


def _runs(rings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number and length of each run of True around each ring, (rings, angles)."""
    count, angles = rings.shape
    # Each ring twice, so that a run across the seam occurs whole, and a gap before the next ring.
    flat = np.zeros((count, 2 * angles + 1), np.int8)
    flat[:, :angles] = flat[:, angles:-1] = rings
    steps = np.flatnonzero(np.diff(flat.ravel(), prepend=0))
    starts, lengths = steps[::2], steps[1::2] - steps[::2]
    ring, angle = np.divmod(starts, 2 * angles + 1)
    whole = (angle > 0) & (angle <= angles)
    return ring[whole], lengths[whole]
