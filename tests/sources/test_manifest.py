"""What the manifest lists arrives whole and verified, or not at all."""

import hashlib
import io
import os
import shutil
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from web_server import Answer, ranged, serve

from boneage.core.errors import BoneAgeError
from boneage.core.tables import read_table
from boneage.sources import manifest
from boneage.sources.local import local_data
from boneage.sources.manifest import (
    ARTEFACTS,
    FETCHED_TABLE,
    MANIFEST_TABLE,
    data_for,
    fetch,
    read_manifest,
)
from boneage.sources.web import Web

DATA = os.urandom(700_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def listed(tmp_path):
    """Writes a manifest of one row and returns its path."""

    def write(source: str, name: str = "data.bin", sha256: str = "", size: object = "") -> Path:
        path = tmp_path / "data_manifest.csv"
        header = ",".join(MANIFEST_TABLE)
        path.write_text(f"{header}\n{name},{source},CC0,{sha256},{size},,a test\n")
        return path

    return write


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_the_repositorys_own_manifest_is_sound():
    table = read_manifest()
    names = set(table["name"])
    assert all(name in names for artefacts in ARTEFACTS.values() for name in artefacts)
    assert table["licence"].str.len().min() > 0
    assert table["used_by"].str.len().min() > 0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("../a,https://example.org/a,x,,,,y", "plain file name"),
        ("/a,https://example.org/a,x,,,,y", "plain file name"),
        (".a,https://example.org/a,x,,,,y", "plain file name"),
        ("a,http://example.org/a,x,,,,y", "only https"),
        ("a,file:///etc/passwd,x,,,,y", "only https"),
        ("a,ftp://example.org/a,x,,,,y", "only https"),
        ("a,https://user@example.org/a,x,,,,y", "only https"),
        ("a,,x,,,,y", "only https"),
        ("a,drive:../../x,x,,,,y", "the file's id"),
        ("a,https://example.org/a,x,abc,,,y", "64 hexadecimal"),
        ("a,https://example.org/a,x,,-5,,y", "bytes must be"),
        ("a,https://example.org/a,x,,,many,y", "rows must be"),
        ("a,drive:,x,,,,y\na,drive:,x,,,,y", "twice"),
    ],
)
def test_an_unsound_row_is_refused(tmp_path, row, reason):
    path = tmp_path / "m.csv"
    path.write_text(f"{','.join(MANIFEST_TABLE)}\n{row}\n")
    with pytest.raises(BoneAgeError, match=f"m.csv: .*{reason}"):
        read_manifest(path)


def test_a_missing_column_is_an_error(tmp_path):
    (tmp_path / "m.csv").write_text("name,source\na,drive:\n")
    with pytest.raises(BoneAgeError, match="sha256"):
        read_manifest(tmp_path / "m.csv")


def test_a_row_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path, listed):
    with pytest.raises(BoneAgeError, match=r"no row '\.\./evil'; it has data.bin"):
        fetch("../evil", tmp_path / "out", listed("https://example.org/x"))


def test_a_file_with_a_known_hash_arrives_and_is_not_fetched_again(tmp_path, listed, web, capsys):
    with serve(lambda request: ranged(DATA, request)) as server:
        path = listed(f"{server.url}/x", sha256=SHA256, size=len(DATA))
        for _ in range(2):
            assert fetch("data.bin", tmp_path / "out", path, web=web).read_bytes() == DATA
        assert len(server.requests) == 1
        assert "boneage" in server.requests[0].headers["User-Agent"]
    assert left(tmp_path / "out") == {"data.bin", "fetched.csv"}
    assert "no SHA-256" not in capsys.readouterr().out


def test_without_a_known_hash_the_one_seen_is_said_and_recorded(tmp_path, listed, web, capsys):
    with serve(lambda request: Answer(DATA, length=False)) as server:
        path = listed(f"{server.url}/x")
        before = path.read_text()
        fetch("data.bin", tmp_path / "out", path, record=tmp_path / "work" / "fetched.csv", web=web)
        assert path.read_text() == before
    assert SHA256 in capsys.readouterr().out
    record = read_table(tmp_path / "work" / "fetched.csv", FETCHED_TABLE)
    assert record[["name", "file", "sha256", "bytes"]].to_numpy().tolist() == [
        ["data.bin", "data.bin", SHA256, str(len(DATA))]
    ]
    assert record["time"].str.fullmatch(r"\d{4}-\d\d-\d\dT.*").all()


