"""A model file from elsewhere runs nothing, reads nothing else, and is refused in one line."""

import io
import json
import pickle
import re
import shutil
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from bad_models import Touches, bad_models, changed
from finished_runs import write_run
from labelling import untouched_labels

import boneage
from boneage import pipeline
from boneage.__main__ import main
from boneage.core.backends import precision as precise
from boneage.core.errors import BoneAgeError
from boneage.core.files import sha256_of
from boneage.core.settings import PRECISIONS, Settings
from boneage.core.tables import CASE_TABLE
from boneage.dataset.labels import write_labels
from boneage.networks import NETWORKS
from boneage.phantom.drawing import draw_hand
from boneage.training import build_model, load_model
from boneage.training.checkpoint import _seal, load_checkpoint, save_checkpoint
from boneage.training.model import to_train
from boneage.training.model_files import KNOWN_CLASSES, ModelFileError, _dictionaries, read_model
from boneage.training.recipe import compile_model
from boneage.workspace import Workspace

SIZE = 32
NAMES = list(bad_models(b"", Path("marker")))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "model.keras"
    build_model("cnn", SIZE, 9.0, 3.0, 1, "tiny").save(path)
    return path.read_bytes()


@pytest.fixture
def bad(sound, tmp_path):
    """Makers of hostile files, and how to tell that none of them did what it would."""
    marker = tmp_path / "ran"
    yield bad_models(sound, marker)
    assert not marker.exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_model_is_refused_in_one_line_and_runs_nothing(name, bad, tmp_path):
    run = write_run(tmp_path / "run")
    (run / "model.keras").write_bytes(bad[name]())
    with pytest.raises(BoneAgeError, match=r"model\.keras: not a readable model \(.+\); train") as error:
        load_model(run)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    with pytest.raises(ModelFileError):
        read_model(run / "model.keras", compiled=True)


def test_the_lambda_is_a_hostile_one_indeed(bad, sound, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(bad["a lambda"]())
    keras.saving.load_model(path, safe_mode=False, compile=False)
    (tmp_path / "ran").unlink()


@pytest.mark.parametrize(
    "name",
    ["a lambda", "os.system as an activation", "a compiled lambda", "a SavedModel", "paths that climb"],
)
def test_a_hostile_checkpoint_with_a_forged_seal_is_not_resumed(name, bad, tmp_path):
    model = build_model("cnn", SIZE, 9.0, 3.0, 1, "tiny")
    compile_model(model, Settings(), 10)
    identity = {"learning_rate_factor": 1.0, "batch_factor": 1}
    save_checkpoint(model, {"identity": identity, "epoch": 1}, tmp_path)
    assert load_checkpoint(tmp_path, identity)[1]["epoch"] == 1
    path, state = tmp_path / "checkpoint" / "epoch-1.keras", tmp_path / "checkpoint" / "state.json"
    path.write_bytes(bad[name]())
    forged = json.loads(state.read_text()) | {"sha256": sha256_of(path)}
    del forged["seal"]
    state.write_text(json.dumps({"seal": _seal(forged), **forged}))
    with pytest.raises(BoneAgeError, match=r"state\.json: the checkpoint is damaged"):
        load_checkpoint(tmp_path, identity)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Workspace:
    """A work folder with one run of an epoch."""
    root = tmp_path_factory.mktemp("trained") / "work"
    chosen = {"train_size": SIZE, "width": "tiny", "epochs": (1,), "accept_losses": True}
    work = Workspace(Settings(source="phantom", work=str(root), **chosen))
    work.images.mkdir(parents=True)
    ids = [f"{number:04d}" for number in range(30)]
    for number, case_id in enumerate(ids):
        image = np.random.default_rng(number).integers(0, 255, (SIZE, SIZE), np.uint8)
        cv2.imwrite(str(work.images / f"{case_id}.png"), image)
    rows = {"case_id": ids, "image": ids, "source": "phantom", "sex": "F", "race": "Asian"}
    cases = pd.DataFrame(rows | {"bone_age": np.arange(30) % 12 + 4.0}, columns=list(CASE_TABLE))
    write_labels(work.labels, untouched_labels(cases, validation_share=0.2, test_share=0.2))
    pipeline.make_pack(work)
    pipeline.train_network(work, "cnn", 1)
    work.settings.save(work.settings_file)
    return work


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a lambda", "os.system as an activation", "paths that climb", "a zip bomb"])
def test_no_command_runs_what_a_model_file_says(name, trained, tmp_path, capsys):
    marker = tmp_path / "ran"
    root = Path(shutil.copytree(trained.root, tmp_path / "work"))
    (run,) = (root / "runs").glob("cnn-*/")
    sound = (run / "model.keras").read_bytes()
    (run / "model.keras").write_bytes(bad_models(sound, marker)[name]())
    film = tmp_path / "film.png"
    cv2.imwrite(str(film), draw_hand(9.0, "F", 1, height=400).image)

    assert main(["estimate", str(film), "--run", str(run)]) == 2
    assert re.search(r"model\.keras: not a readable model .*; train that run again", capsys.readouterr().err)
    # Its predictions are compared all the same; what needs its network is left out, and told.
    assert main(["compare", "--work", str(root), "--examine"]) == 0
    assert "model.keras: not a readable model" in capsys.readouterr().out
    # A variant of it, which takes over its network.
    again = ["train", "--arch", "cnn", "--variant", "tta", "--epochs", "1", "--accept-losses"]
    assert main([*again, "--work", str(root)]) == 2
    assert "model.keras: not a readable model" in capsys.readouterr().err
    assert not marker.exists()


def _npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _flipped(data: bytes) -> bytes:
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]


