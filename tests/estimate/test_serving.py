"""What the page's server takes, refuses and never tells."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import cv2
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from boneage.core.errors import BoneAgeError
from boneage.estimate import serving
from boneage.phantom.drawing import draw_hand

PAGE = "<!doctype html><title>a page</title>"


@contextlib.contextmanager
def running(answer, names=()):
    """The address of a server that calls ``answer``."""
    with serving.listen("127.0.0.1", 0) as listening:
        server = serving.make_server(serving.make_app(PAGE, answer, names))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield serving.address(listening)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def desk():
    """A server that notes what it is given, and answers with the name."""
    got = []

    def answer(*given):
        got.append(given)
        return [{"title": given[1], "file": "a.html", "page": "<main></main>"}]

    with running(answer, ["hand.example"]) as url:
        yield SimpleNamespace(url=url, got=got)


def send(url, data=b"pixels", name="hand.png", **headers):
    given = {"Origin": url.rstrip("/"), "X-File-Name": name} | headers
    given = {key.replace("_", "-"): value for key, value in given.items() if value is not None}
    return requests.post(f"{url}estimate", data=data, headers=given, timeout=30)


def test_what_is_sent_gets_to_the_networks_as_it_is(desk):
    data = bytes(range(256)) * 4000
    said = send(desk.url, data, "C%3A%5Cfilms%5CH%C3%A4nde.png", X_Sex="F", X_Age="9.5")
    assert said.json() == {"hands": [{"title": "Hände.png", "file": "a.html", "page": "<main></main>"}]}
    assert desk.got == [(data, "Hände.png", "F", 9.5)]
    assert send(desk.url, name=None).json()["hands"][0]["title"] == "radiograph"
    assert desk.got[-1] == (b"pixels", "radiograph", "", None)


def test_every_answer_keeps_the_page_to_itself(desk):
    answers = [requests.get(desk.url + path, timeout=30) for path in ("", "serve.js", "serve.css", "none")]
    answers += [send(desk.url), send(desk.url, Origin="http://elsewhere.example")]
    assert [one.status_code for one in answers] == [200, 200, 200, 404, 200, 403]
    for one in answers:
        policy = one.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert one.headers["Cache-Control"] == "no-store"
        assert one.headers["X-Content-Type-Options"] == "nosniff"
        assert one.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in one.headers
        assert "server" not in one.headers


@pytest.mark.parametrize(
    "origin", [None, "null", "", "http://evil.example", "http://127.0.0.1:1", "http://localhost", "http://["]
)
def test_another_page_gets_no_answer(desk, origin):
    assert send(desk.url, Origin=origin).status_code == 403
    assert desk.got == []


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:9000", True),
        ("127.0.0.1", True),
        ("[::1]:8000", True),
        ("192.168.1.7:8000", True),
        ("HAND.example", True),
        (socket.gethostname(), True),
        ("rebound.example:8000", False),
        ("127.0.0.1.example", False),
        ("localhost.example", False),
        ("[::1", False),
        ("x@rebound.example", False),
    ],
)
def test_a_name_that_was_made_to_point_here_is_refused(desk, host, known):
    for answer in (
        requests.get(desk.url, headers={"Host": host}, timeout=30),
        send(desk.url, Host=host, Origin=f"http://{host}"),
    ):
        assert answer.status_code == (200 if known else 403)
    assert len(desk.got) == known


@given(host=st.text(), origin=st.text())
def test_no_header_makes_the_guard_stumble(host, origin):
    guard = serving._Guard(None, {"localhost"})
    headers = Headers(raw=[(b"host", host.encode()), (b"origin", origin.encode())])
    assert isinstance(guard.refusal(headers, "POST"), str)


def test_an_upload_is_held_to_a_size(desk, monkeypatch):
    monkeypatch.setattr(serving, "LARGEST_UPLOAD_BYTES", 2**20)
    assert send(desk.url, bytes(2**20)).status_code == 200
    for data in (bytes(2**23), iter([bytes(2**22)] * 2)):
        said = send(desk.url, data)
        assert said.status_code == 422
        assert said.json()["error"] == "hand.png: larger than 1 MiB; reduce it"
    assert len(desk.got) == 1


def test_an_upload_is_held_to_a_time(desk, monkeypatch):
    monkeypatch.setattr(serving, "MOST_UPLOAD_SECONDS", 0.2)
    host = desk.url.removeprefix("http://").rstrip("/")
    with socket.create_connection(host.split(":")) as trickle:
        head = (
            f"POST /estimate HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Length: 9\r\n\r\nx"
        )
        trickle.sendall(head.encode())
        said = trickle.makefile("rb").read()
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"radiograph: took longer than" in said
    assert desk.got == []


def test_radiographs_are_read_one_by_one_and_a_few_may_wait(monkeypatch):
    monkeypatch.setattr(serving, "MOST_WAITING", 2)
    refused, at_once, most = threading.Event(), [], []

    def answer(*_):
        at_once.append(1)
        refused.wait(25)
        most.append(len(at_once))
        at_once.pop()
        return []

    def ask():
        said.append(send(url))
        if said[-1].status_code == 503:
            refused.set()

    said = []
    with running(answer) as url:
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert send(url).status_code == 200
    # Whichever came last was told at once, while the first was being read and the second waited.
    assert [one.status_code for one in said] == [503, 200, 200]
    assert "try again in a moment" in said[0].json()["error"]
    assert most == [1, 1, 1]


def test_a_fault_is_told_without_what_it_concerns(capfd):
    def answer(*_):
        raise ValueError("Quisling^Vidkun")

    with running(answer) as url:
        said = send(url)
    assert said.status_code == 500
    assert "hand.png: not read, by a fault of this program (ValueError, test_serving.py line" in said.text
    assert "Quisling" not in said.text
    assert "".join(capfd.readouterr()) == ""


def test_a_hint_for_a_person_is_one_line_even_with_a_hostile_name():
    def answer(data, name, sex, age):
        raise BoneAgeError(f"{name}: no image")

    with running(answer) as url:
        said = send(url, name="a%0Ab%00%1B[31m.png")
        assert said.status_code == 422
        assert said.json()["error"] == r"a\nb\x00\x1b[31m.png: no image"
        assert "give years" in send(url, X_Age="young").json()["error"]
        assert len(send(url, name="x" * 9000).json()["error"]) < 300


def test_a_port_that_is_taken_is_told(capfd):
    with serving.listen("127.0.0.1", 0) as listening:
        assert serving.is_local(listening)
        port = listening.getsockname()[1]
        assert serving.address(listening) == f"http://127.0.0.1:{port}/"
        with pytest.raises(BoneAgeError, match=r"in use; name another with --port"):
            serving.listen("127.0.0.1", port)
    for host, port in (("127.0.0.1", 70_000), ("no such host", 0)):
        with pytest.raises(BoneAgeError, match=r"--port or --host"):
            serving.listen(host, port)
    with serving.listen("0.0.0.0", 0) as listening:
        assert not serving.is_local(listening)
        assert serving.address(listening).startswith("http://localhost:")


@pytest.mark.slow
def test_the_verb_keeps_nothing_logs_nothing_and_stops_by_hand(models, tmp_path):
    hand = cv2.imencode(".bmp", draw_hand(9.0, "F", 500, height=1400).image)[1].tobytes()
    assert len(hand) > 2**20
    line = [sys.executable, "-m", "boneage", "serve", "--run", str(models), "--port", "0"]
    given = {"env": {**os.environ, "TMPDIR": str(tmp_path)}, "cwd": tmp_path, "text": True}
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **given) as verb:
        told = [verb.stdout.readline() for _ in range(2)]
        url = re.search(r"http://127\.0\.0\.1:\d+/", told[1])[0]
        assert "not a medical device" in told[0]
        before = sorted(tmp_path.rglob("*"))
        (said,) = send(url, hand, "Quisling.bmp", X_Sex="F", X_Age="9.5").json()["hands"]
        assert said["title"] == "Quisling.bmp"
        assert "prediction interval" in said["page"]
        assert "cut short" in send(url, hand[:9000], "Quisling.bmp").json()["error"]
        assert "from 0 to 25" in send(url, hand, "Quisling.bmp", X_Age="nan").json()["error"]
        assert "must be F or M" in send(url, hand, "Quisling.bmp", X_Sex="x").json()["error"]
        assert "unencrypted" not in requests.get(url, timeout=30).text
        assert sorted(tmp_path.rglob("*")) == before
        verb.send_signal(signal.SIGINT)
        rest = verb.communicate(timeout=60)
    assert verb.returncode == 0
    assert "Quisling" not in "".join((*told, *rest))
    assert "Traceback" not in rest[1]
