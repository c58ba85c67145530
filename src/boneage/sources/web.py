"""Polite requests: one at a time, named, with time-outs, a size cap, and retries that wait ever longer."""

import contextlib
import email.utils
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import requests

from boneage import __version__
from boneage.core.errors import BoneAgeError

USER_AGENT = f"boneage/{__version__} (bone age research notebooks; python-requests/{requests.__version__})"

_LONGEST_WAIT = 120.0
_MOST_REDIRECTS = 5
_LOCAL_HOSTS = ("127.0.0.1", "localhost")
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 2**18


class Unreachable(BoneAgeError):
    """The host does not answer, or not in time: the same may work later."""


class Refused(BoneAgeError):
    """The host answered, but not with what was asked for: the same will not work later."""


class CutOff(Exception):
    """An attempt that failed in a way that another may not.

    Args:
        reason: What happened.
        wait: Seconds that the host asks to wait.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


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


@dataclass
class Web:
    """A visitor that asks one thing at a time.

    Attributes:
        pause: Seconds between requests.
        first_wait: Seconds before the second attempt; doubled before each further one.
        attempts: How often the same is tried without progress.
        timeout: Seconds without a byte after which an attempt has failed.
        sleep: What waits; replaced in tests.
    """

    pause: float = 0.0
    first_wait: float = 2.0
    attempts: int = 5
    timeout: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    _session: requests.Session = field(default_factory=requests.Session, repr=False)
    _asked: bool = field(default=False, repr=False)

    def fetch(
        self, url: str, largest_bytes: int, data: dict[str, str] | None = None, method: str = "GET"
    ) -> bytes:
        """The whole answer to a request, redirected at most within the host.

        Args:
            url: The address; see :func:`check_url`.
            largest_bytes: The most that is read.
            data: Form fields.
            method: ``GET`` (fields go into the address) or ``POST``.

        Raises:
            Unreachable: The host does not answer, answers with server errors, or cuts every answer off.
            Refused: Not found, not allowed, larger than the cap, or redirected to another host.
        """

        def attempt() -> bytes:
            with self.open(url, method=method, data=data, same_host=True) as response:
                body = bytearray()
                for chunk in chunks_of(response):
                    body += chunk
                    if len(body) > largest_bytes:
                        raise Refused(f"{url}: larger than {largest_bytes / 2**20:.3g} MiB; not fetched")
                return bytes(body)

        return self.persist(url, attempt)

    def persist(
        self, url: str, attempt: Callable[[], bytes], progress: Callable[[], int] = lambda: 0
    ) -> bytes:
        """Runs one attempt after another until one succeeds.

        Args:
            url: For the error.
            attempt: Raises :class:`CutOff` where another may help.
            progress: A number that grows when a failed attempt got on; the count then starts afresh.

        Raises:
            Unreachable: As many attempts as allowed have failed.
        """
        failures, reached = 0, progress()
        while True:
            try:
                return attempt()
            except CutOff as error:
                failures = failures + 1 if progress() == reached else 1
                reached = progress()
                if failures >= self.attempts:
                    raise Unreachable(f"{url}: {error}, {failures} times; try again later") from None
                wait = max(self.first_wait * 2 ** (failures - 1), error.wait)
                self.sleep(min(wait, _LONGEST_WAIT))

    @contextlib.contextmanager
    def open(
        self,
        url: str,
        method: str = "GET",
        data: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        same_host: bool = False,
        accepted: tuple[int, ...] = (200,),
    ) -> Iterator[requests.Response]:
        """One attempt at a request; the body is not read yet.

        Raises:
            CutOff: No connection, a time-out, too many requests, or a server error.
            Refused: Any other answer than success.
        """
        # The body's length and hash are those of the file only where nothing packs it on the way.
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"} | (headers or {})
        host = urlsplit(url).netloc
        for _ in range(_MOST_REDIRECTS):
            fields = {"data" if method == "POST" else "params": data}
            with self._asking(check_url(url), method, headers, fields) as response:
                if response.status_code not in _REDIRECTS:
                    _check_status(url, response, accepted)
                    yield response
                    return
                url = urljoin(url, response.headers.get("Location", ""))
            if same_host and urlsplit(url).netloc != host:
                raise Refused(f"{url}: leads away from {host}; not followed")
            method, data = ("GET", None) if response.status_code in (301, 302, 303) else (method, data)
        raise Refused(f"{url}: redirected more than {_MOST_REDIRECTS} times; correct the address")

    @contextlib.contextmanager
    def _asking(
        self, url: str, method: str, headers: dict[str, str], fields: dict[str, dict[str, str] | None]
    ) -> Iterator[requests.Response]:
        if self._asked and self.pause:
            self.sleep(self.pause)
        self._asked = True
        try:
            response = self._session.request(
                method,
                url,
                headers=headers,
                timeout=self.timeout,
                stream=True,
                allow_redirects=False,
                **fields,
            )
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
            raise CutOff(f"no answer ({type(error).__name__})") from None
        except requests.RequestException as error:
            raise Refused(f"{url}: cannot be fetched ({type(error).__name__}); correct the address") from None
        with response:
            yield response


def chunks_of(response: requests.Response) -> Iterator[bytes]:
    """The body of an answer.

    Raises:
        CutOff: It ends before the length that the host announced, or the connection breaks.
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
        raise CutOff(f"the answer broke off ({type(error).__name__})") from None
    if announced.isdecimal() and read < int(announced):
        raise CutOff(f"the answer broke off after {read} of {announced} bytes")


def _check_status(url: str, response: requests.Response, accepted: tuple[int, ...]) -> None:
    status = response.status_code
    if status == 429 or status >= 500:
        raise CutOff(f"answers {status}", _retry_after(response.headers.get("Retry-After", "")))
    if status not in accepted:
        reason = {404: "not there (404)", 403: "not allowed (403)", 401: "not allowed (401)"}
        raise Refused(f"{url}: {reason.get(status, f'answers {status}')}; check the address")


def _retry_after(text: str) -> float:
    """Seconds to wait, out of a Retry-After header: a number or a date."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
