"""Radiographs in a bucket become the same tables and images as in a folder, and nothing is fetched twice."""

# ruff: noqa: F401, F811 - a fixture is imported

import json
import signal
import subprocess
import sys
import time
import zipfile

import pandas as pd
import pytest
from image_files import a_hand, encoded
from s3_server import s3, server
from work_folders import prepare

from boneage.__main__ import main
from boneage.core.objects import Object
from boneage.images import square
from boneage.sources import buckets

DICOM = pytest.importorskip("pydicom.examples")


@pytest.fixture
def folder(tmp_path):
    """A folder with radiographs of several kinds, labels, an archive, and what is neither."""
    folder = tmp_path / "here" / "rsna"
    (folder / "images").mkdir(parents=True)
    for number in range(6):
        (folder / "images" / f"{number}.png").write_bytes(encoded(a_hand(seed=number)))
    (folder / "images" / "6").write_bytes(DICOM.get_path("ct").read_bytes())
    (folder / "images" / "7.jpg").write_bytes(b"no image")
    (folder / "images" / "8.png").write_bytes(b"")
    (folder / "images" / ".DS_Store").write_bytes(b"x")
    (folder / "notes.pdf").write_bytes(b"%PDF" + bytes(500))
    (folder / "others.7z").write_bytes(b"7z")
    (folder / "model.pkl").write_bytes(b"x")
    with zipfile.ZipFile(folder / "more.zip", "w") as file:
        file.writestr("9.png", encoded(a_hand(seed=9)))
        file.writestr("10.png", encoded(a_hand(seed=10)))
    with zipfile.ZipFile(folder / "again.zip", "w") as file:
        file.write(folder / "images" / "1.png", "1.png")
    rows = "".join(f"{number},{24 + 12 * number},{number % 2 == 0}\n" for number in range(12))
    (folder / "labels.csv").write_text(f"id,boneage,male\n{rows}")
    return folder


def made(data, work, *options, stages=("cases", "preprocess --image-size 64")):
    """Exit statuses, and all tables and images without places and dates."""
    first, *others = [stage.split() for stage in stages]
    statuses = [main([*first, "--source", "rsna", "--data", str(data), "--work", str(work)])]
    statuses += [main([*stage, "--work", str(work), *options]) for stage in others]
    found = {}
    for path in sorted(work.rglob("*")):
        name = path.relative_to(work).as_posix()
        if path.suffix == ".csv" and "data" not in path.parts:
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            table = table.drop(columns=table.columns.intersection(["image", "modified"]))
            # A reason names the file of its image.
            found[name] = table.to_csv().replace(f"{data}/", "")
        elif path.suffix in (".png", ".npy") and not path.name.startswith("."):
            found[name] = path.read_bytes()
    return statuses, found


def test_tables_and_images_are_those_of_the_same_files_in_a_folder(s3, folder, tmp_path, capsys):
    s3.upload(folder, "hands", "rsna/")
    here = made(folder, tmp_path / "work")
    there = made("s3://hands/rsna", tmp_path / "work-of-bucket")
    assert here[0] == there[0] == [0, 0]
    assert here[1].keys() == there[1].keys()
    assert here[1] == there[1]
    assert sum(name.startswith("images/") for name in here[1]) == 9
    cases = pd.read_csv(tmp_path / "work-of-bucket" / "cases.csv", dtype=str).set_index("case_id")["image"]
    assert cases["3"] == "s3://hands/rsna/images/3.png"
    assert cases["6"] == "s3://hands/rsna/images/6"
    assert cases["9"].endswith("rsna-archives/more/9.png")
    said = capsys.readouterr().out
    assert "s3://hands/rsna: 9 images, read where they lie; tables and archives fetched: 3" in said
    kept = {
        path.name for path in (tmp_path / "work-of-bucket" / "data" / "buckets").rglob("*") if path.is_file()
    }
    assert {one for one in kept if not one.startswith(".")} == {"labels.csv", "more.zip", "again.zip"}


