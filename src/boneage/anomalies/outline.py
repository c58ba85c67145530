"""Measures a hand's outline: palm, fingers, direction.

Lengths are in palm radii, the palm being the largest circle inside the outline; by that measure the hands of
children and adults differ little.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from boneage.anomalies.masks import connected, disc, narrowed
from boneage.anomalies.order import percentiles
from boneage.phantom.skeleton import turned

UPRIGHT_SIZE = (80, 64)
"""Height and width in pixels of an upright picture, with the palm at its centre."""

CELLS = (10, 8, 8)
"""Rows and columns of cells in an edge pattern, and directions in each."""

_UPRIGHT_RADIUS = 10
_CROP_RADIUS = 20
_CROP_REACH = 5
# A finger's breadth fits into a circle of this share of the palm's, the wrist's does not.
_FINGER = 0.45


@dataclass(frozen=True, eq=False)
class Outline:
    """A hand's outline, measured; points are (x, y) in palm radii from the palm's centre, y down.

    Attributes:
        centre: Pixel (x, y) of the palm's centre in the mask.
        radius: Radius of the palm in mask pixels.
        fingers: (base, tip) of each separate finger, left to right with fingers up.
        up_degrees: Direction of the fingers: 0 is up, 90 to the right, from -180 to 180.
    """

    centre: tuple[float, float]
    radius: float
    fingers: tuple[tuple[np.ndarray, np.ndarray], ...]
    up_degrees: float


def palm_of(mask: np.ndarray) -> tuple[tuple[int, int], float]:
    """Centre (x, y) and radius in pixels of the largest circle inside a mask, uint8 (n, n).

    The picture's edge does not bound it.
    """
    _, radius, _, centre = cv2.minMaxLoc(cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_3))
    return (int(centre[0]), int(centre[1])), float(radius)


def measured(mask: np.ndarray, inside: np.ndarray) -> Outline:
    """Measures a hand's outline.

    Args:
        mask: uint8, (n, n): 1 on the hand; not empty.
        inside: uint8, (n, n): 1 where there is image. A limb that leaves it is the forearm.
    """
    centre, radius = palm_of(mask)
    half = _CROP_REACH * _CROP_RADIUS
    zoom = _CROP_RADIUS / radius
    to_crop = np.array([[zoom, 0, half - zoom * centre[0]], [0, zoom, half - zoom * centre[1]]])
    crop, room = (
        (cv2.warpAffine(one * 255, to_crop, (2 * half, 2 * half), flags=cv2.INTER_LINEAR) > 127).astype(
            np.uint8
        )
        for one in (mask, inside)
    )
    trunk = cv2.morphologyEx(crop, cv2.MORPH_OPEN, disc(round(_FINGER * _CROP_RADIUS)))
    thin = [_long_piece(points) for points in _pieces(crop - trunk)]
    fingers = [(base, tip) for base, tip, breadth in thin if breadth < 0.8 and np.hypot(*(tip - base)) >= 0.5]
    # Fingers held together count as several.
    total = sum((max(1.0, breadth / 0.45) * _unit(tip) for _, tip, breadth in thin), np.zeros(2))
    up = _direction(total, trunk, room)
    ordered = sorted(fingers, key=lambda finger: turned(finger[1], -up)[0])
    return Outline((float(centre[0]), float(centre[1])), radius, tuple(ordered), up)


def _pieces(mask: np.ndarray) -> Iterator[np.ndarray]:
    """The larger connected pieces of a crop: points (x, y) in palm radii from the palm's centre."""
    labels, stats = connected(mask)
    for label in np.flatnonzero(stats[1:, 4] >= 0.2 * _CROP_RADIUS**2) + 1:
        left, top, width, height = stats[label, :4]
        y, x = np.nonzero(labels[top : top + height, left : left + width] == label)
        yield np.stack([x + left, y + top], axis=1) / _CROP_RADIUS - _CROP_REACH


