"""Objects in a bucket: which addresses there are, and what is said of what cannot be read."""

# ruff: noqa: F401, F811 - a fixture is imported

import json
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from s3_server import elsewhere, s3, server
from web_server import Answer, Request, serve

from boneage.core.errors import BoneAgeError
from boneage.core.objects import Object, Unanswered, bucket_address, fault_of_key, list_objects, look_up

SECRET = "hush/hush+hush="


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://hands", "s3://hands"),
        ("s3://hands/", "s3://hands"),
        (" S3://hands/rsna/images// ", "s3://hands/rsna/images"),
        ("gs://hands.of.children/a b/é", "gs://hands.of.children/a b/é"),
        ("s3://hands/a@b:c", "s3://hands/a@b:c"),
        ("hands", None),
        ("/data/s3:/hands", None),
        ("s3:/hands", None),
        ("https://example.org/hands", None),
        ("file:///etc/passwd", None),
        ("memory://hands", None),
        ("ftp://hands", None),
    ],
)
def test_what_is_an_address(text, address):
    assert bucket_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["s3://", "s3:///hands", "s3://h", "gs://a b", "s3://hands/../x", "s3://hands//x", "s3://hands/x\ny"],
)
def test_what_names_no_bucket_and_no_folder_is_refused(text):
    with pytest.raises(BoneAgeError, match="s3://bucket/folder"):
        bucket_address(text)


@pytest.mark.parametrize("text", ["s3://user:{}@hands/x", "s3://{}@hands", "gs://:{}@hands", "s3://user:{}"])
def test_credentials_in_an_address_are_refused_and_not_repeated(text):
    with pytest.raises(BoneAgeError, match="credentials do not belong in an address") as caught:
        bucket_address(text.format("hushhush" if "//{}" in text else SECRET))
    assert "hush" not in str(caught.value)


@given(st.text(alphabet="ab./\\:@?# \n\0é", max_size=12))
def test_a_key_that_is_read_is_the_path_of_a_file_below_the_folder(key):
    if not fault_of_key(key):
        folder = Path("/folder")
        path = folder.joinpath(key)
        assert path.is_relative_to(folder)
        assert path != folder
        assert path.relative_to(folder).as_posix() == key
        assert ".." not in path.parts


def test_a_listing_holds_what_is_below_the_folder_and_no_more(s3):
    s3.client.create_bucket(Bucket="below")
    for key in ("a/1", "a/b/2 #%é", "a/", "ab/3", "4"):
        s3.put("below", key, key.encode())
    assert list(list_objects("s3://below/a")) == ["s3://below/a/1", "s3://below/a/b/2 #%é"]
    assert list(list_objects("s3://below/a/1")) == ["s3://below/a/1"]
    assert list_objects("s3://below/nothing") == {}
    found = list_objects("s3://below")
    assert len(found) == 4
    for address, one in found.items():
        assert one.read() == address.removeprefix("s3://below/").encode()
        assert one.first(2) == one.read()[:2]


def test_some_objects_are_looked_up_by_one_listing(s3):
    s3.client.create_bucket(Bucket="some")
    for number in range(20):
        s3.put("some", f"{number // 10}/{number}", b"x")
    s3.requests.clear()
    wanted = [f"s3://some/1/{number}" for number in (12, 19, 30)]
    assert list(look_up([*wanted, "s3://some"])) == wanted[:2]
    assert len(s3.requests) == s3.listings() == 1
    assert look_up([]) == {}


@pytest.fixture
def one(s3) -> Object:
    s3.client.create_bucket(Bucket="one")
    s3.put("one", "hand.png", b"0123456789")
    return list_objects("s3://one/hand.png")["s3://one/hand.png"]


@pytest.mark.parametrize("now", [b"9876543210", b"01234567890", b"0", b""])
def test_an_object_that_changed_since_it_was_listed_is_not_taken_for_the_old_one(s3, one, now):
    s3.put("one", "hand.png", now)
    with pytest.raises(
        BoneAgeError, match=r"^s3://one/hand.png: it changed while it was read; run the same again"
    ):
        one.read()


def test_an_object_that_is_gone_is_said_to_be(s3, one):
    s3.client.delete_object(Bucket="one", Key="hand.png")
    with pytest.raises(BoneAgeError, match=r"^s3://one/hand.png: no such object; put it there") as caught:
        one.read()
    assert not isinstance(caught.value, Unanswered)


def test_a_connection_that_breaks_once_is_no_matter(s3, one):
    breaks = iter([4])
    s3.meddle = lambda said: next(breaks, None) if said.startswith("GET") else None
    assert one.read() == b"0123456789"


