"""The verb ``cases``: what it says of units, and which archives it reads."""

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from boneage.__main__ import main
from boneage.core.settings import Settings

STAMPED = "Bone Age-20261129T083000Z"


@pytest.fixture
def cases(tmp_path, capsys):
    """Runs the verb on a source and a folder; returns the exit status, what was said, and the case table."""

    def run(data: Path, *options: str, source: str = "rsna"):
        work = tmp_path / "work"
        line = ["cases", "--work", str(work), "--source", source, "--data", str(data), *options]
        status = main(line)
        table = work / "cases.csv"
        out, err = capsys.readouterr()
        return status, out + err, pd.read_csv(table, dtype={"case_id": str}) if table.is_file() else None

    return run


def half(path: Path, *numbers: int, labels: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for number in numbers:
            file.writestr(f"Bone Age/images/{number}.png", f"pixels {number}")
        if labels:
            file.writestr("Bone Age/train.csv", labels)
    return path


LABELS = "id,boneage,male\n1,120,True\n2,60,False\n3,30,True\n"


@pytest.mark.parametrize("number", ["-001", "-1-001"])
@pytest.mark.parametrize("named", ["the first", "the second", "the folder"])
def test_a_download_that_drive_split_into_two_zips_is_read_whole(tmp_path, cases, number, named):
    folder = tmp_path / "downloads"
    first = half(folder / f"{STAMPED}{number}.zip", 1, 2)
    second = half(folder / f"{STAMPED}{number[:-1]}2.zip", 3, labels=LABELS)
    data = {"the first": first, "the second": second, "the folder": folder}[named]
    for _ in range(2):
        status, said, table = cases(data)
        assert status == 0
        assert table["case_id"].tolist() == ["1", "2", "3"]
        assert table["bone_age"].tolist() == [10.0, 5.0, 2.5]
        assert all(Path(image).is_file() for image in table["image"])
        assert "left out" not in said


def test_images_in_a_zip_and_labels_beside_it_come_together(tmp_path, cases):
    half(tmp_path / "data" / "images.zip", 1, 2, 3)
    (tmp_path / "data" / "train.csv").write_text(LABELS)
    status, _, table = cases(tmp_path / "data")
    assert status == 0
    assert len(table) == 3


def tarred(path: Path, *numbers: int) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for number in numbers:
            info = tarfile.TarInfo(f"images/{number}.png")
            info.size = len(pixels := f"pixels {number}".encode())
            file.addfile(info, io.BytesIO(pixels))
    return path


@pytest.mark.parametrize("named", ["the folder", "an archive of it"])
def test_two_archives_of_one_stem_are_both_read(tmp_path, cases, named):
    data = tmp_path / "data"
    archive = half(data / "images.zip", 1, 2, labels=LABELS)
    tarred(data / "images.tar.gz", 3)
    if named == "an archive of it":
        data = Path(shutil.make_archive(tmp_path / "all", "zip", data))
    inodes = set()
    for _ in range(2):
        status, said, table = cases(data)
        assert status == 0
        assert table["case_id"].tolist() == ["1", "2", "3"]
        assert "left out" not in said
        inodes.add(tuple(Path(image).stat().st_ino for image in table["image"]))
    assert len(inodes) == 1
    if named == "the folder":
        # Another content of one of them replaces what was unpacked of that one.
        half(archive, 1, labels=LABELS)
        assert cases(data)[2]["case_id"].tolist() == ["1", "3"]


def test_an_archive_that_is_unpacked_stays_where_it_is_when_another_of_its_stem_comes(tmp_path, cases):
    half(tmp_path / "data" / "images.zip", 1, 2, labels=LABELS)
    before = cases(tmp_path / "data")[2]["image"].tolist()
    assert {Path(image).relative_to(tmp_path / "work/data/data-archives").parts[0] for image in before} == {
        "images"
    }
    tarred(tmp_path / "data" / "images.tar.gz", 3)
    after = cases(tmp_path / "data")[2]["image"].tolist()
    assert after[:2] == before
    assert Path(after[2]).is_file()


def test_a_zip_whose_files_lie_beside_it_is_not_read_twice_and_a_broken_one_is_told(tmp_path, cases):
    archive = half(tmp_path / "data" / "images.zip", 1, 2, 3, labels=LABELS)
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "data" / "by hand")
    (tmp_path / "data" / "cut.zip").write_bytes(archive.read_bytes()[:200])
    status, _, table = cases(tmp_path / "data")
    assert status == 0
    assert len(table) == 3
    skipped = pd.read_csv(tmp_path / "work" / "skipped-cases.csv").set_index("item")["reason"]
    assert set(skipped.index) == {"images.zip", "cut.zip"}
    assert "already unpacked beside" in skipped["images.zip"]
    assert "broken or cut off" in skipped["cut.zip"]


def test_the_unit_is_said_stands_beside_the_table_and_can_be_set_for_good(tmp_path, cases):
    data = tmp_path / "data"
    data.mkdir()
    for number in (1, 2, 3):
        (data / f"{number}.png").write_bytes(b"pixels")
    (data / "train.csv").write_text(LABELS)
    _, said, _ = cases(data)
    assert "train.csv: bone ages in months (3 of 3 values are above 20" in said
    facts = json.loads((tmp_path / "work" / "cases.json").read_text())
    assert facts["units"][0]["unit"] == "months"
    (data / "train.csv").write_text(LABELS.replace("120", "10").replace("60", "5").replace("30", "2"))
    status, said, _ = cases(data)
    assert status == 2
    assert said.count("\n") == 1
    assert "months or years?" in said
    assert "--unit months or --unit years" in said
    status, said, table = cases(data, "--unit", "years")
    assert status == 0
    assert table["bone_age"].tolist() == [10.0, 5.0, 2.0]
    assert "set by --unit years" in said
    # Kept for the next run.
    assert Settings.load(tmp_path / "work" / "settings.json").unit == "years"
    assert cases(data)[0] == 0
    # But not for other data.
    (tmp_path / "other").mkdir()
    for path in data.iterdir():
        (tmp_path / "other" / path.name).write_bytes(path.read_bytes())
    assert cases(tmp_path / "other")[0] == 2


def test_a_table_of_another_data_set_does_not_keep_the_published_readings_from_coming(
    tmp_path, cases, monkeypatch
):
    image = tmp_path / "atlas" / "JPEGimages" / "BLKM" / "BLKM10" / "3145.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"pixels")
    (tmp_path / "atlas" / "other.csv").write_text("patient_ID,bone_age\n55553145,180\n")
    published = tmp_path / "published" / "la_dha.csv"
    published.parent.mkdir()
    published.write_text("patient_ID,bone_age,sex\n810103145,126,M\n")
    monkeypatch.setattr("boneage.pipeline.manifest.fetch", lambda *_, **__: published)
    status, said, table = cases(tmp_path / "atlas", source="dha")
    assert status == 0
    assert table["bone_age"].tolist() == [10.5]
    skipped = pd.read_csv(tmp_path / "work" / "skipped-cases.csv").set_index("item")["reason"]
    assert "another readings table" in skipped["other.csv"]
    assert "bone ages in months" in said
