"""The thumb's side: a hand's outline against drawn left hands and their mirror images.

No rule on finger lengths holds on real images: tips are faint, fingers touch, thumbs are tucked in. The whole
outline still looks more like one of the two. Left hands are drawn once per process by
:mod:`boneage.phantom.skeleton`, in more poses than the drawn atlas has.
"""

import functools

import cv2
import numpy as np

from boneage.anomalies.masks import disc
from boneage.anomalies.outline import edge_pattern, measured, upright
from boneage.core.tables import SEXES
from boneage.phantom.drawing import fill_chain, solid
from boneage.phantom.skeleton import build_skeleton, draw_pose, rotation

_DRAWN_HANDS = 60
_SIDE = 128
_SEED = 2026
# The fingers' direction is known to about this many degrees.
_TURNS = (-15.0, 0.0, 15.0)


def leftness(outline: np.ndarray) -> float:
    """How much more an upright outline looks like a left hand than like a right one.

    About 1 for a left hand as drawn (palm down, thumb to the right), -1 for its mirror image, 0 if undecided.
    """
    direction, scale = _difference()
    return float(edge_pattern(outline) @ direction) / scale


@functools.cache
def _difference() -> tuple[np.ndarray, float]:
    """Direction from right to left hands among edge patterns, and the mean left hand's projection on it."""
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
    """Mask of a drawn left hand with its forearm, uint8 (128, 128)."""
    age, sex = float(rng.uniform(0.0, 18.0)), SEXES[rng.integers(2)]
    pose = draw_pose(rng, fan=0.8, thumb=10.0, digit=3.0, bend=3.0, abduction=12.0, wrist=8.0)
    skeleton = build_skeleton(age, age, sex, rng, pose)
    turn = rotation(np.deg2rad(rng.normal(0.0, 12.0)))
    low, high = skeleton.extent(turn)
    zoom = rng.uniform(0.6, 0.9) * _SIDE / (high - low).max()
    shift = np.array([0.5, 0.45]) * _SIDE - (low + high) / 2 * zoom
    mask = np.zeros((_SIDE, _SIDE), np.uint8)
    flesh = zoom * rng.uniform(0.85, 1.1)
    for chain in (*skeleton.digits, *skeleton.palm, skeleton.forearm, skeleton.thenar):
        fill_chain(mask, chain[:, :2] @ turn.T * zoom + shift, chain[:, 2] * flesh)
    cv2.fillPoly(mask, [np.rint(skeleton.hull @ turn.T * zoom + shift).astype(np.int32)], 255)
    # Skin spans hollows.
    return cv2.morphologyEx(solid(mask) // 255, cv2.MORPH_CLOSE, disc(int(30 * skeleton.breadth * zoom)))
