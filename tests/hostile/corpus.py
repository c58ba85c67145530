"""Bad files of every kind that comes in, written when asked for, with what each must get.

``REFUSED``: a command ends with one line that names the file. ``LEFT_OUT``: it goes on, and the row or file
stands in a table of what was left out. ``SOUND``: it only looks bad.
"""

import io
import json
import os
import pickle
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from image_files import BAD, JPEG, PNG, a_hand, encoded, png_bomb
from PIL import Image
from pydicom import uid
from seeds import COLOUR, DEEP, GREY, dicom

from boneage.core.tables import CASE_TABLE, LABEL_TABLE, PLAN_TABLE

REFUSED, LEFT_OUT, SOUND = "refused", "left out", "sound"


class Bad(NamedTuple):
    """A bad input: ``lay`` puts it into a work folder's copy and gives the words of the command."""

    lay: Callable[[Path], list[str]]
    gets: str
    words: str
    """A regular expression: in the error, in the table of what was left out, or in what is printed."""


class Touches:
    """Leaves a file when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch ran-by-a-pickle",)


# Files that look like radiographs. Of each, `preprocess` makes an image, or a row that says why not.
def _cut(data: bytes, share: float = 0.5) -> bytes:
    return data[: int(len(data) * share)]


PLAIN, COLOURED = dicom(DEEP), dicom(COLOUR, SamplesPerPixel=3, PhotometricInterpretation="RGB")

IMAGES: dict[str, tuple[bytes, str]] = {
    **BAD,
    "cut.dcm": (_cut(PLAIN), "damaged|without an image"),
    "start.dcm": (PLAIN[:140], "without an image"),
    "bomb.dcm": (dicom(GREY, Rows=60_000, Columns=60_000), "megapixels"),
    "fewer.dcm": (dicom(GREY, Rows=200), "damaged"),
    "frames.dcm": (dicom(GREY, NumberOfFrames=5), "5 frames"),
    "one-sample.dcm": (
        dicom(COLOUR, SamplesPerPixel=1, PhotometricInterpretation="RGB"),
        "1 samples per pixel of RGB",
    ),
    "three-samples.dcm": (
        dicom(COLOUR, SamplesPerPixel=3, PhotometricInterpretation="MONOCHROME2", PlanarConfiguration=0),
        "3 samples per pixel of MONOCHROME2",
    ),
    "odd-colours.dcm": (dicom(GREY, PhotometricInterpretation="HSV"), "colour layout"),
    "two-syntaxes.dcm": (PLAIN.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1\\2.1\0"), "damaged"),
    "endless-boxes.dcm": (
        dicom(
            GREY, uid.JPEG2000, frame=encoded(GREY, "JPEG2000").replace(b"\0\0\0\x2djp2h", b"\0\0\0\0jp2h")
        ),
        "damaged pixel data",
    ),
    "no-bits.dcm": (dicom(GREY, BitsAllocated=0), "damaged"),
    "deflate-cut.dcm": (
        _cut(dicom(DEEP, uid.DeflatedExplicitVRLittleEndian), 0.3),
        "damaged|without an image|unpacked",
    ),
    "named.png": (PLAIN, SOUND),
    "named.dcm": (PNG, SOUND),
    "turned-name.tif": (JPEG, SOUND),
    "window-of-nothing.dcm": (dicom(DEEP, WindowCenter="0", WindowWidth="-1"), SOUND),
    "slope-of-nothing.dcm": (dicom(DEEP, RescaleSlope="0", RescaleIntercept="1e300"), SOUND),
    "all-padding.dcm": (dicom(np.full((64, 64), 7, np.uint16), PixelPaddingValue=7), SOUND),
    "fewer-rows.tif": (
        encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF").replace(
            struct.pack("<HHII", 257, 4, 1, 72), struct.pack("<HHII", 257, 4, 1, 200_000)
        ),
        "rows are missing",
    ),
    "tall.png": (png_bomb(1, 2**31 - 1), "megapixels|too small|not an image|damaged"),
    "script.svg.png": (
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "not an image",
    ),
    "pickle.png": (pickle.dumps(Touches()), "not an image"),
    "zip.jpg": (b"PK\x03\x04" + bytes(60), "zip archive"),
    "after.jpg": (JPEG + b"<script>alert(1)</script>" * 20, SOUND),
    "text-chunk.png": (
        PNG[:33] + b"\0\0\0\x04tEXt" + b"=1+1" + b"\0\0\0\0" + PNG[33:],
        "cut short or damaged|damaged",
    ),
}


# Archives.
def _zip(members: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED, modes: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as file:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = modes << 16
            file.writestr(info, data, how)
    return stream.getvalue()


def _tar(name: str, data: bytes = b"1", kind: bytes = tarfile.REGTYPE, mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as file:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, "/etc/passwd", len(data) if kind == tarfile.REGTYPE else 0
        file.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def _encrypted() -> bytes:
    data = bytearray(_zip({"a": b"1"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "climbs.zip": (lambda: _zip({"../evil": b"1"}), "leaves the folder"),
    "climbs-deep.zip": (lambda: _zip({"a/../../../evil": b"1"}), "leaves the folder"),
    "climbs.tar.gz": (lambda: _tar("../evil"), "leaves the folder"),
    "climbs.tar": (lambda: _tar("../evil", mode="w"), "leaves the folder"),
    "from-the-root.zip": (lambda: _zip({"/etc/cron.d/evil": b"1"}), "absolute path"),
    "from-the-root.tar.gz": (lambda: _tar("/etc/cron.d/evil"), "absolute path|leaves the folder"),
    "drive-letter.zip": (lambda: _zip({"C:/Windows/evil": b"1"}), "absolute path"),
    "link.zip": (lambda: _zip({"a": b"/etc/passwd"}, modes=stat.S_IFLNK | 0o777), "a link or a device"),
    "link.tar.gz": (lambda: _tar("a", kind=tarfile.SYMTYPE), "a link or a device"),
    "hard-link.tar.gz": (lambda: _tar("a", kind=tarfile.LNKTYPE), "a link or a device"),
    "device.tar.gz": (lambda: _tar("a", kind=tarfile.CHRTYPE), "a link or a device"),
    "pipe.tar.gz": (lambda: _tar("a", kind=tarfile.FIFOTYPE), "a link or a device"),
    "bomb.zip": (lambda: _zip({"a": bytes(2**25)}), "200 times"),
    "bomb.tar.gz": (lambda: _tar("a", bytes(2**25)), "200 times"),
    "lies.zip": (
        lambda: _zip({"a": bytes(2**22)}).replace(struct.pack("<I", 2**22), struct.pack("<I", 9)),
        "larger than it declares|broken",
    ),
    "cut.zip": (lambda: _cut(_zip({"a": os.urandom(9000)})), "broken or cut off|not a zip"),
    "cut.tar.gz": (lambda: _cut(_tar("a", os.urandom(9000))), "broken or cut off"),
    "encrypted.zip": (_encrypted, "encrypted"),
    "twins.zip": (lambda: _zip({"a/1.png": PNG, "A/1.PNG": PNG}), "another member has this name"),
    "page.zip": (lambda: b"<!DOCTYPE html><p>Quota exceeded", "not an archive but"),
    "empty.zip": (lambda: b"", "as it is empty"),
    "other.7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(99), "7z archive"),
    "other.rar": (lambda: b"Rar!\x1a\x07\x01" + bytes(99), "rar archive"),
    "nothing-in-it.zip": (lambda: _zip({}), "holds|no label table|empty|nothing"),
    "pickles.zip": (lambda: _zip({"train.csv": pickle.dumps(Touches())}), "no label table"),
}


def _archive(name: str, make: Callable[[], bytes], words: str) -> Bad:
    def lay(folder: Path) -> list[str]:
        (folder / name).write_bytes(make())
        return ["cases", "--source", "rsna", "--data", str(folder / name)]

    return Bad(lay, REFUSED, rf"{name.split('.')[0]}.*({words})")


# Tables of labels, beside two radiographs.
def _labels(
    content: bytes | str, gets: str, words: str, name: str = "train.csv", images: tuple[str, ...] = ("1", "2")
) -> Bad:
    def lay(folder: Path) -> list[str]:
        (folder / "given").mkdir()
        for place, image in enumerate(images):
            (folder / "given" / f"{image}.png").write_bytes(encoded(a_hand(seed=place)))
        data = content.encode() if isinstance(content, str) else content
        (folder / "given" / name).write_bytes(data)
        return ["cases", "--source", "rsna", "--data", str(folder / "given")]

    return Bad(lay, gets, words)


def _row(row: str, words: str) -> Bad:
    return _labels(
        f"id,boneage,male\n1,120,True\n{row}\n4,99,False\n5,80,True\n",
        LEFT_OUT,
        words,
        images=("1", "2", "4", "5"),
    )


def _bomb_workbook() -> bytes:
    return _zip({"xl/workbook.xml": b"0" * 2**28})


TABLES = {
    "no rows": _labels("id,boneage,male\n", REFUSED, "train.csv|no image has a label"),
    "an empty file": _labels("", REFUSED, r"no label table.*train\.csv"),
    "bytes": _labels(bytes(range(256)) * 40, REFUSED, r"no label table.*train\.csv"),
    "zero bytes": _labels(b"id,boneage,male\n1,\0,True\n", REFUSED, r"no label table.*train\.csv"),
    "a web page": _labels("<html><body>Sign in</body></html>", REFUSED, r"no label table.*train\.csv"),
    "a pickle": _labels(pickle.dumps(Touches()), REFUSED, r"no label table.*train\.csv"),
    "a workbook that is none": _labels(b"PK\x03\x04junk", REFUSED, r"no label table.*l\.xlsx", "l.xlsx"),
    "a workbook that is a bomb": _labels(
        _bomb_workbook(), REFUSED, r"l\.xlsx: (too large|a damaged)", "l.xlsx"
    ),
    "a line without end": _labels(
        "id,boneage,male\n1,120,True\n" + "9" * 2_000_000, REFUSED, r"no label table.*train\.csv"
    ),
    "columns without end": _labels("a," * 50_000, REFUSED, r"no label table.*train\.csv"),
    "a quote without end": _labels('id,boneage,male\n1,120,"True\n2,120', REFUSED, r"train\.csv"),
    "UTF-16": _labels("id,boneage,male\n1,120,True\n2,99,False\n".encode("utf-16"), SOUND, "2 cases"),
    "an age before birth": _row("2,-1,True", "2,.*negative"),
    "an age that is none": _row("2,NaN,True", "2,.*not a number"),
    "an age without end": _row("2,inf,True", "2,"),
    "an age above any number": _row("2,1e999,True", "2,"),
    "an age of a giant": _row("2,1" + "0" * 300 + ",True", "2,"),
    "an age of 25 years": _row("2,300,True", "2,.*above 20 years"),
    "a sex that is none": _row("2,120,maybe", "2,.*True or False"),
    "an id that climbs": _row("../2,120,True", r"\.\./2,.*letters and digits"),
    "an id that is a formula": _row("\"=cmd|'/c calc'!A1\",120,True", "'=cmd"),
    "an id that is markup": _row("<script>alert(1)</script>,120,True", "<script>"),
    "an id that is too long": _row("7" * 65 + ",120,True", "letters and digits"),
    "an id given twice": _row("1,60,False", "1,.*second label"),
    "an id without an image": _row("3,120,True", "3,.*without an image"),
}


# What lies in a work folder, and may have been edited, copied or crashed into.
def _written(path: str, content: bytes | str, argv: list[str], gets: str, words: str) -> Bad:
    def lay(folder: Path) -> list[str]:
        target = folder / "work" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return [one.replace("WORK", str(folder / "work")) for one in argv]

    return Bad(lay, gets, words)


def _settings(content: bytes | str, words: str) -> Bad:
    return _written(
        "settings.json", content, ["status", "--work", "WORK"], REFUSED, rf"settings\.json: .*{words}"
    )


def _log(rows: str, gets: str, words: str) -> Bad:
    header = "time,case_id,decision,reason,corrections,augmentations,note,reviewer\n"
    return _written("review.csv", header + rows, ["review", "--work", "WORK"], gets, words)


def _case(image: str, words: str, case_id: str = "7") -> Bad:
    row = f"{case_id},{image},rsna,F,Unknown,,9.5,,\n2001,away.png,rsna,F,Unknown,,9.5,,\n"
    return _written(
        "cases.csv", ",".join(CASE_TABLE) + "\n" + row, ["preprocess", "--work", "WORK"], LEFT_OUT, words
    )


def _plan(row: str, gets: str, words: str) -> Bad:
    content = ",".join(PLAN_TABLE) + "\n2001,2001,train,[],[]\n" + row + "\n"
    return _written("plan.csv", content, ["augment", "--work", "WORK"], gets, words)


def _given_labels(content: bytes | str, words: str) -> Bad:
    argv = ["pack", "--work", "WORK", "--labels", "WORK/given.csv"]
    return _written("given.csv", content, argv, REFUSED, words)


def _given_pack(shard: bytes, index: bytes | str = "", words: str = "") -> Bad:
    """A pack of nine images in a single shard."""
    facts = {"of": "", "ids": [str(number) for number in range(2001, 2010)], "skipped": []}
    argv = ["train", "--work", "WORK", "--pack", "WORK/given", "--labels", "WORK/sound.csv", "--arch", "cnn"]
    named = rf"given.index\.json: .*{words}" if index else rf"given.00000\.npy: .*{words}"
    of_index = _written(
        "given/index.json", index or json.dumps({"size": 64, "shards": [facts]}), argv, REFUSED, named
    )
    of_shard = _written("given/00000.npy", shard, argv, REFUSED, named)
    return of_index._replace(lay=lambda folder: of_index.lay(folder) and of_shard.lay(folder))


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def _endless_npy() -> bytes:
    stream = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 64, 64)}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def _facts(content: bytes | str) -> Bad:
    argv = ["estimate", "WORK/film.png", "--run", "WORK/net"]
    return _written("net/model.json", content, argv, REFUSED, r"model\.json: not the facts")


def _record(content: bytes | str, words: str = "not a readable record|not a record") -> Bad:
    argv = ["estimate", "WORK/film.png", "--run", "WORK/runs/cnn-1"]
    return _written("runs/cnn-1/record.json", content, argv, REFUSED, rf"record\.json: ({words})")


LABEL_HEADER = ",".join(LABEL_TABLE)
DEEP_JSON = "[" * 100_000
NINE = np.zeros((9, 64, 64), np.uint8)

WORK_FILES = {
    "settings: no JSON": _settings("{", "not JSON"),
    "settings: a list": _settings("[1]", "not a JSON object"),
    "settings: nested without end": _settings(DEEP_JSON, "not JSON"),
    "settings: unknown": _settings('{"evil": 1}', "evil"),
    "settings: of another type": _settings('{"epochs": {"a": 1}}', "epochs"),
    "settings: no number": _settings('{"learning_rate": NaN}', "learning_rate"),
    "settings: without bound": _settings('{"image_size": 1000000000}', "image_size"),
    "settings: bytes": _settings(b"\xff\xfe\x00", "UTF-8"),
    "settings: nothing": _settings("", "not JSON"),
    "settings: a digit too many": _settings('{"total": 1' + "0" * 5000 + "}", "JSON|total"),
    "log: none": _written(
        "review.csv", "hello\nworld\n", ["review", "--work", "WORK"], REFUSED, "not a review log"
    ),
    "log: zero bytes": _written(
        "review.csv", b"\0" * 500, ["review", "--work", "WORK"], REFUSED, "not a review log"
    ),
    "log: an id that climbs": _log("2026,../x,keep,,[],,,Ann\n", SOUND, "not a decision"),
    "log: an unknown decision": _log("2026,2001,burn,,[],,,Ann\n", SOUND, "not a decision"),
    "log: broken corrections": _log('2026,2001,keep,,"[{",,,Ann\n', SOUND, "invalid corrections"),
    "log: corrections without end": _log(
        f"2026,2001,keep,,{DEEP_JSON},,,Ann\n", SOUND, "invalid corrections"
    ),
    "log: a turn by no number": _log(
        '2026,2001,keep,,"[{""name"":""rotate"",""degrees"":NaN}]",,,Ann\n', SOUND, "degrees must be from"
    ),
    "log: a reason that is a formula": _log(
        "2026,2001,reject,=1+1,[],,,Ann\n", SOUND, "not a decision|39 cases"
    ),
    "cases: a file that is no image": _case("/etc/passwd", "7,.*not an image"),
    "cases: a device without end": _case("/dev/zero", "7,.*not a file"),
    "cases: a folder": _case("/tmp", "7,.*(not a file|cannot be read)"),
    "cases: a file that is gone": _case("gone.png", "7,.*no such file"),
    "cases: a name with a zero byte": _case("a%00b.png", "7,.*no such file"),
    "cases: a link": _case("https://example.org/1.png", "7,.*no such file"),
    "plan: an id that climbs": _plan("../x,2002,train,[],[]", REFUSED, "plan.csv: .*cannot name a file"),
    "plan: an image twice": _plan("2001,2001,train,[],[]", REFUSED, "plan.csv: image 2001 appears twice"),
    "plan: an unknown split": _plan("2002,2002,holdout,[],[]", REFUSED, "plan.csv: .*unknown split"),
    "plan: a copy to test on": _plan(
        "2002-1,2002,test,[],[]", REFUSED, "plan.csv: .*not in the training split"
    ),
    "plan: broken operators": _plan('2002-1,2002,train,[],"[{"', REFUSED, "plan.csv: out of date"),
    "plan: an unknown operator": _plan(
        '2002-1,2002,train,[],"[{""name"":""os.system""}]"', REFUSED, "plan.csv: out of date"
    ),
    "plan: a turn without end": _plan(
        '2002-1,2002,train,[],"[{""name"":""rotate"",""degrees"":1e999}]"', REFUSED, "plan.csv: out of date"
    ),
    "labels: no table": _given_labels("hello", "given.csv: column"),
    "labels: bytes": _given_labels(bytes(range(256)), "given.csv: not UTF-8"),
    "labels: none that can be used": _given_labels(
        f"{LABEL_HEADER}\n../9,7,TRUE,Asian,9,train,[]\n", "given.csv: .*(no |left out)"
    ),
    "labels: a device without end": Bad(
        lambda folder: ["pack", "--work", str(folder / "work"), "--labels", "/dev/zero"],
        REFUSED,
        "zero: not a file",
    ),
    "pack: objects": _given_pack(_npy(np.array([Touches()], object))),
    "pack: a pickle": _given_pack(pickle.dumps(Touches())),
    "pack: larger than itself": _given_pack(_endless_npy()),
    "pack: of another shape": _given_pack(_npy(np.zeros(3))),
    "pack: cut short": _given_pack(_npy(NINE)[:900]),
    "pack: with something behind it": _given_pack(_npy(NINE) + b"x", words="longer"),
    "pack: an index of no JSON": _given_pack(_npy(NINE), "{"),
    "pack: an index nested without end": _given_pack(_npy(NINE), DEEP_JSON),
    "pack: an index of numbers": _given_pack(
        _npy(NINE), '{"size": 64, "shards": [{"of": "", "ids": [1], "skipped": []}]}'
    ),
    "pack: an image twice": _given_pack(
        _npy(NINE), '{"size": 64, "shards": [{"of": "", "ids": ["1", "1"], "skipped": []}]}', "twice"
    ),
    "pack: of no image": _given_pack(_npy(NINE), '{"size": 64, "shards": []}', "no image"),
    "model facts: nothing": _facts(""),
    "model facts: a list": _facts("[]"),
    "model facts: nested without end": _facts(DEEP_JSON),
    "model facts: a folder that climbs": _facts('{"format": 1, "title": "../../x", "members": [{}]}'),
    "model facts: bytes": _facts(bytes(range(256))),
    "run record: no JSON": _record("{"),
    "run record: nested without end": _record(DEEP_JSON),
    "run record: a list": _record("[1]"),
    "run record: of no format": _record('{"network": "cnn"}'),
    "run record: bytes": _record(bytes(range(256))),
}

ALL: dict[str, Bad] = {
    **{f"archive: {name}": _archive(name, *how) for name, how in ARCHIVES.items()},
    **{f"table: {name}": one for name, one in TABLES.items()},
    **WORK_FILES,
}
