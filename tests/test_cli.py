"""The verbs: what they write, what they say, and how they fail."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from boneage import pipeline
from boneage.__main__ import VERBS, _print_cross_validated, _workspace, main
from boneage.core.settings import Settings
from boneage.dataset.labels import read_labels
from boneage.dataset.pack import build_pack, open_pack
from boneage.evaluation import metrics_by_split, read_runs
from boneage.notebooks import checkout
from boneage.pipeline import RECORDED_TABLES


@pytest.fixture
def rsna(tmp_path):
    """A folder like the RSNA challenge's, with 24 cases."""
    folder = tmp_path / "rsna"
    (folder / "images").mkdir(parents=True)
    rows = ["id,boneage,male"]
    for number in range(24):
        image = np.random.default_rng(number).integers(0, 255, (70, 60), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{1000 + number}.png"), image)
        rows.append(f"{1000 + number},{12 * (number % 6 + 5)},{number % 2 == 0}")
    (folder / "boneage.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


def verbs(work, rsna):
    return [
        ["cases", "--work", str(work), "--source", "rsna", "--data", str(rsna)],
        ["preprocess", "--work", str(work), "--image-size", "64"],
        ["labels", "--work", str(work)],
        ["pack", "--work", str(work), "--train-size", "32"],
        ["compare", "--work", str(work), "--epochs", "1"],
    ]


def test_stage_by_stage_from_radiographs_to_a_report(work, rsna, capsys):
    for line in verbs(work, rsna):
        assert main(line) == 0
        assert f"wrote {work}" in capsys.readouterr().out
    assert len(read_labels(work / "labels.csv").table) == 24
    assert open_pack(work / "pack-32").images.shape == (24, 32, 32)
    assert cv2.imread(str(work / "images" / "1000.png"), cv2.IMREAD_UNCHANGED).shape == (64, 64)
    assert "<html" in (work / "report.html").read_text()
    settings = Settings.load(work / "settings.json")
    assert (settings.source, settings.image_size, settings.train_size) == ("rsna", 64, 32)


def test_a_finished_stage_is_not_done_again(work, rsna):
    for line in verbs(work, rsna)[:4]:
        assert main(line) == 0
    watched = [work / "pack-32" / "index.json", work / "images" / "1000.png"]
    before = [path.stat().st_mtime_ns for path in watched]
    for line in verbs(work, rsna)[:4]:
        assert main(line) == 0
    assert [path.stat().st_mtime_ns for path in watched] == before


def test_a_work_folder_among_the_radiographs_is_not_read_as_a_source(rsna):
    work = rsna / "a work folder"
    for _ in range(2):
        for line in verbs(work, rsna)[:2]:
            assert main(line) == 0
        assert len(list((work / "images").glob("*.png"))) == 24
    assert "a work folder with what was made" in (work / "skipped-cases.csv").read_text()


def test_label_without_image_and_image_without_label_are_reported_and_the_rest_goes_on(work, rsna, capsys):
    (rsna / "images" / "1000.png").unlink()
    (rsna / "images" / "1001.png").write_bytes(b"text, not an image")
    cv2.imwrite(str(rsna / "images" / "9999.png"), np.zeros((64, 64), np.uint8))
    for line in verbs(work, rsna)[:4]:
        assert main(line) == 0
    out = capsys.readouterr().out
    assert f"left out: 1 of 23 (1: label without an image: {rsna}/images/1001.png: " in out
    said = (work / "skipped-cases.csv").read_text() + (work / "skipped-labels.csv").read_text()
    assert all(case_id in said for case_id in ("1000", "1001", "9999"))
    assert len(read_labels(work / "labels.csv").table) == 22


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["knee"], "invalid choice"),
        ([], "required"),
        (["cases", "--source", "rsna", "--data", "absent"], "absent"),
        (["cases", "--source", "knee"], "invalid choice"),
        (["preprocess"], "cases.csv"),
        (["preprocess", "--image-size", "9"], "between"),
        (["labels"], "cases.csv"),
        (["pack"], "labels.csv"),
        (["train", "--arch", "cnn"], "labels.csv"),
        (["train", "--arch", "knee"], "network knee"),
        (["train", "--epochs", "0"], "between"),
        (["train", "--epochs", "ten"], "invalid int"),
        (["train", "--pack", "absent", "--images", "x"], "not allowed with"),
        (["compare"], "labels.csv"),
        (["compare", "--examine", "three"], "invalid int"),
        (["run", "--preset", "laptop"], "invalid choice"),
    ],
)
def test_what_a_person_can_put_right_is_one_line_and_status_2(line, words, work, capsys):
    given = [*line, "--work", str(work)] if line and line[0] != "knee" else line
    assert main(given) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("boneage: ")
    assert error.count("\n") == 1