def test_an_atlas_in_a_bucket_is_read_with_its_readings(s3, tmp_path):
    folder = tmp_path / "atlas"
    for number in range(3145, 3149):
        place = folder / "JPEGimages" / "BLKM" / "BLKM10" / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encoded(a_hand(seed=number), "JPEG"))
    (folder / "la_dha.csv").write_text(
        "patient_ID,sex,bone_age,dir\n810103145,M,120,la_dha\n810103146,M,130,la_dha\n"
    )
    s3.upload(folder, "dha")
    tables = {}
    for name, data in (("here", folder), ("there", "s3://dha")):
        work = tmp_path / name
        assert main(["cases", "--source", "dha", "--data", str(data), "--work", str(work)]) == 0
        tables[name] = pd.read_csv(work / "cases.csv", dtype=str).drop(columns="image")
    assert tables["here"].equals(tables["there"])
    assert len(tables["there"]) == 4


def test_nothing_is_fetched_twice_and_what_changed_is_made_anew(s3, folder, tmp_path):
    s3.upload(folder, "twice")
    made("s3://twice", tmp_path)
    # Of a file without a suffix the first bytes tell what it is; an empty one need not be asked for.
    asked = [*(f"images/{number}.png" for number in range(6)), *2 * ["images/6"], "images/7.jpg"]
    assert sorted(s3.fetched()) == sorted(
        f"/twice/{key}" for key in (*asked, "again.zip", "labels.csv", "more.zip", "notes.pdf")
    )
    s3.requests.clear()
    _, before = made("s3://twice", tmp_path)
    # What could not be read is tried again, as it may have been put right.
    refused = "/twice/images/7.jpg"
    assert s3.fetched() == [refused]
    assert s3.listings() == 2

    time.sleep(1.01)  # S3 counts in seconds.
    s3.put("twice", "images/2.png", encoded(a_hand(seed=50)))
    s3.put("twice", "images/3.png", (folder / "images" / "3.png").read_bytes())
    s3.client.delete_object(Bucket="twice", Key="images/4.png")
    s3.requests.clear()
    assert main(["preprocess", "--work", str(tmp_path)]) == 0
    report = pd.read_csv(tmp_path / "preprocess.csv", dtype=str, keep_default_na=False).set_index("case_id")
    assert sorted(s3.fetched()) == ["/twice/images/2.png", "/twice/images/3.png", refused]
    assert report.loc["4", "status"] == "ok"
    assert report.loc["4", "note"] == "source not found now; image kept"
    changed = [
        name
        for name in before
        if name.startswith("images/") and before[name] != (tmp_path / name).read_bytes()
    ]
    assert changed == ["images/2.png"]


@pytest.mark.slow
def test_ten_thousand_objects_take_one_listing(s3, tmp_path):
    from moto.backends import get_backend

    s3.client.create_bucket(Bucket="many")
    backend = get_backend("s3")["123456789012"]["aws"]
    for number in range(10_000):
        backend.put_object("many", f"images/{number}.png", b"x")
    labels = "".join(f"{number},120,True\n" for number in range(10_000))
    s3.put("many", "labels.csv", f"id,boneage,male\n{labels}".encode())
    s3.requests.clear()
    assert main(["cases", "--source", "rsna", "--data", "s3://many", "--work", str(tmp_path)]) == 0
    assert len(pd.read_csv(tmp_path / "cases.csv")) == 10_000
    # A listing has a thousand objects on a page.
    assert s3.listings() == 11
    assert len(s3.requests) == 11 + 2


@pytest.mark.parametrize("told", [403, 503, 0], ids=["not allowed", "unavailable", "connection breaks"])
def test_a_service_that_goes_away_stops_the_stage_which_goes_on_later(s3, folder, tmp_path, capsys, told):
    bucket = f"gone-{told}"
    s3.upload(folder, bucket)
    main(["cases", "--source", "rsna", "--data", f"s3://{bucket}", "--work", str(tmp_path)])
    s3.requests.clear()
    s3.meddle = lambda said: told if len(s3.fetched()) > 3 else None
    assert main(["preprocess", "--image-size", "64", "--work", str(tmp_path)]) == 2
    assert f"boneage: s3://{bucket}/images/" in capsys.readouterr().err
    report = pd.read_csv(tmp_path / "preprocess.csv", dtype=str)
    made_before = set(report.loc[report["status"] == "ok", "image"].str.removeprefix("s3:/"))
    assert made_before
    assert not report["reason"].str.contains("not allowed|no answer").any()
    s3.requests.clear()
    s3.meddle = lambda said: None
    assert main(["preprocess", "--image-size", "64", "--work", str(tmp_path)]) == 0
    assert not made_before & set(s3.fetched())
    assert (pd.read_csv(tmp_path / "preprocess.csv")["status"] == "ok").sum() == 9


