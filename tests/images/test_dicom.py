"""A DICOM file is shown as it says, bone bright; what in it makes no sense is ignored with a note."""

import io
import sys
import warnings
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from image_files import a_hand

from boneage.core.errors import BoneAgeError
from boneage.images.dicom import looks_like_dicom
from boneage.images.grey_range import to_uint8
from boneage.images.reading import read_grey

pydicom = pytest.importorskip("pydicom")

PATIENT = "Muster^Erika"
HAND = a_hand().astype(np.uint16) * 15  # 0 to 3400: 12 bits.


def dicom(
    pixels: np.ndarray = HAND, syntax: str = pydicom.uid.ExplicitVRLittleEndian, **tags: object
) -> bytes:
    """A file of one frame, or of several, that packs 12 bits in 16 unless the tags say otherwise."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = pydicom.uid.SecondaryCaptureImageStorage, "1.2.3"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = PATIENT, "4711-0815", "20110203"
    dataset.Rows, dataset.Columns = pixels.shape[:2] if pixels.shape[-1] == 3 else pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = 8 * pixels.itemsize, 12 if pixels.itemsize == 2 else 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    if syntax.is_encapsulated:
        dataset.compress(syntax)
    elif syntax != pydicom.uid.ExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def test_values_in_the_upper_bits_are_those_of_the_lower_ones() -> None:
    (grey, note), (expected, _) = read(dicom(HAND << 4, HighBit=15)), read(dicom(HAND))
    assert (grey == expected).all()
    assert "values in the upper 12 bits" in note


def table(entries: np.ndarray, first: int = 0, bits: int = 16) -> pydicom.Sequence:
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return pydicom.Sequence([item])


def read(data: bytes, name: str = "hand.dcm") -> tuple[np.ndarray, str]:
    grey, facts = read_grey(data, name)
    return to_uint8(grey).astype(int), facts.note


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


class TestPolarity:
    @pytest.mark.parametrize(
        ("tags", "sign"),
        [
            ({}, 1),
            ({"PhotometricInterpretation": "MONOCHROME1"}, -1),
            ({"PresentationLUTShape": "INVERSE"}, -1),
            ({"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}, -1),
            ({"PresentationLUTShape": "IDENTITY"}, 1),
            ({"RescaleSlope": -1, "RescaleIntercept": 4095}, -1),
            ({"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 2400, "WindowWidth": 3400}, -1),
            ({"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 1700, "WindowWidth": 3400}, -1),
        ],
    )
    def test_what_the_file_says_is_bright_is_bright(self, tags: dict, sign: int) -> None:
        grey, facts = read_grey(dicom(**tags), "hand.dcm")
        assert likeness(to_uint8(grey), HAND) == pytest.approx(sign, abs=2e-3)
        assert np.ptp(to_uint8(grey)) > 240
        interpretation = tags.get("PhotometricInterpretation", "MONOCHROME2")
        assert (facts.format, facts.bit_depth, facts.mode) == ("DICOM", 12, interpretation)


class TestWindow:
    @pytest.mark.parametrize(
        ("function", "expected"),
        [
            ("LINEAR", lambda values: (values - 999.5) / 999 + 0.5),
            ("LINEAR_EXACT", lambda values: (values - 1000) / 1000 + 0.5),
            ("SIGMOID", lambda values: 1 / (1 + np.exp(-4 * (values - 1000) / 1000))),
            (None, lambda values: (values - 999.5) / 999 + 0.5),
        ],
    )
    def test_it_is_followed(self, function: str | None, expected: Callable) -> None:
        tags = {"VOILUTFunction": function} if function else {}
        grey, note = read(dicom(WindowCenter=[1000, 40], WindowWidth=[1000, 80], **tags))
        assert np.abs(grey - 255 * np.clip(expected(HAND.astype(float)), 0, 1)).max() <= 1
        assert "window" in note

    def test_it_counts_in_rescaled_values(self) -> None:
        tags = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 1900, "WindowWidth": 2000}
        grey, _ = read(dicom(**tags))
        assert np.abs(grey - 255 * np.clip((HAND * 2.0 - 1999.5) / 1999 + 0.5, 0, 1)).max() <= 1

    @pytest.mark.parametrize(
        "tags",
        [
            {"WindowCenter": 1000, "WindowWidth": 0},
            {"WindowCenter": 1000, "WindowWidth": -5},
            {"WindowCenter": 30_000, "WindowWidth": 400},
            {"WindowCenter": -3000, "WindowWidth": 100},
            {"WindowCenter": 32_768, "WindowWidth": 65_536},
            {"WindowCenter": 1000},
            {"WindowWidth": 1000},
            {"WindowCenter": [], "WindowWidth": []},
        ],
    )
    def test_one_that_does_not_fit_is_passed_over_with_a_note(self, tags: dict) -> None:
        grey, note = read(dicom(**tags))
        assert likeness(grey, HAND) > 0.999
        assert np.ptp(grey) == 255
        assert "window does not fit" in note


class TestTables:
    def test_a_voi_lut_is_followed_before_a_window(self) -> None:
        entries = (np.arange(4096) / 4095) ** 2 * 65535
        grey, note = read(dicom(VOILUTSequence=table(entries), WindowCenter=100, WindowWidth=100))
        assert np.abs(grey - (HAND / 4095.0) ** 2 * 255).max() <= 1
        assert "VOI LUT" in note

    def test_one_that_says_16_bits_and_uses_12_is_not_dark(self) -> None:
        grey, _ = read(dicom(VOILUTSequence=table(np.arange(4096))))
        assert np.ptp(grey) > 240

    def test_a_damaged_one_gives_way_to_the_window(self) -> None:
        empty = pydicom.Sequence([pydicom.Dataset()])
        grey, note = read(dicom(VOILUTSequence=empty, WindowCenter=1700, WindowWidth=3400))
        assert "VOI LUT makes no sense" in note
        assert likeness(grey, HAND) > 0.999

    @pytest.mark.parametrize("bits", [12, 16])
    def test_a_modality_lut_is_followed(self, bits: int) -> None:
        entries = np.sqrt(np.arange(4096) / 4095) * (2**bits - 1)
        grey, _ = read(dicom(ModalityLUTSequence=table(entries, bits=bits)))
        assert likeness(grey, np.sqrt(HAND)) > 0.99

    @pytest.mark.parametrize(
        ("slope", "intercept"), [("0", "0"), ("0", "1000"), ("1e-30", "5"), ("1", "1e40")]
    )
    def test_a_slope_that_would_flatten_all_is_passed_over(self, slope: str, intercept: str) -> None:
        grey, note = read(dicom(RescaleSlope=slope, RescaleIntercept=intercept))
        assert "rescale slope makes no sense" in note
        assert likeness(grey, HAND) > 0.999


class TestPadding:
    @pytest.mark.parametrize("kind", [np.uint16, np.int16])
    @pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
    def test_it_is_black_and_sets_no_range(self, kind: type, interpretation: str) -> None:
        pixels = HAND.astype(kind)
        pixels[:20] = -2000 if kind == np.int16 else 65535
        tags = {"BitsStored": 16, "HighBit": 15, "PixelPaddingValue": int(pixels[0, 0])}
        grey, note = read(dicom(pixels, PhotometricInterpretation=interpretation, **tags))
        assert (grey[:20] == 0).all()
        assert np.ptp(grey[20:]) > 240
        assert "padding" in note

    def test_a_range_of_it_counts(self) -> None:
        pixels = HAND.copy()
        pixels[:10], pixels[10:20] = 60_000, 65_000
        tags = {"BitsStored": 16, "HighBit": 15, "PixelPaddingValue": 60_000}
        grey, _ = read(dicom(pixels, PixelPaddingRangeLimit=65_000, **tags))
        assert (grey[:20] == 0).all()
        assert np.ptp(grey[20:]) > 240

    def test_one_that_nobody_declared_sets_no_range_either(self) -> None:
        pixels = np.kron(HAND, np.ones((4, 4), np.uint16))
        pixels[:, :30] = 65535
        grey, _ = read(dicom(pixels, BitsStored=16, HighBit=15))
        assert np.ptp(grey[:, 30:]) > 220

    def test_one_of_more_bits_than_the_pixels_have_is_known(self) -> None:
        pixels = HAND.copy()
        pixels[:20] = 65535
        grey, _ = read(dicom(pixels, PixelPaddingValue=65535))
        assert (grey[:20] == 0).all()
        assert np.ptp(grey[20:]) > 240

    def test_one_that_is_everywhere_is_passed_over(self) -> None:
        tags = {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4095}
        grey, note = read(dicom(**tags))
        assert np.ptp(grey) > 240
        assert "ignored" in note


class TestPixelShape:
    """A hand of 96 x 64 square pixels, of which every second row or column is kept, is whole again."""

    @pytest.mark.parametrize(
        "keyword", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"]
    )
    @pytest.mark.parametrize(("step", "spacing"), [((2, 1), [2, 1]), ((1, 2), [1, 2]), ((1, 1), [2, 2])])
    def test_pixels_that_are_not_square_are_made_square(
        self, keyword: str, step: tuple[int, int], spacing: list[int]
    ) -> None:
        whole = cv2.GaussianBlur(HAND, (0, 0), 2)
        grey, note = read(dicom(np.ascontiguousarray(whole[:: step[0], :: step[1]]), **{keyword: spacing}))
        assert grey.shape == (96, 64)
        assert likeness(grey, whole) > 0.99
        assert ("made square" in note) == (step != (1, 1))

    def test_colours_are_made_square_too(self) -> None:
        colour = np.dstack([a_hand()] * 3)
        tags = {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "PlanarConfiguration": 0}
        grey, facts = read_grey(dicom(colour, PixelAspectRatio=[3, 2], **tags), "hand.dcm")
        assert grey.shape == (facts.height, facts.width) == (144, 64)

    @pytest.mark.parametrize("spacing", [[0.1431, 0.1432], [0.1432, 0.1431]])
    def test_a_difference_of_rounding_changes_nothing(self, spacing: list[float]) -> None:
        (grey, note), (expected, _) = read(dicom(PixelSpacing=spacing)), read(dicom())
        assert (grey == expected).all()
        assert note == ""

    @pytest.mark.parametrize(
        "spacing",
        [
            *(b"0\\0 ", b"-1\\2", b"2\\-1", b"nan\\1 ", b"inf\\1 ", b"inf\\inf ", b"1e300\\1e-300 ", b"1\\0"),
            *(
                b"100\\1 ",
                b"1\\100 ",
                b"2 ",
                b"12",
                b"2\\1\\1 ",
                b"",
                b"two\\one ",
                b"\xff\xfe\\\0",
                b"\\2",
                b"2,0\\1 ",
            ),
        ],
    )
    @pytest.mark.parametrize("keyword", ["PixelSpacing", "PixelAspectRatio"])
    def test_what_makes_no_sense_is_passed_over_with_a_note(self, keyword: str, spacing: bytes) -> None:
        data = dicom(**{keyword: ["7777", "3333"]})
        grey, note = read(_with_value(data, b"7777\\3333 ", spacing))
        assert grey.shape == (96, 64)
        assert note == f"its {keyword} makes no sense and is ignored"

    def test_the_first_that_makes_sense_counts(self) -> None:
        tags = {"PixelSpacing": [0, 0], "ImagerPixelSpacing": [2, 1], "PixelAspectRatio": [1, 3]}
        assert read(dicom(**tags))[0].shape == (192, 64)

    @pytest.mark.parametrize(
        ("spacing", "shape"), [([2, 1], (96, 32)), ([1, 2], (48, 64)), ([3, 2], (144, 64))]
    )
    def test_what_would_become_too_large_is_reduced_instead(
        self, spacing: list[int], shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("boneage.images.dicom.LARGEST_PIXELS", 10_000)
        assert read(dicom(PixelAspectRatio=spacing))[0].shape == shape


class TestForms:
    def test_without_preamble(self) -> None:
        for data in (dicom()[128:], dicom()[132:]):
            grey, note = read(data)
            assert likeness(grey, HAND) > 0.999
            assert "no preamble" in note

    @pytest.mark.parametrize("implicit", [True, False])
    def test_without_file_meta(self, implicit: bool) -> None:
        dataset = pydicom.dcmread(io.BytesIO(dicom()))
        del dataset.file_meta
        stream = io.BytesIO()
        pydicom.dcmwrite(stream, dataset, implicit_vr=implicit, little_endian=True)
        assert likeness(read(stream.getvalue())[0], HAND) > 0.999

    def test_text_is_not_taken_for_one(self) -> None:
        for start in (
            b"<!DOCTYPE html><html>",
            b"id,boneage,male\n1,2,3\n",
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"BM6\4",
        ):
            assert not looks_like_dicom(start)

    @pytest.mark.parametrize(
        "syntax",
        [
            pydicom.uid.ImplicitVRLittleEndian,
            pydicom.uid.DeflatedExplicitVRLittleEndian,
            pydicom.uid.RLELossless,
            pydicom.uid.JPEG2000Lossless,
            pydicom.uid.JPEGLSLossless,
        ],
    )
    def test_packed_pixels_are_read(self, syntax: str) -> None:
        pytest.importorskip("openjpeg")
        pytest.importorskip("jpeg_ls")
        assert likeness(read(dicom(syntax=syntax))[0], HAND) > 0.999

    def test_jpeg_lossless_is_read(self) -> None:
        pytest.importorskip("libjpeg")
        assert likeness(read(_with_frame(lossless_jpeg(HAND), pydicom.uid.JPEGLosslessSV1))[0], HAND) > 0.999

    @pytest.mark.parametrize(
        ("syntax", "package"),
        [
            (pydicom.uid.JPEGLosslessSV1, "pylibjpeg-libjpeg"),
            (pydicom.uid.HTJ2KLossless, "pylibjpeg-openjpeg"),
        ],
    )
    def test_where_a_decoder_is_missing_its_package_is_named(
        self, syntax: str, package: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("boneage.images.dicom.importlib.util.find_spec", lambda name: None)
        monkeypatch.setattr(type(pydicom.pixels.get_decoder(syntax)), "is_available", False)
        with pytest.raises(BoneAgeError, match=f"pip install pylibjpeg {package}"):
            read_grey(_with_frame(b"\xff\xd8", syntax), "hand.dcm")

    @pytest.mark.parametrize("interpretation", ["RGB", "YBR_FULL"])
    def test_colour_becomes_grey(self, interpretation: str) -> None:
        colour = np.dstack([a_hand()] * 3)
        if interpretation == "YBR_FULL":
            colour[..., 1:] = 128
        grey, note = read(
            dicom(colour, PhotometricInterpretation=interpretation, SamplesPerPixel=3, PlanarConfiguration=0)
        )
        assert np.abs(grey - a_hand()).max() <= 2
        assert "colour" in note

    def test_several_frames_are_refused(self) -> None:
        with pytest.raises(BoneAgeError, match="2 frames"):
            read_grey(dicom(np.zeros((2, 64, 64), np.uint16), NumberOfFrames=2), "film.dcm")

    def test_a_cut_one_is_refused(self) -> None:
        data = dicom()
        with pytest.raises(BoneAgeError, match="damaged"):
            read_grey(data[: len(data) // 2], "cut.dcm")

    def test_one_that_declares_another_size_than_its_pixels_have_is_refused(self) -> None:
        frame = lossless_jpeg(HAND)
        with pytest.raises(BoneAgeError, match="another size"):
            read_grey(_with_frame(frame, pydicom.uid.JPEGLosslessSV1, Rows=50), "liar.dcm")

    def test_a_bomb_is_refused(self) -> None:
        with pytest.raises(BoneAgeError, match="megapixels"):
            read_grey(dicom(Rows=60_000, Columns=60_000), "bomb.dcm")

    def test_without_pydicom_the_reason_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pydicom", None)
        with pytest.raises(BoneAgeError, match="pip install pydicom"):
            read_grey(bytes(128) + b"DICM" + bytes(100), "hand.dcm")


class TestPrivacy:
    @pytest.mark.parametrize(
        "tags",
        [
            {},
            {"NumberOfFrames": 3},
            {"PhotometricInterpretation": "MUSTER^ERIKA"},
            {"PresentationLUTShape": PATIENT},
            {"PatientName": PATIENT * 20},
            {"VOILUTFunction": "MUSTER^ERIKA", "WindowCenter": 1, "WindowWidth": 2},
            {"Rows": 1},
            {"PixelData": b""},
        ],
    )
    def test_nothing_of_the_patient_is_said(
        self, tags: dict, capfd: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
    ) -> None:
        data = dicom(**tags)
        capfd.readouterr()
        caplog.clear()
        with warnings.catch_warnings(record=True) as warned:
            try:
                said = repr(read_grey(data, "hand.dcm")[1])
            except BoneAgeError as error:
                said = str(error)
        said += "".join(capfd.readouterr()) + caplog.text + "".join(str(one.message) for one in warned)
        assert "hand.dcm" in said or "DICOM" in said
        for secret in ("muster", "erika", "4711", "20110203"):
            assert secret not in said.lower()


def _with_value(data: bytes, before: bytes, after: bytes) -> bytes:
    """The file with other bytes as the value of an element of explicit, short length."""
    at = data.index(before)
    assert len(before) == int.from_bytes(data[at - 2 : at], "little")
    return data[: at - 2] + len(after).to_bytes(2, "little") + after + data[at + len(before) :]


def _with_frame(frame: bytes, syntax: str, **tags: object) -> bytes:
    """A file that holds an already packed frame of the hand."""
    dataset = pydicom.dcmread(io.BytesIO(dicom(**tags)))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = pydicom.encaps.encapsulate([frame + bytes(len(frame) % 2)])
    dataset["PixelData"].is_undefined_length = True
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset)
    return stream.getvalue()


def lossless_jpeg(pixels: np.ndarray) -> bytes:
    """JPEG Lossless of 12 bits, first-order prediction (ITU-T T.81, annex H), codes of 5 bits."""
    height, width = pixels.shape
    values = pixels.astype(int)
    left = np.hstack([np.vstack([[[2**11]], values[:-1, :1]]), values[:, :-1]])
    bits = []
    for difference in (values - left).ravel():
        category = int(abs(difference)).bit_length()
        bits.append(f"{category:05b}")
        if category:
            bits.append(f"{difference if difference > 0 else difference + 2**category - 1:0{category}b}")
    packed = "".join(bits)
    packed += "1" * (-len(packed) % 8)
    coded = int(packed, 2).to_bytes(len(packed) // 8, "big").replace(b"\xff", b"\xff\0")

    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    codes = bytes([0, 0, 0, 0, 17, *[0] * 11]) + bytes(range(17))
    frame = bytes([12]) + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([1, 1, 0x11, 0])
    scan = bytes([1, 1, 0, 1, 0, 0])
    return (
        b"\xff\xd8"
        + segment(0xC3, frame)
        + segment(0xC4, b"\0" + codes)
        + segment(0xDA, scan)
        + coded
        + b"\xff\xd9"
    )
