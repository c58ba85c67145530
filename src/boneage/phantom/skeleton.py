"""Outlines of the bones of a left hand at a bone age.

Hand units: the image plane of a posterior-anterior radiograph, x to the thumb (right), y to the forearm
(down), origin in the capitate; a hand of 153 mm (a boy of ten) is about 1150 units long. The layout was made
by eye from radiographs; ages of appearance, growth and fusion come from :mod:`boneage.phantom.ossification`.
"""

import functools
import itertools
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from boneage.phantom.ossification import CENTRES, capping_of, check_sex, fusion_of, hand_length, size_of

HAND_UNITS = 1150.0
_REFERENCE_MM = 153.0
_CAPITATE = np.array([327.0, 1030.0])

# How a bone's breadth scales with its length: small hands have stubby bones.
_BREADTH_POWER = 0.65


@dataclass(frozen=True, eq=False)
class Bone:
    """A solid to draw: the union of closed outlines.

    Attributes:
        outlines: Each (n, 2) in hand units; a partly fused bone is two solids whose weights add up to 1.
        radius: Half the depth of the solid.
        cortex: Thickness of the dense shell at mid-shaft and at the ends.
        fill: Share of bone in the spongy core, 0 to 1, at mid-shaft and at the ends.
        axis: The two ends of a long bone, (2, 2); None for a round one.
        weight: How much of it shows, 0 to 1.
    """

    outlines: tuple[np.ndarray, ...]
    radius: float
    cortex: tuple[float, float]
    fill: tuple[float, float]
    axis: np.ndarray | None
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Skeleton:
    """All parts of a hand that cast a shadow, in hand units. A chain has rows of x, y, radius.

    Attributes:
        centres: Position of each growth centre that has appeared; a fused one stays where its plate was.
        fusion: How far each of ``centres`` has fused, 0 to 1.
        digits: Soft tissue of each digit, thumb first; chains.
        palm: Soft tissue of the palm; chains, with ``hull`` filling the gaps.
        hull: Corners of the palm between the metacarpals, (n, 2).
        thenar: The muscle between thumb and index finger; a chain.
        forearm: Soft tissue of wrist and forearm; a chain.
        breadth: Scale of all breadths; 1 for a hand of 153 mm.
    """

    bones: tuple[Bone, ...]
    centres: dict[str, tuple[float, float]]
    fusion: dict[str, float]
    digits: tuple[np.ndarray, ...]
    palm: tuple[np.ndarray, ...]
    hull: np.ndarray
    thenar: np.ndarray
    forearm: np.ndarray
    breadth: float

    def extent(self, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest (x, y) of digits and palm after a rotation (2, 2)."""
        chains = np.concatenate([*self.digits, *self.palm])
        points = chains[:, :2] @ turn.T
        return (points - chains[:, 2:]).min(axis=0), (points + chains[:, 2:]).max(axis=0)


@dataclass(frozen=True)
class _Segment:
    """A long bone of the layout; widths in hand units at ten years.

    ``start`` and ``stop`` are the joints; ``plate`` is the width at the growth plate, ``waist`` the least
    width, ``far`` the width at the other end.
    """

    name: str
    start: tuple[float, float]
    stop: tuple[float, float]
    plate: float
    waist: float
    far: float


# Joints and widths of each ray from wrist to tip, from radiographs of ten-year-olds.
_RAYS: tuple[tuple[_Segment, ...], ...] = (
    (
        _Segment("metacarpal 1", (497, 1012), (626, 832), 74, 55, 70),
        _Segment("proximal phalanx 1", (630, 820), (716, 665), 70, 46, 57),
        _Segment("distal phalanx 1", (719, 659), (770, 545), 56, 27, 37),
    ),
    (
        _Segment("metacarpal 2", (414, 976), (480, 580), 77, 47, 88),
        _Segment("proximal phalanx 2", (492, 583), (544, 345), 82, 50, 58),
        _Segment("middle phalanx 2", (546, 342), (576, 207), 58, 41, 46),
        _Segment("distal phalanx 2", (577, 204), (582, 105), 46, 24, 35),
    ),
    (
        _Segment("metacarpal 3", (332, 964), (345, 580), 82, 46, 64),
        _Segment("proximal phalanx 3", (351, 578), (373, 306), 79, 49, 61),
        _Segment("middle phalanx 3", (373, 303), (379, 130), 70, 49, 56),
        _Segment("distal phalanx 3", (378, 127), (368, 22), 56, 26, 38),
    ),
    (
        _Segment("metacarpal 4", (264, 957), (234, 633), 66, 41, 60),
        _Segment("proximal phalanx 4", (233, 622), (229, 366), 76, 49, 58),
        _Segment("middle phalanx 4", (228, 363), (222, 195), 63, 45, 52),
        _Segment("distal phalanx 4", (221, 192), (217, 83), 52, 26, 41),
    ),
    (
        _Segment("metacarpal 5", (220, 975), (135, 700), 63, 41, 70),
        _Segment("proximal phalanx 5", (129, 694), (102, 502), 65, 41, 48),
        _Segment("middle phalanx 5", (100, 499), (91, 379), 46, 36, 40),
        _Segment("distal phalanx 5", (90, 376), (87, 280), 43, 21, 32),
    ),
)

# Room for the epiphysis and its plate as a share of the bone at 10 years, and height of the full-size
# epiphysis as a share of that room.
_ROOMS = {
    "metacarpal": (0.175, 0.80),
    "proximal": (0.115, 0.72),
    "middle": (0.125, 0.66),
    "distal": (0.17, 0.66),
}

# Soft tissue: radius at knuckle, middle and tip of the middle finger; scale of each digit.
_DIGIT_RADII = (58.0, 51.0, 42.0)
_DIGIT_SCALES = (1.06, 0.94, 1.0, 0.95, 0.88)

# Adult outlines of the carpals, at their size at ten years, seen from the back.
_CARPALS: dict[str, tuple[tuple[float, float], ...]] = {
    "capitate": (
        (287, 978), (312, 964), (345, 968), (366, 985), (372, 1020), (368, 1065),
        (352, 1092), (330, 1098), (309, 1080), (301, 1040), (291, 1005),
    ),
    "hamate": (
        (222, 987), (250, 970), (278, 972), (288, 1000), (296, 1040), (290, 1072),
        (272, 1080), (253, 1060), (232, 1032), (219, 1008),
    ),
    "triquetrum": (
        (196, 1048), (216, 1034), (238, 1044), (254, 1075), (250, 1100), (232, 1114),
        (210, 1105), (197, 1080),
    ),
    "lunate": (
        (257, 1122), (268, 1100), (295, 1091), (325, 1098), (344, 1118), (335, 1138),
        (305, 1147), (272, 1142),
    ),
    "scaphoid": (
        (360, 1106), (368, 1068), (388, 1046), (415, 1045), (432, 1068), (425, 1092),
        (400, 1114), (374, 1120),
    ),
    "trapezoid": (
        (376, 987), (396, 973), (424, 978), (433, 1000), (419, 1026), (396, 1031), (378, 1016),
    ),
    "trapezium": (
        (432, 990), (455, 980), (470, 1008), (472, 1042), (455, 1062), (432, 1052), (418, 1028),
    ),
    "pisiform": ((217, 1066), (222, 1046), (240, 1042), (254, 1060), (251, 1082), (234, 1090), (221, 1083)),
}  # fmt: skip

# Distal forearm: centre of each shaft's wrist end, width there, least width, room for the epiphysis.
_FOREARM = {
    "radius": ((362.0, 1140.0), 156.0, 84.0, 62.0),
    "ulna": ((222.0, 1174.0), 82.0, 60.0, 46.0),
}
_FOREARM_LENGTH = 700.0
_WRIST = np.array([310.0, 1130.0])


@dataclass(frozen=True)
class Pose:
    """A hand's pose: angles in degrees, positive towards the thumb.

    Attributes:
        spread: Rotation of each digit at its knuckle, thumb first.
        bend: Further rotation at the middle and last joint of each digit, (5, 2).
        abduction: Rotation of the thumb's metacarpal.
        wrist: Rotation of the forearm against the hand.
    """

    spread: tuple[float, ...] = (0.0,) * 5
    bend: tuple[tuple[float, float], ...] = ((0.0, 0.0),) * 5
    abduction: float = 0.0
    wrist: float = 0.0


def draw_pose(
    rng: np.random.Generator,
    fan: float = 0.6,
    thumb: float = 5.0,
    digit: float = 2.0,
    bend: float = 2.0,
    abduction: float = 8.0,
    wrist: float = 4.0,
) -> Pose:
    """Draws a pose; each argument is the spread of one of its angles."""
    lean = rng.normal(0.1, fan)
    spread = [rng.normal(0.0, thumb)]
    spread += [lean * most + rng.normal(0.0, digit) for most in (5.0, 0.5, -4.0, -9.0)]
    bends = tuple((rng.normal(0.0, bend), rng.normal(0.0, bend)) for _ in range(5))
    return Pose(tuple(spread), bends, abduction=rng.normal(-2.0, abduction), wrist=rng.normal(0.0, wrist))


def rotation(angle: float) -> np.ndarray:
    """Rotation matrix (2, 2), clockwise in the image; radians."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def build_skeleton(
    bone_age: float, size_age: float, sex: str, rng: np.random.Generator, pose: Pose | None = None
) -> Skeleton:
    """Lays out bones and soft tissue of a left hand.

    Args:
        bone_age: Skeletal maturity in years: which centres there are, their size and fusion.
        size_age: Age in years whose typical hand length this hand has.
        sex: ``F`` or ``M``.
        rng: Draws individual variation.
    """
    pose = pose or Pose()
    check_sex(sex)
    length = hand_length(size_age, sex) / _REFERENCE_MM * rng.normal(1.0, 0.04)
    breadth = length**_BREADTH_POWER * rng.normal(1.0, 0.03) * (1.0 if sex == "M" else 0.95)
    # Centres mature together, but not exactly: the same bone age looks different in different hands.
    scatter = np.clip(rng.normal(0.0, 1.0, len(CENTRES)), -2, 2) * min(0.04 * bone_age, 0.25)
    ages = dict(zip(CENTRES, bone_age + scatter, strict=True))
    builder = _Builder(sex, length, breadth, ages, rng)
    digits = []
    metacarpals, proximal = [], []
    for digit, ray in enumerate(_RAYS):
        joints = builder.ray_joints(ray, digit, pose)
        for segment, (start, stop) in zip(ray, joints, strict=True):
            builder.add_long_bone(segment, start, stop)
        digits.append(_digit_tissue(joints, digit, breadth))
        metacarpals.append(joints[0])
        proximal.append(joints[1])
    builder.add_sesamoid(metacarpals[0])
    for name in _CARPALS:
        builder.add_carpal(name)
    forearm = builder.add_forearm(pose.wrist)
    palm, hull = _palm_tissue(metacarpals, proximal, breadth)
    return Skeleton(
        bones=tuple(builder.bones),
        centres=builder.centres,
        fusion=builder.fusion,
        digits=tuple(digits),
        palm=palm,
        hull=hull,
        thenar=_thenar_tissue(metacarpals, breadth),
        forearm=forearm,
        breadth=breadth,
    )


