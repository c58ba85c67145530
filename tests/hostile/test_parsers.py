"""Whatever is done to a file that is valid, its reader gives something or says in one line what is wrong."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from finished_runs import RECORD, write_run
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from image_files import PNG
from seeds import seeds

from boneage.core.errors import BoneAgeError
from boneage.core.settings import Settings
from boneage.core.tables import CASE_TABLE, CHILD_TABLE, LABEL_TABLE, PLAN_TABLE, read_cases, read_plan
from boneage.dataset.labels import read_labels
from boneage.dataset.pack import open_pack
from boneage.dataset.shards import read_index
from boneage.estimate.children import read_children
from boneage.evaluation import read_run
from boneage.images.augmentations import parse_augmentations
from boneage.images.operators import apply_operators, parse_operators
from boneage.images.reading import read_grey
from boneage.review.applying import apply_log
from boneage.review.log import ReviewLog
from boneage.sources import spellings, units
from boneage.sources.archives import unpack
from boneage.sources.drive import file_id
from boneage.sources.manifest import MANIFEST, read_manifest
from boneage.sources.rsna import read_rsna
from boneage.sources.web import check_url
from boneage.workspace import Workspace

SEEDS = sorted(seeds().items())
OPERATORS = '[{"name": "rotate", "degrees": 12.5}, {"name": "gamma", "power": 0.8}, {"name": "flip"}]'
TELLING = [
    *(
        b"\0",
        b'"',
        b",",
        b"\n",
        b"\r",
        b";",
        b"=1",
        b"-",
        b"1e999",
        b"NaN",
        b"Infinity",
        b"\xff",
        b"\xfe\xff",
    ),
    *(
        b"[",
        b"{",
        b"]",
        b"}",
        b"null",
        b"../",
        b"<script>",
        b"\xe2\x80\xae",
        b"9" * 400,
        b"\xed\xa0\x80",
        b"'",
    ),
    *(b"[" * 3000, b"true", b"-0.0", b"\\ud800", b"\t", b"\x1a", b"https://", b"__class__"),
]
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=8) | st.sampled_from(TELLING)),
    min_size=1,
    max_size=6,
)
Edits = list[tuple[float, int, bytes]]


def edited(valid: bytes, edits: Edits) -> bytes:
    """The file with some bytes removed at some places, and others put there."""
    data = bytearray(valid)
    for place, removed, put in edits:
        at = int(place * len(data))
        data[at : at + removed] = put
    return bytes(data)


def refusal(call: Callable[[], object]) -> str:
    """The line of the error that a call ends with; empty if it gives something."""
    try:
        call()
    except BoneAgeError as error:
        line = error.line()
        assert "\n" not in line
        assert len(line) < 3000
        return line
    return ""


def table(columns: object, *rows: str) -> bytes:
    return "\n".join([",".join(columns), *rows, ""]).encode()


LOG = (
    b"time,case_id,decision,reason,corrections,augmentations,note,reviewer\n"
    b'2026-01-01T00:00:00Z,2001,keep,,"[{""name"": ""flip""}]","[""rotate""]","a note",Ann\n'
    b"2026-01-01T00:00:01Z,2002,reject,ring,[],,,Ann\n2026-01-01T00:00:02Z,2001,undo,,[],,,Ann\n"
)


def _log(path: Path) -> object:
    import pandas as pd

    return apply_log(pd.DataFrame({"case_id": ["2001", "2002"]}), ReviewLog(path))


def _rsna(path: Path) -> object:
    (path.parent / "1.png").write_bytes(PNG)
    return read_rsna(path.parent)


def _run(path: Path) -> object:
    if not (path.parent / "history.csv").exists():
        (path.parent / "history.csv").write_text("epoch,loss,mae\n1,2.0,1.0\n")
        (path.parent / "predictions.csv").write_text("Case ID,Split,Prediction\n1,train,7.5\n")
    return read_run(path.parent)


def _predictions(path: Path) -> object:
    (path.parent / "record.json").write_text(json.dumps(RECORD))
    (path.parent / "history.csv").write_text("epoch,loss,mae\n1,2.0,1.0\n")
    return read_run(path.parent)


def _models(path: Path) -> object:
    from boneage.estimate.models import read_models

    return read_models(path.parent)


def _made(path: Path) -> object:
    from boneage.status import status_of

    work = Workspace.at(path.parent.parent)
    (work.root / "cases.csv").write_bytes(table(CASE_TABLE, "1,1.png,rsna,F,Unknown,,9.5,,"))
    return status_of(work)


def _archive(path: Path) -> object:
    import shutil

    shutil.rmtree(path.parent / "out", ignore_errors=True)
    return unpack(path, path.parent / "out")


def _checkpoint(path: Path) -> object:
    from boneage.training.checkpoint import finished_record, load_checkpoint

    identity = {"learning_rate_factor": 1.0, "batch_factor": 1}
    finished_record(path.parent.parent, identity)
    return load_checkpoint(path.parent.parent, identity)


def _zip() -> bytes:
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/1.png", PNG[:400])
        file.writestr("a/train.csv", "id,boneage,male\n1,2,True\n" * 9)
    return stream.getvalue()


def _tar() -> bytes:
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for name in ("a/1.png", "b" * 120 + "/2.png"):
            info = tarfile.TarInfo(name)
            info.size = 400
            file.addfile(info, io.BytesIO(PNG[:400]))
    return stream.getvalue()


INDEX = {"size": 32, "shards": [{"of": "7", "ids": ["1", "2"], "skipped": [["3", "gone"]]}]}


def _shard() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros((2, 32, 32), np.uint8))
    return stream.getvalue()


def _pack_of(shard: Path) -> object:
    (shard.parent / "index.json").write_text(json.dumps(INDEX))
    return open_pack(shard.parent)


def _workbook() -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in (("id", "boneage", "male"), (1, 120, True), (2, "7 years", "F")):
        book.active.append(row)
    book.save(stream)
    return stream.getvalue()


def _children(path: Path) -> object:
    return read_children(path, ("1.png", "2.png"))


FACTS = {
    **{"format": 1, "title": "t", "source": "s", "cases_sha256": "0" * 64},
    "members": [
        {"title": "CNN", "network": "cnn", "width": "tiny", "variant": "", "size": 64}
        | {"mean_years": 9.0, "std_years": 3.0, "sha256": "0" * 64}
    ],
}
MADE = {"stage": "cases", "made": {}, "of": {}, "settings": {}}

READERS: dict[str, tuple[str, bytes, Callable[[Path], object]]] = {
    "label table": ("train.csv", b"id,boneage,male\n1,120,True\n2,7 years,F\n3;9,5;x\n", _rsna),
    "workbook": ("train.xlsx", _workbook(), _rsna),
    "case table": (
        "cases.csv",
        table(CASE_TABLE, "1,1.png,dha,F,Asian,7,7.5,7,8", "2,2.png,dha,M,,,,,"),
        read_cases,
    ),
    "label file": (
        "labels.csv",
        table(LABEL_TABLE, "1,7.5,TRUE,Asian,1,train,[]", f'1-1,7,TRUE,Asian,1,train,"{OPERATORS}"'),
        read_labels,
    ),
    "plan": (
        "plan.csv",
        table(PLAN_TABLE, "1,1,train,[],[]", "2,2,test,[],[]", "1-1,1,train,[],[]"),
        read_plan,
    ),
    "children": ("children.csv", table(CHILD_TABLE, "1.png,F,7.5", "2,,"), _children),
    "review log": ("review.csv", LOG, _log),
    "manifest": ("manifest.csv", MANIFEST.read_bytes(), read_manifest),
    "settings": ("settings.json", Settings().to_json().encode(), Settings.load),
    "run record": ("record.json", json.dumps(RECORD).encode(), _run),
    "predictions": ("predictions.csv", b"Case ID,Split,Prediction\n1,train,7.5\n2,test,8\n", _predictions),
    "model facts": ("model.json", json.dumps(FACTS).encode(), _models),
    "stage record": ("made/cases.json", json.dumps(MADE).encode(), _made),
    "checkpoint": ("checkpoint/state.json", json.dumps({"seal": "0", "epoch": 1}).encode(), _checkpoint),
    "zip": ("a.zip", _zip(), _archive),
    "tar": ("a.tar", _tar(), _archive),
    "shard of a pack": ("00000.npy", _shard(), _pack_of),
    "index of a pack": ("index.json", json.dumps(INDEX).encode(), lambda path: read_index(path.parent)),
}


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
@example(edits=[(0.0, 10**6, b"")])
@example(edits=[(0.0, 10**6, b"[" * 100_000)])
@example(edits=[(0.0, 10**6, b"{}")])
@example(edits=[(0.0, 10**6, b"\0" * 64)])
@example(edits=[(0.5, 10**6, b"")])
def test_a_reader_gives_something_or_one_line(name, edits, tmp_path, capsys):
    file, valid, read = READERS[name]
    path = tmp_path / "inside" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(edited(valid, edits))
    line = refusal(lambda: read(path))
    assert not line or path.stem in line or "inside" in line
    capsys.readouterr()
    assert {one.name for one in tmp_path.iterdir()} <= {"inside"}


@settings(max_examples=200, deadline=None)
@given(which=st.integers(0, 10**6), edits=EDITS)
def test_a_reader_of_images_gives_an_image_or_one_line(which, edits):
    name, valid = SEEDS[which % len(SEEDS)]

    def read() -> None:
        grey, facts = read_grey(edited(valid, edits), name)
        assert grey.dtype in (np.uint8, np.uint16)
        assert (facts.height, facts.width) == grey.shape

    line = refusal(read)
    assert not line or line.startswith(f"{name}: ")


@settings(max_examples=100, deadline=None)
@given(edits=EDITS)
def test_operators_are_parsed_and_can_be_applied_or_are_refused_in_one_line(edits):
    text = edited(OPERATORS.encode(), edits).decode("utf-8", "replace")

    def apply() -> None:
        assert apply_operators(np.full((40, 40), 90, np.uint8), parse_operators(text)).shape[:2] == (40, 40)

    refusal(apply)


@settings(max_examples=100, deadline=None)
@given(text=st.text(), more=st.lists(st.text(), max_size=6))
def test_spellings_and_units_of_any_text_have_an_answer(text, more):
    assert spellings.read_boolean(text) in (True, False, None)
    assert spellings.read_sex(text) in ("F", "M", None)
    assert isinstance(spellings.canonical_id(text), str)
    assert spellings.id_finder(more)(text) in (*more, *map(spellings.canonical_id, more), None)
    assert units.unit_in_words(text) in (*units.PER_YEAR, "")
    for unit in units.PER_YEAR:
        assert isinstance(units.years_of(text, units.Unit(unit, "")), float)
    sexes, _ = spellings.read_sexes([text, *more], text)
    assert set(sexes) <= {"F", "M", None}
    for parse in (parse_augmentations, file_id, check_url):
        refusal(lambda parse=parse: parse(text))


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.floats(), max_size=12), name=st.text(max_size=12))
def test_a_unit_is_found_or_asked_for_whatever_the_numbers(values, name):
    def find() -> None:
        assert units.find_unit(name, values, [name]).name in units.PER_YEAR

    refusal(find)


@pytest.mark.parametrize(
    "address",
    [
        *("http://example.org/a", "ftp://example.org/a", "file:///etc/passwd", "javascript:alert(1)"),
        *("data:text/html,<script>", "//example.org/a", "https://user:word@example.org/a", "https://"),
        *("https://a b/", "https://[::1", "gopher://example.org", "\\\\server\\share", "HTTPS//example.org"),
        *("http://127.0.0.1.example.org/a", "http://localhost@example.org/a", "https://exa\nmple.org/"),
    ],
)
def test_only_https_is_fetched(address):
    with pytest.raises(BoneAgeError) as error:
        check_url(address)
    assert "\n" not in error.value.line()


def test_a_run_as_it_is_written_is_read(tmp_path):
    assert read_run(write_run(tmp_path / "run")).record["network"] == "cnn"
