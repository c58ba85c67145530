"""A visitor to the servers of tests, who does not wait but says for how long he would have."""

import time

import pytest

from boneage.sources.web import Web


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def waits(monkeypatch):
    waits = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


@pytest.fixture
def web(waits):
    return Web(timeout=5)
