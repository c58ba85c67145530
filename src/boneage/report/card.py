"""The card of a run: what the network is, how well it does, and what it must not be used for."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from boneage.core.columns import Column, Table, number, templates, with_interval
from boneage.core.errors import BoneAgeError, one_line
from boneage.core.files import write_text
from boneage.core.tables import SPLITS
from boneage.dataset.labels import Labels
from boneage.evaluation import Run, join_truth, mae_interval
from boneage.evaluation.metrics import AGE_BANDS, metrics
from boneage.report.comparison import Comparison
from boneage.report.variants import best_networks
from boneage.report.words import number as as_number
from boneage.report.words import source_words, words_of_record

CARD = "card.md"
"""Its name in the folder of a run."""

# Of a record, beside its settings and versions.
_FACTS = ("batch_size", "fingerprint", "device", "backend", "started", "finished")

ERRORS = Table(
    "Errors by sex and age",
    [
        Column("Group", "Sex or bone age."),
        Column("Cases", "How many; of fewer than ten, single cases count for much.", ",.0f"),
        with_interval("MAE (years)", "Mean absolute error.", ".2f"),
        Column("Bias (years)", "Mean of estimate minus bone age.", "+.2f"),
        Column("Within 1 year", "Share with an error of at most one year.", ".2f", unit="share"),
    ],
)


def errors_by_group(years: np.ndarray, male: np.ndarray, said: np.ndarray) -> pd.DataFrame:
    """The errors of some cases, by sex and age: ``ERRORS``.

    Args:
        years: Bone ages, (cases,).
        male: bool, (cases,).
        said: Predictions in years, (cases,); cases with NaN are left out.
    """
    band = np.searchsorted(list(AGE_BANDS), years, side="right") - 1
    groups = {"All": np.full(len(years), True), "Girls": ~male, "Boys": male}
    groups |= {words: band == at for at, words in enumerate(AGE_BANDS.values())}
    rows = []
    for name, mask in groups.items():
        mask = mask & ~np.isnan(said)
        if mask.any():
            count, mae, bias, near = (
                metrics(years[mask], said[mask])[one] for one in ("count", "mae", "bias", "within_1_year")
            )
            rows.append((name, count, mae, *mae_interval(said[mask] - years[mask]), bias, near))
    return ERRORS.frame(rows)


def card_of_run(run: Run, joined: pd.DataFrame | None = None) -> str:
    """The card of a run as Markdown, from what its record says and its predictions.

    Args:
        run: A finished run.
        joined: Its predictions with ground truth (``evaluation.join_truth``); without, errors by group are
            left out.
    """
    record = run.record
    mae = {split: record["metrics"][split]["mae"] for split in SPLITS if split in record["metrics"]}
    judged = list(mae)[-1]
    errors = ""
    if joined is not None and len(of_split := joined[joined["Split"] == judged]):
        years, said = (of_split[name].to_numpy(float) for name in ("Bone Age", "Prediction"))
        errors = ERRORS.show(errors_by_group(years, of_split["Male"].to_numpy(bool), said)).to_markdown()
    cases, always = _inside(record, "cases"), _inside(record, "constant_predictor", judged)
    facts = {name: record[name] for name in _FACTS if name in record}
    settings = {**record["settings"], **facts, **_inside(record, "versions")}
    return (
        templates("boneage.report")
        .get_template("card.md.j2")
        .render(
            name=_text(run.name),
            title=_text(words_of_record(record)),
            size=record["size"],
            parameters=number(as_number(record["parameters"]), ",.0f"),
            weights=_text(record["weights"]),
            source=str(record["source"]),
            trained_on=_text(source_words(str(record["source"]))),
            label_kind=_text(record["label_kind"]),
            takes_sex=record["variant"] == "sex",
            cases={split: number(as_number(cases.get(split, 0)), ",.0f") for split in SPLITS},
            words={**{split: split for split in SPLITS}, "train": "training"},
            judged=judged,
            errors=errors,
            mae={split: number(error, ".2f") for split, error in mae.items()},
            always=number(as_number(always.get("mae")), ".2f"),
            settings={_text(name): _text(one) for name, one in settings.items() if one not in ("", None)},
        )
    )


def write_card(run: Run, labels: Labels) -> Path:
    """Writes a run's card into its folder, unless it is there."""
    path = run.folder / CARD
    if not path.is_file():
        write_text(path, card_of_run(run, join_truth(labels.table, run.predictions)))
    return path


def card_in(comparison: Comparison, wanted: str = "") -> str:
    """The card of a compared run as Markdown.

    Args:
        comparison: From :func:`boneage.report.compare_runs`.
        wanted: The run's name; empty for the one with the lowest validation error.

    Raises:
        BoneAgeError: There is no such run; similar names are given.
    """
    runs = {run.name: run for run in comparison.runs.all}
    wanted = wanted.strip()
    if not wanted:
        best = best_networks(comparison.runs.tabled, comparison.runs.joined, 1)
        if not best:
            return "No network has been trained and validated yet."
        wanted = best[0].name
    if wanted not in runs:
        alike = difflib.get_close_matches(wanted, runs, cutoff=0.3) or list(runs)[:3]
        advice = f"did you mean {' or '.join(alike)}?" if alike else "train a network first"
        raise BoneAgeError(f"run {wanted!r}: not among those compared; {advice}")
    return card_of_run(runs[wanted], comparison.runs.joined[wanted])


def _inside(record: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """What lies in a record by these names; empty where it holds something else, as of a record from afar."""
    found: Any = record
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _text(value: object) -> Markup:
    """A text in one line, in which nothing is HTML or ends a cell; quotation marks stay as they are."""
    safe = str(escape(one_line(str(value)))).replace("&#39;", "'").replace("&#34;", '"')
    return Markup(safe.replace("|", "\\|"))
