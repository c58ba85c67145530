"""Any file of a radiograph becomes grey, or is refused in one line that names it."""

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import BAD, JPEG, PNG, a_hand, encoded, encoded_16_bit
from PIL import Image

from boneage import reading as module
from boneage.errors import BoneAgeError
from boneage.grey_range import to_uint8
from boneage.reading import is_image, read_grey


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


class TestIsImage:
    def test_a_known_suffix_or_the_start_of_a_dicom_file(self, tmp_path: Path) -> None:
        for name, data in {
            "a.JPG": b"",
            "b.tiff": b"",
            "IM000001": bytes(128) + b"DICM",
            "1.2.840.10008.5": bytes(128) + b"DICM",
            "notes": b"text",
            "c.csv": b"id,age",
        }.items():
            (tmp_path / name).write_bytes(data)
        found = {path.name for path in tmp_path.iterdir() if is_image(path)}
        assert found == {"a.JPG", "b.tiff", "IM000001", "1.2.840.10008.5"}
        assert not is_image(tmp_path / "gone")
