"""On a Dask cluster the stages make what they make on this machine, and a lost worker costs only time."""

import contextlib
import os
import signal
import threading
import time

import pandas as pd
import pytest
from work_folders import prepare

from boneage.__main__ import main
from boneage.core.cluster import in_use, on_cluster
from boneage.core.errors import BoneAgeError
from boneage.core.parallel import on_all_cores

distributed = pytest.importorskip("distributed")

QUIET = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
STAGES = (
    ["preprocess", "--image-size", "96"],
    ["anomalies"],
    ["plan", "--total", "90"],
    ["augment"],
    ["labels"],
    ["pack", "--train-size", "32"],
)


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of its own."""
    two = distributed.LocalCluster(**QUIET, n_workers=2)
    yield two
    with contextlib.suppress(TimeoutError):
        two.close()


def tables_and_images(work):
    """What the stages made, without places and dates of files, and what is kept by those."""
    made = {}
    for path in work.rglob("*"):
        if path.suffix == ".csv":
            table = pd.read_csv(path, dtype=str)
            made[str(path.relative_to(work))] = table.drop(
                columns=table.columns.intersection(["image", "modified", "source_modified"])
            ).to_csv()
        elif path.suffix in (".png", ".npy"):
            made[str(path.relative_to(work))] = path.read_bytes()
    assert sum(name.startswith("augmented") for name in made) > 50
    return made


@pytest.mark.slow
def test_every_stage_makes_the_same_bytes(tmp_path, cluster):
    places = {}
    for name, options in (("here", []), ("there", ["--scheduler", cluster.scheduler_address])):
        work = prepare(tmp_path / name).root
        # Made again by the command below.
        (work / "preprocess.csv").unlink()
        for verb in STAGES:
            more = options if verb[0] not in ("plan", "labels") else []
            assert main([*verb, "--work", str(work), *more]) == 0
        places[name] = tables_and_images(work)
    assert places["here"].keys() == places["there"].keys()
    assert places["here"] == places["there"]
    assert not in_use()


@pytest.mark.slow
@pytest.mark.parametrize("in_order", [True, False])
def test_a_worker_that_is_killed_costs_nothing_but_time(cluster, in_order):
    def work(number):
        time.sleep(0.1)
        return number**2

    with on_cluster(cluster.scheduler_address):
        results = on_all_cores(work, range(60), "squares", progress=False, in_order=in_order)
        got = [next(results) for _ in range(5)]
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        got += list(results)
    wanted = [number**2 for number in range(60)]
    assert (got if in_order else sorted(got)) == wanted


@pytest.mark.slow
def test_what_a_job_raises_ends_the_loop_and_the_cluster_goes_on(cluster):
    def work(number):
        if number == 3:
            raise BoneAgeError("3: not a square")
        return number

    with on_cluster(cluster.scheduler_address):
        with pytest.raises(BoneAgeError, match="3: not a square"):
            list(on_all_cores(work, range(50), "squares", progress=False))
        assert list(on_all_cores(str, [], "nothing", progress=False)) == []
        assert list(on_all_cores(abs, [-1], "one", progress=False)) == [1]


@pytest.mark.slow
def test_what_has_begun_is_done_before_an_error_is_raised(cluster, tmp_path):
    def work(number):
        if number == 0:
            raise BoneAgeError("0: not a square")
        (tmp_path / f"{number}.begun").touch()
        time.sleep(1.0)
        (tmp_path / f"{number}.done").touch()

    with (
        on_cluster(cluster.scheduler_address),
        pytest.raises(BoneAgeError, match="0: not a square"),
    ):
        list(on_all_cores(work, range(50), "squares", progress=False))
    begun = {path.stem for path in tmp_path.glob("*.begun")}
    assert 0 < len(begun) < 10
    assert {path.stem for path in tmp_path.glob("*.done")} == begun


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_said(cluster):
    def work(number):
        time.sleep(0.05)
        return number

    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as short,
        on_cluster(short.scheduler_address),
    ):
        results = on_all_cores(work, range(500), "long", progress=False)
        next(results)
        threading.Thread(target=short.close).start()
        with pytest.raises(BoneAgeError, match="what was made is kept"):
            list(results)


def test_no_scheduler_there_is_said(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("boneage.core.cluster._SECONDS_TO_ANSWER", 0.5)
    work = prepare(tmp_path).root
    assert main(["preprocess", "--work", str(work), "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "no Dask scheduler with a worker answers there" in capsys.readouterr().err
    assert main(["preprocess", "--work", str(work), "--scheduler", "nonsense://x"]) == 2
    assert "give its address" in capsys.readouterr().err
