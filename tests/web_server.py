"""A web server on this machine that answers as a test tells it to."""

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What to answer.

    ``send`` cuts the body off after so many bytes though ``Content-Length`` announces all of them; with
    ``length=False`` nothing is announced and the connection closes at the end.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    send: int | None = None
    length: bool = True


@dataclass
class Server:
    """The running server: its address, and what it was asked so far."""

    url: str
    requests: list[Request] = field(default_factory=list)

    def asked(self, path: str) -> int:
        return sum(request.path.split("?")[0] == path for request in self.requests)


@contextlib.contextmanager
def serve(answer: Callable[[Request], Answer]) -> Iterator[Server]:
    """Runs a server that answers each request by calling ``answer``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, dict(self.headers), body)
            running.requests.append(request)
            reply = answer(request)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.length:
                self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(reply.body[: reply.send])
            self.close_connection = True

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        running = Server(f"http://127.0.0.1:{httpd.server_port}")
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            httpd.shutdown()
            thread.join()


def ranged(data: bytes, request: Request, tag: str = '"1"', **options: object) -> Answer:
    """The answer of a host that can go on in the middle of a file (RFC 9110, 14)."""
    wanted = request.headers.get("Range", "")
    changed = request.headers.get("If-Range", tag) != tag
    if not wanted or changed:
        return Answer(data, headers={"ETag": tag}, **options)
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    if start >= len(data):
        return Answer(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
    headers = {"ETag": tag, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
    return Answer(data[start:], 206, headers, **options)
