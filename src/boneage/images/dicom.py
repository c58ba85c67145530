"""DICOM files to grey: decoded by pydicom, displayed as the file specifies (DICOM PS3.3, C.7.6.3 and C.11).

No patient data may reach a message: messages quote numbers and terms of the standard only, and pydicom's own
warnings, which quote values, are silenced.
"""

import importlib.util
import io
import logging
import struct
import warnings
import zlib
from typing import Any

import cv2
import numpy as np

from boneage.core.errors import BoneAgeError
from boneage.core.runtime import package
from boneage.images.grey_range import grey_range, to_uint8
from boneage.images.limits import LARGEST_FILE_BYTES, LARGEST_PIXELS, check_size, too_many_bytes

START_BYTES = 132
"""How many bytes :func:`looks_like_dicom` needs."""

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "YBR_PARTIAL_422")

# The decoders that pydicom's guide names ("Compressed Pixel Data").
_JPEG_PACKAGES = ("pylibjpeg", "pylibjpeg-libjpeg")
_JPEG2000_PACKAGES = ("pylibjpeg", "pylibjpeg-openjpeg")
_MODULES = {"pylibjpeg": "pylibjpeg", "pylibjpeg-libjpeg": "libjpeg", "pylibjpeg-openjpeg": "openjpeg"}

# Elements that old files leave out, with the value nearly always meant.
_USUAL = {"SamplesPerPixel": 1, "PixelRepresentation": 0, "PhotometricInterpretation": "MONOCHROME2"}

# A window is used only if it holds at least this share of the pixels, and the values cover at least this
# share of the window's width.
_LEAST_IN_WINDOW = 0.02
_LEAST_OF_WINDOW = 0.25

