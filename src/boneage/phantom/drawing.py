"""Draws radiographs of left hands.

A hand is laid out by :mod:`skeleton` from the ages in :mod:`ossification` and projected as X-rays do:
thicknesses of bone and soft tissue add up, and the sum is exposed, blurred and given photon noise. Drawings
are schematic: numbers measured on them show that the code works, and say nothing about children.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from boneage.core.errors import BoneAgeError
from boneage.phantom.ossification import check_sex
from boneage.phantom.skeleton import HAND_UNITS, Bone, Skeleton, build_skeleton, draw_pose, rotation

ANOMALIES = ("ring", "bracelet", "unreadable", "growth")
"""What can be wrong with a phantom: metal on a finger, metal on the wrist, unreadable bones, and a skeleton
out of step with the age."""

_HEIGHT = 1400
# Bones are drawn smaller than the image, which has no finer detail, and soft tissue smaller still.
_BONE_SCALE = 0.6
_TISSUE_SCALE = 0.3
# Thickness of soft tissue, in hand units, from which it counts as the hand.
_SEEN = 1.0


@dataclass(frozen=True, eq=False)
class PhantomHand:
    """A drawn radiograph and its ground truth.

    Attributes:
        image: uint8, (height, width), bones bright.
        centres: Pixel (x, y) of each growth centre that has appeared and is inside the image.
        fusion: How far each of their growth plates has fused, 0 to 1.
        anomaly_box: Box of the anomaly in pixels, (x, y, width, height), or None.
    """

    image: np.ndarray
    centres: dict[str, tuple[float, float]]
    fusion: dict[str, float]
    anomaly_box: tuple[int, int, int, int] | None


def draw_hand(
    bone_age: float,
    sex: str,
    seed: int,
    anomaly: str | None = None,
    age: float | None = None,
    height: int = _HEIGHT,
) -> PhantomHand:
    """Draws a child's left hand, posterior-anterior, thumb to the right.

    The same arguments give the same pixels in any process or thread of a machine.

    Args:
        bone_age: Skeletal maturity in years, 0 to 19; a girl's hand does not change after 18.
        sex: ``F`` or ``M``.
        seed: Draws the child's shape, pose and exposure.
        anomaly: One of :data:`ANOMALIES`, or None. ``growth`` needs ``age`` and only changes the hand's size
            to that of the age.
        age: Age in years, which sets the hand's size together with the bone age; None takes the bone age.
        height: Height of the image in pixels, 200 to 4000; the width is 0.68 to 0.84 of it.

    Raises:
        BoneAgeError: An argument out of range.
    """
    scene = lay_out(bone_age, sex, seed, anomaly, age, height)
    return PhantomHand(_render(scene), scene.centres, scene.fusion, scene.anomaly_box)


def hand_region(bone_age: float, sex: str, seed: int, height: int = _HEIGHT) -> np.ndarray:
    """Mask of hand and forearm in the image that :func:`draw_hand` draws from the same arguments.

    Returns:
        bool, of the image's shape: the shadow of soft tissue.
    """
    scene = lay_out(bone_age, sex, seed, None, None, height)
    return cv2.resize(_tissue_shadow(scene), scene.size[::-1]) > _SEEN


def check_drawing(
    bone_age: float, sex: str, seed: int, anomaly: str | None, age: float | None, height: int
) -> None:
    """Raises a BoneAgeError if an argument of :func:`draw_hand` is out of range."""
    check_sex(sex)
    for name, value in (("bone_age", bone_age), ("age", 0.0 if age is None else age)):
        if not isinstance(value, int | float | np.number) or not 0.0 <= value <= 19.0:
            raise BoneAgeError(f"{name}: {value!r} must be between 0 and 19 years")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise BoneAgeError(f"seed: {seed!r} must be a whole number of at least 0")
    if anomaly is not None and anomaly not in ANOMALIES:
        raise BoneAgeError(f"anomaly: {anomaly!r} must be one of {', '.join(ANOMALIES)}")
    if anomaly == "growth" and age is None:
        raise BoneAgeError("anomaly: growth needs an age")
    if not isinstance(height, int | np.integer) or not 200 <= height <= 4000:
        raise BoneAgeError(f"height: {height!r} must be between 200 and 4000 pixels")


@dataclass(frozen=True, eq=False)
class _Scene:
    """A posed hand in an image, before its pixels.

    ``to_image`` is the (2, 3) map from hand units to pixels, ``zoom`` its scale.
    """

    skeleton: Skeleton
    size: tuple[int, int]
    to_image: np.ndarray
    zoom: float
    seed: int
    anomaly: str | None
    metal: tuple[np.ndarray, ...]
    centres: dict[str, tuple[float, float]]
    fusion: dict[str, float]
    anomaly_box: tuple[int, int, int, int] | None


# Each part of a drawing has its own random numbers, so that a change in one leaves the others alone.
def _rng(seed: int, part: str) -> np.random.Generator:
    parts = ("anatomy", "pose", "place", "anomaly", "exposure", "marker", "noise")
    return np.random.default_rng([int(seed), parts.index(part)])


def lay_out(
    bone_age: float, sex: str, seed: int, anomaly: str | None, age: float | None, height: int
) -> _Scene:
    """All of an image but the pixels; fast. Arguments as for :func:`draw_hand`."""
    check_drawing(bone_age, sex, seed, anomaly, age, height)
    age = bone_age if age is None else age
    # Stature follows skeletal maturity as much as age.
    size_age = age if anomaly == "growth" else (age + bone_age) / 2
    skeleton = build_skeleton(bone_age, size_age, sex, _rng(seed, "anatomy"), draw_pose(_rng(seed, "pose")))
    rng = _rng(seed, "place")
    width = round(height * rng.uniform(0.68, 0.84))
    to_image, zoom = _placement(skeleton, height, width, rng)
    metal = _metal(skeleton, anomaly, _rng(seed, "anomaly"))
    box = None
    if metal:
        box = _box([_moved(outline, to_image) for outline in metal], height, width)
    elif anomaly == "unreadable":
        parts = [*skeleton.digits, *skeleton.palm]
        box = _box([_moved(part[:, :2], to_image) for part in parts], height, width)
    names = list(skeleton.centres)
    points = _moved(np.array([skeleton.centres[name] for name in names]).reshape(-1, 2), to_image)
    inside = ((points >= 0) & (points < (width, height))).all(axis=1)
    centres = {n: (float(x), float(y)) for n, (x, y), ok in zip(names, points, inside, strict=True) if ok}
    fusion = {name: skeleton.fusion[name] for name in centres}
    return _Scene(skeleton, (height, width), to_image, zoom, seed, anomaly, metal, centres, fusion, box)


def _placement(
    skeleton: Skeleton, height: int, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Rotates, shifts and scales the hand: radiographers let small hands fill the image too."""
    angle = np.deg2rad(np.clip(rng.normal(0.0, 6.0), -16, 16))
    turn = rotation(angle)
    low, high = skeleton.extent(turn)
    extent = high - low
    share = rng.uniform(0.62, 0.82) + 0.12 * (extent[1] / HAND_UNITS - 1.0)
    zoom = min(share * height / extent[1], 0.96 * width / extent[0])
    free = (width, height) - extent * zoom
    corner = np.array([free[0] * rng.uniform(0.2, 0.8), height * rng.uniform(0.03, 0.09)])
    corner[1] = min(corner[1], free[1])
    return np.column_stack([turn * zoom, corner - low * zoom]), float(zoom)