def _declares_more() -> bytes:
    """An array that declares a terabyte of numbers and holds three."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**38,)})
    return changed(_npz(a=np.zeros(3)), {"a.npy": header.getvalue() + bytes(12)})


@pytest.mark.parametrize(
    "make",
    [
        lambda marker: _npz(a=np.array([Touches(marker)], object)),
        lambda marker: pickle.dumps(Touches(marker)),
        lambda marker: _declares_more(),
        lambda marker: changed(_npz(a=np.zeros(3)), {"a.npy": b"no array"}),
        lambda marker: changed(_npz(a=np.zeros(3)), {"../../evil.npy": b""}),
        lambda marker: _flipped(_npz(a=np.random.default_rng(1).normal(size=999))),
        lambda marker: _npz(a=np.full(3, np.nan)),
        lambda marker: b"",
    ],
    ids=["objects", "pickle", "declares more", "no array", "climbs", "flipped", "not finite", "nothing"],
)
def test_weights_to_pass_on_that_are_hostile_are_refused_and_run_nothing(make, tmp_path):
    from boneage.estimate import read_models

    weights = tmp_path / "net" / "network-0.npz"
    weights.parent.mkdir()
    weights.write_bytes(make(tmp_path / "ran"))
    member = {"title": "CNN", "network": "cnn", "width": "tiny", "variant": "", "size": SIZE}
    member |= {"mean_years": 9.0, "std_years": 3.0, "sha256": sha256_of(weights)}
    facts = {"format": 1, "title": "a net", "source": "rsna", "cases_sha256": "0" * 64, "members": [member]}
    (tmp_path / "net" / "model.json").write_text(json.dumps(facts))
    with pytest.raises(BoneAgeError, match=r"network-0\.npz: .*get that folder again"):
        read_models(tmp_path / "net")
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_every_network_is_built_of_known_classes_alone(tmp_path):
    named = {"LossScaleOptimizer"}
    path = tmp_path / "model.keras"
    for network, variant in [*((one, "") for one in NETWORKS), ("cnn", "sex"), ("cnn", "month_bins")]:
        model = to_train(build_model(network, 128, 9.0, 3.0, 1, "tiny", variant=variant, degradation=0.3))
        compile_model(model, Settings(), 10)
        written = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
        named |= {one.get("class_name") for one in _dictionaries(written)}
    assert named - {None} == KNOWN_CLASSES
    for precision in PRECISIONS:
        with precise(precision):
            model = build_model("cnn", SIZE, 9.0, 3.0, 1, "tiny")
            compile_model(model, Settings(), 10)
            model.save(path)
            read_model(path, compiled=True)


def test_keras_opens_model_files_in_one_place_alone():
    source = Path(boneage.__file__).parent
    places = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"saving\.load_model|models\.load_model|load_weights|h5py\.File", path.read_text())
    }
    assert places == {"training/model_files.py"}


def test_nothing_is_pickled_or_unpickled():
    source = Path(boneage.__file__).parent
    for path in source.rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"\b(import|from) (pickle|dill|cloudpickle|shelve|marshal)\b", text), path
        assert not re.search(
            r"joblib\.(load|dump)|read_pickle|to_pickle|allow_pickle=True|safe_mode=False", text
        )
        assert len(re.findall(r"np\.load\(", text)) == len(
            re.findall(r"np\.load\(.*allow_pickle=False", text)
        )