# How far apart rows and columns are (PS3.3, C.7.6.3.1.7 and 10.7.1.3); the first that makes sense counts.
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
# Pixels are square up to the first ratio of their sides, and none has sides beyond the second.
_SQUARE = 1.01
_LARGEST_RATIO = 4.0


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file is DICOM, from its first 132 bytes or more.

    A file without a preamble is recognised by its first element, in group 2 or 8.
    """
    if start[128:132] == b"DICM" or start[:4] == b"DICM":
        return True
    if len(start) < 8:
        return False
    for order in "<>":
        group, element, length = struct.unpack_from(f"{order}HHI", start)
        if group in (0x0002, 0x0008) and element < 0x0100:
            representation = start[4:6]
            return (representation.isalpha() and representation.isupper()) or length <= 256
    return False


def read_dicom(data: bytes, name: str) -> tuple[np.ndarray, str, str, int, list[str]]:
    """Decodes a single-frame DICOM file and displays it as the file specifies, bone always bright.

    Stored values pass through the modality LUT or rescale slope, then the VOI LUT or the first window, and
    are inverted where the lowest value means white. Steps that make no sense are ignored, with a note.
    Padding is black and does not count towards the range. Colour becomes luma (ITU-R BT.601). Pixels that
    are not square are resampled.

    Returns:
        The grey image, uint8 (height, width); "DICOM"; photometric interpretation; bits stored; notes on the
        conversion.

    Raises:
        BoneAgeError: As :func:`reading.read_grey`, or a package needed to decode it is not installed.
    """
    try:
        advice = "pip install pydicom (3 or later) and run again"
        pydicom, pixels = package("pydicom", advice), package("pydicom.pixels", advice)
    except BoneAgeError as error:
        raise BoneAgeError(f"{name}: a DICOM file; {error}") from None
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=pydicom.__name__)
    try:
        return _read(data, name, pixels)
    except BoneAgeError:
        raise
    except Exception:  # A hostile file can make the parser raise anything, when any element is asked for.
        raise BoneAgeError(f"{name}: damaged header; fetch it again or save it as PNG") from None


def _read(data: bytes, name: str, pixels: Any) -> tuple[np.ndarray, str, str, int, list[str]]:
    dataset, notes = _read_header(data, name)
    try:
        width, height, mode = int(dataset.Columns), int(dataset.Rows), str(dataset.PhotometricInterpretation)
        frames, bits = int(dataset.get("NumberOfFrames") or 1), int(dataset.BitsStored)
        samples, unused = int(dataset.SamplesPerPixel), int(dataset.HighBit) + 1 - int(dataset.BitsStored)
    except Exception:
        raise BoneAgeError(f"{name}: a DICOM file without an image; leave it out") from None
    check_size(width, height, name)
    if frames > 1:
        raise BoneAgeError(f"{name}: {frames} frames; save the one to use as grey PNG")
    if mode not in _GREY + _COLOUR:
        raise BoneAgeError(f"{name}: this DICOM colour layout is not supported; save it as grey PNG")
    if samples != (1 if mode in (*_GREY, "PALETTE COLOR") else 3):
        raise BoneAgeError(f"{name}: damaged ({samples} samples per pixel of {mode}); fetch it again")
    in_upper_bits = unused > 0 and not dataset.file_meta.TransferSyntaxUID.is_encapsulated
    if in_upper_bits:
        # As old devices write; pydicom takes the lower bits whatever HighBit says.
        dataset.BitsStored = bits + unused
    stored = _decode(dataset, (height, width, 3) if samples == 3 else (height, width), name)
    if in_upper_bits:
        stored, dataset.BitsStored = stored >> unused, bits
        notes.append(f"values in the upper {bits} bits")
    if mode in _GREY:
        grey = _shown(dataset, stored, notes)
    else:
        try:
            colour = pixels.apply_color_lut(stored, dataset) if mode == "PALETTE COLOR" else stored
            grey = to_uint8(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))
        except Exception:
            raise BoneAgeError(f"{name}: its colours are damaged; save it as grey PNG") from None
        notes.append("colour made grey")
    return _with_square_pixels(grey, _pixel_ratio(dataset, notes), notes), "DICOM", mode, bits, notes


def _read_header(data: bytes, name: str) -> tuple[Any, list[str]]:
    """The dataset, and notes on what had to be assumed."""
    import pydicom

    notes = [] if data[128:132] == b"DICM" else ["no preamble"]
    if data[:4] == b"DICM":
        data = bytes(128) + data
    _check_deflated(data, name)
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        if not hasattr(dataset, "file_meta"):
            dataset.file_meta = pydicom.dataset.FileMetaDataset()
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = {
                (True, True): pydicom.uid.ImplicitVRLittleEndian,
                (False, True): pydicom.uid.ExplicitVRLittleEndian,
                (False, False): pydicom.uid.ExplicitVRBigEndian,
            }[dataset.original_encoding]
        for keyword, usual in _USUAL.items():
            if "PixelData" in dataset and dataset.get(keyword) in (None, ""):
                setattr(dataset, keyword, usual)
                notes.append(f"{keyword} missing, assumed {usual}")
        if "BitsStored" not in dataset:
            dataset.BitsStored = dataset.BitsAllocated
        if "HighBit" not in dataset:
            dataset.HighBit = dataset.BitsStored - 1
    except Exception:
        raise BoneAgeError(f"{name}: a DICOM file without an image; leave it out") from None
    return dataset, notes


def _check_deflated(data: bytes, name: str) -> None:
    """Refuses a file with the deflated transfer syntax that unpacks to too many bytes."""
    if b"1.2.840.10008.1.2.1.99" not in data[:1024]:
        return
    start = 144 + int.from_bytes(data[140:144], "little")
    try:
        unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], LARGEST_FILE_BYTES + 1)
    except zlib.error:
        raise BoneAgeError(f"{name}: damaged, cannot be unpacked; fetch it again") from None
    if len(unpacked) > LARGEST_FILE_BYTES:
        raise too_many_bytes(name)


def _decode(dataset: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Stored values of the frame, (height, width), or colours, (height, width, 3)."""
    from pydicom.pixels import get_decoder

    packed = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(packed)
    except NotImplementedError:
        raise BoneAgeError(f"{name}: video compression is not supported; save it as PNG") from None
    if packed.is_encapsulated:
        _check_packed_size(dataset, name)
    try:
        if not decoder.is_available:
            raise ValueError
        return np.asarray(dataset.pixel_array).reshape(shape)
    except Exception:
        missing = _missing_packages(packed.name)
        if missing:
            raise BoneAgeError(
                f"{name}: compressed as {packed.name}; pip install {' '.join(missing)} and run again"
            ) from None
        raise BoneAgeError(f"{name}: damaged pixel data; fetch it again or save it as PNG") from None


def _missing_packages(syntax: str) -> list[str]:
    wanted = _JPEG2000_PACKAGES if "JPEG 2000" in syntax else _JPEG_PACKAGES if "JPEG" in syntax else ()
    return [package for package in wanted if importlib.util.find_spec(_MODULES[package]) is None]


def _check_packed_size(dataset: Any, name: str) -> None:
    """Refuses compressed pixels whose header gives another size than the file's; it may be huge."""
    from pydicom.encaps import get_frame

    try:
        frame = _codestream(get_frame(dataset.PixelData, 0, number_of_frames=1))
    except Exception:
        raise BoneAgeError(f"{name}: damaged pixel data; fetch it again or save it as PNG") from None
    size = _packed_size(frame)
    if size and size != (dataset.Columns, dataset.Rows):
        raise BoneAgeError(f"{name}: damaged (the image is of another size than declared); fetch it again")


