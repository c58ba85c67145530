"""Robustness: how predictions change when the image changes but the bone age does not.

The winner of the RSNA challenge of 2017 had a mean absolute difference of 6.9 months on the Digital Hand
Atlas, and of 45.2 months on the same images rotated by 180 degrees: Santomartino et al., "Can AI handle the
stress? A robustness evaluation of a state-of-the-art deep learning bone age algorithm", RSNA 108th Scientific
Assembly 2022; in full: Santomartino, Putman, Beheshtian, Parekh and Yi, "Evaluating the robustness of a deep
learning bone age algorithm to clinical image variation using computational stress testing", Radiology:
Artificial Intelligence 2024. The kinds of change are theirs (rotation, flips, brightness, contrast,
inversion, marker, resolution), plus blur, noise and JPEG; the amounts are ours.

A mirrored hand is a change like the others: a network on the plain set has seen left hands only, one on the
augmented set mirrored copies too.

Images are changed at the size that the network sees. Lengths are shares of the image side, so they mean the
same at every size; noise and JPEG act on single pixels and on blocks of eight, which cover more of the hand
the smaller the image is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from boneage.core.columns import Column, Table, leaves_out_zero
from boneage.core.errors import BoneAgeError
from boneage.evaluation.bootstrap import mean_differences
from boneage.images.operators import OPERATORS, apply_operators, rotated


class Perturbation(NamedTuple):
    """One change of an image.

    Attributes:
        name: Its kind (``KINDS``).
        amount: How much, in the unit of the kind; None if it has none.
        words: Both, in words.
    """

    name: str
    amount: float | None
    words: str


PERTURBATIONS = (
    *(
        Perturbation("rotation", degrees, f"turned by {degrees}°")
        for degrees in (5, 10, 15, 30, 45, 90, 135, 180)
    ),
    Perturbation("flip left to right", None, "flipped left to right"),
    Perturbation("flip top to bottom", None, "flipped top to bottom"),
    *(
        Perturbation(
            "brightness", levels, f"{'darker' if levels < 0 else 'brighter'} by {abs(levels)} grey levels"
        )
        for levels in (-80, -40, -20, 20, 40, 80)
    ),
    *(
        Perturbation("contrast", factor, f"contrast {factor:g} times")
        for factor in (0.25, 0.5, 0.75, 1.5, 2.0, 3.0)
    ),
    Perturbation("inversion", None, "inverted"),
    *(Perturbation("blur", share, f"blurred, {share:.1%} of side") for share in (0.005, 0.01, 0.02)),
    *(Perturbation("noise", levels, f"noise of {levels} grey levels") for levels in (5, 10, 20)),
    *(Perturbation("JPEG", quality, f"JPEG of quality {quality}") for quality in (75, 50, 20, 10)),
    *(Perturbation("resolution", part, f"1/{part} of the pixels a side") for part in (2, 4, 8)),
    *(Perturbation("letter L", share, f"letter L, {share:.0%} of side") for share in (0.06, 0.12)),
    *(Perturbation("bright disc", share, f"bright disc, {share:.0%} of side") for share in (0.06, 0.12)),
)
"""The changes tried, in the table's order: from everyday variation to faults that nobody would overlook."""

UNCHANGED = "as they are"

ROBUSTNESS = Table(
    "Robustness",
    [
        Column("Images", "How the images were changed.", heading="Images"),
        Column("Perturbation", "The kind of change."),
        Column("Amount", "How much of it.", ".3g"),
        Column("Cases", "Number of test cases.", ",.0f"),
        Column("MAE (years)", "Mean absolute error on the changed images.", ".2f"),
        Column(
            "Change in MAE (years)",
            "By how much it is above that on the unchanged images, with the interval of the paired "
            "bootstrap.",
            "+.2f",
            unit="years, 95 % interval",
            ends=("Change low (years)", "Change high (years)"),
            mark=leaves_out_zero("Change low (years)", "Change high (years)"),
        ),
        Column(
            "Mean shift (years)",
            "Mean change of a prediction; above zero the change makes it older.",
            "+.2f",
            "Shift",
        ),
        Column(
            "Mean movement (years)",
            "Mean absolute change of a prediction.",
            ".2f",
            "Prediction moved",
            "years, mean",
        ),
        Column(
            "95 % of movements within (years)",
            "95th percentile of the absolute change of a prediction.",
            ".2f",
            "Prediction moved",
            "years, 95th percentile",
        ),
        Column(
            "Moved over 1 year",
            "Share of the predictions that change by more than a year.",
            ".2f",
            unit="share",
        ),
    ],
    about="One row per change of the images, the first of the unchanged ones.",
    note="Change in MAE: against the unchanged images; bold where its interval excludes zero. Intervals are "
    "not corrected for their number: of forty changes without effect, two would be bold. Moved: "
    "absolute change of a prediction; shift: mean change, above zero the change makes it older.",
    shown=(
        *("Images", "MAE (years)", "Change in MAE (years)", "Mean movement (years)"),
        *("95 % of movements within (years)", "Moved over 1 year", "Mean shift (years)"),
    ),
    reference=UNCHANGED,
)

