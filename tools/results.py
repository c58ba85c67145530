"""Writes the numbers of README.md and results/README.md from the committed records: ``make docs``."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from boneage.core.columns import number
from boneage.core.errors import BoneAgeError
from boneage.core.files import write_text
from boneage.core.tables import MONTHS_PER_YEAR, SPLITS
from boneage.evaluation import Run, check_comparable, read_runs, results_table, tabled_runs
from boneage.evaluation.robustness import UNCHANGED
from boneage.networks import find
from boneage.report import (
    DETAILS,
    DIFFERENCES,
    FEW_CASES,
    OUTSIDE,
    REJECTED,
    SEEDS,
    SETS_TABLE,
    VARIANTS_TABLE,
    coverage_view,
    groups_view,
    source_words,
    steps_of,
    table_title,
    words_of_width,
)
from boneage.report import RESULTS as RESULTS_TABLE
from boneage.report.differences import trainings_in_words

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "results"

AUGMENTED = "augmented"
"""The set, and below the records' folder the folder, of the tables of the method as it is."""

OF_AUGMENTED = ("results", "details", "rejected", "outside", "robustness")
"""The blocks of that folder that are shown."""

PUBLISHED_BATCH = 32
"""Images a step in the published recipe."""

DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", RECORDS / "README.md", DOCS / "faults.md", DOCS / "several_machines.md")
"""The pages with blocks."""

ALL_WITH_ALL = "hashes"
"""The part of ``anomalies`` and ``plan`` whose time grows with the square, measured by itself."""

ALIKE = ["Source side", "Image side", "Processor", "Cores"]
"""Columns of ``benchmarks/scale.py``'s table whose values the rows of one comparison share."""

RESULTS, SUMMARY = "results", "summary"
"""The blocks that need the runs' records: the results tables, and the table in README."""


def all_blocks() -> dict[str, str]:
    """Every block of the committed records; those of the augmented set are named ``augmented_...``."""
    augmented = blocks(RECORDS / AUGMENTED, AUGMENTED)
    return blocks() | {f"{AUGMENTED}_{name}": augmented[name] for name in OF_AUGMENTED}


def blocks(records: Path | str = RECORDS, of_set: str = "plain") -> dict[str, str]:
    """Every block with numbers of a folder of records.

    Args:
        records: The folder; a block whose table is missing is left out.
        of_set: The set of its results tables.

    Returns:
        Name of the block -> Markdown.

    Raises:
        BoneAgeError: There is no run, one cannot be read, or they differ in data, split, size or label.
    """
    records = Path(records)
    every, left_out = read_runs(records / "runs")
    for item, reason in left_out.itertuples(index=False):
        raise BoneAgeError(f"{records}: {item}: {reason}")
    runs = tabled_runs(every, of_set)
    made = {RESULTS: results_block(runs, of_set), "rejected": "Missing: no run was tested on them yet.\n"}
    shown_by = {
        SUMMARY: (
            "seeds.csv",
            lambda table: summary_block(pd.read_csv(records / "details.csv"), table, runs),
        ),
        "published": ("published_recipe.csv", lambda table: published_block(table, every)),
        "details": ("details.csv", lambda table: details_block(table, runs)),
        "differences": ("differences.csv", differences_block),
        "seeds": ("seeds.csv", lambda table: SEEDS.show(table).to_markdown()),
        "sets": ("sets.csv", lambda table: SETS_TABLE.show(table).to_markdown()),
        "variants": ("variants.csv", lambda table: VARIANTS_TABLE.show(table).to_markdown()),
        "groups": ("groups.csv", groups_block),
        "coverage": ("coverage.csv", lambda table: coverage_view(table).to_markdown()),
        "outside": ("outside.csv", outside_block),
        "rejected": ("rejected.csv", lambda table: REJECTED.show(table).to_markdown()),
        "robustness": ("robustness.csv", robustness_block),
        "ingredients": ("ingredients.csv", ingredients_block),
        "recipes": ("recipes.csv", recipes_block),
        "learning_curve": ("learning_curve.csv", learning_curve_block),
        "anomalies": ("anomalies.csv", anomalies_block),
        "refusals": ("refusals.csv", refusals_block),
        "faults": ("faults.csv", faults_block),
        "long_run": ("long_run.csv", long_run_block),
        "trainings": ("trainings.csv", trainings_block),
        "scale": ("scale.csv", scale_block),
        "workers": ("scale.csv", workers_block),
        "million": ("scale.csv", million_block),
    }
    for name, (file, block) in shown_by.items():
        if (records / file).is_file():
            made[name] = block(pd.read_csv(records / file))
    return made