@pytest.mark.parametrize(
    ("told", "said"), [(403, "not allowed; check AWS_ACCESS_KEY_ID"), (500, "no answer")]
)
def test_a_service_that_refuses_is_no_fault_of_an_object(s3, one, told, said):
    s3.meddle = lambda request: told
    for ask in (one.read, lambda: list_objects("s3://one/a")):
        with pytest.raises(Unanswered, match=rf"^s3://one/\S+: {said}") as caught:
            ask()
        # The server's own words say too much.
        assert "hush" not in str(caught.value)


def test_without_a_connection_the_address_and_what_to_do_are_named(one, elsewhere):
    elsewhere.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(
        Unanswered, match=r"^s3://one/hand.png: no answer .*; check the connection and AWS_ENDPOINT"
    ):
        one.read()


def test_without_credentials_it_says_how_to_give_them(s3, elsewhere, tmp_path):
    s3.client.create_bucket(Bucket="public")
    s3.put("public", "1", b"x")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        elsewhere.delenv(name)
    elsewhere.setenv("HOME", str(tmp_path))
    with pytest.raises(Unanswered, match=r"^s3://public: not allowed .*; check AWS_ACCESS_KEY_ID"):
        list_objects("s3://public")


def test_without_the_bucket_that_is_said(s3):
    with pytest.raises(BoneAgeError, match=r"^s3://nobody/x: no such bucket; check the address"):
        list_objects("s3://nobody/x")


@pytest.mark.parametrize(("address", "name"), [("s3://hands", "s3fs"), ("gs://hands", "gcsfs")])
def test_without_the_package_it_says_what_to_install(monkeypatch, address, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        Unanswered, match=rf"^{address}: {name}: cannot be imported .* run `pip install {name}`"
    ):
        list_objects(address)


def as_google_cloud_storage(held: dict[str, bytes], request: Request) -> Answer:
    """What its JSON API answers of a bucket ``hands``: a list, what is said of an object, or its content."""
    path, asked = urlsplit(request.path).path, parse_qs(urlsplit(request.path).query)
    bucket, _, rest = path.partition("/b/")[2].partition("/")
    said = {
        key: {
            "name": key,
            "size": str(len(content)),
            "generation": "17",
            "updated": "2026-11-29T10:11:12.345Z",
        }
        for key, content in held.items()
    }
    key = unquote(rest.removeprefix("o").removeprefix("/"))
    if bucket in ("401", "403"):
        return Answer(b'{"error": {"code": %s, "message": "hushhush"}}' % bucket.encode(), int(bucket))
    if bucket != "hands" or (key and key not in held):
        return Answer(b'{"error": {"code": 404, "message": "none"}}', 404)
    if asked.get("alt") == ["media"]:
        first, last = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        return Answer(held[key][first : last + 1], 206)
    items = [one for name, one in said.items() if name.startswith(asked.get("prefix", [""])[0])]
    return Answer(json.dumps(said[key] if key else {"items": items}).encode())


def test_a_bucket_of_google_is_read_alike(elsewhere, capfd):
    pytest.importorskip("gcsfs")
    held = {"a/1.png": b"0123456789", "a/b/é #%.png": b"01234", "ab/3": b"x"}
    with serve(lambda request: as_google_cloud_storage(held, request)) as google:
        elsewhere.setenv("STORAGE_EMULATOR_HOST", google.url)
        found = list_objects("gs://hands/a")
        assert {one: said.read() for one, said in found.items()} == {
            "gs://hands/a/1.png": b"0123456789",
            "gs://hands/a/b/é #%.png": b"01234",
        }
        first = found["gs://hands/a/1.png"]
        assert (first.first(3), first.modified) == (b"012", 1795947072345000000)
        assert list_objects("gs://hands/none") == {}
        with pytest.raises(BoneAgeError, match=r"^gs://nobody: no such bucket"):
            list_objects("gs://nobody")
        for refused in ("401", "403"):
            with pytest.raises(
                Unanswered, match=rf"^gs://{refused}: not allowed .*; check GOOGLE_"
            ) as caught:
                list_objects(f"gs://{refused}")
            assert "hush" not in str(caught.value)
        held["a/1.png"] = b"01"
        with pytest.raises(BoneAgeError, match="it changed while it was read"):
            first.read()
        del held["a/1.png"]
        with pytest.raises(BoneAgeError, match="no such object"):
            first.read()
    assert capfd.readouterr().err == ""
