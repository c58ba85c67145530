"""What is installed is locked to the hash, may be used under our licence, and CI can do no harm."""

import re
import sys
import tomllib
from pathlib import Path

import licences
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked(name: str) -> dict[str, set[str]]:
    """Versions by package; a package may have one for older and one for newer versions of Python."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in " #":
            wanted = Requirement(line.rstrip("\\ "))
            (version,) = wanted.specifier
            assert version.operator == "==", line
            found.setdefault(wanted.name, set()).add(version.version)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_locked_to_its_hashes_and_to_no_host(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|@|^-|\.(com|org|net|io)\b", text, re.M)
    for block in re.split(r"\n(?=[a-z])", text.strip()):
        assert re.search(r"\\\n    --hash=sha256:[0-9a-f]{64}(?![0-9a-f])", block), block.split("\n")[0]


@pytest.mark.parametrize("name", LOCKS)
def test_what_the_project_needs_is_locked_as_it_asks(name):
    wanted = list(PROJECT["dependencies"])
    if name == "requirements-dev.lock":
        wanted += [one for extra in PROJECT["optional-dependencies"].values() for one in extra]
    found = locked(name)
    for one in map(Requirement, wanted):
        if one.name != "boneage":
            assert all(one.specifier.contains(version) for version in found[normal(one.name)]), one


@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_hold_what_colab_has(name):
    found = locked(name)
    pins = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line]
    for one in map(Requirement, (line for line in pins if line[0] != "#")):
        if name == "requirements-dev.lock" or normal(one.name) in found:
            assert {f"=={version}" for version in found[normal(one.name)]} == {str(one.specifier)}


def test_the_two_locks_agree():
    runtime, dev = map(locked, LOCKS)
    assert runtime.items() <= dev.items()


def test_every_package_that_is_needed_may_be_used_and_is_listed():
    needed = licences.needed("boneage")
    assert len(needed) > 100
    said = {name: licences.licence_of(name, package) for name, package in needed.items()}
    assert {name: one for name, one in said.items() if not licences.is_compatible(one)} == {}
    page = licences.PATH.read_text(encoding="utf-8")
    if sys.version_info[:2] == (3, 11) and sys.platform == "linux":
        for name in [*needed, *licences.DICOM]:
            assert f"| {name} | " in page, f"{name} is not listed; run make lock"


@pytest.mark.parametrize(
    ("expression", "may"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-2-Clause", True),
        ("MIT AND (GPL-3.0 OR Apache-2.0)", True),
        ("GPL-3.0", False),
        ("MIT AND GPL-3.0", False),
        ("AGPL-3.0-only", False),
        ("none named", False),
    ],
)
def test_which_licences_go_with_ours(expression, may):
    assert licences.is_compatible(expression) == may


def test_workflows_have_least_rights_and_use_what_cannot_be_changed():
    workflows = list((ROOT / ".github" / "workflows").glob("*.yml"))
    assert workflows
    for path in workflows:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"^permissions:\n  (.*)\n", text, re.M) == ["contents: read"]
        assert not re.search(r"\bwrite\b|pull_request_target|secrets\.|\$\{\{ *github\.event\.", text)
        used = re.findall(r"uses: (.*)", text)
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", one) for one in used), used
        for step in re.split(r"\n\s+- ", text):
            assert "actions/checkout" not in step or "persist-credentials: false" in step
