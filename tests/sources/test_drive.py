"""Data may be the sharing link of a zip on Google Drive."""

import zipfile
from pathlib import Path

import pytest

from boneage.core.errors import BoneAgeError
from boneage.sources import drive
from boneage.sources.local import local_data

ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz012345"


@pytest.mark.parametrize(
    "text",
    [
        f"https://drive.google.com/file/d/{ID}/view?usp=sharing",
        f"https://drive.google.com/file/d/{ID}",
        f"https://drive.google.com/file/u/1/d/{ID}/view?usp=drive_link\n",
        f"https://drive.google.com/open?id={ID}&usp=drive_fs",
        f"https://drive.google.com/uc?export=download&id={ID}",
        f"https://docs.google.com/uc?id={ID}",
        f"drive:{ID}",
        f" {ID} ",
    ],
)
def test_a_sharing_link_names_its_file(text):
    assert drive.file_id(text) == ID


@pytest.mark.parametrize(
    "text", ["", "atlas.zip", "/content/drive/MyDrive/atlas.zip", "DigitalHandAtlas", ".."]
)
def test_a_path_is_no_link(text):
    assert drive.file_id(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"https://drive.google.com/drive/folders/{ID}?usp=sharing", "link of a folder; put"),
        ("https://example.org/atlas.zip", "not the sharing link"),
        ("drive:", "not the sharing link"),
    ],
)
def test_other_addresses_say_what_to_give_instead(text, words):
    with pytest.raises(BoneAgeError, match=words) as error:
        drive.file_id(text)
    assert "\n" not in str(error.value)


def test_a_folder_that_looks_like_an_id_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(ID).mkdir()
    assert drive.file_id(ID) is None
    assert drive.absolute(ID) == str(tmp_path / ID)


def served(monkeypatch, write):
    asked = []

    def download(id, output, resume):
        asked.append(id)
        write(Path(output))
        return output

    monkeypatch.setattr("gdown.download", download)
    return asked


def test_the_zip_behind_a_link_is_fetched_once_and_unpacked(tmp_path, monkeypatch):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("JPEGimages/BLKM/BLKM10/3145.jpg", b"1")

    asked = served(monkeypatch, write)
    link = f"https://drive.google.com/file/d/{ID}/view"
    for _ in range(2):
        folder = local_data(link, tmp_path)
        assert (folder / "JPEGimages" / "BLKM" / "BLKM10" / "3145.jpg").read_bytes() == b"1"
    assert asked == [ID]


def test_what_is_no_archive_is_not_kept(tmp_path, monkeypatch):
    served(monkeypatch, lambda path: path.write_text("<html>Sign in</html>"))
    with pytest.raises(BoneAgeError, match="neither a zip nor a tar"):
        drive.fetch_zip(ID, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_end_is_given_up_and_not_kept(tmp_path, monkeypatch):
    def write(path):
        with open(f"{path}x.part", "ab") as file:
            for _ in range(100):
                file.write(bytes(2**16))
                file.flush()

    served(monkeypatch, write)
    with pytest.raises(BoneAgeError, match=r"a\.zip: .*larger than 1 MiB"):
        drive.download(ID, tmp_path / "a.zip", "a.zip", largest_bytes=2**20)
    assert list(tmp_path.iterdir()) == []
    # The limit was that of the download alone.
    (tmp_path / "b").write_bytes(bytes(2**21))
