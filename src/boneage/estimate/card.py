"""The card of a model folder: what the networks are, how well they do, and what they must not be used for."""

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, templates, with_interval
from boneage.estimate.ensemble import Ensemble, Reference
from boneage.estimate.interval import held_out_means
from boneage.evaluation.intervals import ALPHA, LEAST_CASES
from boneage.evaluation.robustness import ROBUSTNESS
from boneage.report.card import ERRORS, errors_by_group
from boneage.report.words import source_words

OUTSIDE = Table(
    "Errors on another source",
    [
        Column("Source", "Where the radiographs come from."),
        Column("Cases", "Number of cases.", ",.0f"),
        with_interval("MAE (years)", "Mean absolute error.", ".2f", unit="years, 95 % interval"),
        Column("Bias (years)", "Mean of estimate minus bone age.", "+.2f"),
        Column("Within interval", "Share of bone ages within the 90 % interval.", ".2f", unit="share"),
    ],
)


def card_of(
    ensemble: Ensemble,
    reference: Reference,
    name: str,
    robustness: pd.DataFrame | None = None,
    outside: pd.DataFrame | None = None,
) -> str:
    """The card of networks and their cases as Markdown.

    Args:
        ensemble: The networks.
        reference: Their cases.
        name: The folder's name.
        robustness: ``robustness.ROBUSTNESS`` on held-out cases, if it was measured.
        outside: ``OUTSIDE``, if it was tested on another source.
    """
    said = held_out_means(reference.held_out)
    errors = errors_by_group(reference.years, reference.male, said)
    return (
        templates("boneage.estimate", "boneage.report")
        .get_template("models_card.md.j2")
        .render(
            ensemble=ensemble,
            name=name,
            source=ensemble.source,
            trained_on=source_words(ensemble.source),
            cases=int(reference.trained.any(axis=0).sum()),
            errors=ERRORS.show(errors).to_markdown(),
            robustness="" if robustness is None else ROBUSTNESS.show(robustness).to_markdown(),
            outside="" if outside is None else OUTSIDE.show(outside).to_markdown(),
            baseline=f"{np.abs(reference.years - np.median(reference.years)).mean():.2f}",
            level=f"{1 - ALPHA:.0%}",
            least=LEAST_CASES,
        )
    )
