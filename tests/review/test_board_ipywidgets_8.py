"""The tests of the board once more, on ipywidgets 8: Colab has 7, other notebooks have 8."""

import os
import subprocess
import sys
from pathlib import Path

import ipywidgets
import pytest

EIGHT = Path(sys.prefix) / "ipywidgets8"

pytestmark = pytest.mark.skipif(
    not EIGHT.is_dir() or ipywidgets.version_info[0] != 7,
    reason="needs ipywidgets 7 with 8 beside it in .venv/ipywidgets8, where `make test` installs it",
)


def run_on_8(name: str) -> None:
    """Runs a file of tests in a process of its own, which imports ipywidgets 8."""
    paths = os.pathsep.join([str(EIGHT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths}
    version = [sys.executable, "-c", "import ipywidgets; print(ipywidgets.__version__)"]
    asked = subprocess.run(version, env=environment, capture_output=True, text=True, check=True)
    assert asked.stdout.startswith("8.")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(Path(__file__).with_name(name)),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


def test_the_board_works_on_8():
    run_on_8("test_board.py")


@pytest.mark.browser
@pytest.mark.slow
def test_the_journeys_work_on_8():
    run_on_8("test_board_browser.py")
