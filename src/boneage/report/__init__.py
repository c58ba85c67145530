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
from boneage.report.grids import (
    Grid,
    case_grid,
    coverage_grid,
    groups_grid,
    quality_grid,
    references_grid,
    results_grid,
    took_grid,
    variants_grid,
)
from boneage.report.groups import FEW_CASES, GROUP_COLUMNS, groups_table
from boneage.report.markdown import markdown_rows, markdown_table
from boneage.report.page import (
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
    "Grid",
    "Outside",
    "best_networks",
    "bland_altman",
    "case_grid",
    "compare_runs",
    "coverage_chart",
    "coverage_grid",
    "differences_table",
    "error_by_age",
    "groups_grid",
    "groups_table",
    "judged_epochs",
    "kept_examinations",
    "learning_curves",
    "mae_chart",
    "markdown_rows",
    "markdown_table",
    "predicted_against_true",
    "quality_grid",
    "reference_lines",
    "references_grid",
    "references_table",
    "results_grid",
    "robustness_of_runs",
    "seeds_table",
    "source_words",
    "table_title",
    "tables_folder",
    "title_of",
    "took_grid",
    "variants_grid",
    "variants_table",
    "words_of_width",
    "write_report",
]
