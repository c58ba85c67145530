"""What another program gets of a network: files that say what the network says, and how to use them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from boneage.__main__ import main
from boneage.core.errors import BoneAgeError
from boneage.core.files import sha256_of
from boneage.core.settings import EXPORTS
from boneage.networks import NETWORKS
from boneage.notebooks import checkout
from boneage.phantom.drawing import draw_hand

pytestmark = pytest.mark.slow

EXAMPLE = checkout() / "docs" / "onnx_estimate.py"


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory) -> Path:
    """The export of the run that takes the sex."""
    out = tmp_path_factory.mktemp("export") / "sex"
    (run,) = (one for one in runs if "-sex-" in one.name)
    assert main(["export", str(run), "--out", str(out)]) == 0
    return out


def about(folder):
    return json.loads((folder / "network.json").read_text())


def model_folder(folder, network, variant="", count=1):
    """A folder of models with tiny, untrained networks, whose heads say something of an image."""
    import keras

    from boneage.estimate import write_models
    from boneage.estimate.ensemble import Ensemble, Member, Reference
    from boneage.training import build_model

    keras.utils.set_random_seed(1)
    model = build_model(network, 64, 9.0, 4.0, 1, "tiny", "scratch", variant)
    head = model.get_layer("month_bins" if variant == "month_bins" else "standardised_years")
    head.set_weights([np.random.default_rng(1).normal(0, 0.3, one.shape) for one in head.get_weights()])
    members = (Member(network, network, "tiny", variant, model),) * count
    features = (np.zeros((3, model.get_layer("pooled").output.shape[-1])),) * count
    years, said = np.array([3.0, 8.0, 14.0]), np.array([[np.nan, 9.0, 9.0]] * count)
    reference = Reference(years, np.array([True, False, True]), said, features)
    return write_models(Ensemble(network, members, reference, "phantom"), folder)


@pytest.mark.parametrize(
    ("network", "variant"), [*((one, "") for one in NETWORKS), ("cnn", "sex"), ("cnn", "month_bins")]
)
def test_every_network_exports_in_every_format(network, variant, tmp_path, monkeypatch):
    from boneage.estimate import export

    # Drawing 50 hands takes longer than to export a small network; as many are drawn in the tests below.
    monkeypatch.setattr(export, "CHECKED_IMAGES", 10)
    folder = model_folder(tmp_path / "models", network, variant)
    assert main(["export", str(folder), "--out", str(tmp_path / "out")]) == 0
    made = about(tmp_path / "out")["files"]
    assert list(made) == list(EXPORTS)
    assert all(one["largest_difference_years"] <= 0.01 for one in made.values())


def test_the_example_says_what_estimate_says(exported, runs, tmp_path):
    from boneage.estimate import Child, estimate_files, find_radiographs, load_ensemble

    (run,) = (one for one in runs if "-sex-" in one.name)
    ensemble = load_ensemble([run])
    for age, sex, height in ((6.0, "F", 1300), (13.0, "M", 700)):
        path = tmp_path / f"{age}.jpg"
        cv2.imwrite(str(path), draw_hand(age, sex, 4, height=height).image)
        for given in ("F", "M", ""):
            (one,) = estimate_files(find_radiographs(path, tmp_path / "unpacked"), ensemble, Child(given))
            assert one.hand.corrections == ()
            line = [sys.executable, str(EXAMPLE), str(exported), str(path), *filter(None, [given])]
            said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
            assert float(said.removesuffix(" years\n")) == pytest.approx(one.estimate.bone_age, abs=0.01)


def test_the_page_holds_the_example():
    assert EXAMPLE.read_text() in (checkout() / "docs" / "export.md").read_text()


def test_it_is_checked_on_the_run_s_own_validation_images(exported, runs, tmp_path, monkeypatch):
    from boneage.estimate import export

    assert "14 validation images of the run and 36 drawn hands" in about(exported)["checked"]
    alone = tmp_path / runs[0].name
    shutil.copytree(runs[0], alone)
    assert main(["export", str(alone), "--format", "keras"]) == 0
    assert about(alone / "export")["checked"].endswith("50 drawn hands")
    monkeypatch.setattr(export, "CHECKED_IMAGES", 10)
    out = tmp_path / "few"
    assert main(["export", str(runs[0]), "--format", "keras", "--out", str(out)]) == 0
    assert about(out)["checked"].endswith("on 10 validation images of the run")


def test_the_facts_are_those_of_the_files(exported):
    facts = about(exported)
    assert facts["image"]["size"] == 48
    assert "not a medical device" in facts["notice"]
    assert facts["sex"]["M"] == 1
    for made in facts["files"].values():
        for name, digest in made["sha256"].items():
            assert sha256_of(exported / name) == digest


def test_the_keras_file_needs_nothing_of_this_package(exported):
    program = (
        f"import sys, keras; keras.saving.load_model({str(exported / 'model.keras')!r}); "
        "sys.exit('boneage' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"TF_CPP_MIN_LOG_LEVEL": "3"})


def test_every_network_of_a_folder_of_models_has_a_folder(tmp_path):
    folder = model_folder(tmp_path / "models", "cnn", count=2)
    assert main(["export", str(folder), "--format", "keras"]) == 0
    assert (folder / "export" / "network-1" / "model.keras").is_file()
    assert (folder / "export" / "network-0" / "card.md").read_text().startswith("# Model card: models")


def test_a_file_that_says_something_else_is_not_written(tmp_path, monkeypatch, capsys):
    import keras

    from boneage.estimate import export

    def wrong(model, batch=None):
        good = export_as_it_is(model, batch)
        return keras.Model(good.input, good.output + 0.02) if batch else good

    export_as_it_is = export.bare
    monkeypatch.setattr(export, "bare", wrong)
    folder, out = model_folder(tmp_path / "models", "cnn"), tmp_path / "out"
    assert main(["export", str(folder), "--format", "litert", "keras", "--out", str(out)]) == 2
    printed = capsys.readouterr()
    assert "model.tflite: not written, as it says 0.02 years more or less than the network" in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not (out / "model.tflite").exists()
    assert list(about(out)["files"]) == ["keras"]


def test_a_format_that_cannot_be_made_is_told_in_one_line(tmp_path, monkeypatch, capsys):
    from boneage.estimate import export

    def fail(model, path):
        raise RuntimeError("no such\noperation")

    monkeypatch.setitem(export._FORMATS, "onnx", export._FORMATS["onnx"]._replace(write=fail))
    folder = model_folder(tmp_path / "models", "cnn")
    assert main(["export", str(folder), "--format", "onnx", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "model.onnx: cannot be made of this network (RuntimeError: no such operation)" in said
    assert len(said.splitlines()) == 1


def test_a_missing_package_is_named_with_what_to_install(tmp_path, monkeypatch, capsys):
    from boneage.estimate import export

    # What Python then says of importing it.
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    folder = model_folder(tmp_path / "models", "cnn")
    assert main(["export", str(folder), "--format", "onnx"]) == 2
    assert "run `pip install tf2onnx onnxruntime`" in capsys.readouterr().err
    assert not (folder / "export").exists()
    monkeypatch.setattr(export, "EXPORTS", {one: EXPORTS[one] for one in ("keras", "onnx")})
    assert main(["export", str(folder)]) == 0
    assert "onnx left out: tf2onnx: cannot be imported" in capsys.readouterr().out
    assert list(about(folder / "export")["files"]) == ["keras"]


def test_a_second_export_replaces_the_first_and_nothing_else(exported, runs, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(exported, out)
    assert main(["export", str(runs[0]), "--format", "keras", "--out", str(out)]) == 0
    assert not (out / "model.onnx").exists()
    assert not (out / "saved_model").exists()
    assert main(["export", str(runs[0]), "--format", "keras", "--out", str(runs[0])]) == 2
    assert "holds other files; name another folder with --out" in capsys.readouterr().err


def test_what_is_no_network_is_refused(runs, tmp_path, capsys):
    assert main(["export", str(tmp_path)]) == 2
    assert "not finished" in capsys.readouterr().err
    from boneage.estimate import export
    from boneage.estimate.ensemble import Member

    tta = Member("CNN, test-time augmentation", "cnn", "tiny", "tta", None)
    with pytest.raises(BoneAgeError, match="export the plain run"):
        list(export._export_member(tta, tmp_path / "out", [], np.empty(0), ""))