def test_a_cut_download_goes_on_where_it_stopped(tmp_path, listed, web, waits):
    def answer(request):
        return ranged(DATA, request, send=300_000)

    with serve(answer) as server:
        got = fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x", sha256=SHA256), web=web)
        starts = [request.headers.get("Range") for request in server.requests]
    assert got.read_bytes() == DATA
    assert starts == [None, "bytes=300000-", "bytes=600000-"]
    # Each attempt got on, so the waits do not grow.
    assert waits == [2, 2]


def test_a_later_run_goes_on_too(tmp_path, listed, web):
    impatient = Web(attempts=1)
    cuts = iter([250_000, None])
    with serve(lambda request: ranged(DATA, request, send=next(cuts))) as server:
        path = listed(f"{server.url}/x", sha256=SHA256)
        with pytest.raises(BoneAgeError, match="broke off"):
            fetch("data.bin", tmp_path / "out", path, web=impatient)
        assert not (tmp_path / "out" / "data.bin").exists()
        assert (tmp_path / "out" / "data.bin.part").stat().st_size == 250_000
        assert fetch("data.bin", tmp_path / "out", path, web=impatient).read_bytes() == DATA
        assert server.requests[-1].headers["Range"] == "bytes=250000-"


def test_a_download_killed_when_all_was_there_is_finished(tmp_path, listed, web):
    with serve(lambda request: ranged(DATA, request)) as server:
        out = tmp_path / "out"
        out.mkdir()
        (out / "data.bin.part").write_bytes(DATA)
        (out / "data.bin.part.tag").write_text(f"{server.url}/x\n")
        got = fetch("data.bin", out, listed(f"{server.url}/x", sha256=SHA256), web=web)
    assert got.read_bytes() == DATA


@pytest.mark.parametrize("tag", ['/x\n"old"\n', '/other\n"1"\n', None])
def test_a_part_of_another_file_is_not_gone_on_with(tmp_path, listed, web, tag):
    with serve(lambda request: ranged(DATA, request)) as server:
        out = tmp_path / "out"
        out.mkdir()
        (out / "data.bin.part").write_bytes(b"another file's beginning")
        if tag:
            (out / "data.bin.part.tag").write_text(server.url + tag)
        got = fetch("data.bin", out, listed(f"{server.url}/x", sha256=SHA256), web=web)
    assert got.read_bytes() == DATA


def test_a_host_that_ignores_ranges_starts_afresh(tmp_path, listed, web):
    cuts = iter([300_000, None])
    with serve(lambda request: Answer(DATA, send=next(cuts))) as server:
        got = fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x", sha256=SHA256), web=web)
    assert got.read_bytes() == DATA


def test_a_wrong_hash_names_both_and_keeps_the_file_aside(tmp_path, listed, web):
    wrong = "0" * 64
    with (
        serve(lambda request: Answer(DATA)) as server,
        pytest.raises(BoneAgeError, match=f"SHA-256 is {SHA256}, the manifest says {wrong}"),
    ):
        fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x", sha256=wrong), web=web)
    assert left(tmp_path / "out") == {"data.bin.wrong"}
    assert (tmp_path / "out" / "data.bin.wrong").read_bytes() == DATA


def test_a_file_spoilt_since_is_fetched_again(tmp_path, listed, web):
    out = tmp_path / "out"
    out.mkdir()
    (out / "data.bin").write_bytes(b"spoilt")
    with serve(lambda request: Answer(DATA)) as server:
        got = fetch("data.bin", out, listed(f"{server.url}/x", sha256=SHA256), web=web)
    assert got.read_bytes() == DATA
    assert (out / "data.bin.wrong").read_bytes() == b"spoilt"


def test_a_wrong_size_is_refused_before_it_is_fetched(tmp_path, listed, web):
    with (
        serve(lambda request: Answer(DATA)) as server,
        pytest.raises(BoneAgeError, match=f"has {len(DATA)} bytes, the manifest says 5"),
    ):
        fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x", size=5), web=web)


@pytest.mark.parametrize("length", [True, False])
def test_what_is_larger_than_the_cap_is_refused(tmp_path, listed, web, length):
    with (
        serve(lambda request: Answer(DATA, length=length)) as server,
        pytest.raises(BoneAgeError, match="larger than"),
    ):
        fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x"), web=web, largest_bytes=1000)
    assert not (tmp_path / "out" / "data.bin").exists()


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "not found"), (403, "not allowed"), (400, "answers 400")]
)
def test_a_refusal_is_not_asked_again(tmp_path, listed, web, waits, status, reason):
    with serve(lambda request: Answer(status=status)) as server:
        with pytest.raises(BoneAgeError, match=reason):
            fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x"), web=web)
        assert len(server.requests) == 1
    assert waits == []