def results_block(runs: list[Run], of_set: str = "plain") -> str:
    """The data, and a results table for each number of epochs, as Markdown.

    Raises:
        BoneAgeError: There is no run, or the runs differ in data, split, size or label.
    """
    records = [run.record for run in tabled_runs(runs, of_set)]
    if not records:
        raise BoneAgeError("results: no finished run to show; train one first")
    check_comparable(records)
    parts = [_heading(records[0])]
    for epochs in sorted({record["epochs"] for record in records}):
        of_table = [record for record in records if record["epochs"] == epochs]
        shown = RESULTS_TABLE.show(results_table(of_table, epochs).reset_index())
        parts.append(f"## {table_title(epochs)}\n\n{shown.to_markdown()}")
    return "\n".join(parts)


def summary_block(table: pd.DataFrame, seeds: pd.DataFrame, runs: list[Run]) -> str:
    """The table in README: each network's error at both numbers of epochs, as Markdown.

    Args:
        table: ``report.DETAILS``.
        seeds: ``report.SEEDS``.
        runs: The runs; the first one describes the data.
    """
    epochs = sorted(table["Epochs"].unique())
    heads = ["Network", *(f"validation MAE, {count} epochs" for count in epochs)]
    heads.append(f"test MAE, {epochs[-1]} epochs (95 % interval)")
    rows = []
    for network, of_network in table.groupby("Network", sort=False):
        by_epochs = {row["Epochs"]: row for row in of_network.to_dict("records")}
        mae = [by_epochs[count]["Validation MAE (years)"] if count in by_epochs else None for count in epochs]
        shown = ["not run yet" if one is None else f"{one:.2f}" for one in mae]
        last = by_epochs.get(epochs[-1])
        rows.append((network, *shown, _with_interval(last, "Test MAE", ".2f") if last else "not run yet"))
    constant = runs[0].record["constant_predictor"]
    validation, test = (f"*{constant[split]['mae']:.2f}*" for split in ("validation", "test"))
    rows.append(("*the training cases' median age*", *[validation] * len(epochs), test))
    record = runs[0].record
    cases = ", ".join(f"{record['cases'][split]} {split}" for split in SPLITS)
    return (
        f"{source_words(record['source'])[0].upper()}{source_words(record['source'])[1:]}, {cases} cases, "
        f"images of {record['size']} × {record['size']} pixels, from scratch; MAE in years.\n\n"
        f"{markdown_rows(heads, rows)}\n{_spread(seeds)}\n"
    )


def _spread(seeds: pd.DataFrame) -> str:
    moved = [
        f"{row['Network']}'s test MAE lies between {row['Test MAE lowest (years)']:.2f} and "
        f"{row['Test MAE highest (years)']:.2f} over {len(row['Seeds'].split(','))} seeds"
        for row in seeds.to_dict("records")
    ]
    return f"{'; '.join(moved)}. The other networks were trained once, so read small differences as none."


def markers(name: str) -> tuple[str, str]:
    """The two lines that enclose a block of that name."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def write_blocks(path: Path | str, made: dict[str, str]) -> Path:
    """Rewrites every block in a file between its two markers; the rest stays unchanged.

    Raises:
        BoneAgeError: The file is missing, a marker has no counterpart, or a block is unknown.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BoneAgeError(f"{path}: cannot be read") from None
    for name in re.findall(r"<!-- (\w+):begin -->", text):
        begin, end = markers(name)
        before, _, rest = text.partition(begin)
        _, ends, after = rest.partition(end)
        if name not in made or not ends:
            raise BoneAgeError(f"{path}: {begin} needs {end} after it, and a record of that name")
        text = f"{before}{begin}\n{made[name]}{end}{after}"
    return write_text(path, text)


def anomalies_block(table: pd.DataFrame) -> str:
    """Detection of findings made by eye, as Markdown.

    Args:
        table: ``finding, kind, images, area, first_10, first_20``: ROC area of the kind's score, and the
            shares of the findings in the first tenth and fifth of the queue.
    """
    heads = ("seen or drawn", "anomaly", "images", "ROC area", "in the first tenth", "in the first fifth")
    rows = []
    for row in table.itertuples():
        area = "" if pd.isna(row.area) else f"{row.area:.3f}"
        first, second = ("" if pd.isna(one) else f"{one:.0%}" for one in (row.first_10, row.first_20))
        rows.append((row.finding.replace("_", " "), row.kind, str(row.images), area, first, second))
    return markdown_rows(heads, rows, words=2)


