"""On which side the thumb lies: a hand's outline against drawn left hands and their mirror images.

No rule on finger lengths holds on real photos: tips are faint, fingers lie together, thumbs are tucked in.
The whole outline still looks more like one of the two. What left hands look like is drawn, once a process, by
:mod:`boneage.phantom.skeleton`, in more poses than the drawn atlas has.
"""

import functools

import cv2
import numpy as np

from boneage.anomalies.outline import edge_pattern, measured, upright
from boneage.core.tables import SEXES
from boneage.phantom.skeleton import Pose, build_skeleton

_DRAWN_HANDS = 60
_SIDE = 128
_SEED = 2026
# Where the fingers point is known no better than this, in degrees.
_TURNS = (-15.0, 0.0, 15.0)


def leftness(outline: np.ndarray) -> float:
    """How much more a hand's outline looks like a left hand's than like a right hand's.

    Args:
        outline: The mask turned upright, float32 of :data:`boneage.anomalies.outline.UPRIGHT_SIZE`.

    Returns:
        About 1 for a left hand as drawn (palm down, thumb to the right), -1 for its mirror image, 0 where
        nothing can be told.
    """
    direction, scale = _difference()
    return float(edge_pattern(outline) @ direction) / scale


@functools.cache
def _difference() -> tuple[np.ndarray, float]:
    """The direction from right hands to left hands among edge patterns, and a left hand's place on it."""
    rng = np.random.default_rng(_SEED)
    room = np.ones((_SIDE, _SIDE), np.uint8)
    left, right = [], []
    for _ in range(_DRAWN_HANDS):
        mask = _drawn(rng)
        hand = measured(mask, room)
        for turn in _TURNS:
            outline = upright(mask.astype(np.float32), hand.centre, hand.radius, hand.up_degrees + turn)
            left.append(edge_pattern(outline))
            right.append(edge_pattern(np.ascontiguousarray(outline[:, ::-1])))
    direction = np.mean(left, axis=0) - np.mean(right, axis=0)
    return direction, float(np.mean(left @ direction))


def _drawn(rng: np.random.Generator) -> np.ndarray:
    """The mask of one drawn left hand with its forearm, uint8 of shape (128, 128)."""
    age, sex = float(rng.uniform(0.0, 18.0)), SEXES[rng.integers(2)]
    fan = rng.normal(0.1, 0.8)
    spread = [rng.normal(0.0, 10.0)] + [fan * lean + rng.normal(0.0, 3.0) for lean in (5.0, 0.5, -4.0, -9.0)]
    bend = tuple((rng.normal(0.0, 3.0), rng.normal(0.0, 3.0)) for _ in range(5))
    pose = Pose(tuple(spread), bend, abduction=rng.normal(-2.0, 12.0), wrist=rng.normal(0.0, 8.0))
    skeleton = build_skeleton(age, age, sex, rng, pose)
    angle = np.deg2rad(rng.normal(0.0, 12.0))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    hand = np.concatenate([*skeleton.digits, *skeleton.palm])
    low, high = ((hand[:, :2] @ turn) + sign * hand[:, 2:] for sign in (-1, 1))
    low, high = low.min(0), high.max(0)
    zoom = rng.uniform(0.6, 0.9) * _SIDE / (high - low).max()
    shift = np.array([0.5, 0.45]) * _SIDE - (low + high) / 2 * zoom
    mask = np.zeros((_SIDE, _SIDE), np.uint8)
    flesh = zoom * rng.uniform(0.85, 1.1)
    for chain in (*skeleton.digits, *skeleton.palm, skeleton.forearm, skeleton.thenar):
        _fill(mask, chain[:, :2] @ turn * zoom + shift, chain[:, 2] * flesh)
    cv2.fillPoly(mask, [np.rint(skeleton.hull @ turn * zoom + shift).astype(np.int32)], 1)
    side = 2 * int(30 * skeleton.breadth * zoom) + 1
    return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))


def _fill(mask: np.ndarray, points: np.ndarray, radii: np.ndarray) -> None:
    """Fills a chain of discs, tapering from one to the next."""
    for (x, y), radius in zip(points, radii, strict=True):
        cv2.circle(mask, (round(x), round(y)), max(1, round(radius)), 1, -1)
    for start, stop, r0, r1 in zip(points, points[1:], radii, radii[1:], strict=False):
        along = stop - start
        across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
        quad = np.stack([start + across * r0, stop + across * r1, stop - across * r1, start - across * r0])
        cv2.fillConvexPoly(mask, np.rint(quad).astype(np.int32), 1)
