"""The history of the benchmarks: kept, drawn, and compared between like machines only."""

import importlib
from pathlib import Path

import pytest

NAMES = ("speed_ratio", "memory_ratio")


@pytest.fixture
def history(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return importlib.import_module("history")


@pytest.fixture
def bars(history):
    return [history.Bar("speed_ratio", "at least", 0.8), history.Bar("memory_ratio", "at most", 1.1)]


def ran(history, path, day, speed, memory, **machine):
    of_run = {**history.facts("drawn"), "at": f"2026-01-{day:02}T00:00:00+00:00", "commit": "abc", **machine}
    return history.add(dict(zip(NAMES, (speed, memory), strict=True)), of_run, path)


def test_a_ratio_worse_by_more_than_a_tenth_is_said(history, bars, tmp_path):
    path = tmp_path / "history.csv"
    assert history.regressions(ran(history, path, 1, 1.0, 1.0), bars) == []
    assert history.regressions(ran(history, path, 2, 0.91, 1.09), bars) == []
    assert history.regressions(ran(history, path, 3, 1.5, 0.5), bars) == []
    worse = history.regressions(ran(history, path, 4, 1.3, 0.56), bars)
    assert worse == [
        "speed_ratio: 1.30, was 1.50 on 2026-01-03 (abc)",
        "memory_ratio: 0.56, was 0.50 on 2026-01-03 (abc)",
    ]


@pytest.mark.parametrize("other", [{"cores": "64"}, {"processor": "another"}, {"images": "real"}])
def test_only_like_machines_are_compared(history, bars, tmp_path, other):
    path = tmp_path / "history.csv"
    ran(history, path, 1, 2.0, 1.0)
    assert history.regressions(ran(history, path, 2, 1.0, 1.0, **other), bars) == []
    assert len(history.regressions(ran(history, path, 3, 1.0, 1.0), bars)) == 1


def test_it_is_read_back_as_it_was_kept_and_drawn_the_same(history, bars, tmp_path):
    path = tmp_path / "history.csv"
    ran(history, path, 1, 1.0, 1.0)
    known = ran(history, path, 2, 0.5, 1.0, processor="a, b")
    assert history.read_history(path).equals(known)
    assert set(known["commit"]) == {"abc"}
    assert known["versions"].str.contains("python").all()
    pictures = [
        history.draw(history.read_history(path), bars, tmp_path / name) for name in ("1.svg", "2.svg")
    ]
    assert pictures[0].read_bytes().startswith(b"<?xml")
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_a_machine_has_one_colour_in_every_picture_even_where_another_has_no_value(history, bars, tmp_path):
    path, both, one = tmp_path / "history.csv", tmp_path / "both.svg", tmp_path / "one.svg"
    ran(history, path, 1, 1.0, 1.0, processor="old")
    known = ran(history, path, 2, 1.0, 1.0, processor="new")
    history.draw(known, bars[1:], both)
    # The old machine was not asked for memory: the new one keeps its colour.
    asked = known[~((known["processor"] == "old") & (known["name"] == "memory_ratio"))]
    history.draw(asked, bars[1:], one)
    first, second = "#1f77b4", "#ff7f0e"
    assert first in both.read_text()
    assert second in both.read_text()
    assert first not in one.read_text()
    assert second in one.read_text()


def test_nothing_measured_yet_is_no_regression(history, bars, tmp_path):
    assert history.regressions(history.read_history(tmp_path / "none.csv"), bars) == []