def faults_block(table: pd.DataFrame) -> str:
    """A row per stage, a column per fault: after how many of the tries the result was as undisturbed.

    Args:
        table: ``stage, fault, tries, struck, as_undisturbed, remark``.
    """
    faults = list(dict.fromkeys(table["fault"]))
    rows = []
    for stage, of_stage in table.groupby("stage", sort=False):
        cells = {
            row.fault: f"{row.as_undisturbed} of {row.tries}" if row.tries else "–"
            for row in of_stage.itertuples()
        }
        rows.append((stage, *(cells.get(fault, "not run") for fault in faults)))
    return markdown_rows(("stage", *faults), rows, words=1)


def long_run_block(table: pd.DataFrame) -> str:
    """Where the long run stood every few minutes, as Markdown.

    Args:
        table: As ``tests/faults/long_run.py`` writes it.
    """
    return markdown_rows(
        [name.replace("_", " ").replace("mib", "(MiB)") for name in table],
        [[f"{cell:,}" for cell in row] for row in table.itertuples(index=False)],
        words=0,
    )


def trainings_block(table: pd.DataFrame) -> str:
    """How the memory of a process grows with each training, as Markdown.

    Args:
        table: That of ``tests/faults/trainings.py``.
    """
    heads = (
        *("network", "trained by", "trainings", "MiB after the first", "MiB after the last"),
        *("MiB a training", "open files after the last"),
    )
    rows = []
    for (network, width, by), of_one in table.groupby(["network", "width", "trained by"], sort=False):
        first, last = of_one.iloc[0], of_one.iloc[-1]
        grown = (last["memory_mib"] - first["memory_mib"]) / (last["trainings"] - first["trainings"])
        title = find(network).title + (" (tiny)" if width == "tiny" else "")
        memory = (f"{one['memory_mib']:,}" for one in (first, last))
        rows.append((title, by, str(last["trainings"]), *memory, f"{grown:.1f}", str(last["open_files"])))
    return markdown_rows(heads, rows, words=2)


def scale_block(table: pd.DataFrame) -> str:
    """CPU time a radiograph and peak memory of each stage, by the number of radiographs, as Markdown.

    Args:
        table: That of ``benchmarks/scale.py``.
    """
    alone = table[table["Workers"] == 0]
    parts = []
    for sides, of_sides in alone.groupby(ALIKE):
        counts = sorted(of_sides["Radiographs"].unique())
        rows = []
        for stage, of_stage in of_sides.groupby("Stage", sort=False):
            of_stage = of_stage.set_index("Radiographs")
            spent = (1000 * of_stage["CPU seconds"] / of_stage.index).reindex(counts)
            peaks = of_stage["Peak memory"].reindex(counts)
            rows.append((stage, *map(_shown, spent), *map(_shown, peaks)))
        heads = [f"{what}, {count:,}" for what in ("ms", "MiB") for count in counts]
        parts.append(
            f"Radiographs {sides[0]:,} px high, images of {sides[1]} px, {sides[2]}, {sides[3]} cores:\n\n"
            f"{markdown_rows(('stage', *heads), rows)}"
        )
    return "\n".join(parts)


def _shown(value: float) -> str:
    return "not run" if pd.isna(value) else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def workers_block(table: pd.DataFrame) -> str:
    """How much sooner two workers end than one, as Markdown.

    Args:
        table: That of ``benchmarks/scale.py``.
    """
    keys = [*ALIKE, "Radiographs", "Stage"]
    one, two = (table[table["Workers"] == count].set_index(keys) for count in (1, 2))
    both = one.join(two, rsuffix=" of two", how="inner", sort=False)
    if both.empty:
        return "Not measured yet: on a machine with other work to do the ratio would tell nothing.\n"
    rows = [
        (
            stage,
            f"{count:,}",
            f"{row['Seconds']:.0f}",
            f"{row['Seconds of two']:.0f}",
            f"{row['Seconds'] / row['Seconds of two']:.2f}",
        )
        for (*_, count, stage), row in both.iterrows()
    ]
    heads = ("stage", "radiographs", "seconds, one worker", "seconds, two", "times as fast")
    return markdown_rows(heads, rows)


