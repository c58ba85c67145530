"""Packages that may be missing or unfit, and how TensorFlow is told to work."""

import os
import platform
import subprocess
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


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="TensorFlow for x86 brings oneDNN")
@pytest.mark.parametrize(("of_user", "used"), [(None, "True"), ("0", "False")])
def test_tensorflow_uses_its_faster_operations_unless_the_user_says_otherwise(of_user, used):
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    if of_user is not None:
        environment["TF_ENABLE_ONEDNN_OPTS"] = of_user
    program = (
        "from boneage.core.runtime import choose_backend; choose_backend('tensorflow')\n"
        "from tensorflow.python.framework.test_util import IsMklEnabled; print(IsMklEnabled())"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == [used]
