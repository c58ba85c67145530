"""What `make demo` has made in this checkout, where it has: every network has learnt something."""

from pathlib import Path

import pytest

from boneage.core.settings import Settings
from boneage.evaluation import RunKey, read_run
from boneage.networks import NETWORKS

SETTINGS = Settings.preset("demo")
WORK = Path(__file__).resolve().parents[1] / SETTINGS.work


@pytest.mark.skipif(not (WORK / "report.html").is_file(), reason="`make demo` has not been run here")
@pytest.mark.parametrize("key", NETWORKS)
def test_a_network_of_the_demo_is_a_fifth_better_than_the_constant_predictor(key):
    run = RunKey(key, max(SETTINGS.epochs), "augmented", SETTINGS.train_seed, "")
    record = read_run(WORK / "runs" / str(run)).record
    assert record["metrics"]["test"]["mae"] < 0.8 * record["constant_predictor"]["test"]["mae"]
