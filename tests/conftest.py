"""What every test may ask for."""

import gc
import os
import socket
from pathlib import Path

import pytest
from machine import CHROMIUM, REAL_DATA

# The files that take longest, begun first: pytest-xdist gives a worker whole files, by itself those with the
# most tests first, and one worker would end on the run of all notebooks while the other stands idle.
LONGEST = (
    "test_training",
    "test_notebooks_run",
    "test_networks",
    "test_export",
    "test_anomalies",
    "test_cli",
    "test_board_ipywidgets_8",
    "test_devices",
    "test_board_browser",
    "test_anomalies_foreign",
    "test_review_to_pack",
    "test_training_variants",
    "test_pipeline",
    "test_notebooks",
    "test_faults",
    "test_cluster",
    "test_training_kills",
    "test_hostile_models",
    "test_estimate",
)

# Workers that each take all cores wait for each other; and to compile for JAX takes far longer than what is
# computed, so it may be a careless compilation.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# Solara, whose page the browser tests show the board on, would count its starts on a server elsewhere.
os.environ["SOLARA_TELEMETRY_MIXPANEL_ENABLE"] = "false"


def pytest_configure(config: pytest.Config) -> None:
    """Gives the browser tests a port of their own, so that several runs do not meet."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        config.option.solara_port = free.getsockname()[1]
    # Its check of the page's own widgets takes seconds; the board has none of them.
    config.option.solara_vuetify_warmup = False
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first; skips, by name, tests whose radiographs or browser are not there."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    missing = {}
    if not (REAL_DATA and Path(REAL_DATA).is_dir()):
        missing["real_data"] = "set BONEAGE_REAL_DATA to a folder of real radiographs"
    if CHROMIUM is None:
        missing["browser"] = "Chromium is not installed; on Debian or Ubuntu: sudo apt-get install chromium"
    for mark, reason in missing.items():
        for item in items:
            if mark in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    """What was imported by now stays: Python need not look through it for garbage again and again."""
    gc.freeze()


@pytest.fixture
def real_data() -> Path:
    """The folder of real radiographs, with ``rsna/`` and ``dha/`` in it."""
    return Path(REAL_DATA)
