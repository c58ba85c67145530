"""Compares the finished runs: the tables as Markdown and CSV, and a report as one HTML file."""

from boneage.report.card import CARD, card_in, card_of_run
from boneage.report.comparison import Comparison, compare_runs
from boneage.report.coverage import COVERAGE_OF_RUNS, coverage_view
from boneage.report.details import DETAILS, OUTSIDE, TRAINING_TIMES, Outside
from boneage.report.differences import DIFFERENCES
from boneage.report.examination import (
    EXAMINED,
    ROBUSTNESS_OF_RUNS,
    Examination,
    ExaminedFiles,
    centres_view,
    kept_examinations,
    robustness_of_runs,
)
from boneage.report.groups import FEW_CASES, GROUPS, groups_view
from boneage.report.matching import ComparedRuns, belongs, match_runs
from boneage.report.page import (
    LEFT_OUT,
    bland_altman,
    coverage_chart,
    error_by_age,
    judged_epochs,
    learning_curves,
    mae_chart,
    predicted_against_true,
    tables_folder,
    write_report,
)
from boneage.report.references import references_view
from boneage.report.rejected import REJECTED
from boneage.report.results import RESULTS, case_view, quality_view, results_view
from boneage.report.seeds import SEEDS
from boneage.report.sets import SETS_TABLE, steps_of
from boneage.report.variants import VARIANTS_TABLE, best_networks
from boneage.report.words import source_words, table_title, title_of, words_of_width

__all__ = [
    "CARD",
    "COVERAGE_OF_RUNS",
    "DETAILS",
    "DIFFERENCES",
    "EXAMINED",
    "FEW_CASES",
    "GROUPS",
    "LEFT_OUT",
    "OUTSIDE",
    "REJECTED",
    "RESULTS",
    "ROBUSTNESS_OF_RUNS",
    "SEEDS",
    "SETS_TABLE",
    "TRAINING_TIMES",
    "VARIANTS_TABLE",
    "ComparedRuns",
    "Comparison",
    "Examination",
    "ExaminedFiles",
    "Outside",
    "belongs",
    "best_networks",
    "bland_altman",
    "card_in",
    "card_of_run",
    "case_view",
    "centres_view",
    "compare_runs",
    "coverage_chart",
    "coverage_view",
    "error_by_age",
    "groups_view",
    "judged_epochs",
    "kept_examinations",
    "learning_curves",
    "mae_chart",
    "match_runs",
    "predicted_against_true",
    "quality_view",
    "references_view",
    "results_view",
    "robustness_of_runs",
    "source_words",
    "steps_of",
    "table_title",
    "tables_folder",
    "title_of",
    "words_of_width",
    "write_report",
]
