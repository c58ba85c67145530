"""Training learns, resumes to the same end, never sees a test case, and leaves a true record."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from discs import SIZE, plain_work
from on_jax import SMALL_NETWORK, WITHOUT_TENSORFLOW

from boneage.core.errors import BoneAgeError
from boneage.core.settings import Settings
from boneage.dataset.labels import Labels, read_labels
from boneage.dataset.pack import open_pack
from boneage.evaluation import metrics_by_split, read_run, read_runs
from boneage.networks import NETWORKS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return plain_work(tmp_path_factory.mktemp("work"))


@pytest.fixture
def trained(work, tmp_path):
    """Trains the CNN in a run folder of the test's own; keywords are settings."""
    from boneage.training import train

    def run(epochs=2, labels=None, **settings):
        chosen = Settings(train_seed=5, batch_size=8, **settings)
        pack = open_pack(work / "pack")
        train("cnn", epochs, labels or read_labels(work / "labels.csv"), pack, chosen, tmp_path)
        return read_run(tmp_path / f"cnn-{epochs}-plain-s5")

    return run


def test_the_cnn_learns_what_the_images_tell(trained):
    run = trained(epochs=12, learning_rate=3e-3)
    losses = run.history["loss"]
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]


def test_the_record_is_true(trained, work):
    run = trained()
    labels = read_labels(work / "labels.csv")
    assert sorted(one.name for one in run.folder.iterdir()) == [
        "history.csv",
        "model.keras",
        "predictions.csv",
        "record.json",
    ]
    assert run.predictions["Case ID"].tolist() == labels.table["Case ID"].tolist()
    assert run.record["metrics"] == metrics_by_split(labels.table, run.predictions)
    assert run.record["cases"] == labels.table["Split"].value_counts().to_dict()
    assert run.record["train_seed"] == run.record["settings"]["train_seed"] == 5
    assert run.record["label_kind"] == "the radiologists' reading"
    assert run.record["parameters"] > 0
    assert run.record["images_per_second"] > 0
    assert run.history["epoch"].tolist() == [1, 2]
    # The history's validation rows are the model's own, so the last one must be what the table says.
    assert run.history["val_mae"].iloc[-1] == pytest.approx(
        run.record["metrics"]["validation"]["mae"], abs=1e-3
    )
    text = (run.folder / "record.json").read_text()
    assert str(work) not in text


def test_a_training_that_is_over_keeps_no_hold_of_its_images(work, tmp_path):
    from boneage.training import train

    pack = open_pack(work / "pack")
    images = weakref.ref(pack.images)
    train("cnn", 1, read_labels(work / "labels.csv"), pack, Settings(batch_size=8, width="tiny"), tmp_path)
    # Without a search for cycles: the files of the pack are closed at once.
    del pack
    assert images() is None


def test_trainings_and_predictions_that_are_over_leave_nothing_of_their_networks(work, tmp_path):
    import keras

    from boneage.training import prediction, train

    labels, pack = read_labels(work / "labels.csv"), open_pack(work / "pack")

    def train_and_predict(seed: int) -> int:
        train("cnn", 1, labels, pack, Settings(batch_size=8, width="tiny", train_seed=seed), tmp_path)
        # TensorFlow has a gradient of its own for this activation, and for what optimisers do.
        layers = [keras.Input((32, 32, 1)), keras.layers.Flatten(), keras.layers.Dense(1, activation="silu")]
        prediction(keras.Sequential(layers), np.zeros((1, 32, 32), np.uint8), np.array([True]))
        gc.collect()
        return len(gc.get_objects())

    train_and_predict(1)
    after_one, after_another = train_and_predict(2), train_and_predict(3)
    # A graph of one of these steps is thousands of objects.
    assert after_another - after_one < 500


def test_the_same_seed_gives_the_same_run(trained, work, tmp_path):
    first = trained()
    (tmp_path / "cnn-2-plain-s5").rename(tmp_path / "kept")
    assert trained().predictions.equals(first.predictions)


def test_a_tensorflow_that_keeps_its_gradients_elsewhere_is_no_fault(monkeypatch):
    from tensorflow.python.framework import ops

    from boneage.core.backends import graphs_released

    for holder, name in ((ops.gradient_registry, "_registry"), (ops, "gradient_registry")):
        with monkeypatch.context() as patch:
            patch.delattr(holder, name)
            with graphs_released():
                pass


