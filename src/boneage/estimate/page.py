"""The page of one hand: HTML that holds its pictures and styles and loads nothing."""

import base64
import math

import cv2
import numpy as np

from boneage.core.columns import number, templates
from boneage.core.pictures import Picture
from boneage.estimate.ensemble import Ensemble, heat_of
from boneage.estimate.estimating import Estimate, age_in_words
from boneage.estimate.fhir import NOTICE
from boneage.estimate.hands import CheckedHand
from boneage.estimate.standards import CITED
from boneage.evaluation.explain import overlay
from boneage.report.words import printable, source_words

_SIDE = 480


def page_of(title: str, said: Estimate, hand: CheckedHand, ensemble: Ensemble) -> str:
    """The page of a hand as HTML.

    Args:
        title: The file, and which hand of it.
        said: Its estimate or refusal.
        hand: As it was checked.
        ensemble: The networks, which draw the heat map.
    """
    shown = cv2.resize(hand.shown, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    pictures = [_picture(shown, "The radiograph, put right where it had to be")]
    if not said.refusal:
        heat = overlay(shown, heat_of(ensemble, hand.image, said.sex))
        pictures.append(_picture(heat, "The same under a heat map of where the networks look"))
    return (
        templates("boneage.estimate", "boneage.report")
        .get_template("estimate.html.j2")
        .render(
            title=printable(title),
            said=said,
            bone_age="" if said.refusal else age_in_words(said.bone_age),
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
    data = base64.b64encode(Picture(pixels, words).png()).decode("ascii")
    return {"data": data, "words": words, "side": _SIDE}
