"""When each growth centre of the hand and wrist appears, reaches full size and fuses, by sex.

The tables drive the drawings of :mod:`drawing`. They are rounded for drawing and no clinical reference.
Sources:

- Garn: Garn SM, Rohmann CG, Silverman FN. Radiographic standards for postnatal ossification and tooth
  calcification. Med Radiogr Photogr 1967;43:45-66. Median ages at appearance.
- GP: Greulich WW, Pyle SI. Radiographic Atlas of Skeletal Development of the Hand and Wrist. 2nd ed.
  Stanford University Press 1959. Order and age of the maturity indicators; spread of bone age.
- GR: Gilsanz V, Ratib O. Hand Bone Age. 2nd ed. Springer 2012. Stages from infancy to post-puberty.
- SB: Scheuer L, Black S. Developmental Juvenile Osteology. Academic Press 2000. Pisiform, sesamoid, fusion.
- Snyder: Snyder RG et al. Anthropometry of Infants, Children, and Youths to Age 18 for Product Safety
  Design. UM-HSRI-77-17, University of Michigan 1977. Hand length.
"""

from dataclasses import dataclass

import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.tables import SEXES

MATURE_YEARS = {"F": 18.0, "M": 19.0}
"""The last plate of each sex in GP, and the highest bone age read."""


@dataclass(frozen=True)
class Centre:
    """A growth centre; ages in years of bone age, each as (girls, boys).

    Attributes:
        name: The bone, e.g. ``capitate`` or ``proximal phalanx 3`` (its epiphysis; 1 is the thumb).
        kind: ``carpal``, ``epiphysis`` or ``sesamoid``.
        appears: Median age at first appearance.
        grown: Age at which a carpal has its adult outline, or an epiphysis is as wide as its shaft.
        fuses: Ages at which an epiphysis begins and ends to fuse; None for the others.
        source: Where the ages come from; see the module.
    """

    name: str
    kind: str
    appears: tuple[float, float]
    grown: tuple[float, float]
    fuses: tuple[tuple[float, float], tuple[float, float]] | None
    source: str


def _carpal(name: str, girls: float, boys: float, grown: tuple[float, float], source: str) -> Centre:
    return Centre(name, "carpal", (girls, boys), grown, None, source)


# An epiphysis after its appearance depends on its row of bones: age at which it is as wide as its shaft
# (GP, GR), and span of its fusion, girls then boys (GP, GR; the same order in SB).
_ROWS = {
    "distal phalanx": ((8.5, 10.5), ((13.0, 14.1), (15.0, 16.1))),
    "middle phalanx": ((8.0, 10.0), ((14.2, 15.4), (16.1, 17.3))),
    "proximal phalanx": ((7.0, 9.0), ((14.0, 15.1), (15.8, 17.0))),
    "metacarpal": ((7.5, 9.5), ((14.0, 15.3), (15.9, 17.1))),
    "radius": ((9.5, 11.5), ((15.2, 17.6), (17.0, 18.9))),
    "ulna": ((12.0, 14.0), ((15.0, 17.0), (16.8, 18.4))),
}


def _epiphysis(row: str, digit: str, girls: float, boys: float) -> Centre:
    return Centre(f"{row} {digit}".strip(), "epiphysis", (girls, boys), *_ROWS[row], "Garn; GP, GR")