def test_a_host_in_trouble_is_asked_again_and_waits_as_it_says(tmp_path, listed, web, waits):
    answers = iter(
        [
            Answer(status=500),
            Answer(status=429, headers={"Retry-After": "33"}),
            Answer(status=503),
            Answer(DATA),
        ]
    )
    with serve(lambda request: next(answers)) as server:
        got = fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x"), web=web)
    assert got.read_bytes() == DATA
    # The first time without a wait.
    assert waits == [33, 8]


@pytest.mark.parametrize(
    ("asked", "waited"), [("86400", [120]), ("Wed, 21 Oct 2065 07:28:00 GMT", [120]), ("soon", [])]
)
def test_a_host_that_asks_to_wait_for_hours_or_in_vain_is_asked_sooner(
    tmp_path, listed, web, waits, asked, waited
):
    answers = iter([Answer(status=503, headers={"Retry-After": asked}), Answer(DATA)])
    with serve(lambda request: next(answers)) as server:
        fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x", sha256=SHA256), web=web)
    assert waits == waited


def test_a_host_that_stays_in_trouble_is_given_up(tmp_path, listed, web, waits):
    with serve(lambda request: Answer(status=503)) as server:
        with pytest.raises(BoneAgeError, match="answered 503, 5 times; try again later"):
            fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x"), web=web)
        assert len(server.requests) == 5
    assert waits == [4, 8, 16]


def test_no_host_at_all_is_one_line(tmp_path, listed, web):
    with pytest.raises(BoneAgeError, match="no answer") as caught:
        fetch("data.bin", tmp_path / "out", listed("http://127.0.0.1:9/x"), web=web)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["http://example.org/x", "file:///etc/passwd", "/x"])
def test_a_redirect_to_elsewhere_than_https_or_in_circles_is_not_followed(tmp_path, listed, web, target):
    with (
        serve(lambda request: Answer(status=302, headers={"Location": target})) as server,
        pytest.raises(BoneAgeError, match=r"only https|redirected more than"),
    ):
        fetch("data.bin", tmp_path / "out", listed(f"{server.url}/x"), web=web)


