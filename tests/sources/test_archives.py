"""Archives are unpacked whole or not at all, and never outside their folder."""

import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.core.errors import BoneAgeError
from boneage.sources import archives
from boneage.sources.archives import STAMP, is_archive, unpack

IMAGE = bytes(range(256)) * 40
GOOD = {"JPEGimages/BLKM/BLKM10/3145.jpg": IMAGE, "la_dha.csv": b"a,b\n"}


def make_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data, compression)
    return path


def make_tar(path: Path, members: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as file:
        for name, data in members.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(data, bytes):
                info.size = len(data)
            file.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != STAMP
    }


def left_over(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def refused(archive: Path, match: str, **options: int) -> None:
    """Unpacking fails with one line that names the archive, and leaves nothing."""
    home = archive.parent / "home"
    home.mkdir()
    before = left_over(archive.parent)
    with pytest.raises(BoneAgeError, match=match) as caught:
        unpack(archive, home / "out", **options)
    assert archive.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left_over(home) == set()
    assert left_over(archive.parent) == before


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: make_zip(folder / "a.zip", GOOD),
        lambda folder: make_zip(folder / "a.zip", GOOD, zipfile.ZIP_STORED),
        lambda folder: make_tar(folder / "a.tar.gz", GOOD),
        lambda folder: make_tar(folder / "a.tar", GOOD, "w"),
    ],
)
def test_every_member_comes_out(tmp_path, make):
    archive = make(tmp_path)
    assert is_archive(archive)
    folder = unpack(archive, tmp_path / "deep" / "out")
    assert contents(folder) == GOOD
    assert left_over(tmp_path / "deep") == {"out"}


def test_the_second_time_does_nothing_and_another_archive_replaces(tmp_path):
    archive = make_zip(tmp_path / "a.zip", GOOD)
    folder = unpack(archive, tmp_path / "out")
    inode = os.stat(folder / "la_dha.csv").st_ino
    unpack(archive, folder)
    assert os.stat(folder / "la_dha.csv").st_ino == inode
    unpack(make_zip(archive, {"new.txt": b"1"}), folder)
    assert contents(folder) == {"new.txt": b"1"}
    assert left_over(tmp_path) == {"a.zip", "out"}


def test_a_persons_own_folder_is_never_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(BoneAgeError, match="out: holds something else"):
        unpack(make_zip(tmp_path / "a.zip", GOOD), tmp_path / "out")
    assert contents(tmp_path / "out") == {"mine.txt": b"mine"}


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "a\\..\\..\\evil", "..\\evil", "a/\0evil"],
)
def test_a_member_that_climbs_out_is_refused(tmp_path, name):
    refused(renamed_zip(tmp_path / "a.zip", {"good.txt": b"1", name: b"2"}), "leaves the folder")


@pytest.mark.parametrize("name", ["C:\\Users\\x\\1.png", "C:evil", "d:/1.png", "\\\\server\\1.png", "/evil"])
def test_a_member_named_from_the_root_of_a_disk_says_how_to_pack_it(tmp_path, name):
    archive = renamed_zip(tmp_path / "a.zip", {"good.txt": b"1", name: b"2"})
    refused(archive, "absolute path.*pack the folder itself again, or unpack it")


def renamed_zip(path: Path, members: dict[str, bytes]) -> Path:
    """A zip with these very names, written by hand, for zipfile mends some of them."""
    placeholders = {name: chr(ord("a") + place) * len(name.encode()) for place, name in enumerate(members)}
    make_zip(path, {placeholders[name]: data for name, data in members.items()}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    for name, placeholder in placeholders.items():
        for before in (b"PK\x03\x04", b"PK\x01\x02"):
            at = data.index(placeholder.encode(), data.index(before))
            data = data[:at] + name.encode() + data[at + len(placeholder) :]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "members",
    [
        {"img\\": b"", "img\\1.png": IMAGE, "boneage.csv": b"1"},
        {"img\\1.png": IMAGE, "img\\": b"", "boneage.csv": b"1"},
        {"img/": b"", "img\\1.png": IMAGE, "boneage.csv": b"1"},
        {".\\img\\1.png": IMAGE, ".\\boneage.csv": b"1"},
    ],
)
def test_a_zip_made_by_windows_comes_out(tmp_path, members):
    archive = renamed_zip(tmp_path / "a.zip", members)
    assert contents(unpack(archive, tmp_path / "out")) == {"img/1.png": IMAGE, "boneage.csv": b"1"}


