"""Evaluation of finished runs: metrics, prediction intervals, robustness, heat maps.

In: labels and predictions, joined by id; trained networks. Out: tables of numbers with their intervals.
"""

from boneage.evaluation.bootstrap import (
    holm,
    mae_interval,
    mean_differences,
    mixed_mae_interval,
    training_differences,
)
from boneage.evaluation.cases import cases_by_error
from boneage.evaluation.metrics import (
    constant_predictor,
    group_of,
    join_truth,
    metrics_by_split,
)
from boneage.evaluation.runs import (
    RECORD_FORMAT,
    Run,
    RunKey,
    are_of_same_data,
    aside,
    changed_settings,
    check_comparable,
    first_of_seeds,
    histories_table,
    keep_predictions,
    kept_predictions,
    key_of,
    read_run,
    read_runs,
    record_run,
    results_table,
    settings_of,
    tabled_runs,
)

__all__ = [
    "RECORD_FORMAT",
    "Run",
    "RunKey",
    "are_of_same_data",
    "aside",
    "cases_by_error",
    "changed_settings",
    "check_comparable",
    "constant_predictor",
    "first_of_seeds",
    "group_of",
    "histories_table",
    "holm",
    "join_truth",
    "keep_predictions",
    "kept_predictions",
    "key_of",
    "mae_interval",
    "mean_differences",
    "metrics_by_split",
    "mixed_mae_interval",
    "read_run",
    "read_runs",
    "record_run",
    "results_table",
    "settings_of",
    "tabled_runs",
    "training_differences",
]
