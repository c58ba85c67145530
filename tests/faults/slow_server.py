"""A web server on this machine that is slow and can go on in the middle of a file."""

import contextlib
import hashlib
import http.server
import sys
import time
from pathlib import Path

_PIECE = 8192
_PAUSE = 0.02


class _Handler(http.server.BaseHTTPRequestHandler):
    folder = Path(sys.argv[1])

    def do_GET(self) -> None:
        data = (self.folder / Path(self.path).name).read_bytes()
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        wanted = self.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if self.headers.get("If-Range", tag) != tag:
            start = 0
        if start and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        with contextlib.suppress(OSError):
            for at in range(start, len(data), _PIECE):
                self.wfile.write(data[at : at + _PIECE])
                time.sleep(_PAUSE)

    def log_message(self, *args: object) -> None:
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), _Handler).serve_forever()
