"""Writes docs/licences.md from what the installed packages say of themselves: part of ``make lock``."""

import importlib.metadata as metadata
import re
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

PATH = Path(__file__).resolve().parents[1] / "docs" / "licences.md"

COMPATIBLE = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0"),
    *("MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib"),
}
"""Licences of packages that software under the MIT licence may need; MPL-2.0 covers their own files alone."""

DICOM = ("pydicom", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pyjpegls")
"""What is not needed, but reads more kinds of DICOM files where a user installs it."""

# What packages write in place of an SPDX expression.
_SAID = {
    "2-clause bsd": "BSD-2-Clause",
    "bsd 2-clause": "BSD-2-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "3-clause bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd": "BSD",
    "apache": "Apache-2.0",
    "mpl-2.0 and mit": "MPL-2.0 AND MIT",
    "mpl-2.0": "MPL-2.0",
    "mozilla public license 2.0": "MPL-2.0",
    "isc": "ISC",
    "psfl": "PSF-2.0",
    "python software foundation": "PSF-2.0",
    "mit": "MIT",
    "gpl v3": "GPL-3.0",
}
# Its archive names none; its repository (fchollet/namex) has the Apache licence.
_UNSAID = {"namex": "Apache-2.0"}

_HEAD = """# Licences

The code is under the [MIT licence](../LICENSE). No other package comes with it; pip installs what it needs:
the packages of this table, with the licence that each names (Python 3.11 on Linux; `requirements.lock` has
the versions and hashes). All may be used by software under the MIT licence; a test holds it. Wheels may carry
libraries of other licences, which they name (OpenCV's: FFmpeg, LGPL-2.1).

Written by `make lock` from what the installed packages say of themselves.
"""
_DICOM_HEAD = """
For DICOM files, installed by those who have some. `pylibjpeg-libjpeg` is under the GPL: without it, lossless
and 12-bit JPEG are not read; with it, what is passed on as one bundle falls under the GPL.
"""


def needed(name: str) -> dict[str, metadata.Distribution]:
    """The installed packages that a package needs, however indirectly, by normalised name."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    left = [(name, frozenset[str]())]
    while left:
        one, extras = left.pop()
        key = re.sub(r"[-_.]+", "-", one).lower()
        if (key, extras) in seen:
            continue
        seen.add((key, extras))
        found[key] = metadata.distribution(one)
        for line in found[key].requires or ():
            wanted = Requirement(line)
            if not wanted.marker or any(wanted.marker.evaluate({"extra": one}) for one in (*extras, "")):
                left.append((wanted.name, frozenset(wanted.extras)))
    del found[name]
    return dict(sorted(found.items()))


def licence_of(name: str, package: metadata.Distribution) -> str:
    """The licence that a package names, as an SPDX expression where it can be told; else its own words."""
    said = package.metadata
    if said.get("License-Expression"):
        return said["License-Expression"]
    classified = [one.split(" :: ")[-1] for one in said.get_all("Classifier") or () if "License ::" in one]
    own = (said.get("License") or "").splitlines()[:1]
    for text in [*own, *classified]:
        words = text.lower()
        for phrase, licence in _SAID.items():
            if words.startswith(phrase):
                return licence
    return _UNSAID.get(name) or ", ".join([*own, *classified]) or "none named"


def is_compatible(expression: str) -> bool:
    """Whether software under the MIT licence may need a package of these licences."""
    every = expression.replace("(", "").replace(")", "").split(" AND ")
    return all(any(one.strip() in COMPATIBLE for one in some.split(" OR ")) for some in every)


def licences_page() -> str:
    """The page, as Markdown."""
    runtime = needed("boneage")
    dicom = {name: metadata.distribution(name) for name in DICOM}
    return "\n".join([_HEAD, *_table(runtime.items()), _DICOM_HEAD, *_table(dicom.items()), ""])


def _table(packages: Iterable[tuple[str, metadata.Distribution]]) -> list[str]:
    rows = [f"| {name} | {licence_of(name, package)} |" for name, package in packages]
    return ["| package | licence |", "| --- | --- |", *rows]


if __name__ == "__main__":
    PATH.write_text(licences_page(), encoding="utf-8")