def test_the_saved_model_gives_the_recorded_predictions(trained, work):
    from boneage.training import predict_pack

    run = trained()
    labels = read_labels(work / "labels.csv")
    again = predict_pack(run.folder, open_pack(work / "pack"), labels)
    np.testing.assert_allclose(again["Prediction"], run.predictions["Prediction"], atol=1e-4)
    path = run.folder / "model.keras"
    flipped = bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    for damaged in (b"not a model", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(BoneAgeError, match=r"model\.keras"):
            predict_pack(run.folder, open_pack(work / "pack"), labels)


def test_an_untrained_network_says_the_training_mean(work):
    from boneage.training import build_model

    model = build_model("cnn", SIZE, 9.5, 3.0, 1)
    images = np.zeros((2, SIZE, SIZE, 1), np.float32)
    assert model.predict(images, verbose=0)[:, 0] == pytest.approx([9.5, 9.5], abs=1e-3)


def test_where_the_imagenet_weights_cannot_be_had_it_says_so_and_the_record_tells(
    work, tmp_path, monkeypatch, capsys
):
    from boneage.networks import WeightsError
    from boneage.training import first_weights, train

    build, internet = first_weights.build_model, True

    def tiny(*choice):
        *others, width, weights, variant, _ = choice
        assert width == "full"
        if weights == "imagenet" and not internet:
            raise WeightsError("the ImageNet weights cannot be downloaded (no internet)")
        return build(*others, "tiny", "scratch", variant)

    def weights(folder, **settings):
        labels, pack = read_labels(work / "labels.csv"), open_pack(work / "pack")
        chosen = Settings(train_seed=5, **settings)
        return train("vgg16", 1, labels, pack, chosen, tmp_path / folder)["weights"]

    monkeypatch.setattr(first_weights, "build_model", tiny)
    assert weights("fetched") == "from ImageNet"
    assert weights("unasked", weights="scratch") == "from scratch"
    internet = False
    assert weights("offline") == "from scratch"
    assert (
        "vgg16: the ImageNet weights cannot be downloaded (no internet); training" in capsys.readouterr().out
    )
    predictions = [
        read_run(tmp_path / one / "vgg16-1-plain-s5").predictions for one in ("unasked", "offline")
    ]
    pd.testing.assert_frame_equal(*predictions)
    with pytest.raises(BoneAgeError, match="cannot be downloaded"):
        weights("insisting", weights="imagenet")


def test_no_test_or_validation_case_is_trained_on(work, tmp_path, monkeypatch):
    from boneage.training import run as training

    pack, labels = open_pack(work / "pack"), read_labels(work / "labels.csv").table
    seen = set()
    batch = training.Batches.__getitem__

    def watched(self, step):
        # Without a seed they are shown to validate, and change nothing.
        if self._seed is not None:
            seen.update(self._rows[self._order[step]].tolist())
        return batch(self, step)

    monkeypatch.setattr(training.Batches, "__getitem__", watched)
    training.train("cnn", 1, read_labels(work / "labels.csv"), pack, Settings(batch_size=8), tmp_path)
    ids = {pack.ids[row] for row in seen}
    assert ids == set(labels.loc[labels["Split"] == "train", "Case ID"])


def test_a_case_in_two_splits_is_refused_before_training(trained, work):
    labels = read_labels(work / "labels.csv")
    table = labels.table.copy()
    of_train = table.index[table["Split"] == "train"][0]
    of_test = table.index[table["Split"] == "test"][0]
    table.loc[of_train, "Source ID"] = table.loc[of_test, "Source ID"]
    with pytest.raises(BoneAgeError, match="more than one split"):
        trained(labels=Labels(table, labels.kind, labels.source, labels.skipped))


def test_a_finished_run_is_not_trained_again_and_another_is_refused_by_name(trained):
    first = trained()
    assert trained().record == first.record
    with pytest.raises(BoneAgeError, match="learning_rate"):
        trained(learning_rate=0.01)
    for missing in ("settings", "finished", "batch_factor"):
        kept = {name: value for name, value in first.record.items() if name != missing}
        (first.folder / "record.json").write_text(json.dumps(kept))
        with pytest.raises(BoneAgeError, match=r"record\.json: not a readable record"):
            trained()


def test_a_record_from_before_degradation_is_of_a_run_without(trained):
    first = trained(degradation=0.0)
    settings = {name: value for name, value in first.record["settings"].items() if name != "degradation"}
    (first.folder / "record.json").write_text(json.dumps({**first.record, "settings": settings}))
    assert trained(degradation=0.0).record["finished"] == first.record["finished"]
    with pytest.raises(BoneAgeError, match=r"degradation \(0\.0, now 0\.25\)"):
        trained(degradation=0.25)


def older(labels: Labels) -> Labels:
    """The labels as if a person had corrected them."""
    return replace(labels, table=labels.table.assign(**{"Bone Age": labels.table["Bone Age"] + 0.5}))


def test_a_run_on_other_labels_is_kept_and_is_back_when_they_are(trained, work, tmp_path, capsys):
    labels = read_labels(work / "labels.csv")
    first = trained()
    files = {path.name: path.read_bytes() for path in first.folder.iterdir()}
    second = trained(labels=older(labels))
    assert second.record["fingerprint"] != first.record["fingerprint"]
    kept = tmp_path.with_name(f"{tmp_path.name}-aside") / f"{first.name}-1"
    assert f"that run is kept as {kept}" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == files
    runs, left_out = read_runs(tmp_path)
    assert ([run.record for run in runs], len(left_out)) == ([second.record], 0)
    assert trained().record == first.record
    assert {path.name: path.read_bytes() for path in first.folder.iterdir()} == files
    assert "that run is back from" in capsys.readouterr().out
    assert [read_run(path).record for path in kept.parent.iterdir()] == [second.record]


def test_an_unfinished_run_on_other_labels_is_kept_and_goes_on_when_they_are_back(
    trained, trained_until, work, capsys
):
    trained_until(1, epochs=2)
    trained(labels=older(read_labels(work / "labels.csv")))
    assert "resumes" not in capsys.readouterr().out
    trained()
    assert "resumes after epoch 1 of 2" in capsys.readouterr().out


def test_a_run_at_another_share_of_the_rate_is_refused_by_name(trained, monkeypatch):
    first = trained()
    assert first.record["learning_rate_factor"] == NETWORKS["cnn"].learning_rate_factor
    monkeypatch.setitem(NETWORKS, "cnn", replace(NETWORKS["cnn"], learning_rate_factor=0.3))
    with pytest.raises(BoneAgeError, match=r"learning-rate factor \(1\.0, now 0\.3\)"):
        trained()


def test_a_network_may_take_larger_batches_and_a_run_in_others_is_refused_by_name(trained, monkeypatch):
    first = trained()
    assert first.record["batch_factor"] == NETWORKS["cnn"].batch_factor == 1
    monkeypatch.setitem(NETWORKS, "cnn", replace(NETWORKS["cnn"], batch_factor=3))
    with pytest.raises(BoneAgeError, match=r"batch factor \(1, now 3\)"):
        trained()
    shutil.rmtree(first.folder)
    assert trained().record["batch_size"] == 3 * first.record["batch_size"]


def test_no_bar_is_drawn_below_the_reason_of_a_failure(trained, monkeypatch, capsys):
    from boneage.training import run as training

    def full(*_):
        raise BoneAgeError("the disk is full")

    monkeypatch.setattr(training, "save_checkpoint", full)
    with pytest.raises(BoneAgeError, match="the disk is full") as failure:
        trained()
    # Now the reason is printed; the bar lives as long as the error, and would be drawn again at its end.
    capsys.readouterr()
    del failure
    gc.collect()
    assert capsys.readouterr().err == ""


def test_a_diverging_run_says_so(trained, monkeypatch):
    from boneage.training import first_weights

    build = first_weights.build_model

    def broken(*arguments):
        model = build(*arguments)
        head = model.get_layer("standardised_years")
        head.set_weights([np.full_like(one, np.nan) for one in head.get_weights()])
        return model

    monkeypatch.setattr(first_weights, "build_model", broken)
    with pytest.raises(BoneAgeError, match="lower the learning rate"):
        trained(epochs=3)


def test_a_run_that_another_process_trains_is_left_alone(trained, tmp_path):
    import filelock

    with (
        filelock.FileLock(tmp_path / ".cnn-2-plain-s5.lock"),
        pytest.raises(BoneAgeError, match="another process"),
    ):
        trained()


def command(work, out, *more):
    files = ["--work", str(out), "--labels", str(work / "labels.csv"), "--pack", str(work / "pack")]
    # Steps take long on JAX without an accelerator: two an epoch will do.
    choices = ["--train-seed", "5", "--batch-size", "28", "--width", "tiny", "--backend", "jax"]
    return [sys.executable, "-m", "boneage", "train", "--arch", "cnn", *files, *choices, *more]


def comparable(run):
    return run.history.drop(columns=["seconds", "training_seconds"])


def wait_for_epoch(state, epoch, process):
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if state.is_file() and json.loads(state.read_text())["epoch"] >= epoch:
            return
        time.sleep(0.02)
    pytest.fail(f"epoch {epoch} was not reached: {process.communicate()}")


# On TensorFlow, and at many moments: test_training_kills.py.
def test_on_jax_without_tensorflow_a_run_killed_and_started_again_ends_as_if_it_had_not_been(work, tmp_path):
    path = os.pathsep.join(filter(None, [WITHOUT_TENSORFLOW, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path, "XLA_FLAGS": SMALL_NETWORK}
    environment.pop("KERAS_BACKEND", None)

    def start(name):
        # All layers that act in training only, too.
        line = command(work, tmp_path / name, "--epochs", "3", "--degradation", "0.5")
        return subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def end(process):
        said, errors = process.communicate()
        assert process.returncode == 0, errors
        return said

    whole, cut = (tmp_path / name / "runs" / "cnn-3-plain-s5" for name in ("whole", "cut"))
    end(start("whole"))
    process = start("cut")
    wait_for_epoch(cut / "checkpoint" / "state.json", 1, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (cut / "record.json").exists()
    assert "resumes after epoch" in end(start("cut"))
    assert "not trained again" in end(start("cut"))
    whole, cut = read_run(whole), read_run(cut)
    assert cut.record["backend"] == "jax"
    assert np.isfinite(cut.predictions["Prediction"]).all()
    pd.testing.assert_frame_equal(comparable(cut), comparable(whole), check_exact=True)
    pd.testing.assert_frame_equal(cut.predictions, whole.predictions, check_exact=True)


class StopError(Exception):
    pass


@pytest.fixture
def trained_until(trained, monkeypatch):
    """Trains, but stops after the checkpoint of an epoch."""
    from boneage.training import run as training

    save = training.save_checkpoint

    def run(stop, epochs, **settings):
        def save_and_stop(model, state, folder):
            save(model, state, folder)
            if state["epoch"] == stop:
                raise StopError

        with monkeypatch.context() as patch:
            patch.setattr(training, "save_checkpoint", save_and_stop)
            with pytest.raises(StopError):
                trained(epochs=epochs, **settings)

    return run


def zeroed(data):
    middle = len(data) // 2
    return data[:middle] + bytes(32) + data[middle + 32 :]


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGES = {
    "cut off": lambda data: data[: len(data) // 2],
    "a bit flipped": flipped,
    "zeros in it": zeroed,
}


def test_one_damaged_checkpoint_costs_one_epoch_and_the_end_is_the_same(
    trained, trained_until, tmp_path, capsys
):
    whole = trained(epochs=4, width="tiny")
    shutil.move(whole.folder, tmp_path / "whole")
    whole = read_run(tmp_path / "whole")
    trained_until(3, epochs=4, width="tiny")
    checkpoint = tmp_path / "cnn-4-plain-s5" / "checkpoint"
    assert sorted(path.name for path in checkpoint.glob("*.keras")) == ["epoch-2.keras", "epoch-3.keras"]
    shutil.copytree(checkpoint, tmp_path / "sound")
    for name, damage in (
        *(("epoch-3.keras", damage) for damage in DAMAGES.values()),
        ("state.json", flipped),
    ):
        shutil.rmtree(tmp_path / "cnn-4-plain-s5")
        shutil.copytree(tmp_path / "sound", checkpoint)
        path = checkpoint / name
        path.write_bytes(damage(path.read_bytes()))
        capsys.readouterr()
        run = trained(epochs=4, width="tiny")
        said = capsys.readouterr().out
        assert "the checkpoint is damaged" in said
        assert "resumes after epoch 2 of 4" in said
        pd.testing.assert_frame_equal(comparable(run), comparable(whole), check_exact=True)
        pd.testing.assert_frame_equal(run.predictions, whole.predictions, check_exact=True)


def test_a_damaged_or_foreign_checkpoint_is_refused(work, trained, trained_until, tmp_path, monkeypatch):
    from boneage.training import run as training

    trained_until(1, epochs=2)
    with pytest.raises(BoneAgeError, match="batch_size"):
        training.train(
            "cnn",
            2,
            read_labels(work / "labels.csv"),
            open_pack(work / "pack"),
            Settings(train_seed=5, batch_size=4),
            tmp_path,
        )
    with monkeypatch.context() as patch:
        patch.setitem(NETWORKS, "cnn", replace(NETWORKS["cnn"], learning_rate_factor=0.3))
        with pytest.raises(BoneAgeError, match="learning-rate factor"):
            trained()
    state = tmp_path / "cnn-2-plain-s5" / "checkpoint" / "state.json"
    whole = state.read_text()
    state.write_text(json.dumps(json.loads(whole) | {"epoch": "two"}))
    with pytest.raises(BoneAgeError, match="checkpoint is damaged"):
        trained()
    state.write_text(whole)
    model = next((tmp_path / "cnn-2-plain-s5" / "checkpoint").glob("*.keras"))
    written = model.read_bytes()
    for damage in DAMAGES.values():
        model.write_bytes(damage(written))
        with pytest.raises(BoneAgeError, match="checkpoint is damaged"):
            trained()
