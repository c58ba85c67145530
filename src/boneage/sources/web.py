"""Polite requests: one at a time, with a user agent, time-outs, a size cap and retries with growing waits."""

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
    """The host does not answer in time; trying later may help."""


class Refused(BoneAgeError):
    """The host's answer is not what was asked for; trying later will not help."""


class _CutOff(Exception):
    """An incomplete answer, of which another attempt may get the rest."""


def check_url(url: str) -> str:
    """Returns a URL that may be fetched: https, or http on this machine (for tests).

    Raises:
        BoneAgeError: Anything else.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise BoneAgeError(f"{url}: not a URL; correct it") from None
    allowed = parts.scheme == "https" or (parts.scheme == "http" and host in _LOCAL_HOSTS)
    if not (allowed and host) or parts.username or any(c.isspace() for c in url):
        raise BoneAgeError(f"{url}: only https addresses are fetched; correct it")
    return url


class _Retry(Retry):
    """Honours Retry-After, but caps it and ignores malformed values."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        with contextlib.suppress(InvalidHeader):
            if (wait := super().get_retry_after(response)) is not None:
                return min(wait, _LONGEST_WAIT)
        return None


class _Session(requests.Session):
    """Follows redirects to permitted addresses only."""

    same_host = False

    def get_redirect_target(self, response: requests.Response) -> str | None:
        target = super().get_redirect_target(response)
        if target:
            url, host = check_url(urljoin(response.url, target)), urlsplit(response.url).netloc
            if self.same_host and urlsplit(url).netloc != host:
                raise Refused(f"{url}: redirects away from {host}; not followed")
        return target


@dataclass
class Web:
    """A client that makes one request at a time.

    Attributes:
        pause: Seconds between requests.
        attempts: Attempts without progress before giving up.
        timeout: Seconds without a byte after which an attempt fails.
    """

    pause: float = 0.0
    attempts: int = 5
    timeout: float = 60.0

    def __post_init__(self) -> None:
        self._session, self._asked = _Session(), False
        self._session.max_redirects = _MOST_REDIRECTS
        # Without compression, length and hash of the body are the file's.
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        retry = _Retry(
            total=self.attempts - 1,
            other=1,  # A certificate does not improve by waiting.
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
        """Fetches the answer to a request, following redirects within the host only.

        ``data`` goes into the address for ``GET`` and into the body for ``POST``.

        Raises:
            Unreachable: The host does not answer, answers with server errors, or every answer is cut off.
            Refused: Not found, not allowed, over ``largest_bytes``, or redirected to another host.
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
        """Completes a partial file from an address, or rewrites it if the host does not support ranges.

        Args:
            url: See :func:`check_url`.
            file: Open for reading and writing; empty, or the beginning of the content.
            largest_bytes: Size limit.
            validator: The host's validator of that beginning, or "".
            seen: Called before each answer's first byte is written, with the total size (if announced) and
                the validator; may raise.
            title: Label of a progress bar; "" shows none.
            same_host: Refuse redirects to other hosts.
            request: For ``requests.Session.request``.

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
        """The answer to a request, its body unread.

        Raises:
            Unreachable: No connection, time-out, too many requests or a server error, every time.
            Refused: Any other answer without content.
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
                    f"{url}: the certificate is not the host's (a network's sign-in page, or a "
                    "proxy); open the address in a browser first"
                ) from None
            raise Unreachable(f"{url}: no answer ({type(error).__name__}); try again later") from None
        except requests.RequestException as error:
            raise Refused(f"{url}: cannot be fetched ({type(error).__name__}); correct the address") from None
        with response:
            status = response.status_code
            if status == 429 or status >= 500:
                raise Unreachable(f"{url}: answered {status}, {self.attempts} times; try again later")
            if status not in ((200, 206, 416) if request["headers"] else (200,)):
                reason = {404: "not found (404)", 403: "not allowed (403)", 401: "not allowed (401)"}
                raise Refused(f"{url}: {reason.get(status, f'answers {status}')}; check the address")
            yield response


def _place_of(response: requests.Response, file: IO[bytes], start: int) -> int:
    """The offset in the file at which a ranged answer belongs (RFC 9110, 14 and 15.5.17).

    Empties the file and raises _CutOff if there is none.
    """
    said = response.headers.get("Content-Range", "")
    whole_is_there = response.status_code == 416 and said.endswith(f"/{start}")
    if response.status_code == 200 or whole_is_there:
        return 0
    if response.status_code == 416 or not said.startswith(f"bytes {start}-"):
        file.seek(0)
        file.truncate()
        raise _CutOff("the file has changed, or the answer is for another range")
    return start


def _chunks_of(response: requests.Response) -> Iterator[bytes]:
    """The body of an answer, in chunks; raises _CutOff if it ends early."""
    announced = response.headers.get("Content-Length", "")
    read = 0
    # urllib3 would discard what follows the last whole chunk; the length is checked below instead.
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
    """Size of the whole content, or None."""
    length = headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _validator(headers: Mapping[str, str]) -> str:
    """A validator that tells whether the file is still the same; a weak tag does not (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
