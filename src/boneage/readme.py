"""The results part of README: written from the committed run records, and from nothing else."""

from pathlib import Path

from boneage.errors import BoneAgeError
from boneage.evaluation import Run, check_comparable, results_table
from boneage.files import write_text
from boneage.report import BASELINE, markdown_table, source_words, table_title
from boneage.tables import MONTHS_PER_YEAR, SPLITS

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
COMMAND = "python -m boneage compare --readme README.md"


def results_block(runs: list[Run]) -> str:
    """The results as Markdown: what was run, a table for each number of epochs, the errors on the test.

    Raises:
        BoneAgeError: There is no run, or the runs differ in data, split, size or label.
    """
    records = [run.record for run in runs]
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
    """Writes the results between README's two markers; the rest of it stays to the letter.

    Raises:
        BoneAgeError: No such file, no markers in it, or as :func:`results_block`.
    """
    readme = Path(readme)
    try:
        text = readme.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BoneAgeError(f"{readme}: cannot be read; name the README to write into") from None
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BoneAgeError(f"{readme}: needs the two lines {BEGIN} and {END}, between which the results go")
    return write_text(readme, f"{before}{BEGIN}\n{results_block(runs)}{END}{after}")


def _heading(record: dict) -> str:
    cases = ", ".join(f"{record['cases'][split]} {split}" for split in SPLITS)
    return (
        f"Source: {source_words(record['source'])}. Label: {record['label_kind']}. Cases: {cases}, split by "
        f"case; photos of {record['size']} × {record['size']} pixels, seed "
        f"{record['seed']}, on {record['device']} with {record['backend']}. Written from the records in "
        f"`results/` by `{COMMAND}`.\n"
    )


def _tested(record: dict) -> str:
    test, constant = record["metrics"]["test"], record["constant_predictor"]["test"]
    return (
        f"- {record['title']} on the {test['count']} test cases: MAE {test['mae']:.2f} years "
        f"({test['mae'] * MONTHS_PER_YEAR:.1f} months), within 1 year {test['within_1_year']:.0%}; "
        f"{BASELINE.lower()} {constant['mae']:.2f} years. {record['parameters']:,} parameters, trained "
        f"{record['weights']}, {record['seconds_per_epoch']:.0f} seconds an epoch.\n"
    )