def million_block(table: pd.DataFrame) -> str:
    """What a million radiographs would take, computed from the largest number measured, as Markdown.

    Time and disk grow with the number; of memory, what each radiograph added between the fewest and the most.
    What compares all with all grows with the square.

    Args:
        table: That of ``benchmarks/scale.py``.
    """
    many, alone = 10**6, table[table["Workers"] == 0]
    parts = []
    for sides, of_sides in alone.groupby(ALIKE):
        rows = []
        for stage, of_stage in of_sides.groupby("Stage", sort=False):
            first, last = of_stage.iloc[0], of_stage.iloc[-1]
            times = many / last["Radiographs"]
            hours = last["CPU seconds"] * times ** (2 if stage == ALL_WITH_ALL else 1) / 3600
            more = last["Radiographs"] - first["Radiographs"]
            slope = max(0.0, last["Peak memory"] - first["Peak memory"]) / more if more else float("nan")
            memory = (last["Peak memory"] + slope * (many - last["Radiographs"])) / 1024
            disk = last["Disk"] * times / 1024
            rows.append((stage, hours, memory, disk))
        total = ("together", sum(row[1] for row in rows), float("nan"), sum(row[3] for row in rows))
        shown = [
            (
                stage,
                f"{hours:,.1f}",
                "" if pd.isna(memory) else f"{memory:,.1f}",
                f"{disk:,.0f}" if disk else "",
            )
            for stage, hours, memory, disk in [*rows, total]
        ]
        heads = ("stage", "core hours", "peak memory, GiB", "disk, GiB")
        parts.append(
            f"Radiographs {sides[0]:,} px high, images of {sides[1]} px, {sides[2]}:\n\n"
            f"{markdown_rows(heads, shown)}"
        )
    return "\n".join(parts)


def refusals_block(table: pd.DataFrame) -> str:
    """How many pictures of each kind were refused an estimate, as Markdown.

    Args:
        table: ``Pictures, Number, Refused, Doubtful, Networks``.
    """
    heads = ("pictures", "networks", "number", "refused", "with a warning")
    rows = [
        (row.Pictures, row.Networks, str(row.Number), str(row.Refused), str(row.Doubtful))
        for row in table.itertuples()
    ]
    return markdown_rows(heads, rows, words=2)


def details_block(table: pd.DataFrame, runs: list[Run]) -> str:
    """Test errors and training details of each run, as Markdown.

    Args:
        table: ``report.DETAILS``.
        runs: The runs; the first one has the baseline.
    """
    table = table[table["Test cases"] > 0]
    if table.empty:
        return "No run was tested.\n"
    constant = runs[0].record["constant_predictor"]["test"]["mae"]
    names = ("Network", "Epochs", "Test MAE (years)", "Test MAE (months)", "Within 1 year", "RMSE (years)")
    names += ("Bias (years)", "R2", "Parameters", "Seconds an epoch", "Weights", "Precision")
    return (
        f"{table['Test cases'].iloc[0]} test cases; the training median (baseline) has an MAE of "
        f"{constant:.2f} years ({constant * MONTHS_PER_YEAR:.1f} months).\n\n"
        f"{DETAILS.part('', *names).show(table).to_markdown()}"
    )


def differences_block(table: pd.DataFrame) -> str:
    """The significant differences between networks, as Markdown.

    Args:
        table: ``report.DIFFERENCES``.
    """
    parts = []
    for epochs, pairs in table.groupby("Epochs"):
        significant = pairs[pairs["Significant"] == "yes"]
        parts.append(
            f"{table_title(epochs)}: {len(significant)} of {len(pairs)} pairs differ significantly. "
            f"{trainings_in_words(pairs)}\n"
        )
        if len(significant):
            parts.append(DIFFERENCES.show(significant).to_markdown())
    return "\n".join(parts)


def outside_block(table: pd.DataFrame) -> str:
    """The external test of the runs, as Markdown.

    Args:
        table: ``report.OUTSIDE``.
    """
    first = table.iloc[0]
    return (
        f"Source: {first['Source']}. Label: {first['Label']}. {first['Cases']} cases.\n\n"
        f"{OUTSIDE.show(table).to_markdown()}"
    )


def groups_block(table: pd.DataFrame) -> str:
    """The error in each group of test cases, as Markdown, a table for each number of epochs.

    Args:
        table: ``report.GROUPS``.
    """
    views = [groups_view(table, epochs) for epochs in sorted(table["Epochs"].unique())]
    few = f"Italics: fewer than {FEW_CASES} cases.\n"
    return "\n".join([few, *(f"{view.table.title}:\n\n{view.to_markdown()}" for view in views)])