def test_a_file_in_the_place_of_the_work_folder_is_said(tmp_path, rsna, capsys):
    (tmp_path / "file").write_text("")
    assert main(["cases", "--work", str(tmp_path / "file"), "--source", "rsna", "--data", str(rsna)]) == 2
    assert "is a file, not a folder; choose another folder" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said(rsna, capsys):
    # Nothing can be made below /proc, not even by root.
    assert main(["cases", "--work", "/proc/boneage", "--source", "rsna", "--data", str(rsna)]) == 2
    assert "/proc/boneage" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_and_nothing_is_half_written(work, rsna, monkeypatch, capsys):
    assert main(verbs(work, rsna)[0]) == 0
    before = (work / "cases.csv").read_bytes()
    fsync = os.fsync

    def full(descriptor):
        with open("/dev/full", "wb", buffering=0) as device:
            device.write(b"x")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    capsys.readouterr()
    assert main(verbs(work, rsna)[0]) == 2
    assert "disk is full" in capsys.readouterr().err
    assert (work / "cases.csv").read_bytes() == before
    assert not [path for path in work.iterdir() if path.name.startswith(".")]


def test_damaged_settings_are_named(work, capsys):
    work.mkdir()
    (work / "settings.json").write_text(json.dumps({"train_seed": "two"}))
    assert main(["labels", "--work", str(work)]) == 2
    assert "settings.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        ["preprocess", "--image-size", "96", "--pad", "black"],
        ["plan", "--total", "7"],
        ["labels", "--label", "age_group"],
        ["pack", "--train-size", "64"],
        ["train", "--epochs", "3", "--batch-size", "4", "--arch", "cnn"],
        ["cases", "--source", "rsna", "--data", "absent"],
        ["cases", "--source", "knee"],
        ["compare", "--epochs", "7"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("before", [True, False], ids=["changed", "new"])
def test_a_command_that_is_refused_leaves_the_settings_as_they_were(work, line, before, capsys):
    work.mkdir()
    if before:
        Settings(work=str(work), source="rsna", total=0).save(work / "settings.json")
    kept = {path: path.read_bytes() for path in work.rglob("*settings*")}
    assert main([line[0], "--work", str(work), *line[1:]]) == 2
    assert {path: path.read_bytes() for path in work.rglob("*settings*")} == kept


def test_a_command_that_was_stopped_goes_on_with_its_settings(work, rsna, monkeypatch, capsys):
    assert main(verbs(work, rsna)[0]) == 0

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "make_images", stopped)
    assert main(["preprocess", "--work", str(work), "--image-size", "96"]) == 130
    assert Settings.load(work / "settings.json").image_size == 96


def test_a_training_seed_is_for_one_command(work, monkeypatch):
    work.mkdir()
    Settings(work=str(work), total=0, train_seed=7).save(work / "settings.json")
    monkeypatch.setitem(VERBS, "train", VERBS["train"]._replace(does=_workspace))
    assert main(["train", "--work", str(work), "--train-seed", "2028", "--epochs", "3"]) == 0
    kept = Settings.load(work / "settings.json")
    assert (kept.train_seed, kept.epochs) == (7, (3,))


def test_the_quick_verbs_do_not_wait_for_keras():
    line = "import sys, boneage.__main__; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", line]).returncode == 0