@pytest.mark.slow
def test_a_service_that_is_slow_and_now_and_then_unavailable_changes_nothing(s3, folder, tmp_path):
    s3.upload(folder, "slow", "rsna/")

    def meddle(said):
        time.sleep(0.05)
        # Each object once, as a service that is told to slow down asks its callers to.
        return 503 if s3.requests.count(said) == 1 and "GET /slow/" in said else None

    s3.meddle = meddle
    there = made("s3://slow/rsna", tmp_path / "work-of-bucket")
    assert sum(one.startswith("GET /slow/") for one in s3.requests) > 2 * 9
    assert there == made(folder, tmp_path / "work")


@pytest.mark.parametrize("is_gone", [False, True], ids=["changed", "deleted"])
def test_an_object_that_changes_while_a_stage_runs_is_told_and_read_the_next_time(
    s3, folder, tmp_path, capsys, is_gone
):
    bucket = f"deleted-{is_gone}".lower()
    s3.upload(folder, bucket, "rsna/")
    key, work, preprocess = "rsna/images/5.png", tmp_path / "there", ["preprocess", "--image-size", "64"]
    before, other = (folder.parent / key).read_bytes(), encoded(a_hand(seed=50))
    main(["cases", "--source", "rsna", "--data", f"s3://{bucket}/rsna", "--work", str(work)])

    def meddle(said):
        # Just before it is read, of all that was listed.
        if said == f"GET /{bucket}/{key}":
            s3.meddle = lambda said: None
            if is_gone:
                s3.client.delete_object(Bucket=bucket, Key=key)
            else:
                s3.put(bucket, key, other)

    s3.meddle = meddle
    assert main([*preprocess, "--work", str(work)]) == 0
    report = pd.read_csv(work / "preprocess.csv", dtype=str, keep_default_na=False).set_index("case_id")
    assert report.loc["5", "status"] == "skipped"
    assert ("no such object" if is_gone else "changed while it was read") in report.loc["5", "reason"]
    assert "left out" in capsys.readouterr().out
    # The rest is not lost, and the next time it is as if it had been so from the beginning.
    assert (report["status"] == "ok").sum() == 8
    if is_gone:
        s3.put(bucket, key, before)
    else:
        (folder.parent / key).write_bytes(other)
    there = made(f"s3://{bucket}/rsna", work)
    assert there == made(folder, tmp_path / "work")


def test_an_archive_is_fetched_on_from_where_it_stopped(s3, tmp_path, monkeypatch):
    content = bytes(range(256)) * 40
    s3.client.create_bucket(Bucket="parts")
    s3.put("parts", "more.zip", content)
    monkeypatch.setattr("boneage.core.objects._CHUNK", 1024)
    s3.meddle = lambda said: 500 if len(s3.fetched()) > 5 else None
    with pytest.raises(buckets.BoneAgeError, match="no answer"):
        buckets.fetch("s3://parts/more.zip", tmp_path)
    s3.requests.clear()
    s3.meddle = lambda said: None
    path = buckets.fetch("s3://parts/more.zip", tmp_path)
    assert path.read_bytes() == content
    assert len(s3.fetched()) == 5
    # Another version is no continuation of this one.
    s3.put("parts", "more.zip", content[::-1])
    assert buckets.fetch("s3://parts/more.zip", tmp_path).read_bytes() in (content, content[::-1])


