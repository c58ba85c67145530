"""The numbers of README and results/README are those of the records; commands and links are there."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import tables
import verbs
from slug import slug
from test_evaluation import RECORD, VALUES

from boneage import __version__
from boneage.core.errors import BoneAgeError
from boneage.evaluation import Run
from boneage.notebooks import checkout, find_notebooks
from boneage.report import DETAILS, DIFFERENCES, GROUPS
from results import (
    PAGES,
    RESULTS,
    all_blocks,
    details_block,
    differences_block,
    groups_block,
    ingredients_block,
    markers,
    million_block,
    published_block,
    results_block,
    robustness_block,
    scale_block,
    summary_block,
    workers_block,
    write_blocks,
)

README = checkout() / "README.md"
PROSE = [README, checkout() / "results" / "README.md"]
PROSE += [checkout() / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")]
PROSE += sorted((checkout() / "docs").glob("*.md"))
BEGIN, END = markers(RESULTS)
SPREAD = ("Test MAE lowest (years)", "Test MAE highest (years)")


def run_of(**changes):
    tested = {**VALUES, "mae": 1.25, "count": 146, "within_1_year": 0.5}
    record = RECORD | {"metrics": {**RECORD["metrics"], "test": tested}} | changes
    return Run(record, None, None, None)


def test_every_number_is_that_of_the_records():
    made = all_blocks()
    shown = set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"<!-- (\w+):begin -->", text):
            begin, end = markers(name)
            assert text[text.index(begin) + len(begin) : text.index(end)].strip() == made[name].strip()
            shown.add(name)
    assert shown == set(made)


def test_the_readme_is_short_enough_to_be_read():
    assert len(README.read_bytes()) <= 8 * 1024


def test_the_verbs_page_is_that_of_the_parser():
    assert verbs.PATH.read_text(encoding="utf-8") == verbs.verbs_page()


def test_the_tables_page_is_that_of_the_declarations():
    assert tables.PATH.read_text(encoding="utf-8") == tables.tables_page()


def test_every_table_that_is_a_file_is_on_the_tables_page():
    declared = set()
    for path in (checkout() / "src" / "boneage").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        declared |= set(re.findall(r'^    (?:file=)?"([\w<>/-]+\.csv)",$', text, re.MULTILINE))
    assert declared == {table.file for table in (*tables.BETWEEN_STAGES, *tables.OF_THE_REPORT)}


def test_the_one_table_shows_each_network_once_and_the_spread_over_seeds():
    row = dict.fromkeys(DETAILS, 1.0) | {"Network": "CNN", "Test cases": 146}
    row |= {"Test MAE low (years)": 0.5, "Test MAE high (years)": 1.5}
    table = pd.DataFrame([row | {"Epochs": 10}, row | {"Epochs": 18, "Validation MAE (years)": 0.75}])
    table = pd.concat([table, pd.DataFrame([row | {"Network": "Yolo", "Epochs": 10}])])
    seeds = pd.DataFrame([{"Network": "CNN", "Seeds": "1, 2", **dict.fromkeys(SPREAD, 1.0)}])
    constant = {"validation": {"mae": 2.5}, "test": {"mae": 2.75}}
    lines = summary_block(table, seeds, [run_of(constant_predictor=constant)]).splitlines()
    assert lines[0].startswith("The Digital Hand Atlas, ")
    assert lines[2] == (
        "| Network | validation MAE, 10 epochs | validation MAE, 18 epochs | "
        "test MAE, 18 epochs (95 % interval) |"
    )
    assert lines[4] == "| CNN | 1.00 | 0.75 | 1.00 (0.50 to 1.50) |"
    assert lines[5] == "| Yolo | 1.00 | not run yet | not run yet |"
    assert lines[6].endswith(" | *2.50* | *2.50* | *2.75* |")
    assert "CNN's test MAE lies between 1.00 and 1.00 over 2 seeds." in lines[-1]


def test_ours_stands_beside_the_published_recipe_on_the_same_set_for_as_many_steps():
    row = {"Network": "cnn", "Epochs": 18, "Set": "plain", "Seed": 2026, "Size": 256, "Training images": 64}
    published = row | {"Steps": 36, "Validation MAE": 3.0, "Best validation MAE": 2.5}
    as_many = row | {"Steps": 144, "Validation MAE": 2.0, "Best validation MAE": 2.0}

    def ours(of_set, seed, images, mae):
        changes = {
            "epochs": 18,
            "set": of_set,
            "train_seed": seed,
            "batch_size": 8,
            "images": {"train": images},
        }
        one = run_of(metrics={"validation": {**VALUES, "mae": mae}}, **changes)
        return replace(one, history=pd.DataFrame({"val_mae": [4.0, mae - 0.5, mae]}))

    runs = [ours("plain", 2026, 64, 1.5), ours("plain", 2027, 64, 9.0), ours("augmented", 2026, 640, 1.25)]
    block = published_block(pd.DataFrame([published, as_many]), runs)
    assert block.splitlines()[4:] == [
        "| CNN | 18 | plain | published | 64 of 256 px | 36 | 2026 | 3.00 | 2.50 | 0.50 | 0.40 |",
        "| CNN | 18 | plain | published, as many steps as ours | 64 of 256 px | 144 | 2026 "
        "| 2.00 | 2.00 | 0.75 | 0.50 |",
        "| CNN | 18 | plain | ours | 64 of 64 px | 144 | 2026 | 1.50 | 1.00 |  |  |",
        "| CNN | 18 | augmented | published | missing |  |  |  |  |  |  |",
        "| CNN | 18 | augmented | published, as many steps as ours | missing |  |  |  |  |  |  |",
        "| CNN | 18 | augmented | ours | 640 of 64 px | 1,440 | 2026 | 1.25 | 0.75 |  |  |",
    ]


def test_the_errors_on_the_test_stand_with_their_interval():
    row = dict.fromkeys(DETAILS, 1.0) | {"Network": "CNN", "Epochs": 18, "Test cases": 146}
    row |= {"Test MAE low (years)": 0.5, "Test MAE high (years)": 1.5, "Parameters": 1234.0}
    row |= {"Weights": "from scratch", "Precision": "float32"}
    untested = row | {"Network": "Yolo", "Test cases": 0, "Test MAE (years)": float("nan")}
    block = details_block(pd.DataFrame([row, untested]), [run_of()])
    assert block.startswith(
        "146 test cases; the training median (baseline) has an MAE of 2.75 years (33.0 months)."
    )
    assert "| CNN | 18 | 1.00 (0.50–1.50) | 1.0 (1.0–1.0) | 1.000 |" in block
    assert "| 1,234 | 1.0 | from scratch | float32 |" in block
    assert "Yolo" not in block
    assert details_block(pd.DataFrame([untested]), [run_of()]) == "No run was tested.\n"


def test_a_significant_difference_names_the_better_network_first():
    row = {"Epochs": 18, "Network": "CNN", "Other network": "Yolo", "Significant": "yes"}
    row |= {"Trainings": 3, "Other trainings": 1}
    row |= {"Difference (years)": -0.5, "Difference low (years)": -0.8, "Difference high (years)": -0.2}
    table = pd.DataFrame([row, row | {"Significant": "no"}]).reindex(columns=list(DIFFERENCES))
    lines = differences_block(table).splitlines()
    assert lines[0] == (
        "18 Epoch: 1 of 2 pairs differ significantly. CNN with the mean of 3 trainings; the others were "
        "trained once, which says nothing about another training."
    )
    assert lines[4].startswith("| CNN | Yolo |")
    assert "| **−0.50 (−0.80 to −0.20)** |" in lines[4]
    assert len(lines) == 5


def test_each_group_has_a_column_and_small_ones_are_in_italics():
    row = {"Run": "cnn-18-plain-s2026", "Network": "CNN", "Epochs": 18, "Few cases": "no"}
    girls = row | {"Group": "Girls", "Test cases": 40, "Test MAE (years)": 1.25}
    babies = row | {"Group": "0–4 years", "Test cases": 3, "Test MAE (years)": 2.5, "Few cases": "yes"}
    other = {"Run": "yolo-18-plain-s2026", "Network": "Yolo", "Test MAE (years)": 3.0}
    rows = pd.DataFrame([girls, babies, girls | other, babies | other])
    lines = groups_block(rows.reindex(columns=list(GROUPS))).splitlines()
    assert lines[2] == "Test MAE in years by group, 18 epochs:"
    assert lines[4] == "| Network | Girls (n = 40) | 0–4 years (n = 3) |"
    assert lines[6:] == ["| CNN | 1.25 | *2.50* |", "| Yolo | 3.00 | *3.00* |"]


def test_what_a_changed_image_does_stands_beside_the_image_as_it_is():
    changed = {"MAE (years)": 3.0, "Change in MAE (years)": 1.5, "Moved over 1 year": 0.75}
    changed |= {"Images": "turned by 180°", "Change low (years)": 1.25, "Change high (years)": 1.75}
    as_it_is = changed | {"Images": "as they are", "MAE (years)": 1.5}
    rows = [
        row | {"Run": f"cnn-{epochs}", "Network": "CNN", "Epochs": epochs}
        for epochs in (10, 18)
        for row in (as_it_is, changed)
    ]
    lines = robustness_block(pd.DataFrame(rows)).splitlines()
    assert lines[0] == "| images | CNN, 10 epochs | CNN, 18 epochs |"
    assert lines[2] == "| as they are | 1.50 | 1.50 |"
    assert lines[3] == "| turned by 180° | +1.50, 75% | +1.50, 75% |"
    assert robustness_block(pd.DataFrame()) == "No network has been examined since it was trained.\n"


def test_a_change_that_may_be_chance_is_in_italics():
    row = {
        "Run": "cnn-18-plain-s2026",
        "Network": "CNN",
        "Epochs": 18,
        "Images": "turned by 5°",
        "MAE (years)": 3.0,
    }
    row |= {"Change in MAE (years)": 0.06, "Change low (years)": -0.03, "Change high (years)": 0.16}
    lines = robustness_block(pd.DataFrame([row | {"Moved over 1 year": 0.1}])).splitlines()
    assert lines[2] == "| turned by 5° | *+0.06, 10%* |"


def test_each_ingredient_stands_against_the_recipe_as_it_is():
    row = {"Training images": 1633, "train MAE": 1.0, "Size": 128, "Epochs": 18, "Seed": 1}
    table = pd.DataFrame(
        [
            {"Change": "nothing", "validation MAE": 1.5, "Device": "CPU", **row},
            {"Change": "batches of 32", "validation MAE": 1.25, "Device": "CPU", **row},
        ]
    )
    block = ingredients_block(table)
    assert "128 × 128 pixels, 18 epochs, seed 1, CPU" in block
    assert "| batches of 32 | 1,633 | 1.00 | 1.25 | -0.25 |" in block


def test_a_million_is_computed_from_the_most_that_were_measured():
    same = {"Source side": 300, "Image side": 256, "Workers": 0, "Disk": 0.0, "Processor": "one", "Cores": 2}
    table = pd.DataFrame(
        [
            {"Stage": "pack", "Radiographs": 1000, "CPU seconds": 9.0, "Peak memory": 200.0, **same},
            {
                "Stage": "pack",
                "Radiographs": 2000,
                "CPU seconds": 7.2,
                "Peak memory": 300.0,
                **same,
                "Disk": 32,
            },
            {
                "Stage": "pack",
                "Radiographs": 2000,
                "CPU seconds": 1.0,
                "Peak memory": 1.0,
                **same,
                "Workers": 2,
            },
            {"Stage": "hashes", "Radiographs": 10_000, "CPU seconds": 3.6, "Peak memory": 100.0, **same},
        ]
    )
    block = million_block(table)
    # 2000 times 0.5 s; 300 MiB and 998,000 times 0.1 MiB.
    assert "| pack | 1.0 | 97.8 | 16 |" in block
    # A hundred times as many take ten thousand times as long.
    assert "| hashes | 10.0 |" in block
    assert "| together | 11.0 |" in block


def test_costs_on_different_machines_are_told_apart():
    same = {
        "Source side": 300,
        "Image side": 256,
        "Stage": "pack",
        "Disk": 0.0,
        "Cores": 2,
        "Peak memory": 200.0,
    }
    rows = [
        {
            "Processor": machine,
            "Workers": workers,
            "Radiographs": 1000,
            "CPU seconds": spent,
            "Seconds": spent,
        }
        for machine, spent in (("one", 2.0), ("other", 4.0))
        for workers in (0, 1, 2)
    ]
    table = pd.DataFrame([row | same for row in rows])
    block = scale_block(table)
    one, other = block.split("other, 2 cores:")
    assert "one, 2 cores:" in one
    assert "| pack | 2.00 | 200 |" in one
    assert "| pack | 4.00 | 200 |" in other
    assert workers_block(table).count("| pack | 1,000 |") == 2


def test_the_committed_records_tell_nothing_of_a_machine():
    for path in (checkout() / "results").rglob("record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        assert not {"data", "work"} & set(record["settings"])
        assert not re.search(r'"/|\\\\', path.read_text(encoding="utf-8"))


def test_the_block_says_what_was_run_and_how_it_did():
    block = results_block([run_of(), run_of(epochs=18)])
    assert block.startswith("Source: the Digital Hand Atlas. Label: the radiologists' reading.")
    assert "## 10 Epoch" in block
    assert "## 18 Epoch" in block
    assert "| CNN | 1.00 | 1.50 | 2.00 | 2.00 | 0.250 | 0.250 |" in block
    assert block.count("not run yet") == 2 * 8


def test_variants_change_nothing_in_the_block():
    worse = {**VALUES, "mae": 9.0}
    variant = run_of(
        variant="sex", metrics={"train": worse, "validation": worse, "test": worse | {"count": 1}}
    )
    assert results_block([run_of(), variant]) == results_block([run_of()])


def test_runs_of_different_data_are_refused():
    with pytest.raises(BoneAgeError, match="share a table"):
        results_block([run_of(), run_of(network="yolo", fingerprint="0")])
    tiny = run_of(network="yolo", settings={"width": "tiny"})
    with pytest.raises(BoneAgeError, match="widths of the network"):
        results_block([run_of(), tiny])
    assert "Tiny networks" in results_block([tiny])
    assert "Tiny networks" not in results_block([run_of(settings={"width": "full"})])
    with pytest.raises(BoneAgeError, match="train one first"):
        results_block([])


def test_only_what_stands_between_the_markers_is_written(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_blocks(path, {RESULTS: "new\n", "other": "not here\n"})
    assert path.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    for broken in (BEGIN, f"{END}{BEGIN}", "<!-- unknown:begin --><!-- unknown:end -->"):
        path.write_text(broken)
        with pytest.raises(BoneAgeError, match="needs"):
            write_blocks(path, {RESULTS: "new\n"})
        assert path.read_text() == broken
    with pytest.raises(BoneAgeError, match="cannot be read"):
        write_blocks(tmp_path / "absent.md", {})


def test_every_notebook_has_its_row_and_badge():
    text = README.read_text(encoding="utf-8")
    for notebook in find_notebooks():
        assert f"colab.research.google.com/github/{slug()}/blob/main/notebooks/{notebook.name}" in text


def test_the_two_commands_are_targets_of_the_makefile():
    commands = re.findall(r"^make (\w+)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert commands == ["demo", "test"]
    makefile = (checkout() / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)


def test_packages_import_only_from_those_listed_above_them():
    table = (checkout() / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = [re.findall(r"`([\w/]+)`", row) for row in re.findall(r"^\| `.*$", table, re.MULTILINE)]
    package = checkout() / "src" / "boneage"
    listed = [row[0] for row in rows[:-1]] + rows[-1]
    there = {path.stem for path in package.glob("*.py")}
    there |= {path.parent.name for path in package.glob("*/*.py")}
    assert set(listed) == there - {"__init__", "boneage"}
    for place, name in enumerate(listed):
        files = [package / f"{name}.py", *(package / name).rglob("*.py")]
        for path in filter(Path.is_file, files):
            for imported in _imports(ast.parse(path.read_text(encoding="utf-8"))):
                assert imported in [*listed[:place], name], f"{path.name} imports {imported}"
    for name, *modules in rows[:-1]:
        for module in modules:
            assert (package / name / f"{module}.py").is_file() or (package / name / module).is_dir(), module


def _imports(tree):
    """The package's own modules that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "boneage":
            yield from (one.name for one in node.names if not one.name.startswith("_"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("boneage."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (one.name.split(".")[1] for one in node.names if one.name.startswith("boneage."))


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.stem)
def test_linked_files_exist(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), target
    for named in re.findall(r"(?<![\w/.])(?:src|tests|tools|benchmarks)/[\w/.]*\w", text):
        assert (checkout() / named).exists(), named


def test_the_version_is_the_same_wherever_it_is_given():
    changes = (checkout() / "CHANGELOG.md").read_text(encoding="utf-8")
    cited = (checkout() / "CITATION.cff").read_text(encoding="utf-8")
    newest, released = re.search(r"^## (\S+) \((\S+)\)$", changes, re.MULTILINE).groups()
    assert newest == __version__
    assert f"\nversion: {__version__}\n" in cited
    assert f'\ndate-released: "{released}"\n' in cited
