"""Every stage, every fault (``make faults``): what a stage makes after a fault is what it makes without one.

For each stage and each fault the work folder is put as the stage begins with it, the stage runs in a process
of its own, the fault strikes at a moment that is drawn, and the stage runs again. Then every file must be,
byte for byte but for times, what it is without a fault; every decision and every finished epoch is still
there; no temporary file is left; and whatever the first process said was said in plain words.

Faults are real: processes are killed, a disk in memory is filled, folders lose their permissions, a network
of its own goes down. Where this machine does not permit one, the table says so.
"""

import argparse
import contextlib
import csv
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

AS_CHILD = "BONEAGE_FAULTS_OWN_NETWORK"


def in_a_world_of_its_own() -> None:
    """Starts this program again without the superuser's right to write anywhere, in a network of its own.

    Where neither is permitted it goes on as it is.
    """
    # Threads of libraries would be there before the fork, and a child would have their locks.
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", AS_CHILD: "0"}
    again = [sys.executable, *sys.argv]
    ways = {
        "1": ["unshare", "--net", "--mount"],
        "0": [],
    }
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    for own_network, way in ways.items():
        command = [*way, *(drop if os.getuid() == 0 else [])]
        if command and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            os.environ[AS_CHILD] = own_network
            os.execvp(command[0], [*command, *again])
    os.execv(sys.executable, again)


if __name__ == "__main__" and AS_CHILD not in os.environ:
    in_a_world_of_its_own()

from arena import Arena, Ended, differences  # noqa: E402
from faults import FAULTS, Case, Fault, Skipped  # noqa: E402
from stages import BUCKET, STAGES, Stage, arguments  # noqa: E402

SEED = 23
COLUMNS = ("stage", "fault", "tries", "struck", "as_undisturbed", "remark")
AGES = (5, 8, 11, 14)

_BY_NAME = {stage.name: stage for stage in STAGES}


def prepare(arena: Arena, wanted: Sequence[str]) -> None:
    """Does every stage once, up to the last that is wanted, and keeps what each begins with."""
    arena.cache.mkdir(parents=True)
    arena.work.mkdir()
    _write_zips(arena.root / "served")
    drawn, downloaded = _BY_NAME["fetch: drawn"], _BY_NAME["fetch: downloaded"]
    others = [stage for stage in STAGES if ":" not in stage.name]
    arena.keep(downloaded.name)
    if drawn.name in wanted:
        _do(arena, drawn)
        # Most hands are there already; to draw all of them would take longest of all.
        for image in sorted(arena.cache.rglob("*.jpg"))[::8]:
            image.unlink()
        arena.keep(drawn.name)
        arena.begin(downloaded.name)
    draw_atlas(arena)
    names = [stage.name for stage in others]
    last = max((names.index(name) for name in wanted if name in names), default=0)
    for stage in others[: last + 1]:
        if stage.name == "estimate":
            lay_out_hands(arena)
        if not stage.begins:
            arena.keep(stage.name)
        if stage.name != "pretrain":
            _do(arena, stage)
    if "compare" in wanted:
        arena.begin("train")
        _do(arena, others[names.index("train")], "--train-seed", "7")
        shutil.copytree(arena.work / "runs", arena.kept / "another-run")


def draw_atlas(arena: Arena) -> None:
    """Draws the radiographs that the stages begin with."""
    from boneage.phantom.atlas import write_phantom_atlas

    _in_child(lambda: write_phantom_atlas(arena.cache / "atlas", 1, 5, 0.2, AGES, 300))


def lay_out_hands(arena: Arena) -> None:
    """Some of the radiographs, to estimate."""
    (arena.box / "hands").mkdir()
    for image in sorted((arena.cache / "atlas").rglob("*.jpg"))[::9]:
        shutil.copy2(image, arena.box / "hands")


def _do(arena: Arena, stage: Stage, *more: str) -> Ended:
    """Does a stage undisturbed."""
    ended = _run(arena, stage, *more)
    if ended.code:
        raise SystemExit(f"{stage.name}: ended with {ended.code} undisturbed: {ended.said}")
    return ended


def _run(arena: Arena, stage: Stage, *more: str) -> Ended:
    make_ready = stage.prepare
    ready = (lambda: make_ready(arena)) if make_ready else None
    return arena.run([*arguments(stage, arena), *more], prepare=ready)


