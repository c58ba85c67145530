"""DICOM files to grey."""

import io

import numpy as np

from boneage.errors import BoneAgeError
from boneage.limits import check_size

START_BYTES = 132
"""As much of a file as :func:`looks_like_dicom` looks at."""


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file is a DICOM file by its first 132 bytes, or more of them."""
    return start[128:132] == b"DICM"


def read_dicom(data: bytes, name: str) -> tuple[np.ndarray, str, str, int, list[str]]:
    """Decodes one frame of a grey DICOM file, its modality values rescaled and bone always bright.

    Args:
        data: The file's bytes.
        name: How an error names the file.

    Returns:
        The grey image, uint16 of shape (height, width); "DICOM", its photometric interpretation, the bits
        stored of a value, and what was done to make it grey.

    Raises:
        BoneAgeError: As in :func:`boneage.reading.read_grey`, or pydicom is not installed.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut
    except ImportError:
        raise BoneAgeError(f"{name}: a DICOM file; pip install pydicom (3 or later) and run again") from None
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        width, height, mode = int(dataset.Columns), int(dataset.Rows), str(dataset.PhotometricInterpretation)
        frames = int(dataset.get("NumberOfFrames") or 1)
    except Exception:
        raise BoneAgeError(f"{name}: a DICOM file without a picture; leave it out") from None
    check_size(width, height, name)
    if frames > 1 or mode not in ("MONOCHROME1", "MONOCHROME2"):
        raise BoneAgeError(f"{name}: {frames} frames of {mode}; save the one to use as grey PNG")
    try:
        values = np.asarray(apply_modality_lut(dataset.pixel_array, dataset), np.float64)
    except Exception:
        raise BoneAgeError(f"{name}: its pixels are damaged or packed; save it as PNG") from None
    if mode == "MONOCHROME1":
        values = -values
    values -= values.min()
    grey = np.rint(values * (65535.0 / (values.max() or 1.0))).astype(np.uint16)
    notes = ["inverted"] if mode == "MONOCHROME1" else []
    return grey, "DICOM", mode, int(dataset.BitsStored), notes