def test_a_huge_object_is_refused_by_its_size_alone(s3, folder, tmp_path, monkeypatch):
    s3.upload(folder, "huge")
    s3.put("huge", "images/0.png", encoded(a_hand(300, 300)))
    monkeypatch.setattr(square, "LARGEST_FILE_BYTES", 40_000)
    monkeypatch.setitem(buckets._LARGEST_FETCHED, ".zip", 10)
    made("s3://huge", tmp_path)
    assert "/huge/images/0.png" not in s3.fetched()
    assert not [one for one in s3.fetched() if one.endswith(".zip")]
    report = pd.read_csv(tmp_path / "preprocess.csv", dtype=str).set_index("case_id")
    assert "larger than 256 MiB; reduce it" in report.loc["0", "reason"]
    skipped = pd.read_csv(tmp_path / "skipped-cases.csv").set_index("item")["reason"]
    assert "larger than" in skipped["more.zip"]


@pytest.mark.parametrize(
    "key", ["../1.png", "a/../../labels2.csv", "a//1.png", "./1.png", "a/1\x01.png", "..\\1.png"]
)
def test_a_key_that_could_be_no_file_is_left_out_and_told(s3, folder, tmp_path, key):
    s3.upload(folder, "keys", "x/")
    s3.put("keys", f"x/{key}", encoded(a_hand(seed=77)))
    statuses, _ = made("s3://keys/x", tmp_path / "work")
    assert statuses == [0, 0]
    assert not [one for one in s3.fetched() if one == f"/keys/x/{key}"]
    skipped = pd.read_csv(tmp_path / "work" / "skipped-cases.csv").set_index("item")["reason"]
    assert "rename the object" in skipped[key]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "work"]


def test_of_tables_that_some_disks_take_for_one_file_the_first_is_read(s3, folder, tmp_path):
    s3.upload(folder, "capitals")
    for key in ("Labels.csv", "labels.csv/more.csv"):
        s3.put("capitals", key, b"id,boneage,male\n1,36,True\n2,48,True\n3,60,False\n")
    assert made("s3://capitals", tmp_path)[0] == [0, 0]
    skipped = pd.read_csv(tmp_path / "skipped-cases.csv")["reason"]
    assert skipped.str.contains("another object has this name, but for capitals").sum() == 2


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("s3://nobody", "s3://nobody: no such bucket; check the address"),
        ("s3://empty", "s3://empty: no object there; check the address"),
        ("s3://empty/folder", "s3://empty/folder: no object there; check the address"),
        ("s3://only/tables", "s3://only/tables: no image has a label"),
        ("s3://user:hushhush@only/x", "s3://...: credentials do not belong in an address"),
        ("ftp://user:hushhush@only/x", "ftp://...@only/x: not the sharing link of a file on Google Drive"),
        ("memory://only", "memory://only: not the sharing link"),
        ("file:///etc", "file:///etc: not the sharing link"),
        ("http://127.0.0.1/hands", "http://127.0.0.1/hands: not the sharing link"),
    ],
)
def test_what_is_no_folder_of_radiographs_is_told_in_one_line(s3, tmp_path, capsys, data, said):
    s3.client.create_bucket(Bucket="empty")
    s3.client.create_bucket(Bucket="only")
    s3.put("only", "tables/labels.csv", b"id,boneage,male\n1,120,True\n2,60,False\n")
    assert main(["cases", "--source", "rsna", "--data", data, "--work", str(tmp_path / "work")]) == 2
    err = capsys.readouterr().err
    assert f"boneage: {said}" in err
    assert err.splitlines()[-1].startswith("boneage: ")
    assert "hush" not in err
    assert not (tmp_path / "work" / "settings.json").exists()


def test_no_credential_is_written_down(s3, folder, tmp_path, capfd, caplog):
    s3.upload(folder, "quiet")
    made("s3://quiet", tmp_path / "work")
    cases = tmp_path / "work" / "cases.csv"
    table = pd.read_csv(cases, dtype=str, keep_default_na=False)
    table.loc[0, "image"] = "s3://user:hushhush@quiet/images/1.png"
    table.to_csv(cases, index=False)
    assert main(["preprocess", "--work", str(tmp_path / "work")]) == 0
    table.to_csv(cases.with_suffix(".bak"), index=False)
    cases.unlink()
    cases.with_suffix(".bak").unlink()
    files = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert not [
        path for path in files if b"hushhush" in path.read_bytes() or b"somebody" in path.read_bytes()
    ]
    assert "hushhush" not in "".join([*capfd.readouterr(), caplog.text])


