"""Both tables on a GPU elsewhere: what is gathered trains there and comes back. Here on a processor."""

# ruff: noqa: F401, F811 - a fixture is imported

import importlib
import io
import tarfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from work_folders import TOTAL, prepared

from boneage import pipeline
from boneage.dataset.labels import read_labels


@pytest.fixture
def gpu(monkeypatch):
    """The benchmark, with an epoch a run, two seeds, and one round of each measurement."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    module = importlib.import_module("tables_on_gpu")
    for name, value in {"EPOCHS": (1,), "FURTHER_SEEDS": (2027,), "SPEED_IMAGES": TOTAL}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(importlib.import_module("bench_training"), "ROUNDS", 1)
    return module


@pytest.mark.slow
def test_what_is_gathered_trains_and_is_measured_elsewhere(gpu, prepared, tmp_path):
    pipeline.make_plan(prepared)
    pipeline.make_augmented(prepared)
    labels = pipeline.make_labels(prepared)
    gathered, out = tmp_path / "gathered", tmp_path / "out"
    out.mkdir()
    gpu.gather(prepared, gathered)

    there = gpu.unpack(gathered)
    assert read_labels(gathered / "labels.csv").table["Case ID"].tolist() == labels.table["Case ID"].tolist()
    ours = pipeline.make_pack(prepared).images[:]
    # JPEG loses little of an image this smooth.
    assert np.abs(there.images[:].astype(int) - ours).mean() < 3

    until = time.monotonic() + 600
    gpu.train(gathered, out, until, ["cnn"], phantom=False, options=["--width", "tiny"])
    with tarfile.open(out / "runs.tar.gz") as archive:
        names = archive.getnames()
        predictions = [archive.extractfile(name).read() for name in names if name.endswith("predictions.csv")]
    assert len(names) == 6, "record, history and predictions of two seeds"
    for of_run in predictions:
        table = pd.read_csv(io.BytesIO(of_run), dtype={"Case ID": str})
        assert set(table["Case ID"]) <= set(labels.table["Case ID"])
        assert table["Prediction"].notna().all()

    gpu.measure(gathered, out, until, ["cnn"], "tiny")
    speed = pd.read_csv(out / "speed.csv")
    assert len(speed) == 4, "two precisions, two batch sizes"
    assert (speed[["Images a second", "Share of the bare step"]] > 0).all(axis=None)


def test_out_of_time_keeps_what_is_there(gpu, prepared, tmp_path, capsys):
    pipeline.make_labels(prepared)
    gathered, out = tmp_path / "gathered", tmp_path / "out"
    out.mkdir()
    gpu.gather(prepared, gathered)
    gpu.train(gathered, out, time.monotonic(), ["cnn"], phantom=False, options=["--width", "tiny"])
    gpu.measure(gathered, out, time.monotonic() - 1, ["cnn"], "tiny")
    said = capsys.readouterr().out
    assert "out of time\n0 runs in" in said
    assert "the rest was not measured" in said
    assert not (out / "speed.csv").exists()
