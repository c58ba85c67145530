"""Finished runs for tests, as training leaves them, without a model."""

import json

from boneage.evaluation import RECORD_FORMAT

VALUES = {"count": 4, "mae": 1.0, "loss": 2.0, "accuracy": 0.25}
RECORD = {
    "format": RECORD_FORMAT,
    "network": "cnn",
    "title": "CNN",
    "epochs": 10,
    "source": "dha",
    "label_kind": "the radiologists' reading",
    "fingerprint": "f" * 64,
    "size": 64,
    "metrics": {"train": VALUES, "validation": {**VALUES, "mae": 1.5}, "test": VALUES},
    "finished": "2026-11-01T10:00:00+00:00",
    "images": {"train": 4, "validation": 4, "test": 4},
    "cases": {"train": 4, "validation": 4, "test": 4},
    "constant_predictor": {"test": {**VALUES, "mae": 2.75}},
    "parameters": 1_184_161,
    "seconds_per_epoch": 9.6,
    "device": "CPU (2 cores)",
    "backend": "tensorflow",
    "weights": "from scratch",
    "set": "plain",
    "variant": "",
    "split_seed": 2026,
    "train_seed": 2026,
    "settings": {"width": "full", "precision": "float32"},
}


def write_run(folder, **changes):
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps(RECORD | changes))
    (folder / "history.csv").write_text("epoch,loss,mae\n1,2.0,1.0\n")
    (folder / "predictions.csv").write_text("Case ID,Split,Prediction\n1,train,7.5\n")
    return folder
