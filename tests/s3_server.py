"""A server on this machine that speaks S3, and does what a test tells it to on the way."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("s3fs")
boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")

from werkzeug.serving import make_server  # noqa: E402

from boneage.core import objects  # noqa: E402

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "hushhush",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1",
}
REFUSED = "<Error><Code>{}</Code><Message>hushhush</Message></Error>"


@dataclass
class Store:
    """The running server.

    Attributes:
        url: Its address.
        requests: What was asked so far, as ``GET /bucket/key``.
        meddle: Called with each of those before it is answered; a number is answered in place of it, as a
            status or, below 100, as so many bytes of the answer before the connection breaks.
    """

    url: str
    requests: list[str] = field(default_factory=list)
    meddle: Callable[[str], int | None] = lambda said: None

    @functools.cached_property
    def client(self):
        return boto3.client("s3", endpoint_url=self.url)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def upload(self, folder: Path, bucket: str, below: str = "") -> None:
        """Puts the files of a folder into a bucket of its own."""
        client = self.client
        client.create_bucket(Bucket=bucket)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = below + path.relative_to(folder).as_posix()
                client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        self.requests.clear()

    def fetched(self) -> list[str]:
        """The objects that were read, each as often as it was."""
        return [
            one.removeprefix("GET ") for one in self.requests if one.startswith("GET ") and "?" not in one
        ]

    def listings(self) -> int:
        return sum("list-type=2" in one for one in self.requests)


@contextlib.contextmanager
def running() -> Iterator[Store]:
    """Runs a server with nothing in it."""
    app = moto_server.DomainDispatcherApplication(moto_server.create_backend_app)

    def answer(environ, start):
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        said = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}{query}"
        store.requests.append(said)
        told = store.meddle(said)
        if told is None:
            return app(environ, start)
        if told >= 100:
            code = "AccessDenied" if told == 403 else "InternalError"
            body = REFUSED.format(code).encode() if said.startswith("GET ") else b""
            start(f"{told} told so", [("Content-Length", str(len(body)))])
            return [body]
        return _broken(app(environ, start), told)

    httpd = make_server("127.0.0.1", 0, answer, threaded=True)
    httpd.log = lambda *arguments: None
    httpd.RequestHandlerClass.log = lambda *arguments: None
    store = Store(f"http://127.0.0.1:{httpd.server_port}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield store
    finally:
        httpd.shutdown()
        thread.join()


def _broken(answer, count: int) -> Iterator[bytes]:
    yield b"".join(answer)[:count]
    raise ConnectionResetError


@pytest.fixture(scope="module")
def server() -> Iterator[Store]:
    """One for all tests of a module: to begin to speak with another takes half a second."""
    with pytest.MonkeyPatch.context() as patch, running() as store:
        for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": store.url}.items():
            patch.setenv(name, value)
        patch.setattr(objects, "_ATTEMPTS", 2)
        objects._files.cache_clear()
        yield store
    objects._files.cache_clear()


@pytest.fixture
def s3(server) -> Store:
    """A server to which all addresses of S3 lead."""
    server.requests.clear()
    server.meddle = lambda said: None
    return server


@pytest.fixture
def elsewhere(s3, monkeypatch):
    """As on another machine: what a test sets in the environment counts."""
    objects._files.cache_clear()
    yield monkeypatch
    objects._files.cache_clear()