def _moved(points: np.ndarray, to_image: np.ndarray) -> np.ndarray:
    return points @ to_image[:, :2].T + to_image[:, 2]


def _box(outlines: Sequence[np.ndarray], height: int, width: int) -> tuple[int, int, int, int]:
    points = np.concatenate(outlines)
    low = np.clip(np.floor(points.min(axis=0)), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)), low + 1, (width, height)).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def _metal(skeleton: Skeleton, anomaly: str | None, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Outlines of metal worn on the hand, in hand units."""
    breadth = skeleton.breadth
    if anomaly == "ring":
        digit = skeleton.digits[rng.integers(1, 5)]
        middle = digit[0, :2] + (digit[1, :2] - digit[0, :2]) * rng.uniform(0.4, 0.6)
        return (_band(middle, digit[1, :2] - digit[0, :2], digit[1, 2] * 0.86, 11.0 * breadth, 0.12),)
    if anomaly == "bracelet":
        start, stop = skeleton.forearm[2], skeleton.forearm[3]
        middle = start[:2] + (stop[:2] - start[:2]) * rng.uniform(0.1, 0.7)
        along, half = stop[:2] - start[:2], start[2] * 1.02
        if rng.random() < 0.5:
            return (_band(middle, along, half, rng.uniform(9.0, 18.0) * breadth, 0.10),)
        return _beads(middle, along, half, 8.0 * breadth)
    return ()


def _across(middle: np.ndarray, along: np.ndarray, half: float, sag: float, t: np.ndarray) -> np.ndarray:
    """Points at ``t`` (-1 to 1) on the near side of a shallow ellipse across a limb, (n, 2)."""
    across = np.array([-along[1], along[0]])
    t = t[:, None]
    return middle + t * half * across + (1 - t**2) * half * sag * along


def _band(middle: np.ndarray, along: np.ndarray, half: float, thick: float, sag: float) -> np.ndarray:
    """A band seen almost edge-on, (n, 2)."""
    along = along / np.linalg.norm(along)
    curve = _across(middle, along, half, sag, np.linspace(-1.0, 1.0, 24))
    return np.concatenate([curve + along * thick, (curve - along * thick)[::-1]])


def _beads(middle: np.ndarray, along: np.ndarray, half: float, radius: float) -> tuple[np.ndarray, ...]:
    turn = np.linspace(0.0, 2 * np.pi, 14, endpoint=False)
    circle = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    count = max(6, int(half * 2 / (radius * 2.3)))
    places = np.sin(np.linspace(-np.pi / 2, np.pi / 2, count))
    return tuple(_across(middle, along / np.linalg.norm(along), half, 0.1, places)[:, None] + circle)


def _render(scene: _Scene) -> np.ndarray:
    """Renders a scene: shadows of soft tissue and bone, then exposure, metal, marker and noise."""
    height, width = scene.size
    tissue = _tissue_shadow(scene)
    bone = _bone_shadow(scene)
    rng = _rng(scene.seed, "exposure")
    # Thicknesses are in hand units; a small hand is exposed less.
    scale = 1.0 / scene.skeleton.breadth**0.8
    contrast = rng.uniform(0.85, 1.2)
    blur = rng.uniform(0.5, 0.9)
    if scene.anomaly == "unreadable":
        ruin = _rng(scene.seed, "anomaly")
        contrast *= ruin.uniform(0.10, 0.22)
        blur = ruin.uniform(4.0, 7.0)
    shadow = tissue * (0.42 * scale) + cv2.GaussianBlur(bone, (0, 0), blur) * (1.05 * scale * contrast)
    # Thick parts harden the beam and scatter, so thin ones gain.
    shadow = np.power(np.maximum(shadow, 0.0), np.float32(rng.uniform(0.75, 0.95)))
    image = cv2.resize(shadow, (width, height), interpolation=cv2.INTER_CUBIC)
    image = _exposed(image, rng)
    _stamp_metal(image, scene)
    _stamp_marker(image, cv2.resize(tissue, (width // 8, height // 8)), _rng(scene.seed, "marker"))
    return _noisy(image, rng, _rng(scene.seed, "noise"))


def depth_inside(mask: np.ndarray) -> np.ndarray:
    """Distance of each pixel inside a mask from its edge.

    SciPy's, because OpenCV's exact distance varies in the last digit with the mask's memory address, which
    now and then changed a grey level of the drawing.

    Args:
        mask: (height, width), 0 outside.

    Returns:
        float32, (height, width): pixels to the nearest one outside.
    """
    return distance_transform_edt(mask).astype(np.float32)


def _chord(depth: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
    """Half the thickness of a cylinder at a depth from its edge; constant beyond its axis."""
    inward = np.clip(depth, 0.0, radius)
    return np.sqrt(inward * (2.0 * radius - inward))


def _tissue_shadow(scene: _Scene) -> np.ndarray:
    """Thickness of soft tissue in hand units, at the bones' scale."""
    height, width = scene.size
    small = (round(width * _TISSUE_SCALE), round(height * _TISSUE_SCALE))
    hand, zoom = scene.skeleton, scene.zoom * _TISSUE_SCALE
    to_small = scene.to_image * _TISSUE_SCALE

    def mask_of(chains: Sequence[np.ndarray]) -> np.ndarray:
        mask = np.zeros(small[::-1], np.uint8)
        for chain in chains:
            fill_chain(mask, _moved(chain[:, :2], to_small), chain[:, 2] * zoom)
        return solid(mask)

    def thickness(mask: np.ndarray, radius: float | np.ndarray) -> np.ndarray:
        return 2.0 * _chord(depth_inside(mask) / np.float32(zoom), radius)

    def smooth(mask: np.ndarray, units: float) -> np.ndarray:
        return cv2.GaussianBlur(mask, (0, 0), max(units * hand.breadth * zoom, 0.5))

    trunk = mask_of([*hand.palm, hand.forearm])
    _fill(trunk, _moved(hand.hull, to_small))
    # Skin spans hollows and has no corners.
    side = 2 * int(60 * hand.breadth * zoom) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    trunk = smooth(cv2.morphologyEx(trunk, cv2.MORPH_CLOSE, kernel), 18.0)
    trunk = solid(trunk)
    total = smooth(thickness(trunk, _trunk_radius(scene, small)), 9.0)
    # The muscle between thumb and index finger.
    total += 0.18 * smooth(thickness(mask_of([hand.thenar]), 72.0 * hand.breadth), 8.0)
    for digit in hand.digits:
        _add_digit(total, _moved(digit[:, :2], to_small), digit[:, 2], zoom)
    total = smooth(total, 3.0)
    size = (round(width * _BONE_SCALE), round(height * _BONE_SCALE))
    return cv2.resize(total, size, interpolation=cv2.INTER_CUBIC)


def _add_digit(total: np.ndarray, points: np.ndarray, radii: np.ndarray, zoom: float) -> None:
    """Raises ``total`` to the thickness of a chain of tapering round segments.

    Exact distances instead of a mask's, since a finger's edge is the sharpest of all soft tissue.
    """
    for start, stop, r0, r1 in zip(points, points[1:], radii, radii[1:], strict=False):
        reach = max(r0, r1) * zoom + 2.0
        low = np.maximum(np.floor(np.minimum(start, stop) - reach).astype(int), 0)
        high = np.minimum(np.ceil(np.maximum(start, stop) + reach).astype(int), total.shape[::-1])
        if (high <= low).any():
            continue
        x = np.arange(low[0], high[0], dtype=np.float32)[None, :] - np.float32(start[0])
        y = np.arange(low[1], high[1], dtype=np.float32)[:, None] - np.float32(start[1])
        dx, dy = (stop - start).astype(np.float32)
        t = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, np.float32(1e-6)), 0.0, 1.0)
        radius = np.float32(r0) + t * np.float32(r1 - r0)
        depth = radius - np.sqrt((x - t * dx) ** 2 + (y - t * dy) ** 2) / np.float32(zoom)
        area = total[low[1] : high[1], low[0] : high[0]]
        np.maximum(area, 1.9 * _chord(depth, radius), out=area)