class _Builder:
    """Collects the bones of one hand."""

    def __init__(
        self, sex: str, length: float, breadth: float, ages: dict[str, float], rng: np.random.Generator
    ) -> None:
        self.sex, self.length, self.breadth, self.ages, self.rng = sex, length, breadth, ages, rng
        self.bones: list[Bone] = []
        self.centres: dict[str, tuple[float, float]] = {}
        self.fusion: dict[str, float] = {}

    def place(self, point: tuple[float, float] | np.ndarray) -> np.ndarray:
        """A layout point in hand units; the palm's breadth and length scale separately."""
        return (np.asarray(point, float) - _CAPITATE) * (self.breadth, self.length)

    def ray_joints(self, ray: tuple[_Segment, ...], digit: int, pose: Pose) -> list[np.ndarray]:
        """Both joints (2, 2) of each bone of a ray."""
        base, knuckle = self.place(ray[0].start), self.place(ray[0].stop)
        if digit == 0:
            knuckle = base + turned(knuckle - base, pose.abduction)
        joints = [np.stack([base, knuckle])]
        angle = pose.spread[digit] + (pose.abduction if digit == 0 else 0.0)
        for number, (before, segment) in enumerate(itertools.pairwise(ray)):
            if number:
                angle += pose.bend[digit][number - 1]
            gap = (np.subtract(segment.start, before.stop)) * self.length
            along = np.subtract(segment.stop, segment.start) * self.length * self.rng.normal(1.0, 0.02)
            start = joints[-1][1] + turned(gap, angle)
            joints.append(np.stack([start, start + turned(along, angle)]))
        return joints

    def note_centre(self, name: str, position: np.ndarray) -> None:
        self.centres[name] = (float(position[0]), float(position[1]))
        self.fusion[name] = fusion_of(name, self.ages[name], self.sex)

    def add_long_bone(self, segment: _Segment, start: np.ndarray, stop: np.ndarray) -> None:
        name, row = segment.name, segment.name.split()[0]
        # The growth plate is at the knuckle in metacarpals 2 to 5, at the wrist end in all others.
        distal = row == "metacarpal" and not name.endswith("1")
        origin, target = (stop, start) if distal else (start, stop)
        span = float(np.linalg.norm(target - origin))
        share, height = _ROOMS[row] if not name.startswith("metacarpal 1") else (0.15, 0.72)
        young = max(0.0, 1.0 - self.length)
        room = span * share * (1.0 + 0.5 * young)
        end = span * (0.98 - 0.08 * young)
        width = self.breadth * self.rng.normal(1.0, 0.02)
        plate, waist, far = segment.plate * width, 0.93 * segment.waist * width, 1.06 * segment.far * width
        corner = {"distal": 0.22, "metacarpal": 0.07}.get(row, 0.10)
        flare = 0.62 if distal else 0.58
        shaft = _shaft_outline(room, end, plate * 0.97, waist, far, corner, flare)
        frame = _Frame(origin, target)
        cap = _epiphysis_outline(
            size_of(name, self.ages[name], self.sex),
            capping_of(name, self.ages[name], self.sex),
            width=plate,
            room=room,
            height=room * height,
            dome=distal,
        )
        radius = waist * (0.42 if name == "metacarpal 1" else 0.5)
        style = {"radius": radius, "cortex": (radius * 0.46, radius * 0.10), "fill": (0.18, 0.42)}
        self.add_with_epiphysis(name, frame, shaft, cap, room, end, style)

    def add_with_epiphysis(
        self,
        name: str,
        frame: "_Frame",
        shaft: np.ndarray,
        cap: np.ndarray | None,
        room: float,
        end: float,
        style: dict,
    ) -> None:
        """Adds a shaft and its epiphysis: separate while the plate is open, one solid once fused."""
        axis = frame.points(np.array([[room, 0.0], [end, 0.0]]))
        solid = frame.points(shaft)
        if cap is None:
            self.bones.append(Bone((solid,), axis=axis, **style))
            return
        self.note_centre(name, frame.points(cap).mean(axis=0))
        fused = self.fusion[name]
        epiphysis = frame.points(cap)
        if fused < 1.0:
            round_style = {**style, "cortex": (style["cortex"][1] * 1.2,) * 2, "fill": (0.45, 0.45)}
            self.bones.append(Bone((solid,), axis=axis, weight=1.0 - fused, **style))
            self.bones.append(Bone((epiphysis,), axis=None, weight=1.0 - fused, **round_style))
        if fused > 0.0:
            bridge = frame.points(_bridge_outline(cap, shaft, room))
            self.bones.append(Bone((solid, epiphysis, bridge), axis=axis, weight=fused, **style))

    def add_carpal(self, name: str) -> None:
        grown = size_of(name, self.ages[name], self.sex)
        if grown == 0.0:
            return
        outline = _carpal_outline(name)
        middle = outline.mean(axis=0)
        around = outline - middle
        distance = np.linalg.norm(around, axis=1, keepdims=True)
        # A young nucleus is round; facets come with its neighbours.
        oval = around / distance * (0.6 * distance + 0.4 * distance.mean())
        shape = grown * around + (1.0 - grown) * oval
        scale = 1.10 * grown * np.array([self.breadth, self.length])
        position = self.place(middle) + self.rng.normal(0.0, 3.0, 2) * self.breadth
        radius = 0.34 * grown * self.breadth * float(distance.mean())
        self.note_centre(name, position)
        self.bones.append(
            Bone(
                (position + shape * scale,),
                radius=max(radius, 1.0),
                cortex=(3.6 * self.breadth * grown,) * 2,
                fill=(0.55, 0.55),
                axis=None,
            )
        )

    def add_sesamoid(self, metacarpal: np.ndarray) -> None:
        """Adds the thumb's adductor sesamoid, on the index side of the first knuckle."""
        name = "thumb sesamoid"
        grown = size_of(name, self.ages[name], self.sex)
        if grown == 0.0:
            return
        frame = _Frame(metacarpal[1], metacarpal[0])
        turn = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
        oval = np.stack([14.0 * np.cos(turn) + 4.0, 10.0 * np.sin(turn) - 34.0], axis=1)
        middle = oval.mean(axis=0)
        outline = frame.points((middle + (oval - middle) * grown) * self.breadth)
        self.note_centre(name, outline.mean(axis=0))
        self.bones.append(
            Bone((outline,), 9.0 * self.breadth * grown, (2.5 * self.breadth,) * 2, (0.7, 0.7), axis=None)
        )

    def add_forearm(self, wrist: float) -> np.ndarray:
        """Adds radius and ulna; returns the soft tissue around them, rows of x, y, radius."""
        pivot = self.place(_WRIST)
        down = turned(np.array([0.0, 1.0]), wrist)
        for name, (middle, plate, waist, tall) in _FOREARM.items():
            origin = pivot + turned(self.place(middle) - pivot, wrist)
            frame = _Frame(origin, origin + down)
            room, end = tall * self.length**0.8, _FOREARM_LENGTH
            plate, waist = plate * self.breadth, waist * self.breadth
            shaft = _shaft_outline(room, end, plate, waist, waist, 0.02, flare=0.42, round_plate=0.018)
            size = size_of(name, self.ages[name], self.sex)
            cap = _epiphysis_outline(
                size,
                capping_of(name, self.ages[name], self.sex),
                width=plate,
                room=room,
                height=room * 0.66,
                tilt=0.42 if name == "radius" else -0.22,
            )
            radius = waist * 0.4
            style = {"radius": radius, "cortex": (radius * 0.42, radius * 0.10), "fill": (0.25, 0.45)}
            self.add_with_epiphysis(name, frame, shaft, cap, room, end, style)
        middle = pivot + np.outer((0.0, 110.0, 330.0, 800.0), down)
        hand = np.stack([self.place((335.0, 1000.0)), self.place((326.0, 1065.0))])
        radii = np.array([196.0, 178.0, 168.0, 165.0, 176.0, 200.0]) * self.breadth
        return np.column_stack([np.concatenate([hand, middle]), radii])


