"""Whatever comes in, a command ends well or says in one line what is wrong, and nothing leaves its folder."""

import re
import shutil
from pathlib import Path

import cv2
import pytest
from corpus import ALL, IMAGES, REFUSED, SOUND
from work_folders import prepare

from boneage.__main__ import main
from boneage.core.tables import LABEL_TABLE, read_table
from boneage.phantom.drawing import draw_hand


def test_it_is_large_enough():
    assert len(ALL) + len(IMAGES) >= 120


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with a work folder of 40 cases, and a radiograph."""
    folder = tmp_path_factory.mktemp("sound")
    prepare(folder)
    rows = [f"{case_id},{case_id % 9 + 4},TRUE,Asian,{case_id},train,[]" for case_id in range(2000, 2040)]
    (folder / "work" / "sound.csv").write_text("\n".join([",".join(LABEL_TABLE), *rows]))
    cv2.imwrite(str(folder / "work" / "film.png"), draw_hand(9.0, "F", 1, height=400).image)
    return folder


@pytest.fixture
def folder(work, tmp_path, monkeypatch) -> Path:
    """A copy of it, in which nothing but what a command writes may change."""
    inside = tmp_path / "a" / "b"
    shutil.copytree(work, inside)
    monkeypatch.chdir(inside)
    yield inside
    assert (
        sorted(path.name for path in tmp_path.rglob("*") if "evil" in path.name or "ran-" in path.name) == []
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert not Path("/etc/cron.d/evil").exists()


@pytest.mark.parametrize("name", ALL)
def test_a_bad_file_gets_what_it_must(name, folder, capsys):
    bad = ALL[name]
    words = bad.lay(folder)
    if "--work" not in words and words[0] != "estimate":
        words += ["--work", str(folder / "new")]
    status = main(words)
    said = capsys.readouterr()
    if bad.gets == REFUSED:
        assert status == 2, said.out
        # What stands before it is a progress bar.
        error = said.err.split("\r")[-1]
        assert error.startswith("boneage: ")
        assert len(error.splitlines()) == 1
        assert len(error) < 2000
        assert re.search(bad.words, error), error
        return
    assert status == 0, said.err
    assert "Traceback" not in said.out + said.err
    if bad.gets == SOUND:
        assert re.search(bad.words, said.out), said.out
        return
    tables = [path.read_text() for path in folder.rglob("skipped-*.csv")]
    assert any(re.search(bad.words, text) for text in tables), tables


@pytest.fixture(scope="module")
def images_made(tmp_path_factory) -> tuple[Path, dict[str, str], str]:
    """A work folder in which every bad image was preprocessed, its ids by name, and what was printed."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "given").mkdir()
    ids, rows = {}, []
    for place, (name, (data, _)) in enumerate(IMAGES.items()):
        ids[name] = f"{place:04d}"
        (folder / "given" / f"{place:04d}{Path(name).suffix}").write_bytes(data)
        rows.append(f"{place:04d},{24 + place},True")
    (folder / "given" / "train.csv").write_text("\n".join(["id,boneage,male", *rows]))
    common = ["--work", str(folder / "work")]
    assert main(["cases", "--source", "rsna", "--data", str(folder / "given"), *common]) == 0
    assert main(["preprocess", "--image-size", "96", *common]) == 0
    return folder / "work", ids


@pytest.mark.parametrize("name", IMAGES)
def test_a_bad_image_gets_a_row_that_says_why_or_is_made(name, images_made):
    work, ids = images_made
    _, words = IMAGES[name]
    report = read_table(work / "preprocess.csv", ("case_id", "status")).set_index("case_id")
    skipped = read_table(work / "skipped-preprocess.csv", ("item", "reason")).set_index("item")["reason"]
    case_id = ids[name]
    made = (work / "images" / f"{case_id}.png").is_file()
    if words == SOUND:
        assert made
        assert report.loc[case_id, "status"] == "ok"
        return
    if case_id not in report.index:
        # It was no image for `cases` already.
        skipped = read_table(work / "skipped-cases.csv", ("item", "reason")).set_index("item")["reason"]
        assert any(case_id in item for item in skipped.index)
        return
    assert not made
    assert re.search(words, skipped[case_id]), skipped[case_id]
    assert case_id in skipped[case_id]
