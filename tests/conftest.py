"""What every test may ask for."""

import os
from pathlib import Path

import pytest

REAL_DATA = os.environ.get("BONEAGE_REAL_DATA", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, by name, the tests that need real radiographs where there are none."""
    if REAL_DATA and Path(REAL_DATA).is_dir():
        return
    skip = pytest.mark.skip(reason="set BONEAGE_REAL_DATA to a folder of real radiographs")
    for item in items:
        if "real_data" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def real_data() -> Path:
    """The folder of real radiographs, with ``rsna/`` and ``dha/`` in it."""
    return Path(REAL_DATA)
