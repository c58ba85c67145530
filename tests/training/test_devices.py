"""Several devices, and several processes, train as one does: the same losses, within rounding."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from discs import disc_work
from on_jax import SMALL_NETWORK, WITHOUT_TENSORFLOW

from boneage.evaluation import read_run

pytestmark = pytest.mark.slow

# Of which 51 train, in batches of 8 that leave 3, and 11 are watched, which also leave 3.
IMAGES = 73

TRAIN = """
import json, os, signal, sys
from boneage.core.runtime import choose_backend

backend, devices, batch_size, fixed, is_killed, work, runs = json.loads(sys.argv[1])
choose_backend(backend)
if backend == "tensorflow" and devices > 1:
    import tensorflow

    cpu = tensorflow.config.list_physical_devices("CPU")[0]
    parts = [tensorflow.config.LogicalDeviceConfiguration()] * devices
    tensorflow.config.set_logical_device_configuration(cpu, parts)

from boneage.dataset.pack import open_pack
from boneage.core.errors import BoneAgeError
from boneage.dataset.labels import read_labels
from boneage.core.settings import Settings
from boneage.training import batches, model, train
from boneage.training.devices import join_hosts

if fixed:
    model.ROTATION = model.SHIFT = model.ZOOM = model.DROPOUT = 0.0
if is_killed:
    begin = batches.Batches.begin

    def begin_or_die(self, epoch, logs=None):
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        begin(self, epoch, logs)

    batches.Batches.begin = begin_or_die
settings = Settings(train_seed=5, batch_size=batch_size, width="tiny")
try:
    join_hosts(settings.train_seed)
    train("cnn", 2, read_labels(f"{work}/labels.csv"), open_pack(f"{work}/pack"), settings, runs)
except BoneAgeError as error:
    sys.exit(f"told: {error}")
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    years = np.arange(IMAGES) % 20 * 0.9
    return disc_work(tmp_path_factory.mktemp("work"), years, years, np.full(IMAGES, "F"))


def started(work, runs, backend, devices=1, batch_size=8, fixed=False, is_killed=False, **variables):
    """A process that trains for two epochs, or is killed as the second begins."""
    flags = f"{SMALL_NETWORK} --xla_force_host_platform_device_count={devices}"
    line = [
        sys.executable,
        "-c",
        TRAIN,
        json.dumps([backend, devices, batch_size, fixed, is_killed, str(work), str(runs)]),
    ]
    path = [str(Path(__file__).parents[2] / "src"), *[WITHOUT_TENSORFLOW] * (backend == "jax")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "XLA_FLAGS": flags, **variables}
    environment.pop("KERAS_BACKEND", None)
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(*processes):
    """What each process wrote to its error stream, all having ended well."""
    texts = []
    try:
        for process in processes:
            texts.append(process.communicate(timeout=300)[1])
            assert process.returncode == 0, texts[-1]
    finally:
        for process in processes:
            process.kill()
    return texts


def finished(runs):
    return read_run(runs / "cnn-2-plain-s5")


def assert_same(several, one):
    """That all losses of two epochs, and the predictions that follow, differ by rounding alone."""
    timed = ["seconds", "training_seconds"]
    pd.testing.assert_frame_equal(
        several.history.drop(columns=timed), one.history.drop(columns=timed), rtol=1e-4
    )
    np.testing.assert_allclose(several.predictions["Prediction"], one.predictions["Prediction"], atol=1e-3)


@pytest.fixture(scope="module")
def one_on_jax(work, tmp_path_factory):
    """The run of one device on JAX."""
    runs = tmp_path_factory.mktemp("one")
    ended(started(work, runs, "jax"))
    return finished(runs)


def test_the_data_leave_a_last_batch_that_two_devices_do_not_divide(one_on_jax):
    images = one_on_jax.record["images"]
    assert images["train"] % 8 % 2 == 1
    assert images["validation"] % 8 % 2 == 1


def test_two_devices_on_jax_train_as_one(work, tmp_path, one_on_jax):
    ended(started(work, tmp_path, "jax", devices=2))
    two = finished(tmp_path)
    assert two.record["device"].startswith("2 × ")
    assert_same(two, one_on_jax)


def two_hosts(work, runs, killed=None):
    """Two processes that train one run together, of which one may be killed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        started(
            work,
            runs,
            "jax",
            is_killed=number == killed,
            KERAS_DISTRIBUTION_JOB_ADDRESSES=address,
            KERAS_DISTRIBUTION_NUM_PROCESSES="2",
            KERAS_DISTRIBUTION_PROCESS_ID=str(number),
        )
        for number in range(2)
    ]


def test_two_processes_on_jax_train_as_one_and_one_of_them_writes(work, tmp_path, one_on_jax):
    first, second = ended(*two_hosts(work, tmp_path))
    assert "cnn-2-plain-s5: 100%" in first
    assert "cnn-2-plain-s5" not in second
    assert_same(finished(tmp_path), one_on_jax)


@pytest.mark.parametrize("killed", [0, 1])
def test_where_one_of_two_processes_is_killed_both_go_on_from_the_last_epoch(
    killed, work, tmp_path, one_on_jax
):
    processes = two_hosts(work, tmp_path, killed)
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert processes[killed].returncode == -signal.SIGKILL
    # Where the first one is lost, which the others report to, JAX ends them itself.
    words = ("another process of this run has ended", *["another task died"] * (killed == 0))
    assert any(one in said[1 - killed] for one in words), said[1 - killed]
    state = json.loads((tmp_path / "cnn-2-plain-s5/checkpoint/state.json").read_text())
    assert state["epoch"] == 1
    ended(*two_hosts(work, tmp_path))
    assert_same(finished(tmp_path), one_on_jax)
    # The first epoch was not trained again.
    assert finished(tmp_path).history["seconds"].iloc[0] == pytest.approx(state["history"][0]["seconds"])


def test_two_devices_on_tensorflow_train_as_one(work, tmp_path):
    """Random transforms and dropout are off: each replica draws its own."""
    for devices in (1, 2):
        ended(started(work, tmp_path / str(devices), "tensorflow", devices, fixed=True))
    one, two = (finished(tmp_path / str(devices)) for devices in (1, 2))
    assert two.record["device"].startswith("2 × ")
    assert_same(two, one)


def test_a_batch_that_leaves_a_gpu_without_an_image_is_refused(work, tmp_path, one_on_jax):
    batch_size = one_on_jax.record["images"]["train"] - 1
    process = started(work, tmp_path, "tensorflow", devices=2, batch_size=batch_size)
    _, text = process.communicate(timeout=300)
    assert process.returncode == 1
    assert f"told: batches of {batch_size}: a batch of 1 images leaves one of 2 GPUs with none" in text