def robustness_block(table: pd.DataFrame) -> str:
    """Robustness of the examined runs, as Markdown.

    The MAE on the unchanged images; below it the increase by each change, in italics if its interval includes
    zero, and the share of predictions that change by more than a year.

    Args:
        table: ``report.ROBUSTNESS_OF_RUNS``.
    """
    if table.empty:
        return "No network has been examined since it was trained.\n"
    heads, rows = ["images"], {}
    for (_, network, epochs), of_run in table.groupby(["Run", "Network", "Epochs"], sort=False):
        heads.append(f"{network}, {epochs} epochs")
        for row in of_run.to_dict("records"):
            rows.setdefault(row["Images"], [row["Images"]]).append(_changed_by(row))
    return markdown_rows(heads, list(rows.values()))


def _changed_by(row: dict) -> str:
    if row["Images"] == UNCHANGED:
        return f"{row['MAE (years)']:.2f}"
    words = f"{number(row['Change in MAE (years)'], '+.2f')}, {row['Moved over 1 year']:.0%}"
    return f"*{words}*" if row["Change low (years)"] <= 0 <= row["Change high (years)"] else words


def ingredients_block(table: pd.DataFrame) -> str:
    """The effect of each ingredient of the training recipe, as Markdown.

    Args:
        table: One row per training: ``Change`` (first the unchanged recipe), ``Training images``,
            ``train MAE`` and ``validation MAE`` in years, ``Epochs``, ``Size``, ``Seed``, ``Device``.
    """
    first = table.iloc[0]
    heads = ("change", "training images", "MAE", "validation MAE", "against the first")
    rows = [
        (
            row["Change"],
            f"{row['Training images']:,}",
            f"{row['train MAE']:.2f}",
            f"{row['validation MAE']:.2f}",
            f"{row['validation MAE'] - first['validation MAE']:+z.2f}",
        )
        for row in table.to_dict("records")
    ]
    return (
        f"The CNN, images of {first['Size']} × {first['Size']} pixels, {first['Epochs']} epochs, seed "
        f"{first['Seed']}, {first['Device']}; one training a row, MAE in years.\n\n"
        f"{markdown_rows(heads, rows)}"
    )


def recipes_block(table: pd.DataFrame) -> str:
    """Runs of different recipes, judged by validation, as Markdown.

    Args:
        table: As ``benchmarks/recipes.py`` writes it.
    """
    heads = ("network", "training set", "sex", "first weights", "precision", "degraded", "seed", "epochs")
    heads += (
        "steps",
        "validation MAE",
        "noise of 5 levels",
        "half the resolution",
        "turned by 15°",
        "by −15°",
    )
    rows = []
    for row in table.to_dict("records"):
        clean, *changed = (row[name] for name in table.columns[-5:])
        rows.append(
            (
                *(find(row["Network"]).title, row["Set"], row["Sex"], row["Weights"], row["Precision"]),
                *(f"{row['Degradation']:.0%}", str(row["Seed"]), str(row["Epochs"]), f"{row['Steps']:,.0f}"),
                *(f"{clean:.2f}", *(number(one - clean, "+.2f") for one in changed)),
            )
        )
    cases, size = table["Cases"].iloc[0], table["Size"].iloc[0]
    words = (
        f"{cases} validation cases, images of {size} × {size} pixels; MAE in years, and what a change costs."
    )
    return f"{words}\n\n{markdown_rows(heads, rows, words=5)}"


def learning_curve_block(table: pd.DataFrame) -> str:
    """The error by the number of training cases, as Markdown.

    Args:
        table: One row per training: ``Cases``, ``Seed``, ``Epochs``, ``train MAE`` and ``validation MAE`` in
            years, ``Validation cases``, ``Size`` in pixels, ``Device``.
    """
    first = table.iloc[0]
    rows = [
        (
            f"{cases:,}",
            ", ".join(map(str, of_size["Seed"])),
            f"{of_size['train MAE'].mean():.2f}",
            f"{of_size['validation MAE'].mean():.2f}",
            f"{of_size['validation MAE'].min():.2f} to {of_size['validation MAE'].max():.2f}",
        )
        for cases, of_size in table.groupby("Cases")
    ]
    heads = ("training cases", "seeds", "MAE", "validation MAE", "range")
    return (
        f"The CNN with the sex, images of {first['Size']} × {first['Size']} pixels, {first['Epochs']} epochs "
        f"of as many steps, {first['Validation cases']} validation cases, {first['Device']}; MAE in years, "
        f"mean over the seeds.\n\n{markdown_rows(heads, rows)}"
    )


