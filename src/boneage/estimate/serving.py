"""A page on this machine: drop a radiograph on it, and see what is said of each hand.

A radiograph lives in memory for as long as it takes to read it: it is never written to disk, and nothing that
is sent gets into a log. Starlette's forms would write an upload of more than a megabyte to disk, so a file
comes as the body of its request, and its name, the sex and the age as headers. No other page's script can
send these without being allowed to (CORS), and none is.
"""

import asyncio
import ipaddress
import socket
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from boneage.core.columns import templates
from boneage.core.errors import BoneAgeError, one_line
from boneage.estimate.ensemble import Ensemble
from boneage.estimate.estimating import Child
from boneage.estimate.fhir import NOTICE
from boneage.estimate.files import estimate_upload
from boneage.estimate.page import heats_of, page_of
from boneage.estimate.results import file_name
from boneage.estimate.standards import OLDEST_AGE_YEARS
from boneage.report.words import source_words

LARGEST_UPLOAD_BYTES = 64 * 2**20
"""A 16-bit radiograph of 43 by 35 cm has 30 MiB."""

MOST_UPLOAD_SECONDS = 60.0
MOST_WAITING = 4
"""Radiographs in memory at a time: one that is read, the others in the queue."""

_MOST_CONNECTIONS = 64
_LONGEST_NAME = 200

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Answer = Callable[[bytes, str, str, float | None], list[dict[str, str]]]
"""A file's bytes and name, sex and age, to the title, file name and HTML of the page of each hand."""


def serve(ensemble: Ensemble, listening: socket.socket, host: str) -> None:
    """Answers requests until it is stopped by hand.

    Args:
        ensemble: The networks.
        listening: From :func:`listen`.
        host: As it was named to :func:`listen`.
    """
    make_server(app_of(ensemble, is_local(listening), host)).run(sockets=[listening])


def app_of(ensemble: Ensemble, local: bool, host: str) -> ASGIApp:
    """The application that estimates with an ensemble; see :func:`serve` and :func:`is_local`."""
    return make_app(_page(ensemble, local), lambda *given: _hands(ensemble, *given), [host.lower()])