@dataclass(frozen=True)
class _Frame:
    """A bone's axes: along it from ``origin`` to ``target``, and across towards the thumb."""

    origin: np.ndarray
    target: np.ndarray

    def points(self, local: np.ndarray) -> np.ndarray:
        along = (self.target - self.origin) / np.linalg.norm(self.target - self.origin)
        across = np.array([-along[1], along[0]])
        # Distal plates and the forearm point down, which swaps their sides.
        if across[0] < 0:
            across = -across
        return self.origin + local[:, :1] * along + local[:, 1:] * across


def turned(vector: np.ndarray, degrees: float) -> np.ndarray:
    """A vector (x right, y down) rotated clockwise."""
    angle = np.deg2rad(degrees)
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


def _shaft_outline(
    start: float,
    stop: float,
    plate: float,
    waist: float,
    far: float,
    corner: float,
    flare: float = 0.58,
    round_plate: float = 0.05,
) -> np.ndarray:
    """A shaft along the first axis: wide at the plate, slim in the middle, rounded at the far end."""
    t = np.concatenate([np.linspace(0, 0.08, 8), np.linspace(0.1, 0.88, 22), np.linspace(0.9, 1.0, 12)])
    width = waist + (plate - waist) * np.clip(1 - t / flare, 0, 1) ** 1.9
    width = width + (far - waist) * np.clip((t - 0.5) / 0.44, 0, 1) ** 1.6
    # Slight rounding at the plate, a head at the other end.
    near = np.clip(1 - t / round_plate, 0, 1)
    width = width * (1 - 0.16 * near**2.5)
    end = np.clip((t - (1 - corner)) / corner, 0, 1)
    width = width * np.sqrt(1 - 0.82 * end**2.6)
    along = start + (stop - start) * t
    return np.concatenate([np.stack([along, width / 2], axis=1), np.stack([along, -width / 2], axis=1)[::-1]])


