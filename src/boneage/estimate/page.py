"""The page of one hand: HTML that holds its pictures and styles and loads nothing."""

import base64
import math
from collections.abc import Sequence

import cv2
import numpy as np

from boneage.core.columns import number, templates
from boneage.estimate.ensemble import Ensemble, heat_maps
from boneage.estimate.estimating import age_in_words
from boneage.estimate.fhir import NOTICE
from boneage.estimate.files import Estimated
from boneage.estimate.standards import CITED
from boneage.evaluation.explain import overlay
from boneage.images.square import to_png
from boneage.report.words import printable, source_words

_SIDE = 480


def heats_of(estimated: Sequence[Estimated], ensemble: Ensemble) -> list[np.ndarray | None]:
    """The heat map of each hand with an estimate, all in one go; None for the others."""
    images = [None if one.hand is None or one.estimate.refusal else one.hand.image for one in estimated]
    seen = [image for image in images if image is not None]
    male = [
        one.estimate.sex == "M" for one, image in zip(estimated, images, strict=True) if image is not None
    ]
    maps = iter(heat_maps(ensemble, seen, np.array(male)) if seen else ())
    return [None if image is None else next(maps) for image in images]


def page_of(one: Estimated, heat: np.ndarray | None, ensemble: Ensemble) -> str:
    """The page of a hand as HTML.

    Args:
        one: A hand.
        heat: From :func:`heats_of`.
        ensemble: The networks.
    """
    assert one.hand is not None
    said = one.estimate
    shown = cv2.resize(one.hand.shown, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    pictures = [_picture(shown, "The radiograph, put right where it had to be")]
    if heat is not None:
        pictures.append(
            _picture(overlay(shown, heat), "The same under a heat map of where the networks look")
        )
    return (
        templates("boneage.estimate", "boneage.report")
        .get_template("estimate.html.j2")
        .render(
            title=printable(one.title),
            said=said,
            age_in_words=age_in_words,
            votes=list(zip((member.title for member in ensemble.members), said.votes, strict=False)),
            ensemble=ensemble,
            source=source_words(ensemble.source),
            pictures=pictures,
            number=number,
            isnan=math.isnan,
            cited=CITED,
            notice=NOTICE,
        )
    )


def _picture(pixels: np.ndarray, words: str) -> dict[str, object]:
    png = to_png(pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    return {"data": base64.b64encode(png).decode("ascii"), "words": words, "side": _SIDE}