def test_a_folder_that_only_its_attributes_tell_of_is_one(tmp_path):
    folder = zipfile.ZipInfo("img")
    folder.external_attr, folder.create_system = 0x10, 0
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(folder, b"")
        file.writestr("img/1.png", IMAGE)
    assert contents(unpack(tmp_path / "a.zip", tmp_path / "out")) == {"img/1.png": IMAGE}


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Füße.png".encode(), "Füße.png"),
        ("手.png".encode(), "手.png"),
        ("Füße.png".encode("cp437"), "Füße.png"),
    ],
)
def test_a_name_without_its_encodings_mark_is_read_as_utf8_where_it_is_that(tmp_path, raw, name):
    archive = make_zip(tmp_path / "a.zip", {"x" * len(raw): IMAGE}, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"x" * len(raw), raw))
    assert contents(unpack(archive, tmp_path / "out")) == {name: IMAGE}


def test_the_notes_of_macos_stay_in_the_archive(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"img/1.png": IMAGE, "__MACOSX/img/._1.png": b"note"})
    assert contents(unpack(archive, tmp_path / "out")) == {"img/1.png": IMAGE}


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"7z\xbc\xaf\x27\x1c\0\4", "7z"), (b"Rar!\x1a\x07\x01\0", "rar"), (b"\xfd7zXZ\0", "xz")],
)
def test_another_kind_of_archive_is_named_with_what_to_do(tmp_path, start, kind):
    (tmp_path / "a.zip").write_bytes(start + IMAGE)
    assert not is_archive(tmp_path / "a.zip")
    refused(
        tmp_path / "a.zip",
        f"a {kind} archive, which is not supported; unpack it and give the resulting folder",
    )


def test_a_way_of_packing_that_python_does_not_know_is_no_damage(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"1.png": IMAGE})
    # Deflate64, in the local header and in the directory.
    data = archive.read_bytes().replace(b"\x08\x00\x00\x00", b"\x09\x00\x00\x00")
    archive.write_bytes(data)
    refused(archive, r"1\.png: unsupported compression .*unpack it and give the resulting folder")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil"])
def test_a_tar_member_that_climbs_out_is_refused(tmp_path, name):
    refused(make_tar(tmp_path / "a.tar.gz", {"good.txt": b"1", name: b"2"}), "leaves the folder")


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_tar_links_and_devices_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/passwd"
    refused(
        make_tar(tmp_path / "a.tar.gz", {"good.txt": b"1", "link": info}), "member link: a link or a device"
    )


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_zip_links_and_devices_are_refused(tmp_path, kind):
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", "member link: a link or a device")


@pytest.mark.parametrize(
    ("first", "second"), [("a/1.jpg", "A/1.JPG"), ("a", "a/b"), ("a/b", "a"), ("\u00e9", "e\u0301")]
)
def test_members_with_one_name_are_refused(tmp_path, first, second):
    refused(make_zip(tmp_path / "a.zip", {first: b"1", second: b"2"}), "another member has this name")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_doubled_member_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a", "1")
        file.writestr("a", "2")
    refused(tmp_path / "a.zip", "member a: another member has this name")