def test_a_full_disk_is_known_before_and_what_came_stays_for_later(tmp_path, listed, web, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    with serve(lambda request: ranged(DATA, request)) as server:
        path = listed(f"{server.url}/x", sha256=SHA256)
        with monkeypatch.context() as patch:
            patch.setattr(manifest.shutil, "disk_usage", lambda path: usage)
            with pytest.raises(BoneAgeError, match="free some space"):
                fetch("data.bin", tmp_path / "out", path, web=web)

        def full(descriptor):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(manifest.os, "fsync", full)
            with pytest.raises(BoneAgeError, match="the disk is full"):
                fetch("data.bin", tmp_path / "out", path, web=web)
        assert not (tmp_path / "out" / "data.bin").exists()
        assert fetch("data.bin", tmp_path / "out", path, web=web).read_bytes() == DATA


def test_an_archive_comes_out_as_a_folder_with_the_zips_in_it(tmp_path, listed, web):
    inner = zipped({"v/1386.png": b"3"})
    outer = zipped({"t/1377.png": b"1", "labels.csv": b"2", "part-1.zip": inner})
    with serve(lambda request: Answer(outer)) as server:
        path = listed(f"{server.url}/x", name="rsna.zip")
        for _ in range(2):
            folder = fetch("rsna.zip", tmp_path / "out", path, web=web)
    assert folder == tmp_path / "out" / "rsna"
    assert (folder / "t" / "1377.png").read_bytes() == b"1"
    assert (folder / "part-1" / "v" / "1386.png").read_bytes() == b"3"


def test_two_archives_of_one_stem_come_out_as_two_folders(tmp_path, listed):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, kind in (("zip", "zip"), ("tar", "tar.gz")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(name.encode())
        made = shutil.make_archive(tmp_path / name, kind.replace("tar.gz", "gztar"), tmp_path / name)
        # A person may have linked what is already on the disk.
        (folder / f"images.{kind}").symlink_to(made)
    for _ in range(2):
        places = [
            fetch(name, folder, listed("https://example.org/a", name))
            for name in ("images.zip", "images.tar.gz")
        ]
        assert [place.name for place in places] == ["images", "images.tar.gz_unpacked"]
        assert [(place / "1.png").read_bytes() for place in places] == [b"zip", b"tar"]


def test_a_web_page_in_place_of_an_archive_is_not_used(tmp_path, listed, web):
    with (
        serve(lambda request: Answer(b"<html>Please confirm")) as server,
        pytest.raises(BoneAgeError, match="not an archive"),
    ):
        fetch("rsna.zip", tmp_path / "out", listed(f"{server.url}/x", name="rsna.zip"), web=web)
    assert left(tmp_path / "out") == {"rsna.zip.wrong"}


READINGS = b"image_ID,patient_ID,sex,bone_age\na.png,8123,M,150\n"


def test_a_web_page_in_place_of_a_table_is_not_used_and_not_kept_as_good(tmp_path, listed, web, capsys):
    answers = iter([Answer(b"<!DOCTYPE html><p>Please sign in"), Answer(READINGS), Answer(READINGS)])
    out = tmp_path / "out"
    with serve(lambda request: next(answers)) as server:
        path = listed(f"{server.url}/x", name="la_dha.csv")
        with pytest.raises(BoneAgeError, match="not a table but a sign-in page"):
            fetch("la_dha.csv", out, path, web=web)
        assert left(out) == {"la_dha.csv.wrong"}
        assert fetch("la_dha.csv", out, path, web=web).read_bytes() == READINGS
        # One that an earlier version kept as good is noticed.
        (out / "la_dha.csv").write_bytes(b"<html>Not here")
        capsys.readouterr()
        assert fetch("la_dha.csv", out, path, web=web).read_bytes() == READINGS
        assert (
            "la_dha.csv: it is not a table but a web page; kept as la_dha.csv.wrong"
            in capsys.readouterr().out
        )
        assert fetch("la_dha.csv", out, path, web=web).read_bytes() == READINGS
        assert len(server.requests) == 3


def test_an_archive_in_the_cache_that_is_cut_off_is_fetched_again(tmp_path, listed, web, capsys):
    whole = zipped({f"{number}.png": os.urandom(900) for number in range(9)})
    out = tmp_path / "out"
    with serve(lambda request: Answer(whole)) as server:
        path = listed(f"{server.url}/x", name="rsna.zip")
        out.mkdir()
        for damaged in (whole[:5000], whole[:2000] + bytes(50) + whole[2050:]):
            (out / "rsna.zip").write_bytes(damaged)
            folder = fetch("rsna.zip", out, path, web=web)
            assert len(list(folder.glob("*.png"))) == 9
            assert "broken or cut off" in capsys.readouterr().out
            assert (out / "rsna.zip.wrong").read_bytes() == damaged
        assert len(server.requests) == 2


def test_an_archive_that_comes_cut_off_is_not_kept_as_good(tmp_path, listed, web):
    whole = zipped({f"{number}.png": os.urandom(900) for number in range(9)})
    answers = iter([Answer(whole[:5000], length=False), Answer(whole)])
    with serve(lambda request: next(answers)) as server:
        path = listed(f"{server.url}/x", name="rsna.zip")
        with pytest.raises(BoneAgeError, match="broken or cut off"):
            fetch("rsna.zip", tmp_path / "out", path, web=web)
        assert left(tmp_path / "out") == {"rsna.zip.wrong", "fetched.csv"}
        assert len(list(fetch("rsna.zip", tmp_path / "out", path, web=web).glob("*.png"))) == 9


def test_a_local_archive_of_another_kind_is_named(tmp_path):
    (tmp_path / "data.zip").write_bytes(b"Rar!\x1a\x07\x01\0")
    with pytest.raises(BoneAgeError, match=r"a rar archive, which is not supported: unpack it and give"):
        local_data(tmp_path / "data.zip", tmp_path / "work")


def test_a_page_in_the_place_of_a_local_zip_is_named(tmp_path):
    (tmp_path / "data.zip").write_bytes(b"<!doctype html><html>Quota exceeded")
    with pytest.raises(BoneAgeError, match=r"neither a folder nor a zip, as .* too many downloads"):
        local_data(tmp_path / "data.zip", tmp_path / "work")


def test_an_archive_of_another_kind_within_a_zip_is_said(tmp_path, capsys):
    (tmp_path / "data.zip").write_bytes(
        zipped({"1.png": b"1", "Atlas.ZIP": zipped({"2.png": b"2"}), "more.7z": b"7z\xbc\xaf\x27\x1c"})
    )
    folder = local_data(tmp_path / "data.zip", tmp_path / "work")
    assert (folder / "Atlas" / "2.png").read_bytes() == b"2"
    assert "more.7z: a 7z archive, which is not supported; unpack it and give" in capsys.readouterr().out


def test_an_archive_that_climbs_out_is_refused(tmp_path, listed, web):
    with (
        serve(lambda request: Answer(zipped({"../evil": b"1"}))) as server,
        pytest.raises(BoneAgeError, match="leaves the folder"),
    ):
        fetch("rsna.zip", tmp_path / "out", listed(f"{server.url}/x", name="rsna.zip"), web=web)
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "out" / "evil").exists()


def test_a_drive_id_that_is_not_filled_in_says_what_to_do(tmp_path, listed):
    with pytest.raises(BoneAgeError, match=r"dha\.zip: .* give your own copy as data: .* sharing link"):
        fetch("dha.zip", tmp_path / "out", listed("drive:", name="dha.zip"))


def test_a_drive_file_is_fetched_verified_and_unpacked(tmp_path, listed, monkeypatch):
    archive = zipped({"BLKM/BLKM10/3145.jpg": b"1"})

    def download(id, output, resume):
        assert id == "1AbCdEfGhIjKlMnOp"
        assert resume
        Path(output).write_bytes(archive)
        return output

    monkeypatch.setattr("gdown.download", download)
    path = listed("drive:1AbCdEfGhIjKlMnOp", name="dha.zip", sha256=hashlib.sha256(archive).hexdigest())
    folder = fetch("dha.zip", tmp_path / "out", path)
    assert (folder / "BLKM" / "BLKM10" / "3145.jpg").read_bytes() == b"1"
    assert left(tmp_path / "out") == {"dha", "dha.zip", "fetched.csv"}


@pytest.mark.parametrize(
    "fault", [RuntimeError("Cannot retrieve the public link"), ConnectionError("no route"), None]
)
def test_a_drive_file_that_is_not_shared_is_one_line(tmp_path, listed, monkeypatch, fault):
    def download(id, output, resume):
        if fault:
            raise fault

    monkeypatch.setattr("gdown.download", download)
    with pytest.raises(BoneAgeError, match=r"dha.zip: cannot be fetched from Google Drive .*share the file"):
        fetch("dha.zip", tmp_path / "out", listed("drive:1AbCdEfGhIjKlMnOp", name="dha.zip"))


def test_a_local_folder_serves_as_it_is_and_a_zip_unpacked(tmp_path):
    folder = tmp_path / "my data"
    folder.mkdir()
    assert local_data(folder, tmp_path / "work") == folder
    upload = tmp_path / "Upload.zip"
    upload.write_bytes(zipped({"BLKM/BLKM10/3145.jpg": b"1"}))
    for _ in range(2):
        unpacked = local_data(upload, tmp_path / "work")
        assert unpacked == tmp_path / "work" / "data" / "Upload"
        assert (unpacked / "BLKM" / "BLKM10" / "3145.jpg").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such folder or zip"), (b"text", "neither a folder")]
)
def test_a_local_path_that_is_nothing_of_the_kind_is_an_error(tmp_path, content, reason):
    path = tmp_path / "data.zip"
    if content:
        path.write_bytes(content)
    with pytest.raises(BoneAgeError, match=f"data.zip: {reason}"):
        local_data(path, tmp_path / "work")