@pytest.mark.parametrize("name", ["work", "cache"])
def test_no_work_folder_lies_in_a_bucket(tmp_path, capsys, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert main(["cases", "--work", "work", f"--{name}", "s3://hands/work"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_list_is_said_to_be(s3, folder, tmp_path):
    s3.upload(folder, "damaged")
    place = buckets.fetch("s3://damaged", tmp_path)
    index = place.with_name(".bucket.json")
    held = json.loads(index.read_text())
    one = ["s3://damaged/../x.csv", 1, 1, "1"]
    wrong = [{"objects": {"a": [1, 2]}}, {"objects": {"../x.csv": one}}, {"images": ["x.png"]}]
    wrong += [{"address": "s3://other"}, {"objects": {"x.csv": one}}]
    for text in ("", "[]", "{}", *(json.dumps(held | one) for one in wrong)):
        index.write_text(text)
        with pytest.raises(buckets.BoneAgeError, match="damaged; delete it and run fetch again"):
            buckets.bucket_of(place)
    assert buckets.fetch("s3://damaged", tmp_path) == place
    assert json.loads(index.read_text()) == held
    # In the folder, as out of somebody's archive, it counts for nothing.
    (folder / ".bucket.json").write_text(json.dumps(held))
    assert buckets.bucket_of(folder) is None


@pytest.mark.slow
def test_radiographs_to_estimate_may_lie_in_a_bucket(s3, folder, tmp_path):
    from boneage.estimate.files import find_radiographs, read_radiograph

    s3.upload(folder, "estimate")
    here = find_radiographs(folder, tmp_path / "here")
    there = find_radiographs("s3://estimate", tmp_path / "there")
    assert list(here.files) == list(there.files)
    assert all(isinstance(one, Object) for one in there.files.values())
    image = "images/3.png"
    assert (read_radiograph(here.files[image], image) == read_radiograph(there.files[image], image)).all()


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on_to_the_same_images(s3, folder, tmp_path):
    s3.upload(folder, "killed", "rsna/")
    work = tmp_path / "there"
    for verb in ("cases --source rsna --data s3://killed/rsna", "preprocess --image-size 64"):
        arguments = [*verb.split(), "--work", str(work)]
        s3.requests.clear()
        # So that there is time to kill it.
        s3.meddle = lambda said: time.sleep(0.2) if said.startswith("GET /killed/") else None
        with subprocess.Popen(
            [sys.executable, "-m", "boneage", *arguments], stderr=subprocess.DEVNULL
        ) as process:
            while process.poll() is None and len(s3.fetched()) < 3:
                time.sleep(0.01)
            process.kill()
        assert process.returncode == -signal.SIGKILL
        s3.meddle = lambda said: None
        assert main(arguments) == 0
    there, here = made("s3://killed/rsna", work)[1], made(folder, tmp_path / "here-too")[1]
    assert here.keys() == there.keys()
    assert here == there


@pytest.mark.slow
def test_workers_of_a_cluster_read_a_bucket_too(s3, tmp_path):
    distributed = pytest.importorskip("distributed")
    here = prepare(tmp_path / "drawn").root
    folder = tmp_path / "drawn" / "rsna"
    s3.upload(folder, "cluster")
    stages = ("cases", "preprocess --image-size 96")
    with distributed.LocalCluster(
        threads_per_worker=1, dashboard_address=":0", silence_logs=50, n_workers=2
    ) as two:
        address = two.scheduler_address
        there = made("s3://cluster", tmp_path / "there", "--scheduler", address, stages=stages)
    assert there[0] == [0, 0]
    plain = made(folder, here, stages=stages)
    assert plain[1] == there[1]
    assert len(s3.fetched()) == len(set(s3.fetched())) == 41
