"""What `make bench` measured before, and on which machine: ``history.csv``, and its picture.

A row per measurement of a run. Ratios are compared with those of the last run on a like machine, which has
the same processor, as many cores and measured on the same kind of images: other machines have other ratios.
"""

import io
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from boneage.core.columns import Column, Table
from boneage.core.files import write_bytes
from boneage.core.runtime import versions
from boneage.core.tables import read_table, write_table

HISTORY = Path(__file__).with_name("history.csv")
PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "bench.svg"

WORSE_BY = 0.1
"""The share of a ratio's last value that it may lose before it is said."""

HISTORY_TABLE = Table(
    "History of the benchmarks",
    [
        Column("at", "When the run began, UTC."),
        Column("commit", "Of the code; with + where it was changed since."),
        Column("images", "real or drawn."),
        Column("processor", "Its name, family and model."),
        Column("cores", "How many of them."),
        Column("versions", "Of Python and the packages that count."),
        Column("name", "What was measured."),
        Column("value", "Its value.", ".3f"),
    ],
    "benchmarks/history.csv",
    "One row per measurement of each run of make bench.",
)
_MACHINE = ["images", "processor", "cores"]
_GENERATION = {"family": "cpu family", "model": "model"}


class Bar(NamedTuple):
    """A measurement and the bound that it must keep to."""

    name: str
    side: str
    bound: float

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.side == "at least" else value <= self.bound

    def loss(self, before: float, now: float) -> float:
        """The share by which it is worse than before; negative where it is better."""
        return (before - now) / before if self.side == "at least" else (now - before) / before


def facts(images: str) -> dict[str, str]:
    """When, on which code and which machine: the columns of ``HISTORY_TABLE`` that a run has in common."""
    known = versions()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "images": images,
        "processor": _processor(),
        "cores": str(_cores()),
        "versions": " ".join(f"{name} {known[name]}" for name in known),
    }


def read_history(path: Path = HISTORY) -> pd.DataFrame:
    """``HISTORY_TABLE``, the oldest first; without rows where nothing was measured yet."""
    if not path.is_file():
        return pd.DataFrame(columns=list(HISTORY_TABLE)).astype({"value": float})
    table = read_table(path, HISTORY_TABLE)
    return table.assign(value=table["value"].astype(float))


def add(measured: dict[str, float], of_run: dict[str, str], path: Path = HISTORY) -> pd.DataFrame:
    """Adds a run to the history on disk; returns the whole."""
    new = pd.DataFrame([{**of_run, "name": name, "value": value} for name, value in measured.items()])
    history = pd.concat([read_history(path), new[list(HISTORY_TABLE)]], ignore_index=True)
    write_table(path, history.assign(value=history["value"].map("{:.4f}".format)))
    return history


def regressions(history: pd.DataFrame, bars: Sequence[Bar]) -> list[str]:
    """In words, what is worse by more than a tenth than in the run before on a like machine."""
    if history.empty:
        return []
    last = history[history["at"] == history["at"].iloc[-1]]
    alike = (history[_MACHINE] == last[_MACHINE].iloc[0]).all(axis=1)
    before = history[alike & (history["at"] != last["at"].iloc[0])].groupby("name").last()
    now = last.set_index("name")["value"]
    said = []
    for bar in bars:
        if bar.name in before.index and bar.name in now.index:
            then = before.at[bar.name, "value"]
            if bar.loss(then, now[bar.name]) > WORSE_BY:
                said.append(
                    f"{bar.name}: {now[bar.name]:.2f}, was {then:.2f} on {before.at[bar.name, 'at'][:10]} "
                    f"({before.at[bar.name, 'commit']})"
                )
    return said


def draw(history: pd.DataFrame, bars: Sequence[Bar], path: Path = PICTURE) -> Path:
    """A small picture for each bar: its values run by run, a line per machine, and the bound."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = 3
    rows = -(-len(bars) // columns)
    figure = Figure(figsize=(11, 2.1 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    machines = list(history[_MACHINE].drop_duplicates().itertuples(index=False, name=None))
    lines = {}
    for axis, bar in zip(axes, bars, strict=False):
        of_bar = history[history["name"] == bar.name]
        for machine, values in of_bar.groupby(_MACHINE, sort=False):
            label = f"{machine[1]}, {machine[2]} cores, {machine[0]} images"
            style = {"color": f"C{machines.index(machine)}", "markersize": 3}
            lines[label] = axis.plot(range(len(values)), values["value"], "o-", **style)[0]
        axis.axhline(bar.bound, color="grey", linestyle="--", linewidth=1)
        axis.set_title(f"{bar.name.replace('_', ' ')}\n({bar.side} {bar.bound:g})", fontsize=7)
        axis.set_ylim(0, 1.2 * max(bar.bound, of_bar["value"].max()))
        axis.set_xticks([])
        axis.tick_params(labelsize=7)
    for axis in axes[len(bars) :]:
        axis.axis("off")
    figure.legend(lines.values(), lines, loc="outside lower center", fontsize=7)
    drawn = io.BytesIO()
    # The same history gives the same file.
    with rc_context({"svg.hashsalt": "bench"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return write_bytes(path, drawn.getvalue())


def _commit() -> str:
    def git(*words: str) -> str:
        asked = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except OSError:
        return ""


def _processor() -> str:
    """Its name with family and model: rented machines of several generations bear the same name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "model name" not in known:
        return platform.processor() or platform.machine()
    numbers = [f"{words} {known[name]}" for words, name in _GENERATION.items() if name in known]
    return ", ".join([known["model name"], *numbers])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
