"""Tables as Markdown."""

from collections.abc import Sequence

import pandas as pd

from boneage.report.words import NOT_RUN, cell_of, unit_of


def markdown_table(table: pd.DataFrame) -> str:
    """A table of ``evaluation.results_table`` as Markdown, nine rows, units in the header line."""
    rows = [
        [name, *(cell_of(column, value, NOT_RUN) for column, value in values.items())]
        for name, values in table.iterrows()
    ]
    return markdown_rows(["Networks", *(f"{column} ({unit_of(column)})" for column in table.columns)], rows)


def markdown_rows(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A table as Markdown.

    Args:
        heads: The header line.
        rows: The lines below it, cells as text.
        words: How many columns hold words, from the left; the others hold numbers and stand flush right.
    """
    rule = ["---"] * words + ["---:"] * (len(heads) - words)
    return "".join(f"| {' | '.join(line)} |\n" for line in (heads, rule, *rows))
