"""A run that is killed again and again ends as one that was not, and nothing is half written in between."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from discs import plain_work

from boneage.core.files import sha256_of
from boneage.core.tables import read_table
from boneage.evaluation import read_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and looks for threads in /proc"),
]

EPOCHS = 6
RUN = f"cnn-{EPOCHS}-plain-s5"
SEED = 7

FIRST = "os.mkdir checkpoint"
LAST = "os.rename .record.json"
CLEARING = "shutil.rmtree checkpoint"


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return plain_work(tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def train(work):
    """Does one command, always the same but for the work folder; the keywords say where it is killed."""
    program = Path(__file__).with_name("killed_verbs.py")
    # The library's threads would be there before the fork.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    files = ["--labels", str(work / "labels.csv"), "--pack", str(work / "pack")]
    choices = ["--train-seed", "5", "--batch-size", "8", "--width", "tiny", "--backend", "tensorflow"]

    def command(name: str, **watch: object) -> int:
        verb = ["train", "--arch", "cnn", "--epochs", str(EPOCHS), "--work", str(work / name)]
        order = {
            "arguments": [*verb, *files, *choices],
            "output": str(work / f"{name}.txt"),
            "watch": {"folder": str(work / name / "runs" / RUN), **watch},
        }
        server.stdin.write(f"{json.dumps(order)}\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    with subprocess.Popen(
        [sys.executable, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        yield command


@dataclass(frozen=True, order=True)
class Moment:
    """Some seconds after one of a run's places, which are numbered in its order."""

    place: int
    delay: float


def passed(log: Path) -> tuple[list[str], np.ndarray]:
    """The places that a run passed, each once, and the seconds at which it did."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    table = pd.DataFrame(lines, columns=["place", "seconds"]).drop_duplicates("place")
    return table["place"].tolist(), table["seconds"].to_numpy()


def drawn_moments(places: list[str], seconds: np.ndarray) -> list[Moment]:
    """Five moments of a run at any time, three while it writes a checkpoint, two among its last files."""
    random = np.random.default_rng(SEED)
    first, last = places.index(FIRST), places.index(LAST)
    times = random.uniform(seconds[first], seconds[last], 5)
    before = np.searchsorted(seconds, times, side="right") - 1
    moments = [Moment(int(place), time - seconds[place]) for place, time in zip(before, times, strict=True)]
    unnamed = [number for number, place in enumerate(places) if " checkpoint/." in place]
    at_end = places.index("open .history.csv")
    gaps = np.diff(seconds)
    for place in [*random.choice(unnamed, 3), *random.integers(at_end, last + 1, 2)]:
        # Half way at most, because another process may be faster. A new name is given in no time at all.
        delay = random.uniform(0, gaps[place] / 2) if places[place].startswith("open") else 0.0
        moments.append(Moment(int(place), delay))
    # In the run's order, so that each is still to come when the one before it has struck.
    return sorted(moments)


def check_what_is_left(run: Path) -> None:
    """Whatever lies under its own name is whole, and a checkpoint can be taken up."""
    from boneage.training import load_model
    from boneage.training.checkpoint import load_checkpoint

    assert not (run / "record.json").exists()
    for name, columns in (
        ("history.csv", ("epoch", "loss", "seconds")),
        ("predictions.csv", ("Case ID", "Prediction")),
    ):
        if (run / name).exists():
            table = read_table(run / name, columns)
            assert len(table) == {"history.csv": EPOCHS, "predictions.csv": 80}[name]
    if (run / "model.keras").exists():
        load_model(run)
    for path in (run / "checkpoint").glob("[!.]*.json"):
        state = json.loads(path.read_text())
        assert sha256_of(run / "checkpoint" / state["model"]) == state["sha256"]
        model, _ = load_checkpoint(run, state["identity"])
        assert model is not None
        assert [row["epoch"] for row in state["history"]] == list(range(1, state["epoch"] + 1))


def test_killed_at_ten_moments_and_started_again_it_ends_as_if_it_had_not_been(work, train):
    assert train("whole", log=str(work / "places")) == 0, (work / "whole.txt").read_text()
    places, seconds = passed(work / "places")
    run = work / "cut" / "runs" / RUN
    left: set[Path] = set()
    while_writing = 0
    for moment in drawn_moments(places, seconds):
        deadly = places[moment.place : places.index(LAST) + 1]
        code = train("cut", deadly=deadly, delay=moment.delay, last=LAST)
        assert code == -signal.SIGKILL, (work / "cut.txt").read_text()
        check_what_is_left(run)
        half_written = set((run / "checkpoint").glob(".*")) - left
        left |= half_written
        while_writing += bool(half_written)
    assert 2 <= while_writing <= 8
    # An eleventh time, when it is finished and clears up.
    assert train("cut", deadly=[CLEARING]) == -signal.SIGKILL, (work / "cut.txt").read_text()
    record = (run / "record.json").read_text()
    assert train("cut") == 0
    assert "not trained again" in (work / "cut.txt").read_text()
    assert (run / "record.json").read_text() == record
    assert not (run / "checkpoint").exists()
    assert_equal_ends(work / "whole" / "runs" / RUN, run)


def assert_equal_ends(whole: Path, cut: Path) -> None:
    from boneage.training import load_model

    timeless = [read_run(one).history.drop(columns=["seconds", "training_seconds"]) for one in (whole, cut)]
    pd.testing.assert_frame_equal(*timeless, check_exact=True)
    assert len(timeless[0]) == EPOCHS
    pd.testing.assert_frame_equal(*(read_run(one).predictions for one in (whole, cut)), check_exact=True)
    weights = [load_model(one).get_weights() for one in (whole, cut)]
    for theirs, ours in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
