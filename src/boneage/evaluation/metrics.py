"""Metrics of predictions against ground truth, by split and by group."""

from typing import Any

import numpy as np
import pandas as pd

from boneage.core.errors import BoneAgeError
from boneage.core.tables import RACES, SPLITS

ACCURATE_YEARS = 0.5
"""Accuracy counts absolute errors below this, which round to the right whole year."""

AGE_BANDS = {0: "0–4 years", 5: "5–9 years", 10: "10–14 years", 15: "15+ years"}
"""Bands of age by first year: infants and toddlers, childhood, puberty, closing growth plates."""


def metrics(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float | int | None]:
    """The metrics of one split.

    Args:
        truth: Bone ages in years, (cases,), at least one.
        prediction: Predictions in years, (cases,).

    Returns:
        ``count``; ``mae``, ``rmse`` and ``bias`` (mean of prediction minus ground truth) in years; ``loss``
        (mean squared error) in years squared; ``accuracy`` and ``within_1_year``, shares of the cases with an
        absolute error below half a year and of at most one; ``r2`` (None if all bone ages are equal).

    Raises:
        BoneAgeError: The two differ in length, are empty, or a prediction is not a finite number.
    """
    truth, prediction = np.asarray(truth, float), np.asarray(prediction, float)
    if truth.shape != prediction.shape or truth.ndim != 1 or not len(truth):
        raise BoneAgeError(
            f"metrics: {truth.shape} bone ages and {prediction.shape} predictions do not match"
        )
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        raise BoneAgeError(
            "metrics: a prediction is not a finite number; the training diverged, lower the learning rate"
        )
    error = prediction - truth
    squares = float(np.mean(error**2))
    spread = float(np.mean((truth - truth.mean()) ** 2))
    return {
        "count": len(truth),
        "mae": float(np.mean(np.abs(error))),
        "loss": squares,
        "accuracy": float(np.mean(np.abs(error) < ACCURATE_YEARS)),
        "within_1_year": float(np.mean(np.abs(error) <= 1.0)),
        "rmse": squares**0.5,
        "bias": float(error.mean()),
        "r2": 1.0 - squares / spread if spread else None,
    }


def group_of(labels: pd.DataFrame) -> pd.DataFrame:
    """The groups that each case belongs to: ``Sex``, ``Race`` and ``Age``, in words.

    Args:
        labels: ``Male``, ``Location`` (the race) and ``Bone Age`` in years.

    Returns:
        Ordered categories, in display order.
    """
    sexes, races = ["Girls", "Boys"], [race for race in RACES if race != "Unknown"]
    sex = np.where(labels["Male"].astype(bool), "Boys", "Girls")
    ages, edges = labels["Bone Age"].astype(float), [*map(float, AGE_BANDS), np.inf]
    return pd.DataFrame(
        {
            "Sex": pd.Categorical(sex, sexes, ordered=True),
            # A case of unknown race belongs to no group.
            "Race": pd.Categorical(labels["Location"], races, ordered=True),
            "Age": pd.cut(ages, edges, right=False, labels=list(AGE_BANDS.values())),
        },
        index=labels.index,
    )


def metrics_by_split(labels: pd.DataFrame, predictions: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The metrics of each split that has cases.

    Raises:
        BoneAgeError: A prediction has no label, or its split differs from the label's.
    """
    joined = join_truth(labels, predictions)
    return {
        split: metrics(rows["Bone Age"].to_numpy(), rows["Prediction"].to_numpy())
        for split in SPLITS
        if len(rows := joined[joined["Split"] == split])
    }


def join_truth(labels: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions with their labels, in the predictions' order.

    Returns:
        The label columns and ``Prediction``, ``Error`` (prediction minus ground truth), both in years.

    Raises:
        BoneAgeError: A prediction has no label or is duplicated, or its split differs from the label's.
    """
    if not predictions["Case ID"].is_unique:
        raise BoneAgeError("predictions: a Case ID is duplicated; train that run again")
    joined = predictions.merge(labels, on="Case ID", how="left", suffixes=("", " of label"))
    unknown = joined.loc[joined["Bone Age"].isna(), "Case ID"]
    if len(unknown):
        raise BoneAgeError(
            f"predictions: {len(unknown)} cases have no label (the first: {unknown.iloc[0]}); the run "
            "belongs to other labels"
        )
    if (joined["Split"] != joined["Split of label"]).any():
        raise BoneAgeError(
            "predictions: the split differs from that of the labels; the run belongs to other labels"
        )
    joined["Error"] = joined["Prediction"] - joined["Bone Age"]
    return joined.drop(columns="Split of label")


def constant_predictor(labels: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The metrics of the baseline, which predicts the training median for every case."""
    median = labels.loc[labels["Split"] == "train", "Bone Age"].median()
    return {
        split: metrics(rows.to_numpy(), np.full(len(rows), median))
        for split in SPLITS
        if len(rows := labels.loc[labels["Split"] == split, "Bone Age"])
    }