def _long_piece(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Base, tip and breadth of a finger, or of several held together."""
    reach = np.hypot(*points.T)
    near, far = percentiles(reach, 10, 95)
    base, tip = points[reach <= near].mean(0), points[reach >= far].mean(0)
    return base, tip, len(points) / _CROP_RADIUS**2 / max(float(np.hypot(*(tip - base))), 1e-6)


def _unit(point: np.ndarray) -> np.ndarray:
    return point / max(float(np.hypot(*point)), 1e-6)


def _direction(fingers: np.ndarray, trunk: np.ndarray, room: np.ndarray) -> float:
    """The hand's direction from fingers and forearm, in degrees clockwise from up."""
    total = fingers
    half = trunk.shape[0] // 2
    limb_mask = cv2.circle(trunk.copy(), (half, half), round(1.4 * _CROP_RADIUS), 0, -1)
    rim = 1 - narrowed(room, disc(2))
    limbs, leaving, away = [], [], []
    for points in _pieces(limb_mask):
        x, y = np.rint(points.T * _CROP_RADIUS).astype(int) + half
        limbs.append(_unit(points.mean(0)))
        leaving.append(int(rim[y, x].sum()))
        away.append(-float(limbs[-1] @ total))
    # The forearm is opposite to the free fingers and leaves the image; any other limb is several fingers held
    # together, which may leave the image too.
    opposite = [one for one in range(len(limbs)) if away[one] > 0 or not fingers.any()]
    forearm = max(opposite, key=lambda one: (leaving[one], away[one]), default=None)
    for one, limb in enumerate(limbs):
        total = total + limb * (-2.0 if one == forearm else 1.5)
    return float(np.rad2deg(np.arctan2(total[0], -total[1]))) if np.hypot(*total) > 1e-6 else 0.0


def upright(picture: np.ndarray, centre: tuple[float, float], radius: float, degrees: float) -> np.ndarray:
    """Rotates a picture, float32 (n, n), so that the fingers point up, and scales it to the palm.

    Args:
        centre: Pixel (x, y) of the palm's centre.
        radius: Of the palm in pixels; 10 in the result, which has :data:`UPRIGHT_SIZE`.
        degrees: Direction of the fingers, clockwise from up.
    """
    zoom = _UPRIGHT_RADIUS / radius
    # Blurred first when shrinking: warpAffine samples single pixels.
    smooth = cv2.GaussianBlur(picture, (0, 0), max(0.4 / zoom, 0.4))
    turn = cv2.getRotationMatrix2D(centre, degrees, zoom)
    height, width = UPRIGHT_SIZE
    turn[:, 2] += np.array([(width - 1) / 2, (height - 1) / 2]) - centre
    return cv2.warpAffine(smooth, turn, (width, height), flags=cv2.INTER_LINEAR)


def slopes(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradient of grey levels, float32, to the right and downwards, and its magnitude (Sobel); in eighths per
    pixel.
    """
    x, y = cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1)
    # Not cv2.magnitude, whose last digit varies with the memory address.
    return x, y, np.hypot(x, y)


def edge_pattern(picture: np.ndarray) -> np.ndarray:
    """Strength of edges by direction in each cell of a picture (histogram of oriented gradients).

    Dalal and Triggs, 2005. Each cell is normalised, so exposure hardly matters. Takes float32 of
    :data:`UPRIGHT_SIZE`, returns float32 (640,), by :data:`CELLS`.
    """
    x, y, strength = slopes(picture)
    rows, columns, directions = CELLS
    angle = np.arctan2(y, x) % np.pi * (directions / np.pi)
    turned_by = angle[..., np.newaxis] - np.arange(directions, dtype=np.float32)
    apart = np.abs((turned_by + directions / 2) % directions - directions / 2)
    share = strength[..., np.newaxis] * np.maximum(0.0, 1.0 - apart)
    share = cv2.GaussianBlur(share, (0, 0), picture.shape[0] / rows / 3)
    cells = cv2.resize(share, (columns, rows), interpolation=cv2.INTER_AREA)
    norm = np.linalg.norm(cells, axis=2, keepdims=True)
    return (cells / (norm + 0.3 * norm.mean() + 1e-6)).ravel()