CENTRES: dict[str, Centre] = {
    centre.name: centre
    for centre in (
        # Carpals in order of appearance.
        _carpal("capitate", 0.17, 0.25, (12.0, 14.0), "Garn; GP"),
        _carpal("hamate", 0.20, 0.33, (12.0, 14.0), "Garn; GP"),
        _carpal("triquetrum", 1.7, 2.4, (12.5, 14.5), "Garn; GP"),
        _carpal("lunate", 2.6, 4.1, (12.5, 14.5), "Garn; GP"),
        _carpal("scaphoid", 4.1, 5.7, (12.5, 14.5), "Garn; GP"),
        _carpal("trapezium", 4.1, 5.9, (12.5, 14.5), "Garn; GP"),
        _carpal("trapezoid", 4.2, 6.2, (12.5, 14.5), "Garn; GP"),
        _carpal("pisiform", 8.8, 10.3, (13.0, 15.0), "GP; SB"),
        Centre("thumb sesamoid", "sesamoid", (10.8, 12.8), (13.5, 15.5), None, "Garn; SB"),
        # Distal epiphyses of the forearm.
        _epiphysis("radius", "", 0.85, 1.1),
        _epiphysis("ulna", "", 5.4, 7.1),
        # Metacarpals: the thumb's at its base, the others at their heads.
        _epiphysis("metacarpal", "1", 1.6, 2.6),
        _epiphysis("metacarpal", "2", 1.1, 1.6),
        _epiphysis("metacarpal", "3", 1.15, 1.75),
        _epiphysis("metacarpal", "4", 1.25, 2.0),
        _epiphysis("metacarpal", "5", 1.35, 2.2),
        _epiphysis("proximal phalanx", "1", 1.75, 3.0),
        _epiphysis("proximal phalanx", "2", 0.9, 1.4),
        _epiphysis("proximal phalanx", "3", 0.85, 1.35),
        _epiphysis("proximal phalanx", "4", 0.9, 1.5),
        _epiphysis("proximal phalanx", "5", 1.15, 1.85),
        _epiphysis("middle phalanx", "2", 1.35, 2.2),
        _epiphysis("middle phalanx", "3", 1.25, 2.0),
        _epiphysis("middle phalanx", "4", 1.3, 2.1),
        _epiphysis("middle phalanx", "5", 1.9, 3.4),
        _epiphysis("distal phalanx", "1", 1.0, 1.5),
        _epiphysis("distal phalanx", "2", 2.5, 3.25),
        _epiphysis("distal phalanx", "3", 1.5, 2.4),
        _epiphysis("distal phalanx", "4", 1.55, 2.45),
        _epiphysis("distal phalanx", "5", 2.0, 3.3),
    )
}

# Hand length in mm from wrist crease to tip of the middle finger, at whole years from birth to 18 (Snyder,
# rounded; birth extrapolated).
_HAND_LENGTH_MM = {
    "F": (62, 85, 97, 107, 115, 122, 129, 135, 141, 147, 154, 161, 168, 172, 175, 176, 177, 178, 178),
    "M": (64, 87, 99, 108, 116, 123, 130, 136, 142, 147, 153, 159, 166, 175, 183, 188, 190, 192, 193),
}

# Standard deviation of bone age among children of one chronological age, in months, for girls and boys (GP,
# Brush Foundation children, rounded).
_TEMPO_AGES = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0)
_TEMPO_MONTHS = {
    "F": (0.7, 1.8, 4.6, 9.0, 10.2, 10.2, 11.7, 10.2, 11.3, 9.2, 7.3),
    "M": (0.7, 2.0, 3.9, 6.7, 9.2, 9.1, 9.8, 10.4, 10.7, 12.9, 13.0),
}


def check_sex(sex: str) -> str:
    """Returns ``sex``.

    Raises:
        BoneAgeError: It is neither ``F`` nor ``M``.
    """
    if sex not in SEXES:
        raise BoneAgeError(f"sex: {sex!r} must be F or M")
    return sex


def appearance_age(name: str, sex: str) -> float:
    """Bone age in years at which a centre appears."""
    return CENTRES[name].appears[SEXES.index(check_sex(sex))]


def size_of(name: str, bone_age: float, sex: str) -> float:
    """Relative size of a centre: 0 before it appears, 1 at full size.

    Growth is fast at first and slows down, as in the plates of GP.
    """
    start = appearance_age(name, sex)
    if bone_age <= start:
        return 0.0
    end = CENTRES[name].grown[SEXES.index(sex)]
    grown = min(1.0, (bone_age - start) / (end - start))
    return 0.16 + 0.84 * grown**0.52


def capping_of(name: str, bone_age: float, sex: str) -> float:
    """How far an epiphysis caps its shaft: 0 until it is as wide as the shaft, 1 when fusion begins."""
    centre, column = CENTRES[name], SEXES.index(check_sex(sex))
    if centre.fuses is None:
        return 0.0
    wide, fusing = centre.grown[column], centre.fuses[column][0]
    return float(np.clip((bone_age - wide) / (fusing - wide), 0.0, 1.0))


def fusion_of(name: str, bone_age: float, sex: str) -> float:
    """How far a growth plate has fused: 0 open, 1 fused; always 0 for carpals and the sesamoid."""
    fuses = CENTRES[name].fuses
    if fuses is None:
        return 0.0
    start, end = fuses[SEXES.index(check_sex(sex))]
    return float(np.clip((bone_age - start) / (end - start), 0.0, 1.0))


def hand_length(age: float, sex: str) -> float:
    """Typical hand length in mm at an age in years; constant from 18."""
    lengths = _HAND_LENGTH_MM[check_sex(sex)]
    return float(np.interp(age, np.arange(len(lengths)), lengths))


def tempo_spread(age: float, sex: str) -> float:
    """Standard deviation of bone age, in years, among children of one chronological age."""
    return float(np.interp(age, _TEMPO_AGES, _TEMPO_MONTHS[check_sex(sex)])) / 12.0