def published_block(table: pd.DataFrame, runs: list[Run]) -> str:
    """The published recipe beside ours on the same set, for as many epochs and as many steps, as Markdown.

    Args:
        table: One row per training: ``Network``, ``Epochs``, ``Set``, ``Steps``, ``Seed``, ``Size`` in
            pixels, ``Training images``, ``Validation MAE`` after the last epoch and ``Best validation MAE``
            of all, in years.
        runs: Our runs; the plain ones with the same seeds are compared.
    """
    ours = pd.DataFrame([_as_published(run) for run in runs if not run.key.variant])
    names = ["Network", "Epochs", "Set"]
    rows = []
    for network, epochs in dict.fromkeys(zip(table["Network"], table["Epochs"], strict=True)):
        for of_set in ("plain", "augmented"):
            theirs, own = (
                one[(one[names] == (network, epochs, of_set)).all(axis=1)] for one in (table, ours)
            )
            own = own[own["Seed"].isin(theirs["Seed"])] if len(theirs) else own
            rows += [(find(network).title, str(epochs), of_set, *row) for row in _side_by_side(theirs, own)]
    heads = ("Networks", "epochs", "training set", "recipe", "training images", "steps", "seeds")
    heads += ("validation MAE, last epoch", "best epoch", "our share of it, last epoch", "best epoch")
    return f"Validation MAE in years.\n\n{markdown_rows(heads, rows, words=5)}"


def _as_published(run: Run) -> dict[str, object]:
    """A run of ours as a row of the table of the published recipe."""
    return {
        **{"Network": run.key.network, "Epochs": run.key.epochs, "Set": run.key.set},
        **{"Steps": steps_of(run), "Seed": run.key.train_seed, "Size": run.record["size"]},
        "Training images": run.record["images"]["train"],
        "Validation MAE": run.record["metrics"]["validation"]["mae"],
        "Best validation MAE": run.history["val_mae"].min(),
    }


def _side_by_side(theirs: pd.DataFrame, ours: pd.DataFrame) -> list[tuple[str, ...]]:
    """Rows of the published recipe as it is, the same for as many steps as ours, and ours."""
    as_it_is = theirs["Epochs"] * -(-theirs["Training images"] // PUBLISHED_BATCH)
    kinds = {
        "published": theirs[theirs["Steps"] == as_it_is],
        "published, as many steps as ours": theirs[theirs["Steps"].isin(ours["Steps"])],
        "ours": ours,
    }
    rows = []
    for words, kind in kinds.items():
        if kind.empty:
            rows.append((words, "missing", *[""] * 6))
            continue
        first, errors = kind.iloc[0], kind[["Validation MAE", "Best validation MAE"]].mean()
        same = ours[ours["Seed"].isin(kind["Seed"])]
        shares = same[errors.index].mean() / errors if words != "ours" else errors * float("nan")
        rows.append(
            (
                words,
                f"{first['Training images']:,} of {first['Size']} px",
                f"{first['Steps']:,.0f}",
                ", ".join(map(str, kind["Seed"])),
                *(f"{error:.2f}" for error in errors),
                *("" if pd.isna(share) else f"{share:.2f}" for share in shares),
            )
        )
    return rows


def _with_interval(row: dict, name: str, digits: str) -> str:
    value, low, high = (row[f"{name}{part} (years)"] for part in ("", " low", " high"))
    return f"{value:{digits}} ({low:{digits}} to {high:{digits}})"


def markdown_rows(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A table as Markdown.

    Args:
        heads: The header.
        rows: The rows, cells as text.
        words: Number of text columns, from the left; the others are numbers, aligned right.
    """
    rule = ["---"] * words + ["---:"] * (len(heads) - words)
    return "".join(f"| {' | '.join(line)} |\n" for line in (heads, rule, *rows))


def _heading(record: dict) -> str:
    cases = ", ".join(f"{record['cases'][split]} {split}" for split in SPLITS)
    return (
        f"Source: {source_words(record['source'])}. Label: {record['label_kind']}. Cases: {cases}, split by "
        f"case; images of {record['size']} × {record['size']} pixels, seed "
        f"{record['train_seed']}, on {record['device']} with {record['backend']}.{words_of_width(record)} "
        "★ best of its column. Written from the records beside this file by `make docs`.\n"
    )


if __name__ == "__main__":
    try:
        for written in PAGES:
            print(f"wrote {write_blocks(written, all_blocks()).relative_to(ROOT)}")
    except BoneAgeError as error:
        sys.exit(f"results: {error}")
