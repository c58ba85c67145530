"""The card of a model folder: what the networks are, how well they do, and what they must not be used for."""

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, templates, with_interval
from boneage.estimate.ensemble import Ensemble, Reference
from boneage.estimate.interval import held_out_means
from boneage.evaluation.bootstrap import mae_interval
from boneage.evaluation.intervals import ALPHA, LEAST_CASES
from boneage.evaluation.metrics import AGE_BANDS, metrics
from boneage.evaluation.robustness import ROBUSTNESS
from boneage.report.words import source_words

ERRORS = Table(
    "Held-out errors",
    [
        Column("Group", "Sex or age."),
        Column("Cases", "Held-out cases.", ",.0f"),
        Column("MAE (years)", "Mean absolute error.", ".2f"),
        Column("Bias (years)", "Mean of estimate minus bone age.", "+.2f"),
        Column("Within 1 year", "Share with an error of at most one year.", ".2f", unit="share"),
    ],
)

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


def held_out_errors(years: np.ndarray, male: np.ndarray, held_out: np.ndarray) -> pd.DataFrame:
    """The errors of each case by the networks that were not trained on it, by sex and age: ``ERRORS``.

    Args:
        years: Bone ages, (cases,).
        male: bool, (cases,).
        held_out: As in :func:`boneage.estimate.interval.held_out_means`.
    """
    said = held_out_means(held_out)
    band = np.searchsorted(list(AGE_BANDS), years, side="right") - 1
    groups = {"All": np.full(len(years), True), "Girls": ~male, "Boys": male}
    groups |= {words: band == at for at, words in enumerate(AGE_BANDS.values())}
    rows = []
    for name, mask in groups.items():
        mask = mask & ~np.isnan(said)
        if mask.any():
            of_group = metrics(years[mask], said[mask])
            rows.append((name, *(of_group[one] for one in ("count", "mae", "bias", "within_1_year"))))
    return ERRORS.frame(rows)


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
    errors = held_out_errors(reference.years, reference.male, reference.held_out)
    off = held_out_means(reference.held_out) - reference.years
    return (
        templates("boneage.estimate")
        .get_template("card.md.j2")
        .render(
            ensemble=ensemble,
            name=name,
            source=source_words(ensemble.source),
            cases=int(reference.trained.any(axis=0).sum()),
            errors=ERRORS.show(errors).to_markdown(),
            interval=mae_interval(off[~np.isnan(off)]),
            robustness="" if robustness is None else ROBUSTNESS.show(robustness).to_markdown(),
            outside="" if outside is None else OUTSIDE.show(outside).to_markdown(),
            level=f"{1 - ALPHA:.0%}",
            least=LEAST_CASES,
        )
    )
