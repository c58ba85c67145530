"""Objects in the buckets of S3 and of Google Cloud Storage, which fsspec reads: addresses, listings, content.

Credentials and the endpoint are the environment's, as for any other program that reads buckets.
"""

import contextlib
import functools
import itertools
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from boneage.core.errors import BoneAgeError
from boneage.core.runtime import package

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
_CREDENTIALS = {
    "s3": "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL (FSSPEC_S3_ANON=true reads a "
    "public bucket without credentials)",
    "gs": "check GOOGLE_APPLICATION_CREDENTIALS, or sign in (on Colab google.colab.auth.authenticate_user())",
}
_LIKE = "an address is like s3://bucket/folder or gs://bucket/folder"

_ADDRESS = re.compile(r"\s*(s3|gs)://([^/]*)(.*?)/*\s*", re.DOTALL | re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_LONGEST_NAME = 255

_CHUNK = 64 * 2**20
# Of botocore, and of s3fs above it, 15 seconds each: by default a silent service is given up after 7 minutes.
_ATTEMPTS = 3


class Unanswered(BoneAgeError):
    """The service answers nobody, or not us: no fault of one object."""


def fault_of_key(key: str) -> str:
    """Why an object with such a key is not read: it could name no file, or one elsewhere; empty if it is."""
    names = re.split(r"[/\\]", key)
    if any(name in ("", ".", "..") for name in names) or "?versionId=" in key:
        return "its key could not be the path of a file; rename the object"
    if not key.isprintable():
        return "its key has line breaks or control characters; rename the object"
    if any(len(name.encode()) > _LONGEST_NAME for name in names):
        return f"its name is longer than {_LONGEST_NAME} bytes; rename the object"
    return ""


def bucket_address(text: str) -> str | None:
    """The address of objects in a bucket without slashes at its end; None for any other text.

    Raises:
        BoneAgeError: It holds credentials, which the error does not repeat, or names no bucket or no object.
    """
    found = _ADDRESS.fullmatch(text)
    if not found:
        return None
    scheme, bucket, key = found[1].lower(), found[2], found[3].removeprefix("/")
    if ":" in bucket or "@" in bucket:
        raise BoneAgeError(f"{scheme}://...: credentials do not belong in an address; {_CREDENTIALS[scheme]}")
    if not _BUCKET.fullmatch(bucket):
        raise BoneAgeError(f"{text}: {bucket!r} is not the name of a bucket; {_LIKE}")
    if key and fault_of_key(key):
        raise BoneAgeError(f"{text}: {key!r} could not be the path of a folder; {_LIKE}")
    return f"{scheme}://{bucket}/{key}".rstrip("/")


@dataclass(frozen=True)
class Object:
    """An object as a listing describes it.

    Attributes:
        address: Its address.
        size: Its size in bytes.
        modified: When it was written, in nanoseconds since 1970.
        version: What is another once its content is (its ETag).
    """

    address: str
    size: int
    modified: int
    version: str

    def read(self) -> bytes:
        """Its content; see :meth:`chunks`."""
        return b"".join(self.chunks())

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Its content from an offset on, no more than its size in the listing, 64 MiB at a time.

        Raises:
            Unanswered: No connection, or not allowed.
            BoneAgeError: It is gone or has changed since it was listed.
        """
        for at in range(start, self.size, _CHUNK):
            yield self._part(at, min(at + _CHUNK, self.size))
        self._check()

    def first(self, count: int) -> bytes:
        """Its first bytes; raises as :meth:`chunks`."""
        return self._part(0, min(count, self.size)) if self.size else b""

    def _part(self, start: int, end: int) -> bytes:
        try:
            with _asking(self.address) as (files, path):
                data: bytes = files.cat_file(path, start=start, end=end)
        except Unanswered:
            # A range that a shorter object no longer has is an error, too.
            with contextlib.suppress(Unanswered):
                self._check()
            raise
        if len(data) != end - start:
            raise self._changed()
        return data

    def _check(self) -> None:
        with _asking(self.address) as (files, path):
            now = _object(self.address, files.info(path))
        if (now.size, now.version) != (self.size, self.version):
            raise self._changed()

    def _changed(self) -> BoneAgeError:
        return BoneAgeError(f"{self.address}: it changed while it was read; run the same again")


def list_objects(address: str) -> dict[str, Object]:
    """Every object in a folder of a bucket, or the one of that address, by address; a listing, no more.

    Args:
        address: From :func:`bucket_address`.

    Raises:
        Unanswered: The package is missing, no connection, or not allowed.
        BoneAgeError: No such bucket.
    """
    with _asking(address, "bucket; check the address") as (files, path):
        found = files.find(path, detail=True)
    scheme = address.partition("://")[0]
    # A key with a slash at its end stands for an empty folder.
    objects = (_object(f"{scheme}://{name}", info) for name, info in found.items() if not name.endswith("/"))
    return {one.address: one for one in objects}


def look_up(addresses: Iterable[str]) -> dict[str, Object]:
    """Those of some objects that are there, by address, from a listing of what they have in common.

    Raises:
        Unanswered, BoneAgeError: As :func:`list_objects`.
    """
    # An address with two slashes names a bucket.
    wanted = sorted({one for one in addresses if one.count("/") > 2})
    found: dict[str, Object] = {}
    for (scheme, *_), group in itertools.groupby(wanted, lambda one: one.split("/")[:3]):
        folders = [one.partition("//")[2].rpartition("/")[0] for one in group]
        found |= list_objects(f"{scheme}//{posixpath.commonpath(folders)}")
    return {one: found[one] for one in wanted if one in found}


@functools.cache
def _files(scheme: str) -> Any:
    """The file system of fsspec, once for a process: it keeps connections."""
    import fsspec

    retries = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
    options = {"config_kwargs": {"retries": retries}} if scheme == "s3" else {}
    files = fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False, **options)
    files.retries = _ATTEMPTS
    return files


@contextlib.contextmanager
def _asking(address: str, missing: str = "object; put it there or leave it out") -> Iterator[tuple[Any, str]]:
    """The file system of an address, and its path there; what goes wrong is told in one line.

    Of another package's error its kind is told alone: its words may hold what nobody else is to see.

    Args:
        missing: What is not there where the service says so, and what to do.
    """
    scheme, _, path = address.partition("://")
    # gcsfs would ask of each object how its bucket is arranged, and warn where it may not.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        package(_PACKAGES[scheme], f"run `pip install {_PACKAGES[scheme]}` to read {scheme}:// addresses")
    except BoneAgeError as error:
        raise Unanswered(f"{address}: {error}") from None
    try:
        yield _files(scheme), path
    except FileNotFoundError:
        raise BoneAgeError(f"{address}: no such {missing}") from None
    except PermissionError:
        raise Unanswered(f"{address}: not allowed; {_CREDENTIALS[scheme]}") from None
    except Exception as error:
        kind = type(error).__name__
        # gcsfs has a code or a word for it.
        told = str(getattr(error, "code", "")) == "401" or str(error).startswith("Forbidden")
        if told or "Credential" in kind:
            raise Unanswered(f"{address}: not allowed ({kind}); {_CREDENTIALS[scheme]}") from None
        again = "check the connection and AWS_ENDPOINT_URL" if scheme == "s3" else "check the connection"
        raise Unanswered(f"{address}: no answer ({kind}); {again}, and run the same again") from None


def _object(address: str, info: dict[str, Any]) -> Object:
    if info["type"] != "file":
        raise FileNotFoundError(address)
    written = info.get("LastModified") or info["mtime"]
    # A float has no nanoseconds.
    modified = int(written.timestamp()) * 10**9 + written.microsecond * 1000
    version = str(info.get("ETag") or info.get("generation") or "")
    return Object(address, info["size"], modified, version.strip('"'))