@pytest.mark.slow
def test_train_takes_a_pack_and_labels_from_elsewhere_and_fails_one_run_at_a_time(work, rsna, tmp_path):
    for line in verbs(work, rsna)[:4]:
        assert main(line) == 0
    line = [
        sys.executable,
        "-m",
        "boneage",
        "train",
        "--work",
        str(tmp_path / "elsewhere"),
        "--epochs",
        "1",
        "2",
    ]
    assert main(["pack", "--work", str(work), "--train-size", "40"]) == 0
    line += ["--labels", str(work / "labels.csv"), "--pack", str(work / "pack-40"), "--accept-losses"]
    done = subprocess.run([*line, "--arch", "cnn", "vision_transformer"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout.count("wrote ") == 2
    assert "a multiple of 16, so set train_size to 32" in done.stderr.splitlines()[-1]
    records = sorted((tmp_path / "elsewhere" / "runs").glob("*/record.json"))
    assert [path.parent.name for path in records] == ["cnn-1-plain-s2026", "cnn-2-plain-s2026"]
    assert json.loads(records[0].read_text())["source"] == "rsna"


@pytest.mark.slow
def test_a_cross_validation_holds_every_case_out_once_and_its_runs_estimate(work, rsna, capsys):
    for line in verbs(work, rsna)[:4]:
        assert main(line) == 0
    line = ["train", "--work", str(work), "--arch", "cnn", "--epochs", "1", "--accept-losses", "--folds"]
    assert main([*line, "2", "--repeat-to", "90"]) == 2
    assert "--folds: not allowed with --labels or --repeat-to" in capsys.readouterr().err
    assert main([*line, "2"]) == 0
    cases = len(read_labels(work / "labels.csv").table)
    assert f"over {cases} cases, each held out once" in capsys.readouterr().out.splitlines()[-1]
    from boneage.estimate.runs import ensemble_of_runs

    runs = [work / f"runs-fold-{fold}-of-2" / "cnn-1-plain-s2026" for fold in (1, 2)]
    assert [json.loads((run / "record.json").read_text())["fold"] for run in runs] == ["1-of-2", "2-of-2"]
    held_out = np.isfinite(ensemble_of_runs(runs).reference.held_out)
    assert held_out.shape == (2, cases)
    assert (held_out.sum(axis=0) == 1).all()
    planned = ["plan", "--total", "60", "--validation-share", "0", "--test-share", "0"]
    for verb, *options in (planned, ["augment"], ["labels"]):
        assert main([verb, "--work", str(work), *options]) == 0
    assert main([*line, "2"]) == 0
    assert f"over {cases} cases, each held out once" in capsys.readouterr().out.splitlines()[-1]
    runs = [run.with_name("cnn-1-augmented-s2026") for run in runs]
    assert (np.isfinite(ensemble_of_runs(runs).reference.held_out).sum(axis=0) == 1).all()


def test_a_case_without_an_image_is_left_out_of_the_error_of_a_cross_validation(capsys):
    table = pd.DataFrame({"Case ID": ["1", "2", "3"], "Bone Age": [5.0, 6.0, 7.0]})
    runs = [
        SimpleNamespace(
            key="cnn",
            record={"title": "CNN"},
            predictions=pd.DataFrame(
                {"Case ID": ["1", "2"], "Split": [["train", "validation"][at], ["validation", "train"][at]]}
            ).assign(Prediction=[5.5, 6.5]),
        )
        for at in (0, 1)
    ]
    _print_cross_validated(runs, [SimpleNamespace(table=table)] * 2)
    assert capsys.readouterr().out == "CNN: 0.50 years (0.50 to 0.50) over 2 cases, each held out once\n"


def broken_package(folder, name, code):
    """The environment of a process that finds this in place of the package."""
    (folder / "broken" / name).mkdir(parents=True)
    (folder / "broken" / name / "__init__.py").write_text(code)
    path = os.pathsep.join(filter(None, [str(folder / "broken"), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "tensorflow"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('no such symbol')", "cannot be imported (no such symbol)"),
        ("raise RuntimeError('built for another NumPy')", "(RuntimeError: built for another NumPy)"),
    ],
)
def test_a_backend_that_is_installed_but_broken_is_said(work, rsna, tmp_path, code, said):
    for line in verbs(work, rsna)[:4]:
        assert main(line) == 0
    line = [sys.executable, "-m", "boneage", "train", "--work", str(work), "--arch", "cnn", "--epochs", "1"]
    environment = broken_package(tmp_path, "tensorflow", code)
    done = subprocess.run([*line, "--accept-losses"], capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_network_whose_package_fails_on_import_does_not_end_the_others(work, rsna, tmp_path):
    for line in verbs(work, rsna)[:4]:
        assert main(line) == 0
    code = "class NotFoundError(Exception): pass\nraise NotFoundError('_sentencepiece.so: undefined symbol')"
    environment = broken_package(tmp_path, "tensorflow_text", code)
    line = [sys.executable, "-m", "boneage", "train", "--work", str(work), "--epochs", "1", "--width", "tiny"]
    line += ["--accept-losses", "--arch", "yolo", "vision_transformer", "cnn"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert [path.name for path in (work / "runs").iterdir() if (path / "record.json").is_file()] == [
        "cnn-1-plain-s2026"
    ]
    assert (
        "failed: yolo-1-plain-s2026, vision_transformer-1-plain-s2026: keras_hub: cannot be imported"
        in done.stdout
    )
    assert "tensorflow-text==" in done.stdout
    assert "2 of 3 runs failed" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(("source", "cases"), [("rsna", 972), ("dha", 53)])
def test_every_real_radiograph_goes_through_to_its_label(work, real_data, source, cases):
    data = str(real_data / source)
    assert main(["cases", "--work", str(work), "--source", source, "--data", data]) == 0
    assert main(["preprocess", "--work", str(work)]) == 0
    assert main(["labels", "--work", str(work)]) == 0
    labels = read_labels(work / "labels.csv")
    assert len(labels.table) == cases
    assert labels.kind == "the radiologists' reading"
    assert labels.table["Bone Age"].between(0, 19).all()
    if source == "rsna":
        _results_are_those_of_these_labels(work)
        _tables_are_those_of_these_images(work, real_data / "dha")


def _results_are_those_of_these_labels(work):
    """The committed predictions, joined with the truth that is not committed, give the committed metrics."""
    results = checkout() / "results"
    assert main(["review", "--work", str(work), "--apply", str(results / "rsna_review.csv")]) == 0
    assert main(["labels", "--work", str(work)]) == 0
    labels = read_labels(work / "labels.csv").table
    runs, left_out = read_runs(results / "runs")
    assert runs
    assert left_out.empty
    for run in runs:
        # These labels know no copies of training cases.
        of_cases = run.predictions[run.predictions["Case ID"].isin(labels["Case ID"])]
        assert len(of_cases) == len(labels), run.name
        anew = metrics_by_split(labels, of_cases)
        for split, values in run.record["metrics"].items():
            if split == "train" and run.key.set == "augmented":
                continue
            # Labels are written in tenths of a thousandth of a year, predictions in hundredths of that.
            assert anew[split] == pytest.approx(values, abs=1e-3), f"{run.name}, {split}"


def _tables_are_those_of_these_images(work, atlas):
    """The committed predictions for both sources give the committed tables."""
    results, outside = work / "results", work / "outside"
    shutil.copytree(checkout() / "results", results)
    tables = [name for name in RECORDED_TABLES if (results / f"{name}.csv").is_file()]
    for name in tables:
        (results / f"{name}.csv").unlink()
    assert main(["cases", "--work", str(outside), "--source", "dha", "--data", str(atlas)]) == 0
    for line in (["preprocess"], ["labels"], ["pack", "--train-size", "128"]):
        assert main([*line, "--work", str(outside)]) == 0
    line = ["compare", "--work", str(work), "--outside", str(outside), "--record", "--results", str(results)]
    assert main([*line, *(["--rejected"] if "rejected" in tables else [])]) == 0
    for name in tables:
        committed, anew = (pd.read_csv(one / f"{name}.csv") for one in (checkout() / "results", results))
        pd.testing.assert_frame_equal(anew, committed, check_exact=False, atol=1e-6, obj=name)


def test_a_message_is_one_line_whatever_the_name(tmp_path, capsys):
    assert main(["labels", "--work", str(tmp_path / "two\nlines\x1b[2J")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "two\\nlines\\x1b[2J" in error


def test_another_source_does_not_read_the_folder_named_for_the_last(work, rsna, monkeypatch, capsys):
    assert main(verbs(work, rsna)[0]) == 0
    assert Settings.load(work / "settings.json").data == str(rsna)
    assert main(["cases", "--work", str(work), "--source", "dha"]) == 2
    assert str(rsna) not in capsys.readouterr().err
    assert Settings.load(work / "settings.json").data == str(rsna)
    monkeypatch.setitem(VERBS, "cases", VERBS["cases"]._replace(does=_workspace))
    assert main(["cases", "--work", str(work), "--source", "dha"]) == 0
    assert Settings.load(work / "settings.json").data == ""


def test_one_failed_run_is_one_line(work, capsys):
    work.mkdir()
    (work / "images").mkdir()
    cv2.imwrite(str(work / "images" / "2.png"), np.zeros((32, 32), np.uint8))
    build_pack(["2"], work / "images", 32, work / "given")
    header = "Case ID,Bone Age,Male,Location,Source ID,Split,Operators"
    (work / "labels.csv").write_text(f"{header}\n1,5,TRUE,Asian,1,train,[]\n")
    line = [
        "train",
        "--work",
        str(work),
        "--arch",
        "yolo",
        "--epochs",
        "1",
        "--pack",
        str(work / "given"),
        "--accept-losses",
    ]
    assert main(line) == 2
    error = capsys.readouterr().err
    assert [row for row in error.splitlines() if row.startswith("boneage:")] == [error.splitlines()[-1]]
    assert "runs failed" not in error


def test_too_little_to_train_on_stops_once_and_going_on_counts_for_one_command(work, rsna, capsys):
    for line in verbs(work, rsna)[:4]:
        assert main(line) == 0
    capsys.readouterr()
    for line in (["train", "--work", str(work)], ["train", "--work", str(work), "--arch", "cnn"]):
        assert main(line) == 2
        said = capsys.readouterr()
        assert said.err.count("only 16 training cases (fewer than 20)") == 1
        assert said.err.count("\n") == 1
        assert "failed" not in said.out
    Settings.load(work / "settings.json").replace(accept_losses=True).save(work / "settings.json")
    assert main(["train", "--work", str(work)]) == 2


def test_a_terminal_of_ascii_is_no_fault(work, rsna):
    line = [sys.executable, "-m", "boneage", *verbs(work.with_name("Füße"), rsna)[0]]
    done = subprocess.run(line, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert b"F\\xfc\\xdfe" in done.stdout


def test_rows_that_the_hand_spoilt_stand_in_each_stages_skipped_table(work, rsna):
    for line in verbs(work, rsna)[:2]:
        assert main(line) == 0
    cases = (work / "cases.csv").read_text().splitlines()
    (work / "cases.csv").write_text("\n".join([*cases, cases[1], cases[2].replace("1001", "bad id", 1)]))
    came_in = (work / "preprocess.csv").read_text().splitlines()
    (work / "preprocess.csv").write_text("\n".join([*came_in, came_in[1]]))
    assert main(["labels", "--work", str(work)]) == 0
    assert main(["preprocess", "--work", str(work)]) == 0
    labels = (work / "labels.csv").read_text().splitlines()
    (work / "labels.csv").write_text("\n".join([*labels, labels[1]]))
    assert main(["pack", "--work", str(work), "--train-size", "32"]) == 0
    for stage, words in [("preprocess", "bad id"), ("labels", "bad id"), ("pack", "appears twice")]:
        assert words in (work / f"skipped-{stage}.csv").read_text()


def test_a_case_table_that_a_spreadsheet_damaged_costs_no_image(work, rsna, capsys):
    for line in verbs(work, rsna)[:2]:
        assert main(line) == 0
    header, *cases = (work / "cases.csv").read_text().splitlines()
    at = header.split(",").index("bone_age")
    cases[:9] = [",".join([*row.split(",")[:at], "12. Mai", *row.split(",")[at + 1 :]]) for row in cases[:9]]
    (work / "cases.csv").write_text("\n".join([header, *cases]))
    assert main(["preprocess", "--work", str(work)]) == 2
    assert "9 rows cannot be used" in capsys.readouterr().err
    assert len(list((work / "images").glob("*.png"))) == 24


def test_an_emptied_case_table_costs_no_image(work, rsna, capsys):
    for line in verbs(work, rsna)[:2]:
        assert main(line) == 0
    (work / "cases.csv").write_text((work / "cases.csv").read_text().splitlines()[0] + "\n")
    assert main(["preprocess", "--work", str(work)]) == 2
    assert "cases.csv: no usable case" in capsys.readouterr().err
    assert len(list((work / "images").glob("*.png"))) == 24


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ImportError("_backend_agg.so: failed to map segment from shared object"),
    ],
)
def test_a_machine_out_of_memory_is_told_in_one_line(tmp_path, monkeypatch, capsys, error):
    def cases(work):
        raise error

    monkeypatch.setattr("boneage.pipeline.make_cases", cases)
    assert main(["cases", "--work", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said == "boneage: out of memory; close other programs and run the same again\n"


_MATRIX_WITHOUT_MEMORY = """
import resource, sys
import numpy as np
from boneage.__main__ import main

main(["status", "--work", sys.argv[1]])
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**20, resource.RLIM_INFINITY))
print(np.linalg.inv(np.eye(2)).sum())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for its memory in /proc")
def test_a_command_does_not_hang_where_memory_runs_out_before_its_first_matrix(tmp_path):
    line = [sys.executable, "-c", _MATRIX_WITHOUT_MEMORY, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.stdout.endswith("2.0\n"), done.stderr
