"""The two tables as Markdown."""

import pandas as pd

from boneage.report.words import NOT_RUN, cell_of, unit_of


def markdown_table(table: pd.DataFrame) -> str:
    """A table of ``evaluation.results_table`` as Markdown, nine rows, units in the header line."""
    lines = [
        ["Networks", *(f"{column} ({unit_of(column)})" for column in table.columns)],
        ["---", *("---:" for _ in table.columns)],
    ]
    for name, values in table.iterrows():
        lines.append([name, *(cell_of(column, value, NOT_RUN) for column, value in values.items())])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
