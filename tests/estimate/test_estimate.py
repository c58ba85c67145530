"""From files to estimates: what is said, what is written, and what never is."""

import io
import json
import os
import pickle
import re
import shutil
import sys
import zipfile
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from boneage.__main__ import main
from boneage.core.errors import BoneAgeError
from boneage.core.files import sha256_of
from boneage.core.tables import CASE_TABLE, read_table, write_table
from boneage.dataset.labels import read_labels
from boneage.evaluation import read_run
from boneage.phantom.drawing import draw_hand
from boneage.workspace import Workspace

pytestmark = pytest.mark.slow


def drawn(age=9.0, sex="F", seed=500):
    return draw_hand(age, sex, seed, height=700).image


@pytest.fixture
def films(tmp_path):
    """A folder with a hand, both hands, noise, and a file that is cut short."""
    folder = tmp_path / "films"
    folder.mkdir()
    hand = drawn()
    cv2.imwrite(str(folder / "a hand.png"), hand)
    cv2.imwrite(str(folder / "both.tif"), np.hstack([hand, hand[:, ::-1]]))
    cv2.imwrite(str(folder / "noise.png"), np.random.default_rng(1).integers(0, 255, (400, 300), np.uint8))
    (folder / "cut.jpg").write_bytes(cv2.imencode(".jpg", hand)[1].tobytes()[:4000])
    return folder


def said(path, ensemble, tmp_path, *known):
    from boneage.estimate import Child, estimate_files, find_radiographs

    return list(estimate_files(find_radiographs(path, tmp_path / "unpacked"), ensemble, Child(*known)))


def test_a_folder_gives_a_table_pages_and_observations(films, runs, tmp_path, capsys):
    out = tmp_path / "out"
    line = ["estimate", str(films), "--run", *map(str, runs), "--sex", "F", "--age", "9.5"]
    assert main([*line, "--out", str(out), "--fhir"]) == 0
    printed = capsys.readouterr().out
    assert "a hand.png: " in printed
    assert "(mean at that age 10.0)" in printed
    assert "not a medical device" in printed
    table = pd.read_csv(out / "estimates.csv").set_index(["file", "hand"])
    assert len(table) == 5
    one = table.loc[("a hand.png", np.nan)].iloc[0] if table.index.has_duplicates else table.iloc[0]
    assert one["low"] <= one["bone_age"] <= one["high"]
    assert one["difference"] == pytest.approx(one["bone_age"] - 9.5, abs=1e-3)
    assert np.isfinite(one["z_score"])
    assert len(one["votes"].split(";")) == 2
    assert len(one["nearest"].split(";")) == 3
    told = read_table(out / "estimates.csv", ("file", "status", "reason"))
    assert told.set_index("file").loc["cut.jpg", "status"] == "refused"
    assert "cut short" in told.set_index("file").loc["cut.jpg", "reason"]
    assert "hand" in told.set_index("file").loc["noise.png", "reason"]
    rows = json.loads((out / "estimates.json").read_text())["estimates"]
    assert [row["file"] for row in rows] == told["file"].tolist()
    assert rows[0]["bone_age"] == pytest.approx(one["bone_age"])
    assert len(list(out.glob("*.html"))) == 4
    assert len(list(out.glob("*.fhir.json"))) == 3
    assert {row["page"] for row in rows} == {"", *(path.name for path in out.glob("*.html"))}
    # Another command into the same folder replaces what the first one wrote, and nothing else.
    (out / "0009-mine.html").write_text("mine")
    assert main(["estimate", str(films / "a hand.png"), *line[2:], "--out", str(out)]) == 0
    pages = {path.name for path in out.glob("*.html")}
    assert pages == {"0001-a-hand.html", "0009-mine.html"}
    assert not list(out.glob("*.fhir.json"))


