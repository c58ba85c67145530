"""Writes docs/tables.md from the declarations of the tables: ``make docs``."""

from pathlib import Path

import pandas as pd

from boneage.anomalies import ANOMALY_TABLE
from boneage.core.columns import Column, Table
from boneage.core.files import write_text
from boneage.core.tables import (
    CASE_TABLE,
    CHILD_TABLE,
    ESTIMATE_TABLE,
    LABEL_TABLE,
    PLAN_TABLE,
    PREDICTION_TABLE,
    SKIPPED_TABLE,
)
from boneage.dataset.augment import RECORD_TABLE
from boneage.evaluation.runs import RESULTS_TABLE
from boneage.images.preprocess import REPORT_TABLE
from boneage.report import (
    COVERAGE_OF_RUNS,
    DETAILS,
    DIFFERENCES,
    GROUPS,
    LEFT_OUT,
    OUTSIDE,
    REJECTED,
    ROBUSTNESS_OF_RUNS,
    SEEDS,
    SETS_TABLE,
    VARIANTS_TABLE,
)
from boneage.report.details import BASELINE_ERRORS
from boneage.report.references import REFERENCES
from boneage.review.decisions import LOG_TABLE
from boneage.sources.manifest import FETCHED_TABLE, MANIFEST_TABLE

PATH = Path(__file__).resolve().parents[1] / "docs" / "tables.md"

BETWEEN_STAGES = (
    *(MANIFEST_TABLE, FETCHED_TABLE, CASE_TABLE, REPORT_TABLE, ANOMALY_TABLE, LOG_TABLE, PLAN_TABLE),
    *(RECORD_TABLE, LABEL_TABLE, PREDICTION_TABLE, SKIPPED_TABLE, CHILD_TABLE, ESTIMATE_TABLE),
)
OF_THE_REPORT = (
    *(RESULTS_TABLE, DETAILS, BASELINE_ERRORS, DIFFERENCES, SEEDS, SETS_TABLE, VARIANTS_TABLE, GROUPS),
    *(REFERENCES, COVERAGE_OF_RUNS, OUTSIDE, REJECTED, ROBUSTNESS_OF_RUNS, LEFT_OUT),
)

_COLUMNS = Table("", [Column("Column"), Column("Unit"), Column("Meaning")])
_HEAD = """# Tables

Every table is CSV in UTF-8 with one header line and a stable order. A cell that a spreadsheet would run as a
formula starts with an apostrophe. Written by `make docs` from the declarations of the tables in the code.
"""


def tables_page() -> str:
    """Every table with its columns, as Markdown."""
    parts = [_HEAD, "# What the stages read and write\n", *map(_section, BETWEEN_STAGES)]
    return "\n".join([*parts, "# Of the report, in `comparison/`\n", *map(_section, OF_THE_REPORT)])


def _section(table: Table) -> str:
    rows = []
    for column in table.columns:
        unit = column.unit if f"({column.unit})" not in column.name else ""
        names = ", ".join(f"`{name}`" for name in column.names)
        ends = " Followed by its 95 % interval." if _has_interval(column) else ""
        rows.append((names, unit.replace(", 95 % interval", ""), column.meaning + ends))
    shown = _COLUMNS.show(pd.DataFrame(rows, columns=list(_COLUMNS))).to_markdown()
    return f"## {table.title}\n\n`{table.file}`. {table.about}\n\n{shown}"


def _has_interval(column: Column) -> bool:
    # Other ends are what the column's meaning says, such as the lowest and highest over the seeds.
    return bool(column.ends) and column.ends[0].partition(" (")[0].endswith(" low")


if __name__ == "__main__":
    print(f"wrote {write_text(PATH, tables_page())}")
