"""The repository's name stands in one place and is set everywhere at once."""

import json
import re

import pytest
import slug as tool

NOTEBOOKS = [path for path in tool.files() if path.suffix == ".ipynb"]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of every file that carries the name."""
    for path in tool.files():
        there = tmp_path / path.relative_to(tool.ROOT)
        there.parent.mkdir(exist_ok=True)
        there.write_bytes(path.read_bytes())
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "PYPROJECT", tmp_path / "pyproject.toml")
    return tmp_path


def test_another_name_is_set_in_every_file_that_links_to_the_repository(copy):
    old = tool.slug()
    carried = {path for path in tool.files() if f"/{old}" in path.read_text(encoding="utf-8")}
    assert {path.name for path in carried} > {path.name for path in NOTEBOOKS}
    changed = tool.stamp("some-one/else.where")
    assert carried <= set(changed)
    assert tool.slug() == "some-one/else.where"
    for path in tool.files():
        text = path.read_text(encoding="utf-8")
        assert not re.search(rf"github(\.com)?/{re.escape(old)}\b", text), path
        if path.suffix == ".ipynb":
            assert json.loads(text)["nbformat"] == 4
    tool.stamp(old)
    for path in tool.files():
        assert path.read_bytes() == (NOTEBOOKS[0].parents[1] / path.relative_to(copy)).read_bytes()


def test_other_repositories_stay_as_they_are():
    text = "https://github.com/aimi-bonn/Deeplasia and https://github.com/a/b-more and github.com/a/b"
    assert tool.with_slug(text, "a/b", "c/d").endswith("https://github.com/a/b-more and github.com/c/d")
    assert tool.with_slug(text, "a/b", "c/d").startswith("https://github.com/aimi-bonn/Deeplasia")


@pytest.mark.parametrize("name", ["", "owner", "owner/", "/name", "a/b/c", "own er/name", 'a/b"\n[x]'])
def test_what_is_no_repository_is_refused(copy, name):
    with pytest.raises(ValueError, match="not of the form owner/repository"):
        tool.stamp(name)
