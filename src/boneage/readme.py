"""The parts of README that hold figures: written from the committed records, and from nothing else."""

from pathlib import Path

import pandas as pd

from boneage.errors import BoneAgeError
from boneage.evaluation import Run, check_comparable, plain_runs, precision_of, results_table
from boneage.files import write_text
from boneage.report import BASELINE, markdown_table, source_words, table_title, words_of_width
from boneage.tables import MONTHS_PER_YEAR, SPLITS

RESULTS, SUSPICIONS = "results", "suspicions"
COMMAND = "python -m boneage compare --readme README.md"


def results_block(runs: list[Run]) -> str:
    """The results as Markdown: what was run, a table for each number of epochs, the errors on the test.

    Raises:
        BoneAgeError: There is no run, or the runs differ in data, split, size or label.
    """
    records = [run.record for run in plain_runs(runs)]
    if not records:
        raise BoneAgeError("results: no finished run to write into the README; train one first")
    check_comparable(records)
    parts = [_heading(records[0])]
    for epochs in sorted({record["epochs"] for record in records}):
        of_table = [record for record in records if record["epochs"] == epochs]
        tested = [record for record in of_table if "test" in record["metrics"]]
        parts.append(f"## {table_title(epochs)}\n\n{markdown_table(results_table(of_table, epochs))}")
        parts.append("".join(_tested(record) for record in tested))
    return "\n".join(part for part in parts if part)


def write_results(readme: Path | str, runs: list[Run]) -> Path:
    """Writes the results of the runs into README.

    Raises:
        BoneAgeError: As :func:`results_block` and :func:`write_block`.
    """
    return write_block(readme, RESULTS, results_block(runs))


def markers(name: str) -> tuple[str, str]:
    """The two lines of README between which a part of that name stands."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def write_block(readme: Path | str, name: str, block: str) -> Path:
    """Writes a part between its two markers in README; the rest of it stays to the letter.

    Raises:
        BoneAgeError: No such file, or no markers in it.
    """
    readme = Path(readme)
    begin, end = markers(name)
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BoneAgeError(f"{readme}: cannot be read; name the README to write into") from None
    before, begins, rest = text.partition(begin)
    _, ends, after = rest.partition(end)
    if not (begins and ends):
        raise BoneAgeError(f"{readme}: needs the two lines {begin} and {end}, between which the {name} go")
    return write_text(readme, f"{before}{begin}\n{block}{end}{after}")


def suspicions_block(table: pd.DataFrame) -> str:
    """How the suspicions stand against what was seen by eye, as Markdown.

    Args:
        table: ``finding, kind, photos, area, first_10, first_20``: ROC area of the kind's score, and the
            shares of the findings in the first tenth and fifth of the queue.
    """
    lines = [
        "| seen or drawn | suspicion | photos | ROC area | in the first tenth | in the first fifth |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in table.itertuples():
        area = "" if pd.isna(row.area) else f"{row.area:.3f}"
        first, second = ("" if pd.isna(one) else f"{one:.0%}" for one in (row.first_10, row.first_20))
        words = row.finding.replace("_", " ")
        lines.append(f"| {words} | {row.kind} | {row.photos} | {area} | {first} | {second} |")
    return "\n".join(lines) + "\n"


def _heading(record: dict) -> str:
    cases = ", ".join(f"{record['cases'][split]} {split}" for split in SPLITS)
    return (
        f"Source: {source_words(record['source'])}. Label: {record['label_kind']}. Cases: {cases}, split by "
        f"case; photos of {record['size']} × {record['size']} pixels, seed "
        f"{record['seed']}, on {record['device']} with {record['backend']}.{words_of_width(record)} "
        f"Written from the records in `results/` by `{COMMAND}`.\n"
    )


def _tested(record: dict) -> str:
    test, constant = record["metrics"]["test"], record["constant_predictor"]["test"]
    return (
        f"- {record['title']} on the {test['count']} test cases: MAE {test['mae']:.2f} years "
        f"({test['mae'] * MONTHS_PER_YEAR:.1f} months), within 1 year {test['within_1_year']:.0%}; "
        f"{BASELINE.lower()} {constant['mae']:.2f} years. {record['parameters']:,} parameters, trained "
        f"{record['weights']} in {precision_of(record)}, {record['seconds_per_epoch']:.0f} seconds "
        "an epoch.\n"
    )