def _trunk_radius(scene: _Scene, small: tuple[int, int]) -> np.ndarray:
    """Half the depth of palm, wrist and forearm at each pixel; it grows towards the elbow."""
    turn = np.linalg.inv(scene.to_image[:, :2])
    shift = turn @ scene.to_image[:, 2]
    x, y = (np.arange(n, dtype=np.float32) / np.float32(_TISSUE_SCALE) for n in small)
    down = turn[1, 0] * x[None, :] + turn[1, 1] * y[:, None] - shift[1]
    radius = np.interp(down, (-480.0, -150.0, 150.0, 450.0), (52.0, 68.0, 96.0, 112.0))
    return (radius * scene.skeleton.breadth).astype(np.float32)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Points with 4 fractional bits, for OpenCV's drawing."""
    return np.round(points * 16.0).astype(np.int32)


def _fill(mask: np.ndarray, outline: np.ndarray) -> None:
    cv2.fillPoly(mask, [_fixed(outline)], 255, cv2.LINE_AA, 4)


def solid(mask: np.ndarray) -> np.ndarray:
    """A mask without its soft edge: 0 or 255."""
    return cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1]


def fill_chain(mask: np.ndarray, points: np.ndarray, radii: np.ndarray) -> None:
    """Fills a chain of tapering capsules, in pixels of the mask."""
    for (x, y), radius in zip(_fixed(points), radii, strict=True):
        cv2.circle(mask, (int(x), int(y)), int(radius * 16), 255, -1, cv2.LINE_AA, 4)
    for start, stop, r0, r1 in zip(points, points[1:], radii, radii[1:], strict=False):
        along = stop - start
        across = np.array([-along[1], along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
        near, far = across * r0, across * r1
        _fill(mask, np.stack([start + near, stop + far, stop - far, start - near]))


def _bone_shadow(scene: _Scene) -> np.ndarray:
    """Thickness of bone in hand units, at the bones' scale; overlapping bones add up."""
    height, width = scene.size
    shadow = np.zeros((round(height * _BONE_SCALE), round(width * _BONE_SCALE)), np.float32)
    to_small = scene.to_image * _BONE_SCALE
    for bone in scene.skeleton.bones:
        _add_bone(shadow, bone, to_small, scene.zoom * _BONE_SCALE)
    # Trabeculae: a web finer than anything in the layout.
    rng = _rng(scene.seed, "noise")
    web = rng.standard_normal(shadow.shape, dtype=np.float32)
    web = cv2.GaussianBlur(web, (0, 0), 0.9) - cv2.GaussianBlur(web, (0, 0), 2.5)
    shadow *= 1.0 + 0.30 * web
    return shadow


def _add_bone(shadow: np.ndarray, bone: Bone, to_small: np.ndarray, zoom: float) -> None:
    """Adds the shadow of a hollow solid: a dense shell around a spongy core."""
    outlines = [_moved(outline, to_small) for outline in bone.outlines]
    points = np.concatenate(outlines)
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - 3, 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + 4, shadow.shape[::-1])
    if (high <= low).any():
        return
    mask = np.zeros((high - low)[::-1], np.uint8)
    for outline in outlines:
        _fill(mask, outline - low)
    depth = depth_inside(solid(mask)) / np.float32(zoom)
    middle = 0.0 if bone.axis is None else _mid_shaft(bone.axis, to_small, low, mask.shape)
    cortex = bone.cortex[1] + np.float32(bone.cortex[0] - bone.cortex[1]) * middle
    fill = bone.fill[1] + np.float32(bone.fill[0] - bone.fill[1]) * middle
    thickness = 2.0 * (
        _chord(depth, bone.radius)
        - (1.0 - fill) * _chord(depth - cortex, np.maximum(bone.radius - cortex, 0.1))
    )
    area = shadow[low[1] : high[1], low[0] : high[0]]
    area += thickness.astype(np.float32) * mask * np.float32(bone.weight / 255.0)


def _mid_shaft(axis: np.ndarray, to_small: np.ndarray, low: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """For each pixel 1 at the middle of a long bone, where the shell is thick, falling to 0 at its ends."""
    start, stop = _moved(axis, to_small) - low
    along = ((stop - start) / float(np.dot(stop - start, stop - start))).astype(np.float32)
    rows, columns = np.arange(shape[0], dtype=np.float32), np.arange(shape[1], dtype=np.float32)
    t = ((rows - np.float32(start[1])) * along[1])[:, None] + (columns - np.float32(start[0])) * along[0]
    return np.exp(-(((t - np.float32(0.52)) / np.float32(0.25)) ** 2))


def _exposed(shadow: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey levels 0 to 255 of a shadow: background, gain, uneven field, borders."""
    height, width = shadow.shape
    top = float(np.percentile(shadow[::8, ::8], 98.5))
    bright = rng.uniform(165, 235) if rng.random() < 0.85 else rng.uniform(60, 150)
    background = rng.uniform(6, 40) if rng.random() < 0.7 else rng.uniform(40, 95)
    background = min(background, 0.5 * bright)
    image = background + shadow * np.float32((bright - background) / top)
    # Heel effect and scatter: the field is brighter on one side.
    slope = rng.normal(0.0, 0.05, 2)
    field_x = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(slope[0])
    field_y = np.linspace(-1, 1, height, dtype=np.float32) * np.float32(slope[1])
    image *= 1.0 + field_y[:, None] + field_x[None, :]
    # Readout stripes of the plate.
    image += cv2.GaussianBlur(rng.normal(0.0, 1.5, (1, width)).astype(np.float32), (0, 0), 2.0)
    _collimate(image, rng)
    return image


def _collimate(image: np.ndarray, rng: np.random.Generator) -> None:
    """Draws the edges of the field on some sides: shutters are bright (no X-rays), print borders black."""
    height, width = image.shape
    for side in range(4):
        if rng.random() > 0.22:
            continue
        level = float(rng.choice([0.0, rng.uniform(110, 230)], p=[0.6, 0.4]))
        reach = int((height if side < 2 else width) * rng.uniform(0.004, 0.03))
        sides = image if side < 2 else image.T
        sides[slice(0, reach) if side % 2 == 0 else slice(len(sides) - reach, None)] = level


def _stamp_metal(image: np.ndarray, scene: _Scene) -> None:
    """Draws metal, which stops all X-rays: near white, with an edge as soft as the rest."""
    if not scene.metal:
        return
    x, y, w, h = scene.anomaly_box
    pad = 4
    rows, columns = slice(max(y - pad, 0), y + h + pad), slice(max(x - pad, 0), x + w + pad)
    area = image[rows, columns]
    mask = np.zeros(area.shape, np.uint8)
    origin = np.array([columns.start, rows.start])
    for outline in scene.metal:
        _fill(mask, _moved(outline, scene.to_image) - origin)
    cover = cv2.GaussianBlur(mask, (0, 0), 1.0).astype(np.float32) / 255.0
    area += cover * (np.float32(252.0) - area)


# Strokes of the lead letters in a unit square, x right and y down.
_LETTERS = {
    "L": ((0, 0, 0, 1), (0, 1, 0.7, 1)),
    "A": ((0, 1, 0.4, 0), (0.4, 0, 0.8, 1), (0.15, 0.65, 0.65, 0.65)),
    "E": ((0, 0, 0, 1), (0, 0, 0.65, 0), (0, 0.5, 0.55, 0.5), (0, 1, 0.65, 1)),
    "H": ((0, 0, 0, 1), (0.7, 0, 0.7, 1), (0, 0.5, 0.7, 0.5)),
    "K": ((0, 0, 0, 1), (0.65, 0, 0, 0.55), (0.2, 0.45, 0.7, 1)),
    "M": ((0, 1, 0, 0), (0, 0, 0.4, 0.6), (0.4, 0.6, 0.8, 0), (0.8, 0, 0.8, 1)),
    "N": ((0, 1, 0, 0), (0, 0, 0.7, 1), (0.7, 1, 0.7, 0)),
    "T": ((0, 0, 0.8, 0), (0.4, 0, 0.4, 1)),
    "V": ((0, 0, 0.4, 1), (0.4, 1, 0.8, 0)),
}


def _stamp_marker(image: np.ndarray, tissue: np.ndarray, rng: np.random.Generator) -> None:
    """Places the side marker, a lead L with initials on a plate, where the hand leaves room."""
    height, width = image.shape
    size = height * rng.uniform(0.035, 0.055)
    plate = np.array([[-0.5, -0.35], [1.4, -0.35], [1.4, 2.1], [-0.5, 2.1]])
    angle = np.deg2rad(rng.normal(0.0, 12.0))
    turn = size * rotation(angle)
    free = cv2.blur((tissue > _SEEN).astype(np.float32), (int(size / 4) | 1, int(size / 3) | 1))
    spots = rng.uniform((0.03, 0.03), (0.92, 0.90), (40, 2)) * (width, height)
    rows = np.clip((spots[:, 1] + size) / 8, 0, free.shape[0] - 1).astype(int)
    columns = np.clip((spots[:, 0] + size / 2) / 8, 0, free.shape[1] - 1).astype(int)
    spot = spots[int(np.argmin(free[rows, columns]))]
    mask = np.zeros(image.shape, np.uint8)
    _fill(mask, plate @ turn.T + spot)
    image[mask > 127] += np.float32(rng.uniform(4, 18))
    mask[:] = 0
    initials = rng.choice([letter for letter in _LETTERS if letter != "L"], 2)
    written = (("L", 0.0, 0.0, 1.0), (initials[0], -0.2, 1.3, 0.5), (initials[1], 0.45, 1.3, 0.5))
    for letter, left, top, scale in written:
        for x0, y0, x1, y1 in _LETTERS[letter]:
            ends = np.array([[left + scale * x0, top + scale * y0], [left + scale * x1, top + scale * y1]])
            start, stop = _fixed(ends @ turn.T + spot)
            stroke = max(1, round(size * 0.22 * scale))
            cv2.line(mask, start.tolist(), stop.tolist(), 255, stroke, cv2.LINE_AA, 4)
    np.copyto(image, np.float32(rng.uniform(225, 254)), where=mask > 127)


def _noisy(image: np.ndarray, rng: np.random.Generator, noise_rng: np.random.Generator) -> np.ndarray:
    """Adds photon noise, stronger where fewer X-rays came through, and rounds to 8 bits."""
    grain = noise_rng.standard_normal(image.shape, dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 0.7)
    strength = rng.uniform(2.0, 6.0)
    image += grain * (np.float32(strength) * np.sqrt(0.25 + np.clip(image, 0, 255) / 255.0))
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)