def _in_child(do: object) -> None:
    """Does something in a process of its own, so that this one starts no thread."""
    child = os.fork()
    if not child:
        code = 1
        try:
            do()
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the preparation failed")


def _write_zips(served: Path) -> None:
    """Two zips to be downloaded."""
    served.mkdir()
    draw = random.Random(SEED)
    with zipfile.ZipFile(served / "rsna_training.zip", "w") as file:
        for number in range(12):
            file.writestr(f"images/{number}.png", draw.randbytes(20_000))
    with zipfile.ZipFile(served / "rsna_training_labels.zip", "w") as file:
        file.writestr("labels.csv", "id,boneage,male\n1,24,True\n")


@contextlib.contextmanager
def _server(arena: Arena) -> Iterator[None]:
    """A slow web server, in a process of its own, and a manifest that names what it serves."""
    program, served = Path(__file__).with_name("slow_server.py"), arena.root / "served"
    port = _free_port()
    names = [path.name for path in served.iterdir()]
    rows = "".join(f"{name},http://localhost:{port}/{name},none,,,,test\n" for name in names)
    (arena.root / "manifest.csv").write_text(f"name,source,licence,sha256,bytes,rows,used_by\n{rows}")
    with subprocess.Popen([sys.executable, str(program), str(served), str(port)]) as server:
        try:
            yield
        finally:
            server.terminate()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def _bucket(arena: Arena) -> Iterator[None]:
    """A server that speaks S3, in a process of its own, and what the stages that read its bucket begin with.

    Done again each time, as objects are as old as the server, and tables tell it.
    """
    port = _free_port()
    address = f"http://localhost:{port}"
    (arena.root / "bucket-address").write_text(address)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], **quiet) as server:
        try:
            _wait_for(port)
            _upload(arena.kept / "cases" / "cache" / "atlas", f"{address}/{BUCKET}")
            cases, preprocess = _BY_NAME["cases: bucket"], _BY_NAME["preprocess: bucket"]
            arena.begin("fetch: downloaded")
            arena.keep(cases.name)
            _do(arena, cases)
            arena.keep(preprocess.name)
            yield
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60.0
    while True:
        try:
            return socket.create_connection(("localhost", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _upload(folder: Path, bucket: str) -> None:
    """Makes a bucket of the files of a folder."""
    contents = {f"{bucket}/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*.*")}
    for address, data in {bucket: b"", **contents}.items():
        kind = {"Content-Type": "application/octet-stream"}
        urllib.request.urlopen(urllib.request.Request(address, data, kind, method="PUT")).close()


def row_of(arena: Arena, stage: Stage, fault: Fault, most: int) -> dict[str, object]:
    """Does a fault to a stage as often as it is to be done: a row of the table."""
    row: dict[str, object] = dict.fromkeys(COLUMNS, "")
    row |= {"stage": stage.name, "fault": fault.name, "tries": 0, "struck": 0, "as_undisturbed": 0}
    if not fault.applies(stage):
        return row | {"remark": "does not apply"}
    draw = random.Random(f"{SEED} {stage.name} {fault.name}")
    expected, undisturbed = _expected(arena, stage, fault.changes)
    remarks = []
    for number in range(min(fault.tries, most)):
        arena.begin(stage.begins or stage.name)
        at = draw.randrange(1, undisturbed.events + 1)
        case = Case(stage, arena, undisturbed, at, number, draw, expected)
        try:
            ends = fault.do(case)
        except Skipped as reason:
            return row | {"remark": f"skipped: {reason}"}
        wrong = list(case.complaints)
        for one in ends:
            if not one.is_clean and not (fault.is_violent and one.is_killed):
                wrong.append(_said_badly(one))
        if fault.changes and not any(one.struck for one in ends):
            stage.change(arena)
        loose = stage.order if fault.changes or fault.name == "input damaged" else ()
        wrong += _again(arena, stage, expected, stage.again if fault.changes else (), loose)
        row["tries"] += 1
        row["struck"] += fault.name == "input damaged" or any(one.struck or one.code for one in ends)
        row["as_undisturbed"] += not wrong
        remarks += [f"try {number + 1} at {at}: {one}" for one in wrong[:3]]
        if wrong:
            print("\n".join(one.said[-2000:] for one in ends), file=sys.stderr)
    return row | {"remark": "; ".join(remarks)}


def _again(
    arena: Arena, stage: Stage, expected: dict[str, str], verbs: tuple[str, ...], loose: tuple[str, ...]
) -> list[str]:
    """What is wrong after the stage was run again, in words."""
    decided, earned = arena.decisions(), arena.epochs()
    arena.an_hour_later()
    for one in [_BY_NAME[verb] for verb in verbs] or [stage]:
        ended = _run(arena, one)
        if ended.code:
            return [f"run again it ended with {ended.code}: {ended.said.strip().splitlines()[-1:]}"]
    found = arena.contents() | {name: expected[name] for name in loose}
    wrong = differences(expected, found)
    if not arena.decisions().startswith(decided):
        wrong.append("a decision is lost")
    if stage.change is None or not verbs:
        wrong += [f"epoch {epoch} of {run} was trained again" for run, epoch, _ in earned - arena.epochs()]
    return wrong


_known: dict[tuple[str, bool], tuple[dict[str, str], Ended]] = {}


def _expected(arena: Arena, stage: Stage, changed: bool) -> tuple[dict[str, str], Ended]:
    """What the stage makes undisturbed, on what it begins with or on the changed input."""
    key = (stage.name, changed)
    if key not in _known:
        arena.begin(stage.begins or stage.name)
        ended = _do(arena, stage)
        if changed:
            arena.begin(stage.begins or stage.name)
            stage.change(arena)
            for verb in stage.again:
                _do(arena, _BY_NAME[verb])
        _known[key] = (arena.contents(), ended)
    return _known[key]


def _said_badly(ended: Ended) -> str:
    last = ended.said.strip().splitlines()[-1:] or [""]
    return f"ended with {ended.code}: {last[0][:200]}"


def main() -> int:
    """Runs the matrix, prints the table and writes it; 1 if a cell is not as undisturbed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", nargs="+", default=[one.name for one in STAGES])
    parser.add_argument("--faults", nargs="+", default=[one.name for one in FAULTS])
    parser.add_argument("--most", type=int, default=10, help="tries of a cell at most")
    parser.add_argument("--out", type=Path, help="CSV to write the rows into")
    parser.add_argument("--keep", type=Path, help="folder to keep what was prepared in")
    given = parser.parse_args()
    warm_up()
    with contextlib.ExitStack() as stack:
        root = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        arena = Arena(root.resolve())
        arena.has_own_network = os.environ[AS_CHILD] == "1"
        if arena.has_own_network and shutil.which("ip"):
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        if not arena.kept.exists():
            began = time.monotonic()
            prepare(arena, given.stages)
            print(f"prepared in {time.monotonic() - began:.0f} s", flush=True)
        stack.enter_context(_server(arena))
        if any(name.endswith(": bucket") for name in given.stages):
            stack.enter_context(_bucket(arena))
        failed = 0
        for stage, fault in itertools.product(STAGES, FAULTS):
            if stage.name not in given.stages or fault.name not in given.faults:
                continue
            began = time.monotonic()
            row = row_of(arena, stage, fault, given.most)
            failed += row["as_undisturbed"] != row["tries"]
            counted = f"{row['as_undisturbed']} of {row['tries']}"
            seconds = time.monotonic() - began
            print(
                f"{stage.name:18} {fault.name:18} {counted:9} {seconds:4.0f} s  {row['remark']}", flush=True
            )
            if given.out:
                _put(given.out, row)
    return int(failed > 0)


def _put(path: Path, row: dict[str, object]) -> None:
    """Writes a row into the table, in the place of an earlier one."""
    rows = {}
    if path.is_file():
        with open(path, newline="") as file:
            rows = {(one["stage"], one["fault"]): one for one in csv.DictReader(file)}
    rows[row["stage"], row["fault"]] = row
    cells = itertools.product((one.name for one in STAGES), (one.name for one in FAULTS))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[cell] for cell in cells if cell in rows)


def warm_up() -> None:
    """Imports what the verbs import, and makes sure that no thread has started."""
    import matplotlib.pyplot  # noqa: F401

    import boneage.__main__
    from boneage.core.runtime import choose_backend

    choose_backend("tensorflow")
    import boneage.estimate
    import boneage.training  # noqa: F401

    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise SystemExit("a thread has started, and a child would have its locks but not the thread")


if __name__ == "__main__":
    sys.exit(main())