def _codestream(frame: bytes) -> bytes:
    """What is coded in a frame: of JPEG 2000 what lies in JP2's boxes (ISO/IEC 15444-1, I.4), else all.

    Raises:
        ValueError: A box that is too short to have a length; pydicom would ask for the next one for ever.
    """
    if not frame.startswith(b"\0\0\0\x0cjP  "):
        return frame
    at = 12
    while frame[at + 4 : at + 8] != b"jp2c":
        length = int.from_bytes(frame[at : at + 4], "big")
        if length < 8:
            raise ValueError
        at += length
    return frame[at + 8 :]


def _packed_size(frame: bytes) -> tuple[int, int] | None:
    """(width, height) from the header of a JPEG (T.81, B.2.2) or JPEG 2000 codestream; None for others."""
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 24:
        right, lower, left, upper = struct.unpack_from(">4I", frame, 8)
        return right - left, lower - upper
    position = 2
    while frame[:2] == b"\xff\xd8" and len(frame) >= position + 9 and frame[position] == 0xFF:
        marker, length = struct.unpack_from(">xBH", frame, position)
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            height, width = struct.unpack_from(">HH", frame, position + 5)
            return width, height
        position += 2 + length
    return None


def _shown(dataset: Any, stored: np.ndarray, notes: list[str]) -> np.ndarray:
    """The display values, uint8; appends notes on the conversion."""
    shown = _not_padding(dataset, stored)
    if not shown.any():
        notes.append("every pixel has the padding value, which is ignored")
        shown = np.ones_like(shown)
    elif not shown.all():
        notes.append("padding made black")
    values = _modality_values(dataset, stored, shown, notes)
    grey = _through_voi_lut(dataset, values, shown, notes)
    if grey is None:
        grey = _through_window(dataset, values, shown, notes)
    if grey is None:
        # Converted first: to_uint8 would leave uint8 values unchanged.
        grey = to_uint8(values.astype(np.int32 if values.dtype.kind in "iu" else np.float64), shown)
    if _lowest_is_white(dataset):
        grey = 255 - grey
        notes.append("inverted")
    grey[~shown] = 0
    return grey


def _lowest_is_white(dataset: Any) -> bool:
    # PS3.3, C.8.11.3: INVERSE accompanies MONOCHROME1 and means the same, so invert only once.
    shape = str(dataset.get("PresentationLUTShape") or "")
    return dataset.PhotometricInterpretation == "MONOCHROME1" or shape == "INVERSE"