_MOVED_YEARS = 1.0
# Distance of a marker from the image edge as a share of the side, as for lead letters.
_MARGIN = 0.03
_WHITE = 255


@dataclass(frozen=True)
class Kind:
    """A kind of change: a function on an image (size, size), and the range of its amount, if any."""

    change: Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]
    range: tuple[float, float] | None


def _operator(name: str) -> Kind:
    """One of ``operators.OPERATORS``; the amount is its one parameter, if it has one."""
    ranges = OPERATORS[name].ranges

    def change(image: np.ndarray, amount: float | None, rng: np.random.Generator) -> np.ndarray:
        return apply_operators(image, [{"name": name, **dict.fromkeys(ranges, amount)}])

    return Kind(change, next(iter(ranges.values()), None))


def _rotate(image: np.ndarray, degrees: float, rng: np.random.Generator) -> np.ndarray:
    # Keeps the sharpness of an image that is rotated before it is scaled down; blur is a kind of its own.
    return rotated(image, degrees, cv2.INTER_LANCZOS4)


def _blur(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), share * len(image))


def _noise(image: np.ndarray, levels: float, rng: np.random.Generator) -> np.ndarray:
    noisy: np.ndarray = np.rint(image + rng.normal(0.0, levels, image.shape))
    return noisy.clip(0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    made = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert made is not None, "OpenCV reads what it has just written"
    return made


def _resolution(image: np.ndarray, part: float, rng: np.random.Generator) -> np.ndarray:
    side = len(image)
    small = cv2.resize(image, [max(1, round(side / part))] * 2, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)


def _letter(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    height = max(3, round(share * len(image)))
    width, stroke = round(0.7 * height), max(1, round(0.22 * height))
    shape = np.zeros((height, width), bool)
    shape[:, :stroke] = shape[-stroke:] = True
    return _with_marker(image, shape)


def _disc(image: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    across = max(3, round(share * len(image)))
    off = np.arange(across) - (across - 1) / 2
    return _with_marker(image, off[:, np.newaxis] ** 2 + off**2 <= (across / 2) ** 2)


def _with_marker(image: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Adds a white marker in the darkest corner, where it is least likely to hide a bone."""
    margin = max(1, round(_MARGIN * len(image)))
    rows = (slice(margin, margin + shape.shape[0]), slice(-margin - shape.shape[0], -margin))
    columns = (slice(margin, margin + shape.shape[1]), slice(-margin - shape.shape[1], -margin))
    corners = [(row, column) for row in rows for column in columns]
    made = image.copy()
    made[min(corners, key=lambda corner: image[corner].mean())][shape] = _WHITE
    return made


KINDS: dict[str, Kind] = {
    "rotation": Kind(_rotate, OPERATORS["rotate"].ranges["degrees"]),
    "flip left to right": _operator("flip"),
    "flip top to bottom": Kind(lambda image, amount, rng: np.ascontiguousarray(image[::-1]), None),
    "brightness": _operator("brightness"),
    "contrast": _operator("contrast"),
    "inversion": _operator("invert"),
    "blur": Kind(_blur, (0.001, 0.1)),
    "noise": Kind(_noise, (0.0, 100.0)),
    "JPEG": Kind(_jpeg, (1, 100)),
    "resolution": Kind(_resolution, (1, 32)),
    "letter L": Kind(_letter, (0.01, 0.4)),
    "bright disc": Kind(_disc, (0.01, 0.4)),
}
"""Kinds by name. Amounts: degrees anticlockwise (corners are cut off, and edges are extended); grey levels of
256 (brightness, and the standard deviation of noise); a factor about the mean grey level; shares of the side
(the standard deviation of a Gaussian blur, the height of a letter, the diameter of a disc); the JPEG quality,
1 to 100; the divisor of the resolution."""


def perturbed(images: np.ndarray, name: str, amount: float | None, seed: int = 0) -> np.ndarray:
    """Copies of images with one change made to each.

    Args:
        images: uint8, (images, size, size).
        name: One of ``KINDS``.
        amount: In the unit of the kind; None for flips and inversion.
        seed: Seeds the noise, which differs from image to image; all else is deterministic.

    Returns:
        uint8, (images, size, size).

    Raises:
        BoneAgeError: ``images`` is no such array, the name is unknown, or the amount is out of range.
    """
    images = np.asanyarray(images)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1] != images.shape[2] or not images.size:
        raise BoneAgeError(
            f"images: {images.dtype} of shape {images.shape}, must be uint8 (images, size, size)"
        )
    if name not in KINDS:
        raise BoneAgeError(f"perturbation {name[:40]!r}: unknown; use one of {', '.join(KINDS)}")
    kind, rng = KINDS[name], np.random.default_rng(seed)
    _check_amount(name, amount, kind.range)
    return np.stack([kind.change(np.asarray(image), amount, rng) for image in images])


def _check_amount(name: str, amount: float | None, allowed: tuple[float, float] | None) -> None:
    if allowed is None:
        if amount is not None:
            raise BoneAgeError(f"perturbation {name}: takes no amount, give None")
    elif not isinstance(amount, int | float) or not allowed[0] <= amount <= allowed[1]:
        raise BoneAgeError(f"perturbation {name}: amount must be from {allowed[0]:g} to {allowed[1]:g}")


def robustness_table(
    prediction: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    truth: np.ndarray,
    seed: int = 0,
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
) -> pd.DataFrame:
    """The effect of each change on the error and the predictions.

    Args:
        prediction: Maps images, uint8 (images, size, size), to years (images,).
        images: uint8, (cases, size, size), one a case, none of them used in training.
        truth: Their bone ages in years, (cases,).
        seed: Seeds the noise and the bootstrap.
        perturbations: The changes to try.

    Returns:
        ``ROBUSTNESS``, the unchanged images first, then one row per change. The change in MAE has a 95 %
        interval over cases from the paired bootstrap (:func:`bootstrap.mean_differences`), not corrected for
        multiple comparisons: of forty changes without effect, two would seem to have one.

    Raises:
        BoneAgeError: There is no image, images and bone ages differ in number, or a prediction is missing or
            not finite.
    """
    truth = np.asarray(truth, float)
    if truth.shape != (len(images),) or not len(truth) or not np.isfinite(truth).all():
        raise BoneAgeError(
            f"robustness: {len(images)} images and {truth.shape} bone ages; each image needs its own"
        )
    predictions = [_predicted(prediction, images, UNCHANGED)]
    for name, amount, words in tqdm(perturbations, "robustness", unit="perturbation"):
        predictions.append(_predicted(prediction, perturbed(images, name, amount, seed), words))
    rows = (Perturbation("", None, UNCHANGED), *perturbations)
    error, shift = np.abs(np.stack(predictions) - truth), np.stack(predictions) - predictions[0]
    change = mean_differences(error - error[0], seed)
    movement = np.abs(shift)
    columns = (
        [words for _, _, words in rows],
        [name for name, _, _ in rows],
        [np.nan if amount is None else float(amount) for _, amount, _ in rows],
        len(truth),
        error.mean(axis=1),
        change["difference"],
        change["low"],
        change["high"],
        shift.mean(axis=1),
        movement.mean(axis=1),
        np.quantile(movement, 0.95, axis=1),
        (movement > _MOVED_YEARS).mean(axis=1),
    )
    return pd.DataFrame(dict(zip(ROBUSTNESS, columns, strict=True)))


def _predicted(prediction: Callable[[np.ndarray], np.ndarray], images: np.ndarray, words: str) -> np.ndarray:
    years = np.asarray(prediction(images), float)
    if years.shape != (len(images),) or not np.isfinite(years).all():
        raise BoneAgeError(
            f"robustness: {years.shape} predictions of {len(images)} images {words}, or one is not a finite "
            "number; train that run again"
        )
    return years