def test_each_radiograph_may_have_a_sex_and_an_age_of_its_own(films, ensemble, runs, tmp_path, capsys):
    table = tmp_path / "children.csv"
    table.write_text("sep=;\nfile;sex;age;remark\nboth.TIF;boy;8,5;x\na hand;f;;\nelsewhere.png;M;3;\n")
    out = tmp_path / "out"
    line = ["estimate", str(films), "--run", *map(str, runs), "--children", str(table)]
    assert main([*line, "--out", str(out)]) == 0
    assert "2 of 4 radiographs have a row" in capsys.readouterr().out
    rows = {
        (row["file"], row["hand"]): row
        for row in json.loads((out / "estimates.json").read_text())["estimates"]
    }
    assert {file: row["sex"] for (file, _), row in rows.items()} == {
        "a hand.png": "F",
        "both.tif": "M",
        "cut.jpg": "",
        "noise.png": "",
    }
    (girl,) = said(films / "a hand.png", ensemble, tmp_path, "F")
    left, right = said(films / "both.tif", ensemble, tmp_path, "M", 8.5)
    for one in (girl, left, right):
        row = rows[one.file, one.place]
        assert row["bone_age"] == pytest.approx(one.estimate.bone_age, abs=1e-3)
        assert row["age"] == one.estimate.age
    assert main([*line, "--sex", "F"]) == 2
    assert "leave --sex and --age out" in capsys.readouterr().err


def test_both_hands_of_a_film_say_the_same(films, ensemble, tmp_path):
    left, right = said(films / "both.tif", ensemble, tmp_path, "F")
    assert (left.place, right.place) == ("left of the film", "right of the film")
    assert left.estimate.bone_age == pytest.approx(right.estimate.bone_age, abs=0.3)