def test_folders_may_be_listed_before_and_after_their_files(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a/": b"", "a/b/1": b"1", "a/b/": b"", "a/2": b"2"})
    assert contents(unpack(archive, tmp_path / "out")) == {"a/b/1": b"1", "a/2": b"2"}


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_bomb_is_refused_by_its_ratio_and_by_its_size(tmp_path, make):
    bomb = make(tmp_path / "bomb", {"zeros": bytes(32 * 2**20)})
    refused(bomb, "200 times")
    shutil.rmtree(tmp_path / "home")
    refused(bomb, "unpacks to more than", largest_bytes=2**20)


def test_a_bomb_that_understates_its_size_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"zeros": bytes(4 * 2**20)})
    data = archive.read_bytes()
    small = struct.pack("<I", 10)
    archive.write_bytes(data.replace(struct.pack("<I", 4 * 2**20), small))
    refused(archive, "member zeros: (larger than it declares|broken)")


def test_overlapping_members_are_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a": IMAGE, "b": b"2"}, zipfile.ZIP_STORED)
    with zipfile.ZipFile(archive) as file:
        directory = file.start_dir
    data = archive.read_bytes()
    huge = struct.pack("<I", len(IMAGE) + 5000)
    archive.write_bytes(data[:directory] + data[directory:].replace(struct.pack("<I", len(IMAGE)), huge))
    refused(archive, "overlap|broken")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    refused(make_zip(tmp_path / "a.zip", {str(i): b"" for i in range(4)}), "more than 3 members")


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"a": b"1"})
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    refused(archive, "member a: encrypted")


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused(tmp_path, make, share):
    archive = make(tmp_path / "a", {f"{i}.bin": os.urandom(5000) for i in range(10)})
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * share)])
    refused(archive, "broken or cut off")


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><p>Quota exceeded", b"PK", b"\x1f\x8bnonsense" * 9]
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", "not a zip|broken or cut off")


def test_a_tar_header_of_impossible_length_is_refused(tmp_path):
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2**32
    (tmp_path / "a.tar").write_bytes(info.tobuf() + bytes(10240))
    refused(tmp_path / "a.tar", "impossible length")


def test_a_spoilt_header_in_the_middle_of_a_tar_is_not_its_end(tmp_path):
    archive = make_tar(tmp_path / "a.tar", {"a": b"1" * 512, "b": b"2"}, "w")
    data = bytearray(archive.read_bytes())
    data[1024:1030] = b"spoilt"
    archive.write_bytes(data)
    refused(archive, "broken")


def test_a_missing_archive_is_an_error(tmp_path):
    with pytest.raises(BoneAgeError, match=r"no\.zip: cannot be read"):
        unpack(tmp_path / "no.zip", tmp_path / "out")


def test_a_full_disk_leaves_nothing_half(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", GOOD)

    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives, "write_text", full)
    with pytest.raises(BoneAgeError, match="the disk is full"):
        unpack(archive, tmp_path / "out")
    assert left_over(tmp_path) == {"a.zip"}


def test_an_interrupted_run_leaves_nothing_half_and_can_be_repeated(tmp_path, monkeypatch):
    archive = make_zip(tmp_path / "a.zip", GOOD)
    # What a killed run leaves behind.
    (tmp_path / ".out.unpacking").mkdir()
    (tmp_path / ".out.unpacking" / "half").write_text("half")

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extract", interrupted)
        with pytest.raises(KeyboardInterrupt):
            unpack(archive, tmp_path / "out")
    assert left_over(tmp_path) == {"a.zip"}
    assert contents(unpack(archive, tmp_path / "out")) == GOOD


@settings(deadline=None)
@given(data=st.binary(max_size=300), cut=st.integers(0, 400), at=st.integers(0, 400))
def test_a_damaged_zip_never_escapes_with_a_traceback(tmp_path_factory, data, cut, at):
    folder = tmp_path_factory.mktemp("damaged")
    archive = make_zip(folder / "a.zip", {"a/1.jpg": IMAGE[:300], "b": b"2"})
    good = archive.read_bytes()
    archive.write_bytes(good[:at] + data + good[at + cut :])
    try:
        unpack(archive, folder / "out")
    except BoneAgeError:
        assert left_over(folder) == {"a.zip"}
    else:
        assert left_over(folder) == {"a.zip", "out"}
