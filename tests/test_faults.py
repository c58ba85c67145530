"""A sample of the fault matrix; all of it is `make faults`."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and looks for threads in /proc"),
]

STAGES = ("fetch: downloaded", "preprocess", "review", "augment", "labels", "pack")
FAULTS = ("kill -9", "disk full", "work folder gone", "started twice", "input damaged")


def test_after_a_fault_every_stage_makes_what_it_makes_without_one(tmp_path):
    program = Path(__file__).parent / "faults" / "matrix.py"
    sample = ["--stages", *STAGES, "--faults", *FAULTS, "--most", "2", "--out", str(tmp_path / "table.csv")]
    ended = subprocess.run(
        [sys.executable, str(program), *sample],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["stage"], row["fault"]) for row in rows} == {(one, two) for one in STAGES for two in FAULTS}
    assert [row for row in rows if row["tries"] != row["as_undisturbed"]] == [], ended.stdout
    # What this machine does not permit is said, and nothing else is left out.
    left_out = {row["fault"] for row in rows if row["tries"] == "0" and row["remark"] != "does not apply"}
    assert left_out <= {"disk full"}
    assert ended.returncode == 0