def _not_padding(dataset: Any, stored: np.ndarray) -> np.ndarray:
    """Mask of the pixels that are not padding (PS3.3, C.7.5.1.1.2)."""
    ends = [
        _as_stored(value, dataset, stored)
        for value in (dataset.get(keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
        if isinstance(value, int) and stored.dtype.kind in "iu"
    ]
    if not ends or dataset.get("PixelPaddingValue") is None:
        return np.ones(stored.shape, bool)
    return (stored < min(ends)) | (stored > max(ends))


def _as_stored(value: int, dataset: Any, stored: np.ndarray) -> int:
    """A padding value as pixels hold it; files may write it unsigned for signed pixels, or with more bits."""
    signed = stored.dtype.kind == "i"
    bits = min(int(dataset.BitsStored), 8 * stored.itemsize)
    half = 2 ** (bits - 1) if signed else 0
    if int(stored.max()) >= 2**bits - half or int(stored.min()) < -half:
        bits = 8 * stored.itemsize
        half = 2 ** (bits - 1) if signed else 0
    return (value + half) % 2**bits - half


def _modality_values(dataset: Any, stored: np.ndarray, shown: np.ndarray, notes: list[str]) -> np.ndarray:
    from pydicom.pixels import apply_modality_lut

    has_table = bool(dataset.get("ModalityLUTSequence"))
    if not has_table and not ("RescaleSlope" in dataset and "RescaleIntercept" in dataset):
        return stored
    what = "modality LUT" if has_table else "rescale slope"
    try:
        if has_table:
            _widen(dataset.ModalityLUTSequence[0])
        with np.errstate(all="ignore"):
            values = apply_modality_lut(stored, dataset)
    except Exception:
        notes.append(f"its {what} makes no sense and is ignored")
        return stored
    if not np.isfinite(values).all() or _is_flattened(stored[shown], values[shown]):
        notes.append(f"its {what} makes no sense and is ignored")
        return stored
    return values


def _is_flattened(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether different values have become (nearly) one."""
    stride = max(1, before.size // 2**16)
    count_before, count_after = (len(np.unique(values.ravel()[::stride])) for values in (before, after))
    return count_after < min(count_before, 16)


def _widen(table: Any) -> None:
    """Declares LUT entries of 9 to 15 bits as 16, since pydicom has no type for them."""
    descriptor = [int(value) for value in table.LUTDescriptor]
    if 8 < descriptor[2] < 16:
        table.LUTDescriptor = [*descriptor[:2], 16]


def _through_voi_lut(
    dataset: Any, values: np.ndarray, shown: np.ndarray, notes: list[str]
) -> np.ndarray | None:
    """The image through the first VOI LUT; None if there is no usable one."""
    from pydicom.pixels import apply_voi_lut

    if not dataset.get("VOILUTSequence"):
        return None
    try:
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        seen = apply_voi_lut(np.rint(values).astype(np.int32), dataset).astype(np.int32)
        if not dataset.VOILUTSequence[0].get("LUTData") or _is_flattened(values[shown], seen[shown]):
            raise ValueError
    except Exception:
        notes.append("its VOI LUT makes no sense and is ignored")
        return None
    notes.append("VOI LUT applied")
    white = 2**bits - 1
    low, high = grey_range(seen, shown)
    # Many 12-bit tables claim 16 bits.
    if (high - low) / white < _LEAST_OF_WINDOW:
        return to_uint8(seen, shown)
    return np.rint(np.clip(seen / white, 0, 1) * 255).astype(np.uint8)


def _through_window(
    dataset: Any, values: np.ndarray, shown: np.ndarray, notes: list[str]
) -> np.ndarray | None:
    """The image through the first window (PS3.3, C.11.2.1); None if there is no usable one.

    pydicom's own function takes the output range from the rescale slope, and so inverts the image if that is
    negative.
    """
    if "WindowCenter" not in dataset and "WindowWidth" not in dataset:
        return None
    center, width = (_first_number(dataset, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if function == "LINEAR" and width > 1:
        center, width = center - 0.5, width - 1
    low, high = grey_range(values, shown)
    # Also False if either is NaN.
    fits = width > 0 and np.isfinite(center)
    if fits:
        ends = center - width / 2, center + width / 2
        inside = np.mean((values[shown] > ends[0]) & (values[shown] < ends[1]))
        overlap = min(high, ends[1]) - max(low, ends[0])
        fits = inside >= _LEAST_IN_WINDOW and overlap >= _LEAST_OF_WINDOW * width
    if not fits:
        notes.append("its window does not fit its values and is ignored")
        return None
    notes.append("window applied")
    steps = (values.astype(np.float32) - center) / width
    seen = 1 / (1 + np.exp(-4 * np.clip(steps, -20, 20))) if function == "SIGMOID" else steps + 0.5
    return np.rint(255 * np.clip(seen, 0, 1)).astype(np.uint8)


def _first_number(dataset: Any, keyword: str) -> float:
    try:
        value = dataset[keyword].value
        return float(value if isinstance(value, int | float | str) else value[0])
    except Exception:
        return float("nan")


def _pixel_ratio(dataset: Any, notes: list[str]) -> float:
    """The height of a pixel divided by its width; 1 where the file does not say. Appends notes."""
    for keyword in filter(dataset.__contains__, _SPACINGS):
        down, across = _two_numbers(dataset, keyword)
        # Also False if either is NaN.
        if down > 0 and across > 0 and 1 / _LARGEST_RATIO <= down / across <= _LARGEST_RATIO:
            return down / across
        notes.append(f"its {keyword} makes no sense and is ignored")
    return 1.0


def _two_numbers(dataset: Any, keyword: str) -> tuple[float, float]:
    try:
        element = dataset[keyword]
        # Of text that is not split, the first two letters could be digits.
        first, second = map(float, element.value if element.VM == 2 else ())
    except Exception:
        return float("nan"), float("nan")
    return first, second


def _with_square_pixels(grey: np.ndarray, ratio: float, notes: list[str]) -> np.ndarray:
    """The image with its pixels, ``ratio`` times as high as wide, made square; appends a note.

    The coarser axis is enlarged or, where the image would become too large, the finer one reduced.
    """
    if max(ratio, 1 / ratio) < _SQUARE:
        return grey
    notes.append(f"pixels {ratio:.3g} times as high as wide made square")
    height, width = grey.shape
    enlarged = (width, round(height * ratio)) if ratio > 1 else (round(width / ratio), height)
    if enlarged[0] * enlarged[1] <= LARGEST_PIXELS:
        return cv2.resize(grey, enlarged, interpolation=cv2.INTER_CUBIC)
    reduced = (round(width / ratio), height) if ratio > 1 else (width, round(height * ratio))
    return cv2.resize(grey, reduced, interpolation=cv2.INTER_AREA)
