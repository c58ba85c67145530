"""Packages that may be missing or unfit."""

import sys

import pytest

from boneage.core import runtime
from boneage.core.errors import BoneAgeError


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('no such symbol')", "broken: cannot be imported (no such symbol); mend it"),
        ("raise RuntimeError('built for\\nanother')", "(RuntimeError: built for another); mend it"),
        (
            "class NotFoundError(Exception): pass\nraise NotFoundError('x.so: undefined symbol')",
            "(NotFoundError: x",
        ),
        ("1 / 0", "(ZeroDivisionError: division by zero)"),
        ("raise AttributeError", "(AttributeError)"),
        ("import absent_from_everywhere", "(No module named 'absent_from_everywhere')"),
    ],
)
def test_a_package_that_fails_in_any_way_is_one_line_with_what_to_do(tmp_path, monkeypatch, code, said):
    (tmp_path / "broken.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BoneAgeError) as caught:
        runtime.package("broken", "mend it")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_package_that_is_sound_is_itself():
    assert runtime.package("json", "mend it") is sys.modules["json"]