def _epiphysis_outline(
    size: float,
    capping: float,
    *,
    width: float,
    room: float,
    height: float,
    dome: bool = False,
    tilt: float = 0.0,
) -> np.ndarray | None:
    """An epiphysis between joint (0) and plate (``room``): first a dot, then a disc, then a cap."""
    if size == 0.0:
        return None
    turn = np.linspace(0.0, 2 * np.pi, 48, endpoint=False)
    cos, sin = np.cos(turn), np.sin(turn)
    disc = np.clip((size - 0.16) / 0.5, 0.0, 1.0)
    across = np.sign(cos) * np.abs(cos) ** (1.0 - 0.3 * disc)
    flat = np.abs(sin) ** (1.0 - 0.45 * disc) * np.sign(sin)
    tall = height * (0.42 + 0.58 * size)
    along = np.where((sin < 0) & dome, sin, flat) * tall / 2
    gap = (room - height) * (0.62 - 0.25 * capping)
    middle = room - gap - tall / 2
    if tilt:
        # Styloid: the joint side slopes, the plate side stays level.
        along = along * (1.0 + tilt * across * disc) - tilt * across * disc * tall / 2
    if not dome:
        along = along + np.where(sin < 0, 0.10, 0.0) * tall * disc * (1 - across**2)
    along = along + capping * gap * 0.85 * np.abs(across) ** 4
    half = width * size * (1.0 + 0.04 * capping) / 2
    return np.stack([middle + along, across * half], axis=1)