def test_what_was_estimated_before_a_run_was_stopped_is_on_record(films, ensemble, tmp_path):
    from boneage.estimate import write_estimates

    (one,) = said(films / "a hand.png", ensemble, tmp_path)
    out = tmp_path / "out"

    def stopped_after(count):
        yield from [one] * count
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_estimates(stopped_after(9), ensemble, out)
    table = read_table(out / "estimates.csv", ("file", "page"))
    assert sorted(table["page"]) == sorted(path.name for path in out.glob("*.html"))
    assert len(table) == 8
    write_estimates([one], ensemble, out)
    assert [path.name for path in out.glob("*.html")] == ["0001-a-hand.html"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a name is always Unicode")
def test_a_file_whose_name_is_no_unicode_is_estimated(films, ensemble, tmp_path):
    from boneage.estimate import write_estimates

    named = os.fsencode(films) + b"/\xffhand.png"
    shutil.copy(films / "a hand.png", named)
    (one,) = write_estimates(said(os.fsdecode(named), ensemble, tmp_path), ensemble, tmp_path / "out")
    assert one.file == "?hand.png"
    assert (tmp_path / "out" / one.page).is_file()


def test_a_page_loads_nothing_and_escapes_names(films, ensemble, tmp_path):
    from boneage.estimate import write_estimates

    named = films / "<b>x&y.png"
    shutil.copy(films / "a hand.png", named)
    write_estimates(said(named, ensemble, tmp_path), ensemble, tmp_path / "out")
    (page,) = (tmp_path / "out").glob("*.html")
    text = page.read_text()
    assert "&lt;b&gt;x&amp;y.png" in text
    assert "<b>x" not in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert "not a medical device" in text
    assert "without" not in re.sub(r"base64,[^\"]*", "", text)


def test_without_the_sex_it_is_the_mean_of_both_and_said(ensemble, films, tmp_path):
    path = films / "a hand.png"
    (girl,), (boy,), (either,) = (said(path, ensemble, tmp_path, sex) for sex in ("F", "M", ""))
    mean = (girl.estimate.bone_age + boy.estimate.bone_age) / 2
    assert either.estimate.bone_age == pytest.approx(mean, abs=1e-4)
    assert either.estimate.low == pytest.approx(min(girl.estimate.low, boy.estimate.low), abs=1e-4)
    assert any("sex not given" in one for one in either.estimate.notes)
    assert np.isnan(either.estimate.z_score)


def test_a_zip_is_unpacked_and_an_unsafe_one_refused(films, models, tmp_path, capsys):
    packed = tmp_path / "films.zip"
    with zipfile.ZipFile(packed, "w") as file:
        file.write(films / "a hand.png", "deep/a hand.png")
    assert main(["estimate", str(packed), "--run", str(models)]) == 0
    assert "deep/a hand.png: " in capsys.readouterr().out
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("../out.png", b"x")
    assert main(["estimate", str(packed), "--run", str(models)]) == 2
    assert "leaves the folder" in capsys.readouterr().err


def test_no_tag_that_tells_who_it_is_gets_anywhere(ensemble, tmp_path, capsys):
    pydicom = pytest.importorskip("pydicom")
    from boneage.estimate import line_of, write_estimates

    image, dataset = drawn(), pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.99999"
    dataset.PatientName, dataset.PatientID = "Quisling^Vidkun", "ID-77123"
    dataset.PatientBirthDate, dataset.InstitutionName = "20010203", "Lillehammer Hospital"
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 7, 0, 1
    dataset.PhotometricInterpretation, dataset.PixelData = (
        "MONOCHROME2",
        image.tobytes() + b"\0" * (image.size % 2),
    )
    whole, damaged = tmp_path / "one.dcm", tmp_path / "two.dcm"
    dataset.save_as(whole, enforce_file_format=True)
    dataset.PixelData = image.tobytes()[: image.size // 4 * 2]
    dataset.save_as(damaged, enforce_file_format=True)
    for path in (whole, damaged):
        for one in write_estimates(said(path, ensemble, tmp_path), ensemble, tmp_path / "out", fhir=True):
            print(line_of(one))
            assert (one.estimate.refusal == "") == (path == whole)
        everything = b"".join(file.read_bytes() for file in (tmp_path / "out").iterdir())
        everything += "".join(capsys.readouterr()).encode()
        for secret in (b"Quisling", b"77123", b"20010203", b"2001-02-03", b"Lillehammer", b"1.2.3.99999"):
            assert secret not in everything


def test_an_observation_has_what_fhir_requires(ensemble, films, tmp_path):
    from boneage.estimate.fhir import observation

    (one,) = said(films / "a hand.png", ensemble, tmp_path, "M", 8.0)
    made = json.loads(json.dumps(observation(one.estimate, "a test")))
    # Observation, R4 (4.0.1): required elements, the value sets of codes, and no empty list.
    assert made["resourceType"] == "Observation"
    assert made["status"] in ("registered", "preliminary", "final", "amended", "corrected", "cancelled")
    assert made["code"]["coding"] == [
        {"system": "http://loinc.org", "code": "85151-9", "display": "XR Bone age"}
    ]
    allowed = {"resourceType", "status", "category", "code", "valueQuantity", "bodySite", "method", "note"}
    assert set(made) <= allowed | {"component"}
    assert made["valueQuantity"]["value"] == pytest.approx(12 * one.estimate.bone_age, abs=0.06)
    for quantity in [made["valueQuantity"], *(part["valueQuantity"] for part in made["component"])]:
        assert isinstance(quantity["value"], float)
        assert quantity["system"] == "http://unitsofmeasure.org"
        assert quantity["code"] in ("mo", "1")
    assert all(part["code"]["text"] for part in made["component"])
    assert len(made["component"]) == 4
    assert all(note["text"] for note in made["note"])
    assert "subject" not in made
    resources = pytest.importorskip("fhir.resources.R4B.observation")
    resources.Observation.model_validate(made)


def test_a_folder_of_models_says_what_the_runs_say(ensemble, models, films, tmp_path):
    from boneage.estimate import read_models

    again = read_models(models)
    path = films / "a hand.png"
    (first,), (second,) = (said(path, one, tmp_path, "F") for one in (ensemble, again))
    assert second.estimate.bone_age == pytest.approx(first.estimate.bone_age, abs=0.01)
    assert second.estimate.low == pytest.approx(first.estimate.low, abs=0.02)
    assert second.estimate.strangeness == pytest.approx(first.estimate.strangeness, rel=0.02)
    assert sorted(one.name for one in models.iterdir()) == [
        *("README.md", "cases.npz", "model.json", "network-0.npz", "network-1.npz"),
    ]
    with np.load(models / "network-0.npz") as file:
        assert {file[name].dtype for name in file.files} == {np.dtype(np.float16)}
    card = (models / "README.md").read_text()
    assert "| Girls | " in card
    assert "not a\n  medical device" in card


def test_the_tool_ships_runs_and_says_what_it_could_not(runs, tmp_path, capsys):
    import ship

    # The same hands, as if they were another source's.
    other = shutil.copytree(runs[0].parents[1], tmp_path / "other", ignore=shutil.ignore_patterns("runs"))
    facts = json.loads((other / "labels.json").read_text())
    (other / "labels.json").write_text(json.dumps(facts | {"source": "dha"}))
    line = ["two", *map(str, runs), "--models", str(tmp_path), "--outside"]
    assert ship.main([*line, str(runs[0].parents[1])]) == 2
    assert "name a work folder of another source" in capsys.readouterr().err
    assert ship.main([*line, str(other)]) == 0
    assert (tmp_path / "two" / "model.json").is_file()
    card = (tmp_path / "two" / "README.md").read_text()
    assert "as they are" in card
    assert "| noise of 5 grey levels | " in card
    assert re.search(r"\| the Digital Hand Atlas \| 90 +\| \d\.\d\d", card)
    assert ship.main(["../two", *map(str, runs)]) == 2
    assert "cannot name a folder" in capsys.readouterr().err
    alone = shutil.copytree(runs[0], tmp_path / "elsewhere" / "runs" / runs[0].name)
    assert ship.main(["three", str(alone), "--models", str(tmp_path)]) == 2
    assert "not written" in capsys.readouterr().err
    assert not (tmp_path / "three").exists()


def test_networks_of_several_sizes_are_shipped_without_their_errors_on_changed_images(tmp_path):
    from boneage.estimate.evidence import held_out_robustness

    members = [SimpleNamespace(size=size) for size in (32, 48)]
    assert held_out_robustness(SimpleNamespace(reference=object(), members=members), tmp_path) is None


def test_a_model_that_was_tampered_with_is_refused_and_runs_nothing(models, tmp_path):
    from boneage.estimate import read_models

    class Hostile:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    def pickled(path):
        stream = io.BytesIO()
        np.savez(stream, **{"0000": np.array([Hostile()], object)})
        path.write_bytes(stream.getvalue())

    def other_hash(folder):
        facts = json.loads((folder / "model.json").read_text())
        facts["members"][0]["sha256"] = sha256_of(folder / "network-0.npz")
        (folder / "model.json").write_text(json.dumps(facts))

    def copy():
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        return shutil.copytree(models, tmp_path / "copy")

    folder = copy()
    data = bytearray((folder / "network-0.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "network-0.npz").write_bytes(data)
    with pytest.raises(BoneAgeError, match=r"network-0\.npz: not the file"):
        read_models(folder)
    for wreck in (pickled, lambda path: path.write_bytes(pickle.dumps(Hostile())), cut, as_bomb):
        folder = copy()
        wreck(folder / "network-0.npz")
        other_hash(folder)
        with pytest.raises(BoneAgeError, match="get that folder again"):
            read_models(folder)
    assert not (tmp_path / "ran").exists()
    with np.load(models / "cases.npz") as file:
        whole = dict(file)
    for wreck in (
        {"held_out": np.full_like(whole["held_out"], np.nan)},
        {"held_out": np.zeros_like(whole["held_out"])},
        {"held_out": whole["held_out"].astype(str)},
        {"months": whole["months"] * 0 + 9000},
        {"months": whole["months"].astype(str)},
        {"features-0": whole["features-0"] * np.nan},
        {"features-0": whole["features-0"][:, 1:]},
        {
            name: one[..., :0] if name in ("held_out", "months", "male") else one[:0]
            for name, one in whole.items()
        },
    ):
        folder = copy()
        np.savez(folder / "cases.npz", **(whole | wreck))
        facts = json.loads((folder / "model.json").read_text())
        facts["cases_sha256"] = sha256_of(folder / "cases.npz")
        (folder / "model.json").write_text(json.dumps(facts))
        with pytest.raises(BoneAgeError, match="not the cases of 2 networks; get that folder again"):
            read_models(folder)
    for facts in ("", "[]", '{"format": 1}', "[" * 100_000):
        (folder / "model.json").write_text(facts)
        with pytest.raises(BoneAgeError, match=r"model\.json: not the facts"):
            read_models(folder)


def cut(path):
    path.write_bytes(path.read_bytes()[:2000])


def as_bomb(path):
    """Three gigabytes of zeros by what the file declares."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file,
        file.open("0000.npy", "w", force_zip64=True) as one,
    ):
        np.lib.format.write_array_header_1_0(
            one, {"descr": "<f2", "fortran_order": False, "shape": (3 * 2**29,)}
        )
        for _ in range(48):
            one.write(bytes(2**25))


def test_the_folds_of_a_cross_validation_hold_each_case_out_once(runs, films, tmp_path):
    from boneage.estimate import load_ensemble

    root = tmp_path / "folds"
    shutil.copytree(runs[0].parent.parent, root)
    folds = sorted((root / "runs").glob("cnn-*/"))
    for number, fold in enumerate(folds):
        said_of = read_table(fold / "predictions.csv", ("Case ID", "Split", "Prediction"))
        said_of["Split"] = ["test" if at % 2 == number else "train" for at in range(len(said_of))]
        write_table(fold / "predictions.csv", said_of)
    ensemble = load_ensemble(folds)
    assert (ensemble.reference.trained.sum(axis=0) == 1).all()
    (one,) = said(films / "a hand.png", ensemble, tmp_path, "F")
    assert one.estimate.low < one.estimate.bone_age < one.estimate.high


def test_labels_that_are_no_longer_those_of_the_run_give_no_interval(runs, tmp_path):
    from boneage.estimate import load_ensemble

    root = tmp_path / "again"
    shutil.copytree(runs[0].parent.parent, root)
    run = root / "runs" / runs[0].name
    assert load_ensemble([run]).reference is not None
    labels = (root / "labels.csv").read_text()
    older = pd.read_csv(root / "labels.csv", dtype=str)
    older["Bone Age"] = (older["Bone Age"].astype(float) * 0.9).round(2)
    older.to_csv(root / "labels.csv", index=False)
    ensemble = load_ensemble([run])
    assert ensemble.reference is None
    assert f"no longer the bone ages that {run.name} was trained on" in ensemble.notices[0]
    (root / "labels.csv").write_text(labels)
    facts = json.loads((root / "labels.json").read_text())
    (root / "labels.json").write_text(json.dumps(facts | {"label_kind": "the folder's year of age"}))
    assert "no longer the bone ages" in load_ensemble([run]).notices[0]


@pytest.mark.parametrize(("tested", "words"), [(0, "was trained on every case"), (5, "are too few for")])
def test_with_too_few_cases_held_out_there_is_an_estimate_without_an_interval(
    runs, films, tmp_path, tested, words
):
    from boneage.estimate import load_ensemble

    root = tmp_path / "again"
    shutil.copytree(runs[0].parent.parent, root)
    run = root / "runs" / runs[0].name
    table = read_table(run / "predictions.csv", ("Case ID", "Split", "Prediction"))
    table["Split"] = ["test"] * tested + ["train"] * (len(table) - tested)
    write_table(run / "predictions.csv", table)
    ensemble = load_ensemble([run])
    assert words in ensemble.notices[0]
    (one,) = said(films / "a hand.png", ensemble, tmp_path, "F")
    assert np.isfinite(one.estimate.bone_age)
    assert np.isnan(one.estimate.low)


def test_a_run_without_its_cases_estimates_without_an_interval(runs, films, tmp_path):
    from boneage.estimate import load_ensemble

    alone = shutil.copytree(runs[0], tmp_path / "elsewhere" / "runs" / runs[0].name)
    ensemble = load_ensemble([alone])
    assert "no interval" in ensemble.notices[0]
    (one,) = said(films / "a hand.png", ensemble, tmp_path, "F")
    assert np.isfinite(one.estimate.bone_age)
    assert np.isnan(one.estimate.low)
    assert one.estimate.nearest == ()


def test_what_is_uploaded_is_read_in_ipywidgets_7_and_8(films):
    from boneage.estimate.notebook import Upload

    def content(name):
        return (films / name).read_bytes()

    upload = Upload()
    assert upload.folder() is None
    as_in_7 = {"../a hand.png": {"metadata": {}, "content": content("a hand.png")}}
    as_in_8 = ({"name": name, "content": memoryview(content(name))} for name in ("a hand.png", "both.tif"))
    for value, names in ((as_in_7, {"a hand.png"}), (tuple(as_in_8), {"a hand.png", "both.tif"})):
        upload.button = type("Button", (), {"value": value})
        found = upload.folder()
        read = {found.name} if found.is_file() else {one.name for one in found.iterdir()}
        assert read == names


def test_a_notebook_takes_the_best_runs_and_a_test_case_and_shows_it(runs, films, ensemble, tmp_path):
    from boneage.estimate.notebook import best_runs, example, hands_sheet

    work = Workspace.at(runs[0].parent.parent)
    errors = {run: read_run(run).record["metrics"]["validation"]["mae"] for run in runs}
    assert best_runs(work, 1) == [min(errors, key=errors.get)]
    assert sorted(best_runs(work)) == runs
    assert best_runs(Workspace.at(tmp_path)) == []
    with pytest.raises(BoneAgeError, match="no radiograph yet: upload one with the button above"):
        example(Workspace.at(tmp_path))
    labels = read_labels(work.labels).table
    case = labels.loc[labels["Split"] == "test", "Case ID"].iloc[0]
    cases = {name: [""] for name in CASE_TABLE} | {"case_id": [case], "image": ["none.png"]}
    write_table(work.cases, pd.DataFrame(cases))
    with pytest.raises(BoneAgeError, match="upload one"):
        example(work)
    write_table(work.cases, pd.DataFrame(cases | {"image": [f"images/{case}.png"]}))
    assert example(work) == work.root / "images" / f"{case}.png"
    sheet = hands_sheet(said(films, ensemble, tmp_path), ensemble)
    assert "a hand.png" in sheet.words
    assert "no estimate" in sheet.words


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--age", "120"], "years, not months"),
        (["--fhir"], "--out"),
        (["--run", "nowhere"], "no such folder"),
    ],
)
def test_what_a_person_can_put_right_is_one_line(options, words, films, models, capsys):
    given = options if "--run" in options else [*options, "--run", str(models)]
    assert main(["estimate", str(films), *given]) == 2
    assert words in capsys.readouterr().err


def test_a_folder_in_which_nothing_can_be_estimated_is_an_error_with_the_reason(
    films, models, tmp_path, capsys
):
    (films / "a hand.png").unlink()
    (films / "both.tif").unlink()
    (films / "notes.md").write_text("no image")
    assert main(["estimate", str(films), "--run", str(models), "--out", str(tmp_path / "out")]) == 2
    assert "no estimate: left out 3 of 3" in capsys.readouterr().err
    skipped = read_table(tmp_path / "out" / "skipped-estimate.csv", ("item", "reason"))
    assert sorted(skipped["item"]) == ["cut.jpg", "noise.png", "notes.md"]


def test_without_models_it_says_to_train_and_name_a_run(films, monkeypatch, tmp_path, capsys):
    from boneage.estimate import models as shipped

    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "none")
    assert main(["estimate", str(films)]) == 2
    assert "--run" in capsys.readouterr().err
