"""Any file of a radiograph becomes grey, or is refused in one line that names it."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import BAD, JPEG, PNG, a_hand, encoded, encoded_16_bit
from PIL import Image

from boneage.core.errors import BoneAgeError
from boneage.images import reading as module
from boneage.images.grey_range import to_uint8
from boneage.images.reading import is_image, read_grey


def tiff(pixels: np.ndarray) -> bytes:
    """Whole numbers of any kind as a TIFF, which Pillow does not write: grey, or three planes of colour."""
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    count, height, width = planes.shape
    tags: dict[int, tuple[int, ...]] = {256: (width,), 257: (height,), 258: (8 * pixels.itemsize,) * count}
    tags |= {259: (1,), 262: (2 if count == 3 else 1,), 273: (), 277: (count,), 278: (height,)}
    tags |= {279: (planes[0].nbytes,) * count, 284: (2 if count == 3 else 1,)}
    tags[339] = (2 if pixels.dtype.kind == "i" else 1,) * count
    more = 8 + 2 + 12 * len(tags) + 4
    tags[273] = tuple(more + 48 + number * planes[0].nbytes for number in range(count))
    entries, arrays = b"", b""
    for tag, values in tags.items():
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            packed, arrays = struct.pack("<I", more + len(arrays)), arrays + packed
        entries += struct.pack("<HHI", tag, 4, len(values)) + packed
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head + arrays.ljust(48, b"\0") + planes.tobytes()


class TestReadGrey:
    @pytest.mark.parametrize("name", BAD)
    def test_a_bad_file_is_refused_in_one_line_that_names_it(self, name: str) -> None:
        data, reason = BAD[name]
        with pytest.raises(BoneAgeError, match=reason) as caught:
            read_grey(data, name)
        assert str(caught.value).startswith(name)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("data", [JPEG, PNG, encoded(a_hand(200, 150), "JPEG", progressive=True)])
    def test_no_cut_of_a_good_file_is_taken_for_an_image(self, data: bytes) -> None:
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
        picture = Image.fromarray(np.ascontiguousarray(stored))
        exif = picture.getexif()
        exif[0x0112] = orientation
        options = {"quality": 100} if kind == "JPEG" else {}
        grey, facts = read_grey(encoded(picture, kind, exif=exif, **options), f"turned.{kind.lower()}")
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
        picture = tinted.convert(mode)
        kind = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
        options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
        image, _ = read_grey(encoded(picture, kind, **options), f"tinted.{kind.lower()}")
        expected = np.asarray(picture.convert("RGB").convert("L"), int)
        assert image.dtype == np.uint8
        assert np.abs(image - expected).mean() < 2

    def test_cmyk_of_the_other_polarity_is_not_a_negative(self) -> None:
        data = encoded(Image.fromarray(a_hand()).convert("CMYK"), "JPEG", quality=100)
        assert b"Adobe" in data
        image, facts = read_grey(data, "print.jpg")
        assert np.corrcoef(image.ravel(), a_hand().ravel())[0, 1] > 0.99
        assert "CMYK" in facts.note

    def test_transparent_parts_are_black(self) -> None:
        alpha = np.full((96, 64), 255, np.uint8)
        alpha[:48] = 0
        image, facts = read_grey(encoded(np.dstack([a_hand()] * 3 + [alpha])), "cut-out.png")
        assert image[:48].max() == 0
        assert np.abs(image[48:].astype(int) - a_hand()[48:]).max() <= 1
        assert "transparent" in facts.note

    def test_a_transparent_palette_entry_is_black(self) -> None:
        picture = Image.fromarray(a_hand() // 64 * 64 + 20).convert("P")
        image, _ = read_grey(encoded(picture, transparency=int(np.asarray(picture)[0, 0])), "palette.png")
        assert image[0, 0] == 0
        assert image[-1, -1] > 0

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


class TestOtherKinds:
    @pytest.mark.parametrize("kind", ["TIFF", "BMP", "WEBP"])
    @pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
    def test_a_still_picture_is_read(self, kind: str, mode: str) -> None:
        picture = Image.fromarray(a_hand()).convert(mode)
        options = {"lossless": True} if kind == "WEBP" else {}
        grey, facts = read_grey(encoded(picture, kind, **options), f"hand.{kind.lower()}")
        assert np.abs(grey.astype(int) - np.asarray(picture.convert("L"))).max() <= 2
        assert facts.format == kind
        assert "content is" not in facts.note

    @pytest.mark.parametrize("packing", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
    def test_a_16_bit_tiff_keeps_its_depth(self, packing: str | None) -> None:
        deep = a_hand().astype(np.uint16) * 16
        grey, facts = read_grey(encoded(deep, "TIFF", compression=packing), "deep.tif")
        assert (grey == deep).all()
        assert facts.bit_depth == 16

    @pytest.mark.parametrize("deep", [False, True])
    def test_a_tiff_in_which_zero_is_white_is_no_negative(self, deep: bool) -> None:
        pixels = a_hand().astype(np.uint16) * 16 if deep else a_hand()
        data = bytearray(encoded(pixels, "TIFF", compression=None))
        (start,) = struct.unpack_from("<I", data, 4)
        for entry in range(start + 2, len(data) - 11, 12):
            if struct.unpack_from("<H", data, entry)[0] == 262:
                struct.pack_into("<H", data, entry + 8, 0)
                break
        grey = to_uint8(read_grey(bytes(data), "film.tif")[0])
        assert np.corrcoef(grey.ravel(), a_hand().ravel())[0, 1] < -0.99

    @pytest.mark.parametrize("blank", [np.nan, -3e38, -9999, np.inf])
    def test_a_float_tiff_is_not_flattened_by_what_is_no_picture(self, blank: float) -> None:
        values = (a_hand(400, 300) / 255).astype(np.float32)
        values[:20] = blank
        grey = to_uint8(read_grey(encoded(values, "TIFF"), "float.tif")[0])
        assert np.ptp(grey[30:]) > 200
        assert np.corrcoef(grey[30:].ravel(), a_hand(400, 300)[30:].ravel())[0, 1] > 0.99

    @pytest.mark.parametrize(("kind", "offset"), [(np.int8, -128), (np.uint32, 2**31 - 40)])
    def test_signed_and_large_whole_numbers_of_a_tiff_do_not_wrap(self, kind: type, offset: int) -> None:
        pixels = a_hand()
        values = (pixels.astype(np.int64) + offset).astype(kind)
        grey = to_uint8(read_grey(tiff(values), "whole.tif")[0])
        assert np.corrcoef(grey.ravel(), pixels.ravel())[0, 1] > 0.999

    def test_deep_colour_in_planes_is_refused(self) -> None:
        planes = np.stack([a_hand().astype(np.uint16) * 200] * 3)
        with pytest.raises(BoneAgeError, match="separate planes is not supported; save it as PNG"):
            read_grey(tiff(planes), "planes.tif")

    def test_a_tiff_is_turned_by_its_tag(self) -> None:
        turned = Image.fromarray(np.ascontiguousarray(np.rot90(a_hand())))
        exif = turned.getexif()
        exif[0x0112] = 6
        grey, facts = read_grey(encoded(turned, "TIFF", exif=exif), "turned.tif")
        assert (grey == a_hand()).all()
        assert "turned" in facts.note

    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
    def test_transparency_that_hides_all_is_passed_over(self, kind: str) -> None:
        picture = Image.fromarray(a_hand()).convert("RGBA")
        picture.putalpha(0)
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        grey, _ = read_grey(encoded(picture, kind, **options), f"clear.{kind.lower()}")
        assert np.abs(grey.astype(int) - a_hand()).max() <= 1

    def test_that_it_is_passed_over_is_noted(self) -> None:
        picture = Image.fromarray(a_hand()).convert("LA")
        picture.putalpha(0)
        assert "transparent" in read_grey(encoded(picture), "clear.png")[1].note


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