def _bridge_outline(cap: np.ndarray, shaft: np.ndarray, room: float) -> np.ndarray:
    """Fills the plate between an epiphysis and its shaft, and smooths the step between their widths."""
    middle, wide = float(cap[:, 0].mean()), float(cap[:, 1].max())
    below = room + 0.11 * (shaft[:, 0].max() - room)
    half = shaft[: len(shaft) // 2]
    narrow = float(np.interp(below, half[:, 0], half[:, 1]))
    return np.array([[middle, -wide], [middle, wide], [below, narrow], [below, -narrow]])


@functools.cache
def _carpal_outline(name: str) -> np.ndarray:
    """A smooth closed curve through a carpal's corners, (60, 2)."""
    corners = np.array(_CARPALS[name], float)
    closed = np.concatenate([corners, corners[:1]])
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    return CubicSpline(steps, closed, bc_type="periodic")(np.linspace(0, steps[-1], 60, endpoint=False))


def _digit_tissue(joints: list[np.ndarray], digit: int, breadth: float) -> np.ndarray:
    """Soft tissue along a digit from knuckle to tip, rows of x, y, radius."""
    knuckle, mid, tip = (r * _DIGIT_SCALES[digit] * breadth for r in _DIGIT_RADII)
    points = [joints[0][1], *(bone[1] for bone in joints[1:])]
    along = points[-1] - points[-2]
    unit = along / np.linalg.norm(along)
    points[-1] = points[-1] - unit * (tip - 22.0 * breadth)
    radii = [knuckle, *np.linspace(mid, tip * 1.04, len(points) - 2), tip]
    return np.column_stack([np.array(points), radii])


def _palm_tissue(
    metacarpals: list[np.ndarray], proximal: list[np.ndarray], breadth: float
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    chains = []
    for digit, (base, knuckle) in enumerate(metacarpals):
        radii = np.array([[66.0, 66.0, 60.0], [62.0, 62.0, 60.0]][digit > 0]) * breadth
        points = np.stack([base, (base + knuckle) / 2, knuckle])
        chains.append(np.column_stack([points, radii]))
    # The webs reach a third up the proximal phalanges; the thumb's ends at its knuckle.
    webs = [metacarpals[0][1], *(bone[0] + 0.30 * (bone[1] - bone[0]) for bone in proximal[1:])]
    hull = np.array(webs + [bone[0] for bone in metacarpals[::-1]])
    return tuple(chains), hull


def _thenar_tissue(metacarpals: list[np.ndarray], breadth: float) -> np.ndarray:
    thumb, index = metacarpals[0], metacarpals[1]
    web = 0.55 * thumb[1] + 0.45 * index.mean(axis=0)
    points = np.stack([0.6 * thumb[0] + 0.4 * index[0], web])
    return np.column_stack([points, np.array([60.0, 78.0]) * breadth])
