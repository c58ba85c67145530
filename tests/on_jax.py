"""A script in a process of its own, with Keras on JAX, whatever backend the tests use."""

import json
import os
import subprocess
import sys
from pathlib import Path

from boneage import notebooks

WITHOUT_TENSORFLOW = str(Path(__file__).with_name("without_tensorflow"))
"""In the path of a Python, keeps TensorFlow from it."""

SMALL_NETWORK = "--xla_cpu_use_fusion_emitters=false"
"""For ``XLA_FLAGS``: compiles a small network in half the time, though a large one in twice."""


def said_on_jax(script: str, *arguments: str) -> dict:
    """What a script prints last, as JSON.

    Args:
        script: Python.
        arguments: Its ``sys.argv[1:]``.
    """
    source = str(Path(notebooks.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")])),
        },
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
