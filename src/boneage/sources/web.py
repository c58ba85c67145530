"""Polite requests: one at a time, named, with time-outs, a size cap, and retries that wait ever longer."""

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from tqdm.auto import tqdm
from urllib3.exceptions import InvalidHeader
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from boneage import __version__
from boneage.core.errors import BoneAgeError

USER_AGENT = f"boneage/{__version__} (bone age research notebooks; python-requests/{requests.__version__})"

_FIRST_WAIT = 2.0
_LONGEST_WAIT = 120.0
_MOST_REDIRECTS = 5
_LOCAL_HOSTS = ("127.0.0.1", "localhost")
_CHUNK = 2**18


class Unreachable(BoneAgeError):
    """The host does not answer, or not in time: the same may work later."""


class Refused(BoneAgeError):
    """The host answered, but not with what was asked for: the same will not work later."""


class _CutOff(Exception):
    """An answer of which the rest may come on another attempt."""


def check_url(url: str) -> str:
    """Returns a url that may be fetched: https, or http on this machine (for tests).

    Raises:
        BoneAgeError: Anything else.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BoneAgeError(f"{url}: not a url; correct it") from None
    allowed = parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL_HOSTS)
    if not (allowed and host) or parts.username or any(c.isspace() for c in url):
        raise BoneAgeError(f"{url}: only https addresses are fetched; correct it")
    return url


class _Retry(Retry):
    """Waits as the host asks, but not for hours, and not where it asks in words that mean nothing."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        with contextlib.suppress(InvalidHeader):
            if (wait := super().get_retry_after(response)) is not None:
                return min(wait, _LONGEST_WAIT)
        return None


class _Session(requests.Session):
    """Follows only redirects to addresses that may be fetched."""

    same_host = False

    def get_redirect_target(self, response: requests.Response) -> str | None:
        target = super().get_redirect_target(response)
        if target:
            url, host = check_url(urljoin(response.url, target)), urlsplit(response.url).netloc
            if self.same_host and urlsplit(url).netloc != host:
                raise Refused(f"{url}: leads away from {host}; not followed")
        return target