def make_server(app: ASGIApp) -> uvicorn.Server:
    """What answers for an application, and says nothing of it."""
    config = uvicorn.Config(
        app,
        # What goes wrong is told to the one who sent the radiograph; a log might name it.
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        http="h11",
        ws="none",
        lifespan="off",
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections, at any free port for port 0.

    Raises:
        BoneAgeError: The port is taken or not allowed, or no such host.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", None) or error).partition(" (while")[0]
        raise BoneAgeError(f"{host}, port {port}: {reason}; name another with --port or --host") from None


def address(listening: socket.socket) -> str:
    """Where the page is, for a browser on this machine."""
    host, port = listening.getsockname()[:2]
    shown = "localhost" if ipaddress.ip_address(host).is_unspecified else host
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def is_local(listening: socket.socket) -> bool:
    """Whether only this machine reaches it."""
    return ipaddress.ip_address(listening.getsockname()[0]).is_loopback


def make_app(page: str, answer: Answer, names: Sequence[str] = ()) -> ASGIApp:
    """The application: the page, its style and script, and the answer to a radiograph.

    Args:
        page: HTML.
        answer: Called in a thread, once at a time.
        names: Host names of this machine under which the page may be asked for, beside ``localhost``; IP
            addresses always may.
    """
    desk = _Desk(answer)
    style = templates("boneage.estimate", "boneage.report").get_template("serve.css").render()
    script = (Path(__file__).parent / "templates" / "serve.js").read_text(encoding="utf-8")
    routes = [
        Route("/", lambda _: HTMLResponse(page)),
        Route("/serve.css", lambda _: Response(style, media_type="text/css")),
        Route("/serve.js", lambda _: Response(script, media_type="text/javascript")),
        Route("/estimate", desk.estimate, methods=["POST"]),
    ]
    return _Guard(Starlette(routes=routes), {"localhost", socket.gethostname().lower(), *names})


class _Guard:
    """Refuses what another site had a browser ask, and sets the headers that keep the page to itself.

    A site whose name is made to point here (DNS rebinding) is told by its name in ``Host``, which is neither
    an address nor a name of this machine; a request from another site's page by its ``Origin``.
    """

    def __init__(self, app: ASGIApp, names: set[str]):
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self.refusal(Headers(scope=scope), scope["method"])
        app = PlainTextResponse(refusal, status_code=403) if refusal else self.app
        await app(scope, receive, with_headers)

    def refusal(self, headers: Headers, method: str) -> str:
        host = headers.get("host", "")
        if not self._is_known(host):
            return "Refused: this page is not known by that name. Ask for it by the machine's address."
        own = headers.get("origin") in (f"http://{host}", f"https://{host}")
        return "" if own or method in ("GET", "HEAD") else "Refused: asked for by another page."

    def _is_known(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self.names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False


class _Desk:
    """Takes radiographs, a few at a time, and has them read one by one."""

    def __init__(self, answer: Answer):
        self.answer = answer
        self.taken = 0
        self.turn = asyncio.Lock()

    async def estimate(self, request: Request) -> Response:
        name = _name(request.headers.get("x-file-name", ""))
        try:
            return await self._estimate(request, name)
        except BoneAgeError as error:
            return _error(error.line(), 422)
        except TimeoutError:
            return _error(f"{name}: took longer than {MOST_UPLOAD_SECONDS:.0f} s to arrive; try again", 408)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:
            # Not the message, which may quote the file.
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__}, {PurePath(last.filename).name} line {last.lineno}"
            return _error(f"{name}: not read, by a fault of this program ({place}); please report it", 500)

    async def _estimate(self, request: Request, name: str) -> Response:
        if self.taken >= MOST_WAITING:
            await _body(request, 0)
            return _error(f"{name}: not read, as others are waiting; try again in a moment", 503)
        self.taken += 1
        try:
            data = await _body(request, LARGEST_UPLOAD_BYTES)
            if len(data) > LARGEST_UPLOAD_BYTES:
                raise BoneAgeError(f"{name}: larger than {LARGEST_UPLOAD_BYTES // 2**20} MiB; reduce it")
            sex, age = request.headers.get("x-sex", ""), _age(request.headers.get("x-age", ""))
            async with self.turn:
                return JSONResponse({"hands": await asyncio.to_thread(self.answer, data, name, sex, age)})
        finally:
            self.taken -= 1


def _error(line: str, status: int) -> JSONResponse:
    # After a timeout the rest of an upload may be coming in, and is not for the next request.
    return JSONResponse({"error": line}, status, {"Connection": "close"} if status == 408 else None)


async def _body(request: Request, most: int) -> bytes:
    """What is sent; of more than ``most`` bytes only the start, and some that tell that there were more.

    The rest is let go by: a browser hears no answer before it has sent all.
    """
    held = bytearray()
    async with asyncio.timeout(MOST_UPLOAD_SECONDS):
        async for part in request.stream():
            if len(held) <= most:
                held += part
    return bytes(held)


def _name(quoted: str) -> str:
    last = unquote(quoted).replace("\\", "/").rsplit("/", 1)[-1]
    return one_line(last)[-_LONGEST_NAME:] or "radiograph"


def _age(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise BoneAgeError(f"age: {text!r} is no number; give years") from None


def _hands(ensemble: Ensemble, data: bytes, name: str, sex: str, age: float | None) -> list[dict[str, str]]:
    estimated = estimate_upload(data, name, ensemble, Child(sex, age))
    pages = [page_of(*each, ensemble) for each in zip(estimated, heats_of(estimated, ensemble), strict=True)]
    return [
        {"title": one.title, "file": f"{file_name(number, one)}.html", "page": page}
        for number, (one, page) in enumerate(zip(estimated, pages, strict=True), start=1)
    ]


def _page(ensemble: Ensemble, local: bool) -> str:
    given: dict[str, Any] = {
        "ensemble": ensemble,
        "source": source_words(ensemble.source),
        "notice": NOTICE,
        "local": local,
        "largest": LARGEST_UPLOAD_BYTES,
        "oldest": OLDEST_AGE_YEARS,
    }
    return templates("boneage.estimate", "boneage.report").get_template("serve.html.j2").render(given)
