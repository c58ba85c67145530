"""A comparison of the finished runs: its tables, as Markdown, as CSV, and as one HTML file."""

from boneage.report.comparison import (
    BASELINE_COLUMNS,
    DETAIL_COLUMNS,
    OUTSIDE_COLUMNS,
    Comparison,
    Outside,
    compare_runs,
)
from boneage.report.coverage import RUN_COVERAGE_COLUMNS
from boneage.report.differences import DIFFERENCE_COLUMNS, differences_table
from boneage.report.examination import (
    EXAMINED,
    RUN_ROBUSTNESS_COLUMNS,
    Examination,
    ExaminedFiles,
    kept_examinations,
    robustness_of_runs,
)
from boneage.report.groups import FEW_CASES, GROUP_COLUMNS, groups_table
from boneage.report.markdown import markdown_rows, markdown_table
from boneage.report.page import coverage_chart, tables_folder, write_report
from boneage.report.references import CAUTION, REFERENCE_COLUMNS, reference_lines, references_table
from boneage.report.seeds import SEED_COLUMNS, seeds_table
from boneage.report.variants import VARIANT_COLUMNS, best_networks, variants_table
from boneage.report.words import BASELINE, NOT_RUN, source_words, table_title, title_of, words_of_width

__all__ = [
    "BASELINE",
    "BASELINE_COLUMNS",
    "CAUTION",
    "DETAIL_COLUMNS",
    "DIFFERENCE_COLUMNS",
    "EXAMINED",
    "FEW_CASES",
    "GROUP_COLUMNS",
    "NOT_RUN",
    "OUTSIDE_COLUMNS",
    "REFERENCE_COLUMNS",
    "RUN_COVERAGE_COLUMNS",
    "RUN_ROBUSTNESS_COLUMNS",
    "SEED_COLUMNS",
    "VARIANT_COLUMNS",
    "Comparison",
    "Examination",
    "ExaminedFiles",
    "Outside",
    "best_networks",
    "compare_runs",
    "coverage_chart",
    "differences_table",
    "groups_table",
    "kept_examinations",
    "markdown_rows",
    "markdown_table",
    "reference_lines",
    "references_table",
    "robustness_of_runs",
    "seeds_table",
    "source_words",
    "table_title",
    "tables_folder",
    "title_of",
    "variants_table",
    "words_of_width",
    "write_report",
]
