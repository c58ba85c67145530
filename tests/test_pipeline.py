"""Stages that only meet here: the test on another source, and what stands between two stages."""

import cv2
import numpy as np
import pytest
from labelling import untouched_labels

from boneage import pipeline
from boneage.errors import BoneAgeError
from boneage.labels import write_labels
from boneage.settings import Settings
from boneage.tables import CASE_COLUMNS


@pytest.fixture
def prepared(tmp_path):
    """Makes a work folder with labels and photos of a source."""
    import pandas as pd

    def prepare(source, count=24):
        settings = Settings(
            source=source, work=str(tmp_path / source), train_size=32, epochs=(1,), batch_size=8
        )
        work = pipeline.work_folder(settings)
        work.photos.mkdir()
        ids = [f"{source}-{number}" for number in range(count)]
        for number, case_id in enumerate(ids):
            photo = np.random.default_rng(number).integers(0, 255, (32, 32), np.uint8)
            cv2.imwrite(str(work.photos / f"{case_id}.png"), photo)
        cases = pd.DataFrame(
            {"case_id": ids, "photo": ids, "source": source, "sex": "F", "race": "Unknown"}
            | {"bone_age": np.arange(count) % 12 + 4.0},
            columns=list(CASE_COLUMNS),
        )
        write_labels(work.labels, untouched_labels(cases, validation_share=0.2, test_share=0.2))
        pipeline.make_store(settings)
        return settings

    return prepare


@pytest.mark.slow
def test_a_run_is_tested_on_every_photo_of_another_source(prepared, tmp_path):
    ours, other = prepared("rsna"), prepared("dha", count=15)
    pipeline.train_network(ours, "cnn", 1)
    comparison = pipeline.compare(ours, tmp_path / "dha")
    assert comparison.outside["Cases"].tolist() == [15]
    joined = comparison.outside_test.joined["cnn-1"]
    expected = np.abs(joined["Estimate"] - joined["Bone Age"]).mean()
    assert comparison.outside["MAE (years)"].iloc[0] == pytest.approx(expected)
    assert set(joined["Case ID"]) == {f"dha-{number}" for number in range(15)}
    with pytest.raises(BoneAgeError, match="no test from outside"):
        pipeline.compare(ours, tmp_path / "rsna")
    # A source whose photos are of another size is said, and the report is written all the same.
    pipeline.work_folder(other).store(32).unlink()
    comparison = pipeline.compare(ours, tmp_path / "dha")
    assert comparison.outside.empty
    assert "cnn-1 on dha" in comparison.left_out["item"].tolist()


def test_an_atlas_without_readings_falls_back_on_the_year_of_age_and_says_so(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "atlas" / "JPEGimages" / "ASIF" / "ASIF07"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "5262.jpg"), np.full((64, 48), 90, np.uint8))

    def unreachable(*_, **__):
        raise BoneAgeError("la_dha.csv: no answer; try again later")

    monkeypatch.setattr(pipeline.manifest, "fetch", unreachable)
    settings = Settings(source="dha", data=str(tmp_path / "atlas"), work=str(tmp_path / "work"))
    cases = pipeline.make_cases(settings)
    assert cases["age_group"].tolist() == [7]
    assert cases["bone_age"].isna().all()
    assert "no answer" in capsys.readouterr().out