@dataclass
class Web:
    """A visitor that asks one thing at a time.

    Attributes:
        pause: Seconds between requests.
        attempts: How often the same is tried without progress.
        timeout: Seconds without a byte after which an attempt has failed.
    """

    pause: float = 0.0
    attempts: int = 5
    timeout: float = 60.0

    def __post_init__(self) -> None:
        self._session, self._asked = _Session(), False
        self._session.max_redirects = _MOST_REDIRECTS
        # The body's length and hash are those of the file only where nothing packs it on the way.
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        retry = _Retry(
            total=self.attempts - 1,
            other=1,  # A certificate gets no better by waiting.
            allowed_methods=None,
            status_forcelist=(429, *range(500, 600)),
            raise_on_status=False,
            backoff_factor=_FIRST_WAIT,
            backoff_max=_LONGEST_WAIT,
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def fetch(
        self, url: str, largest_bytes: int, data: dict[str, str] | None = None, method: str = "GET"
    ) -> bytes:
        """The whole answer to a request, redirected at most within the host.

        The fields of a form go into the address of ``GET``, and are the body of ``POST``.

        Raises:
            Unreachable: The host does not answer, answers with server errors, or cuts every answer off.
            Refused: Not found, not allowed, larger than the cap, or redirected to another host.
        """
        body = io.BytesIO()
        fields = {"data" if method == "POST" else "params": data}
        self.download(url, body, largest_bytes, method=method, same_host=True, **fields)
        return body.getvalue()

    def download(
        self,
        url: str,
        file: IO[bytes],
        largest_bytes: int,
        validator: str = "",
        seen: Callable[[int | None, str], None] = lambda total, validator: None,
        title: str = "",
        method: str = "GET",
        same_host: bool = False,
        **request: object,
    ) -> None:
        """Adds to a file what it lacks of an address's content, or writes it anew where a host has no ranges.

        Args:
            url: The address; see :func:`check_url`.
            file: Open for reading and writing; holds the beginning, or nothing.
            largest_bytes: The most that is read.
            validator: What the host named the content of which the file holds the beginning, or "".
            seen: Told the whole size, where announced, and the validator of each answer before any byte of it
                is written; may refuse it.
            title: Of a bar that shows how far it is; "" shows none.
            method: ``GET`` or ``POST``.
            same_host: Whether a redirect to another host is refused.
            request: Of ``requests.Session.request``.

        Raises:
            Unreachable, Refused: As :meth:`fetch`.
            OSError: The file cannot be written.
        """
        self._session.same_host = same_host
        failures, furthest = 0, file.seek(0, os.SEEK_END)
        while True:
            start = file.seek(0, os.SEEK_END)
            headers = {"Range": f"bytes={start}-"} if start else {}
            if start and validator:
                headers["If-Range"] = validator
            try:
                with self._open(url, method, headers=headers, **request) as response:
                    start = _place_of(response, file, start)
                    if response.status_code == 416:
                        return
                    total, validator = _announced(response.headers, start), _validator(response.headers)
                    too_large = f"{url}: larger than {largest_bytes / 2**20:.6g} MiB; not fetched"
                    if (total or 0) > largest_bytes:
                        raise Refused(too_large)
                    seen(total, validator)
                    file.seek(start)
                    file.truncate()
                    bar = tqdm(
                        total=total, initial=start, desc=title, unit="B", unit_scale=True, disable=not title
                    )
                    with bar:
                        for chunk in _chunks_of(response):
                            file.write(chunk)
                            bar.update(len(chunk))
                            if file.tell() > largest_bytes:
                                raise Refused(too_large)
                    return
            except _CutOff as error:
                failures = failures + 1 if file.tell() <= furthest else 1
                furthest = file.tell()
                if failures >= self.attempts:
                    raise Unreachable(f"{url}: {error}, {failures} times; try again later") from None
                time.sleep(min(_FIRST_WAIT * 2 ** (failures - 1), _LONGEST_WAIT))

    @contextlib.contextmanager
    def _open(self, url: str, method: str, **request: object) -> Iterator[requests.Response]:
        """The answer to a request; the body is not read yet.

        Raises:
            Unreachable: No connection, a time-out, too many requests, or a server error, every time.
            Refused: Any other answer than one that brings content.
        """
        if self._asked and self.pause:
            time.sleep(self.pause)
        self._asked = True
        try:
            response = self._session.request(
                method, check_url(url), timeout=self.timeout, stream=True, **request
            )
        except requests.TooManyRedirects:
            raise Refused(
                f"{url}: redirected more than {_MOST_REDIRECTS} times; correct the address"
            ) from None
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Refused(
                    f"{url}: another answers in the host's name (a network's page that asks to sign in, or a "
                    "proxy); open the address in a browser first"
                ) from None
            raise Unreachable(f"{url}: no answer ({type(error).__name__}); try again later") from None
        except requests.RequestException as error:
            raise Refused(f"{url}: cannot be fetched ({type(error).__name__}); correct the address") from None
        with response:
            status = response.status_code
            if status == 429 or status >= 500:
                raise Unreachable(f"{url}: answers {status}, {self.attempts} times; try again later")
            if status not in ((200, 206, 416) if request["headers"] else (200,)):
                reason = {404: "not there (404)", 403: "not allowed (403)", 401: "not allowed (401)"}
                raise Refused(f"{url}: {reason.get(status, f'answers {status}')}; check the address")
            yield response


def _place_of(response: requests.Response, file: IO[bytes], start: int) -> int:
    """Where in the file an answer belongs that was asked for from a place on (RFC 9110, 14 and 15.5.17).

    Raises:
        _CutOff: Nowhere; the file is emptied.
    """
    said = response.headers.get("Content-Range", "")
    whole_is_there = response.status_code == 416 and said.endswith(f"/{start}")
    if response.status_code == 200 or whole_is_there:
        return 0
    if response.status_code == 416 or not said.startswith(f"bytes {start}-"):
        file.seek(0)
        file.truncate()
        raise _CutOff("the file there has changed, or the answer is of another place in it")
    return start


def _chunks_of(response: requests.Response) -> Iterator[bytes]:
    """The body of an answer.

    Raises:
        _CutOff: It ends before the length that the host announced, or the connection breaks.
    """
    announced = response.headers.get("Content-Length", "")
    read = 0
    # Left to itself urllib3 throws away what came since the last whole chunk; the length is checked below.
    response.raw.enforce_content_length = False
    try:
        for chunk in response.iter_content(_CHUNK):
            read += len(chunk)
            yield chunk
    except requests.RequestException as error:
        raise _CutOff(f"the answer broke off ({type(error).__name__})") from None
    if announced.isdecimal() and read < int(announced):
        raise _CutOff(f"the answer broke off after {read} of {announced} bytes")


def _announced(headers: Mapping[str, str], start: int) -> int | None:
    """The size of the whole content of which an answer brings the rest, or None."""
    length = headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _validator(headers: Mapping[str, str]) -> str:
    """What tells a later run whether the file is still the same; a weak tag cannot (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
