"""Any photo becomes a grey square, a bad one a row with a reason; a second run does only what is new."""

import errno
import io
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from boneage import files
from boneage import preprocess as module
from boneage.errors import BoneAgeError
from boneage.preprocess import (
    REPORT_COLUMNS,
    contact_sheet,
    preprocess,
    read_grey,
    read_report,
    square,
    summary,
    to_uint8,
    write_contact_sheet,
)
from boneage.tables import read_table

SIZE = 64


def a_hand(height: int = 96, width: int = 64, seed: int = 0) -> np.ndarray:
    """A grey photo that is unlike itself turned or mirrored."""
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).integers(0, 8, (height, width))
    return (rows * 120 // height + columns * 100 // width + noise).astype(np.uint8)


def encoded(photo: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    image = photo if isinstance(photo, Image.Image) else Image.fromarray(photo)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def encoded_16_bit(photo: np.ndarray) -> bytes:
    return cv2.imencode(".png", photo)[1].tobytes()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width: int, height: int) -> bytes:
    """A small file that declares a huge picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(10_000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", pixels)
        + png_chunk(b"IEND", b"")
    )


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(a_hand(seed=seed)) for seed in range(3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


JPEG = encoded(a_hand(400, 300), "JPEG")
PNG = encoded(a_hand(400, 300), "PNG")

BAD = {
    "zero.jpg": (b"", "empty file"),
    "text.jpg": (b"Not a photo at all.\n" * 40, "not a photo"),
    "page.png": (b"<!DOCTYPE html><html><title>Quota exceeded</title></html>", "not a photo"),
    "halved.jpg": (JPEG[: len(JPEG) // 2], "cut short"),
    "without-end.jpg": (JPEG[:-2], "cut short"),
    "header-only.jpg": (JPEG[:200], "cut short|not a photo"),
    "magic-only.jpg": (JPEG[:3], "not a photo"),
    "holed.jpg": (JPEG[: len(JPEG) // 2] + b"\xff\x00\xff\xe7" * 50 + JPEG[len(JPEG) // 2 :], "damaged"),
    "halved.png": (PNG[: len(PNG) // 2], "cut short"),
    "without-end.png": (PNG[:-12], "cut short"),
    "flipped.png": (PNG[: len(PNG) // 2] + b"\x00\x01\x02" + PNG[len(PNG) // 2 + 3 :], "a checksum"),
    "bomb.png": (png_bomb(60_000, 60_000), "megapixels"),
    "small-bomb.png": (png_bomb(12_000, 10_000), "megapixels"),
    "lying.png": (png_bomb(4_000, 4_000), "damaged"),
    "dot.png": (encoded(np.zeros((1, 1), np.uint8)), "too small"),
    "dot.jpg": (encoded(np.zeros((1, 1), np.uint8), "JPEG"), "too small"),
    "thumbnail.png": (encoded(a_hand(31, 200)), "too small"),
    "moving.gif": (animated("GIF"), "animated"),
    "moving.png": (animated("PNG"), "animated"),
    "two.jpg": (animated("MPO"), "animated"),
    "scan.tif": (encoded(a_hand(), "TIFF"), "TIFF is not read"),
    "still.gif": (encoded(a_hand(), "GIF"), "GIF is not read"),
    "scan.bmp": (encoded(a_hand(), "BMP"), "BMP is not read"),
}


class TestReadGrey:
    @pytest.mark.parametrize("name", BAD)
    def test_a_bad_file_is_refused_in_one_line_that_names_it(self, name: str) -> None:
        data, reason = BAD[name]
        with pytest.raises(BoneAgeError, match=reason) as caught:
            read_grey(data, name)
        assert str(caught.value).startswith(name)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("data", [JPEG, PNG, encoded(a_hand(200, 150), "JPEG", progressive=True)])
    def test_no_cut_of_a_good_file_is_taken_for_a_photo(self, data: bytes) -> None:
        for length in [*range(0, len(data), 97), len(data) - 1]:
            with pytest.raises(BoneAgeError):
                read_grey(data[:length], "cut")

    @given(
        st.binary(max_size=300),
        st.sampled_from([JPEG[:24], PNG[:33], b"GIF89a", b"II*\0", bytes(128) + b"DICM"]),
    )
    @settings(max_examples=200, deadline=None)
    def test_whatever_the_bytes_the_error_is_ours(self, noise: bytes, start: bytes) -> None:
        with pytest.raises(BoneAgeError):
            read_grey(start + noise, "noise")

    @pytest.mark.parametrize("kind", ["JPEG", "PNG"])
    def test_grey_8_bit_comes_through(self, kind: str) -> None:
        options = {"quality": 100} if kind == "JPEG" else {}
        grey, facts = read_grey(encoded(a_hand(), kind, **options), f"hand.{kind.lower()}")
        assert np.abs(grey.astype(int) - a_hand()).max() <= 2
        assert (facts.format, facts.width, facts.height) == (kind, 64, 96)
        assert (facts.bit_depth, facts.mode, facts.note) == (8, "L", "")

    def test_bytes_after_the_end_of_a_jpeg_are_no_fault(self) -> None:
        assert read_grey(JPEG + bytes(500), "padded.jpg")[1].note == ""

    def test_a_thumbnail_inside_exif_does_not_hide_a_cut(self) -> None:
        exif = b"Exif\0\0" + encoded(a_hand(), "JPEG")
        data = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + JPEG[2:]
        assert read_grey(data, "whole.jpg")[0].shape == (400, 300)
        with pytest.raises(BoneAgeError, match="cut short"):
            read_grey(data[: -len(JPEG) // 3], "cut.jpg")

    @pytest.mark.parametrize("kind", ["JPEG", "PNG"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_turns_it(self, kind: str, orientation: int) -> None:
        upright = a_hand()
        stored = {
            1: upright,
            2: np.fliplr(upright),
            3: np.rot90(upright, 2),
            4: np.flipud(upright),
            5: upright.T,
            6: np.rot90(upright, 1),
            7: np.rot90(upright, 2).T,
            8: np.rot90(upright, -1),
        }[orientation]
        image = Image.fromarray(np.ascontiguousarray(stored))
        exif = image.getexif()
        exif[0x0112] = orientation
        options = {"quality": 100} if kind == "JPEG" else {}
        grey, facts = read_grey(encoded(image, kind, exif=exif, **options), f"turned.{kind.lower()}")
        assert grey.shape == upright.shape
        assert np.abs(grey.astype(int) - upright).max() <= 2
        assert (facts.width, facts.height) == (64, 96)
        assert ("turned" in facts.note) == (orientation != 1)

    @pytest.mark.parametrize("mode", ["RGB", "P", "RGBA", "LA", "1", "YCbCr", "CMYK"])
    def test_other_colour_layouts_become_luma(self, mode: str) -> None:
        grey = Image.fromarray(a_hand())
        tinted = Image.merge(
            "RGB", [grey, grey.point(lambda value: value // 2), grey.point(lambda value: 200 - value // 2)]
        )
        image = tinted.convert(mode)
        kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
        options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
        photo, _ = read_grey(encoded(image, kind, **options), f"tinted.{kind.lower()}")
        expected = np.asarray(image.convert("RGB").convert("L"), int)
        assert photo.dtype == np.uint8
        assert np.abs(photo - expected).mean() < 2

    def test_cmyk_of_the_other_polarity_is_not_a_negative(self) -> None:
        data = encoded(Image.fromarray(a_hand()).convert("CMYK"), "JPEG", quality=100)
        assert b"Adobe" in data
        photo, facts = read_grey(data, "print.jpg")
        assert np.corrcoef(photo.ravel(), a_hand().ravel())[0, 1] > 0.99
        assert "CMYK" in facts.note

    def test_transparent_parts_are_black(self) -> None:
        alpha = np.full((96, 64), 255, np.uint8)
        alpha[:48] = 0
        photo, facts = read_grey(encoded(np.dstack([a_hand()] * 3 + [alpha])), "cut-out.png")
        assert photo[:48].max() == 0
        assert np.abs(photo[48:].astype(int) - a_hand()[48:]).max() <= 1
        assert "transparent" in facts.note

    def test_a_transparent_palette_entry_is_black(self) -> None:
        image = Image.fromarray(a_hand() // 64 * 64 + 20).convert("P")
        photo, _ = read_grey(encoded(image, transparency=int(np.asarray(image)[0, 0])), "palette.png")
        assert photo[0, 0] == 0
        assert photo[-1, -1] > 0

    def test_16_bit_keeps_its_depth(self) -> None:
        deep = a_hand().astype(np.uint16) * 201 + 7
        grey, facts = read_grey(encoded_16_bit(deep), "deep.png")
        assert grey.dtype == np.uint16
        assert (grey == deep).all()
        assert facts.bit_depth == 16
        colour, facts = read_grey(encoded_16_bit(np.dstack([deep] * 3)), "deep-colour.png")
        assert colour.dtype == np.uint16
        assert np.abs(colour.astype(int) - deep).max() <= 1
        assert facts.bit_depth == 16

    def test_16_bit_with_transparency_keeps_its_depth(self) -> None:
        deep = np.full((96, 64, 4), 40_000, np.uint16)
        deep[:48, :, 3] = 0
        deep[48:, :, 3] = 65535
        grey, _ = read_grey(encoded_16_bit(deep), "deep-alpha.png")
        assert grey[:48].max() == 0
        assert np.abs(grey[48:].astype(int) - 40_000).max() <= 1

    def test_a_name_that_says_another_kind_is_noted(self) -> None:
        assert "PNG" in read_grey(encoded(a_hand()), "hand.jpg")[1].note

    def test_a_file_over_the_limit_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "LARGEST_FILE_BYTES", 100)
        with pytest.raises(BoneAgeError, match="MiB"):
            read_grey(JPEG, "big.jpg")


class TestDicom:
    def dicom(self, pixels: np.ndarray, interpretation: str = "MONOCHROME2", frames: int = 1) -> bytes:
        pydicom = pytest.importorskip("pydicom")
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        dataset.Rows, dataset.Columns = pixels.shape[-2:]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, interpretation
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
            16,
            12,
            11,
            0,
        )
        dataset.RescaleSlope, dataset.RescaleIntercept = 2, -100
        if frames > 1:
            dataset.NumberOfFrames = frames
        dataset.PixelData = pixels.astype("<u2").tobytes()
        stream = io.BytesIO()
        pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
        return stream.getvalue()

    @pytest.mark.parametrize(("interpretation", "sign"), [("MONOCHROME2", 1), ("MONOCHROME1", -1)])
    def test_bone_is_bright_whatever_the_interpretation(self, interpretation: str, sign: int) -> None:
        pixels = a_hand().astype(np.uint16) * 15
        grey, facts = read_grey(self.dicom(pixels, interpretation), "hand.dcm")
        assert np.corrcoef(grey.ravel(), pixels.ravel())[0, 1] == pytest.approx(sign, abs=1e-4)
        assert (facts.format, facts.bit_depth, facts.mode) == ("DICOM", 12, interpretation)
        assert to_uint8(grey).max() == 255

    def test_several_frames_are_refused(self) -> None:
        with pytest.raises(BoneAgeError, match="2 frames"):
            read_grey(self.dicom(np.zeros((2, 64, 64)), frames=2), "film.dcm")

    def test_a_cut_one_is_refused(self) -> None:
        data = self.dicom(a_hand())
        with pytest.raises(BoneAgeError, match="damaged"):
            read_grey(data[: len(data) // 2], "cut.dcm")

    def test_without_pydicom_the_reason_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pydicom", None)
        with pytest.raises(BoneAgeError, match="pip install pydicom"):
            read_grey(bytes(128) + b"DICM" + bytes(100), "hand.dcm")


class TestToUint8:
    def test_8_bit_is_left_alone(self) -> None:
        assert (to_uint8(a_hand()) == a_hand()).all()

    @pytest.mark.parametrize("bits", [10, 12, 14, 16])
    def test_what_the_detector_wrote_fills_the_range_without_bands(self, bits: int) -> None:
        ramp = np.linspace(0, 2**bits - 1, 300 * 300).astype(np.uint16).reshape(300, 300)
        photo = to_uint8(ramp)
        assert (photo.min(), photo.max()) == (0, 255)
        assert len(np.unique(photo)) == 256
        assert (np.diff(photo.ravel().astype(int)) >= 0).all()

    def test_a_few_hot_and_dead_pixels_do_not_set_the_range(self) -> None:
        deep = np.random.default_rng(1).integers(1000, 3000, (200, 200)).astype(np.uint16)
        deep[0, :10], deep[1, :10] = 65535, 0
        assert to_uint8(deep)[2:].std() > 60

    @pytest.mark.parametrize("value", [0, 4095, 65535])
    def test_a_constant_photo_stays_constant(self, value: int) -> None:
        assert len(np.unique(to_uint8(np.full((40, 40), value, np.uint16)))) == 1

    def test_a_nearly_constant_photo_keeps_what_it_shows(self) -> None:
        deep = np.full((200, 200), 5000, np.uint16)
        deep[3, 3] = 6000
        assert to_uint8(deep)[3, 3] == 255


class TestSquare:
    @given(
        st.integers(32, 700),
        st.integers(32, 700),
        st.integers(32, 300),
        st.sampled_from(["background", "black", "white"]),
    )
    @settings(max_examples=80, deadline=None)
    def test_any_shape_keeps_its_aspect_in_the_middle(
        self, height: int, width: int, size: int, pad: str
    ) -> None:
        fitted = square(np.full((height, width), 128, np.uint8), size, pad)
        assert fitted.shape == (size, size)
        assert fitted.dtype == np.uint8
        if pad == "background":
            assert (fitted == 128).all()
            return
        rows, columns = np.nonzero(fitted == 128)
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert max(tall, wide) == size
        assert abs(tall / size - height / max(height, width)) <= 0.5 / size + 1e-9
        assert abs(wide / size - width / max(height, width)) <= 0.5 / size + 1e-9
        for first, last in ((rows.min(), rows.max()), (columns.min(), columns.max())):
            assert abs(first - (size - 1 - last)) <= 1

    @pytest.mark.parametrize("shape", [(32, 5000), (5000, 32)])
    def test_a_strip_is_no_trouble(self, shape: tuple[int, int]) -> None:
        assert square(np.full(shape, 9, np.uint8), 64).shape == (64, 64)

    def test_the_bars_take_the_background_not_the_rim_nor_the_hand(self) -> None:
        photo = np.full((400, 200), 30, np.uint8)
        photo[:4] = photo[-4:] = photo[:, :4] = photo[:, -4:] = 255  # The bright line of a collimator.
        photo[100:, 60:140] = 200  # The hand, its forearm across the lower edge.
        fitted = square(photo, 200)
        assert set(np.unique(fitted[:, :49])) == {30}
        assert set(np.unique(fitted[:, 151:])) == {30}

    def test_it_averages_down_and_is_smooth_up(self) -> None:
        noise = np.random.default_rng(3).integers(0, 256, (256, 256)).astype(np.uint8)
        means = noise.reshape(64, 4, 64, 4).mean(axis=(1, 3))
        assert np.abs(square(noise, 64) - means).max() <= 1
        ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
        assert np.abs(np.diff(square(ramp, 128)[64].astype(int))).max() <= 4


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture
def cases(tmp_path: Path) -> pd.DataFrame:
    """Six good photos of all kinds in a folder beside the work folder."""
    source = tmp_path / "source"
    source.mkdir()
    data = {
        "a": encoded(a_hand(seed=1), "JPEG"),
        "b": encoded(a_hand(120, 90, seed=2)),
        "c": encoded_16_bit(a_hand(seed=3).astype(np.uint16) * 16),
        "d": encoded(np.dstack([a_hand(seed=4)] * 3), "JPEG"),
        "e": encoded(a_hand(40, 200, seed=5)),
        "f": encoded(a_hand(seed=6), "JPEG"),
    }
    for name, content in data.items():
        (source / name).write_bytes(content)
    return pd.DataFrame(
        {
            "case_id": list(data),
            "photo": [str(source / name) for name in data],
            "bone_age": [0.5, 3, 7.25, 11, 15, ""],
            "age_group": ["0", "3", "7", "11", "15", "18"],
        }
    )


def photo_of(work: Path, case_id: str) -> Path:
    return work / "photos" / f"{case_id}.png"


def times(work: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (work / "photos").iterdir()}


class TestPreprocess:
    def test_every_good_case_becomes_a_square_and_a_row(self, cases: pd.DataFrame, work: Path) -> None:
        report = preprocess(cases, work, SIZE)
        assert list(report.columns) == list(REPORT_COLUMNS)
        assert list(report["case_id"]) == list(cases["case_id"])
        assert set(report["status"]) == {"ok"}
        for case_id in cases["case_id"]:
            photo = cv2.imread(str(photo_of(work, case_id)), cv2.IMREAD_UNCHANGED)
            assert photo.shape == (SIZE, SIZE)
            assert photo.dtype == np.uint8
        row = report.set_index("case_id").loc["c"]
        assert (row["format"], row["width"], row["height"], row["bit_depth"]) == ("PNG", 64, 96, 16)
        assert row["sha256"] == files.sha256_of(cases["photo"][2])
        assert row["bytes"] == os.path.getsize(cases["photo"][2])
        assert len(read_table(work / "skipped-preprocess.csv", ("item", "reason"))) == 0

    def test_the_report_reads_back_as_it_was_returned(self, cases: pd.DataFrame, work: Path) -> None:
        report = preprocess(cases, work, SIZE)
        pd.testing.assert_frame_equal(read_report(work), report, check_dtype=False)

    def test_bad_photos_become_rows_and_the_rest_goes_on(
        self, cases: pd.DataFrame, work: Path, tmp_path: Path
    ) -> None:
        rows = []
        for index, (name, (data, _)) in enumerate(BAD.items()):
            (tmp_path / name).write_bytes(data)
            rows.append({"case_id": f"bad-{index}", "photo": str(tmp_path / name)})
        report = preprocess(pd.concat([pd.DataFrame(rows), cases], ignore_index=True), work, SIZE)
        assert list(report["status"]) == ["skipped"] * len(BAD) + ["ok"] * len(cases)
        skipped = read_table(work / "skipped-preprocess.csv", ("item", "reason"))
        assert list(skipped["item"]) == [row["case_id"] for row in rows]
        for reason, name in zip(skipped["reason"], BAD, strict=True):
            assert name in reason
        assert sorted(times(work)) == [f"{case_id}.png" for case_id in "abcdef"]

    @pytest.mark.parametrize(
        ("case_id", "photo", "reason"),
        [
            ("g", "nowhere.jpg", "no such file"),
            ("g", "", "names no photo"),
            ("g", float("nan"), "names no photo"),
            ("g", ".", "not a file"),
            ("g", "nul\0byte.jpg", "cannot be read"),
            ("../g", "nowhere.jpg", "cannot name a file"),
            ("g/h", "nowhere.jpg", "cannot name a file"),
            ("", "nowhere.jpg", "cannot name a file"),
            ("=1+1", "nowhere.jpg", "cannot name a file"),
            (float("nan"), "nowhere.jpg", "cannot name a file"),
        ],
    )
    def test_a_bad_row_of_the_case_table_is_skipped(
        self, cases: pd.DataFrame, work: Path, tmp_path: Path, case_id: object, photo: object, reason: str
    ) -> None:
        cases.loc[len(cases), ["case_id", "photo"]] = [case_id, photo]
        report = preprocess(cases, work, SIZE)
        assert list(report["status"]) == ["ok"] * 6 + ["skipped"]
        assert reason in report["reason"].iloc[-1]
        assert sorted(times(work)) == [f"{name}.png" for name in "abcdef"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "work"]

    def test_a_pipe_does_not_hang_the_run(self, cases: pd.DataFrame, work: Path, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.jpg")
        cases.loc[0, "photo"] = str(tmp_path / "pipe.jpg")
        assert "not a file" in preprocess(cases, work, SIZE)["reason"][0]

    def test_two_photos_with_one_id_are_both_left_out(self, cases: pd.DataFrame, work: Path) -> None:
        cases.loc[[1, 2], "case_id"] = ["A", "c"]
        report = preprocess(cases, work, SIZE)
        assert list(report["status"]) == ["skipped", "skipped", "ok", "ok", "ok", "ok"]
        assert "two photos" in report["reason"][0]

    def test_a_path_may_be_relative_to_the_work_folder(self, cases: pd.DataFrame, work: Path) -> None:
        cases["photo"] = [os.path.relpath(path, work) for path in cases["photo"]]
        assert set(preprocess(cases, work, SIZE)["status"]) == {"ok"}

    def test_the_same_bytes_twice_are_reported(self, cases: pd.DataFrame, work: Path) -> None:
        for name in ("c", "e"):
            Path(cases["photo"][0]).with_name(name).write_bytes(Path(cases["photo"][1]).read_bytes())
        report = preprocess(cases, work, SIZE)
        assert list(report["doubled_of"]) == ["", "", "b", "", "b", ""]
        assert set(report["status"]) == {"ok"}

    def test_a_photo_inside_the_output_folder_is_not_overwritten(
        self, cases: pd.DataFrame, work: Path
    ) -> None:
        photo_of(work, "a").parent.mkdir(parents=True)
        photo_of(work, "a").write_bytes(PNG)
        cases.loc[0, "photo"] = "photos/a.png"
        assert "lies in the folder" in preprocess(cases, work, SIZE)["reason"][0]
        assert photo_of(work, "a").read_bytes() == PNG

    def test_an_empty_table_gives_an_empty_report(self, work: Path) -> None:
        assert len(preprocess(pd.DataFrame({"case_id": [], "photo": []}), work, SIZE)) == 0
        assert len(read_report(work)) == 0

    def test_a_missing_column_and_an_unknown_shade_are_named(self, cases: pd.DataFrame, work: Path) -> None:
        with pytest.raises(BoneAgeError, match="column photo is missing"):
            preprocess(cases.drop(columns="photo"), work, SIZE)
        with pytest.raises(BoneAgeError, match="'grey' must be one of"):
            preprocess(cases, work, SIZE, "grey")

    def test_opencv_keeps_its_threads(self, cases: pd.DataFrame, work: Path) -> None:
        before = cv2.getNumThreads()
        preprocess(cases, work, SIZE)
        assert cv2.getNumThreads() == before


class TestSecondRun:
    def test_nothing_is_made_again(self, cases: pd.DataFrame, work: Path) -> None:
        first = preprocess(cases, work, SIZE)
        before = times(work)
        second = preprocess(cases, work, SIZE)
        assert times(work) == before
        pd.testing.assert_frame_equal(first, second, check_dtype=False)

    def test_only_what_is_new_changed_or_gone_is_made(self, cases: pd.DataFrame, work: Path) -> None:
        preprocess(cases.iloc[:5], work, SIZE)
        before = times(work)
        Path(cases["photo"][0]).write_bytes(encoded(a_hand(70, 70, seed=9)))
        os.utime(cases["photo"][1], ns=(1, 1))
        photo_of(work, "c").unlink()
        photo_of(work, "d").write_bytes(b"")
        report = preprocess(cases, work, SIZE)
        after = times(work)
        assert {name for name in after if after[name] != before.get(name)} == {
            f"{name}.png" for name in "abcdf"
        }
        assert set(report["status"]) == {"ok"}
        assert report["width"][0] == 70
        assert photo_of(work, "d").stat().st_size > 0

    def test_another_size_or_shade_makes_all_again(self, cases: pd.DataFrame, work: Path) -> None:
        preprocess(cases, work, SIZE)
        preprocess(cases, work, 48)
        assert cv2.imread(str(photo_of(work, "a")), 0).shape == (48, 48)
        preprocess(cases, work, 48, "white")
        assert cv2.imread(str(photo_of(work, "a")), 0)[0, 0] == 255

    def test_what_was_made_stays_good_without_its_source(self, cases: pd.DataFrame, work: Path) -> None:
        first = preprocess(cases, work, SIZE)
        for path in cases["photo"]:
            os.unlink(path)
        pd.testing.assert_frame_equal(preprocess(cases, work, SIZE), first, check_dtype=False)

    def test_outputs_no_longer_stood_by_are_removed_and_nothing_else(
        self, cases: pd.DataFrame, work: Path
    ) -> None:
        preprocess(cases, work, SIZE)
        (work / "photos" / "mine.png").write_bytes(PNG)
        Path(cases["photo"][0]).write_bytes(JPEG[:500])
        report = preprocess(cases.iloc[:4], work, SIZE)
        assert list(report["status"]) == ["skipped", "ok", "ok", "ok"]
        assert sorted(times(work)) == ["b.png", "c.png", "d.png", "mine.png"]

    def test_a_photo_put_right_is_made(self, cases: pd.DataFrame, work: Path) -> None:
        good = Path(cases["photo"][0]).read_bytes()
        Path(cases["photo"][0]).write_bytes(b"")
        assert preprocess(cases, work, SIZE)["status"][0] == "skipped"
        Path(cases["photo"][0]).write_bytes(good)
        assert preprocess(cases, work, SIZE)["status"][0] == "ok"

    def test_a_damaged_report_is_made_afresh(self, cases: pd.DataFrame, work: Path) -> None:
        first = preprocess(cases, work, SIZE)
        (work / "preprocess.csv").write_bytes(b"\xff\xfe\x00")
        pd.testing.assert_frame_equal(preprocess(cases, work, SIZE), first, check_dtype=False)


class TestInterrupted:
    def interrupt_after(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        made = module.on_all_cores

        def interrupted(*arguments: object) -> object:
            for index, result in enumerate(made(*arguments)):
                if index == count:
                    raise KeyboardInterrupt
                yield result

        monkeypatch.setattr(module, "on_all_cores", interrupted)

    def test_it_goes_on_where_it_was(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            self.interrupt_after(patch, 3)
            with pytest.raises(KeyboardInterrupt):
                preprocess(cases, work, SIZE)
        done = read_report(work)
        assert len(done) == 3
        before = times(work)
        report = preprocess(cases, work, SIZE)
        assert set(report["status"]) == {"ok"}
        assert list(report["case_id"]) == list(cases["case_id"])
        after = times(work)
        for case_id in done["case_id"]:
            assert after[f"{case_id}.png"] == before[f"{case_id}.png"]

    def test_a_killed_process_leaves_nothing_that_the_next_run_cannot_use(
        self, cases: pd.DataFrame, work: Path, tmp_path: Path
    ) -> None:
        many = pd.concat(
            [cases.assign(case_id=cases["case_id"] + str(copy)) for copy in range(60)], ignore_index=True
        )
        many.to_csv(tmp_path / "many.csv", index=False)
        program = (
            "import sys, pandas; from boneage import preprocess; preprocess.SECONDS_BETWEEN_SAVES = 0.05;"
            "preprocess.preprocess(pandas.read_csv(sys.argv[1], dtype=str), sys.argv[2], 512)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "many.csv", work],
            env=os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[1])},
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and len(list(work.glob("photos/*.png"))) < 40:
            time.sleep(0.005)
        process.kill()
        process.wait()
        listed = set(read_report(work)["case_id"])
        assert len(listed) < len(many)
        before = times(work)
        report = preprocess(many, work, 512)
        assert set(report["status"]) == {"ok"}
        assert len(report) == len(many)
        assert all(times(work)[f"{case_id}.png"] == before[f"{case_id}.png"] for case_id in listed)
        for case_id in many["case_id"]:
            assert cv2.imread(str(photo_of(work, case_id)), 0).shape == (512, 512)

    def test_a_kill_amid_a_change_of_size_leaves_no_mixture(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        preprocess(cases, work, SIZE)
        saves = []

        def save_once(path: Path, rows: list) -> object:
            if saves:
                raise SystemExit  # Killed: no report is saved after the first photo.
            saves.append(path)
            return save(path, rows)

        save = module._save
        with monkeypatch.context() as patch:
            patch.setattr(module, "_save", save_once)
            with pytest.raises(SystemExit):
                preprocess(cases, work, 48)
        preprocess(cases, work, SIZE)
        assert {cv2.imread(str(photo_of(work, case_id)), 0).shape for case_id in "abcdef"} == {(SIZE, SIZE)}

    def test_the_report_is_saved_on_the_way(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lengths = []
        save = module._save
        monkeypatch.setattr(module, "SECONDS_BETWEEN_SAVES", 0.0)
        monkeypatch.setattr(
            module, "_save", lambda path, rows: lengths.append(sum(map(bool, rows))) or save(path, rows)
        )
        preprocess(cases, work, SIZE)
        assert lengths == [0, 1, 2, 3, 4, 5, 6, 6]

    def test_what_a_killed_run_left_half_written_is_removed(self, cases: pd.DataFrame, work: Path) -> None:
        old, young = work / "photos" / ".a-abcd_123.png", work / "photos" / ".b-abcd_123.png"
        old.parent.mkdir(parents=True)
        for path in (old, young):
            path.write_bytes(b"half")
        os.utime(old, (time.time() - 3600,) * 2)
        preprocess(cases, work, SIZE)
        assert not old.exists()
        assert young.exists()


class TestDisk:
    def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace, lock, made = os.replace, threading.Lock(), []

        def full_after_two(source: str, target: str) -> None:
            with lock:
                if str(target).endswith(".png"):
                    if len(made) == 2:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    made.append(target)
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(files.os, "replace", full_after_two)
            with pytest.raises(BoneAgeError, match="disk is full"):
                preprocess(cases, work, SIZE)
        assert len(times(work)) == 2
        assert not [path for path in work.rglob(".*")]
        listed = read_report(work)
        assert len(listed) <= 2
        assert all(photo_of(work, case_id).stat().st_size for case_id in listed["case_id"])
        assert set(preprocess(cases, work, SIZE)["status"]) == {"ok"}

    def test_a_full_disk_from_the_start_keeps_the_report_there_was(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        preprocess(cases, work, SIZE)
        before = (work / "preprocess.csv").read_bytes()

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(files.os, "replace", full)
            with pytest.raises(BoneAgeError, match="disk is full"):
                preprocess(cases, work, 48)
        assert (work / "preprocess.csv").read_bytes() == before
        assert cv2.imread(str(photo_of(work, "a")), 0).shape == (SIZE, SIZE)

    def test_a_read_only_folder_is_one_line(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read_only(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(files.tempfile, "NamedTemporaryFile", read_only)
        with pytest.raises(BoneAgeError, match="read-only"):
            preprocess(cases, work, SIZE)

    def test_a_file_in_place_of_the_folder_is_one_line(self, cases: pd.DataFrame, work: Path) -> None:
        work.mkdir()
        (work / "photos").write_text("in the way")
        with pytest.raises(BoneAgeError, match="is a file, not a folder"):
            preprocess(cases, work, SIZE)


class TestSummary:
    def test_it_counts_kinds_and_sizes(self, cases: pd.DataFrame, work: Path) -> None:
        Path(cases["photo"][5]).write_bytes(Path(cases["photo"][0]).read_bytes())
        Path(cases["photo"][1]).write_bytes(b"")
        table = summary(preprocess(cases, work, SIZE)).set_index("what")
        assert table.loc["all that were read"].to_list() == [5, "64 × 96", "64 × 96", "200 × 40"]
        assert table.loc["JPEG, 8 bit, L", "photos"] == 2
        assert table.loc["PNG, 16 bit, I;16", "photos"] == 1
        assert table.filter(like="doubled", axis=0)["photos"].item() == 1
        assert table.filter(like="skipped", axis=0)["photos"].item() == 1

    def test_it_is_readable_for_no_photos(self, work: Path) -> None:
        report = preprocess(pd.DataFrame({"case_id": [], "photo": []}), work, SIZE)
        assert set(summary(report)["photos"]) == {0}


class TestContactSheet:
    def test_it_holds_all_photos_in_rows(self) -> None:
        photos = [(f"case {index}", np.full((40, 40), 200, np.uint8)) for index in range(5)]
        sheet = contact_sheet(photos, columns=3, thumb=48)
        count, _ = cv2.connectedComponents((sheet == 200).astype(np.uint8), connectivity=4)
        areas = cv2.connectedComponentsWithStats((sheet == 200).astype(np.uint8), connectivity=4)[2][
            1:, cv2.CC_STAT_AREA
        ]
        assert count > 5
        assert sum(areas == 48 * 48) == 5
        assert sheet.shape[1] > 3 * 48
        assert contact_sheet([], columns=3).ndim == 2

    def test_the_written_one_is_drawn_evenly_over_age(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report = preprocess(cases, work, SIZE)
        drawn = []
        monkeypatch.setattr(
            module, "contact_sheet", lambda photos, *_: drawn.extend(photos) or np.zeros((9, 9), np.uint8)
        )
        write_contact_sheet(work / "sheet.png", cases, report, work, count=3)
        captions = [caption for caption, _ in drawn]
        assert captions[0] == "a · 0.5 years"
        assert captions[-1] == "f · year 18"
        assert len(captions) == 3

    def test_it_can_be_opened(self, cases: pd.DataFrame, work: Path) -> None:
        report = preprocess(cases, work, SIZE)
        path = write_contact_sheet(work / "sheet.png", cases, report, work)
        assert read_grey(path.read_bytes(), "sheet.png")[0].std() > 10


@pytest.mark.real_data
class TestRealPhotos:
    def test_every_photo_of_a_sample_is_read(self, real_data: Path, work: Path) -> None:
        found = sorted(path for path in real_data.rglob("*") if path.suffix in (".jpg", ".png"))[::25]
        cases = pd.DataFrame(
            {
                "case_id": [f"case-{index}" for index in range(len(found))],
                "photo": [str(path) for path in found],
            }
        )
        report = preprocess(cases, work, 256)
        assert len(report) > 20
        assert list(report["reason"].unique()) == [""]
        for case_id, width, height in zip(report["case_id"], report["width"], report["height"], strict=True):
            photo = cv2.imread(str(photo_of(work, case_id)), cv2.IMREAD_UNCHANGED)
            assert photo.shape == (256, 256)
            assert photo.std() > 1
            assert min(width, height) > 300