def test_data_for_takes_what_is_given_and_fetches_the_rest(tmp_path, monkeypatch):
    assert data_for("rsna", tmp_path, tmp_path / "work") == tmp_path
    with pytest.raises(BoneAgeError, match="nothing for this source"):
        data_for("phantom", "", tmp_path / "work")
    answers = {"/t": zipped({"1377.png": b"1"}), "/l": zipped({"train.csv": b"id,boneage,male\n"})}
    with serve(lambda request: Answer(answers[request.path])) as server:
        path = tmp_path / "m.csv"
        path.write_text(
            f"{','.join(MANIFEST_TABLE)}\n"
            f"rsna_training.zip,{server.url}/t,x,,,,y\nrsna_training_labels.zip,{server.url}/l,x,,,,y\n"
        )
        folder = data_for("rsna", "", tmp_path / "work", path)
    assert (folder / "rsna_training" / "1377.png").is_file()
    assert (folder / "rsna_training_labels" / "train.csv").is_file()
    assert len(read_table(tmp_path / "work" / "fetched.csv", FETCHED_TABLE)) == 2


def test_two_downloads_of_one_file_do_not_mix(tmp_path, listed, web):
    held, let_go = threading.Event(), threading.Event()

    def slow(request):
        held.set()
        let_go.wait(10)
        return ranged(DATA, request)

    with serve(slow) as server, ThreadPoolExecutor() as pool:
        rows = listed(f"{server.url}/x")
        first = pool.submit(fetch, "data.bin", tmp_path / "out", rows, web=web)
        held.wait(10)
        second = pool.submit(fetch, "data.bin", tmp_path / "out", rows, web=web)
        assert not second.done()
        let_go.set()
        assert first.result().read_bytes() == second.result().read_bytes() == DATA
        assert server.asked("/x") == 1
