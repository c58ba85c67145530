"""One small valid file of every kind of image that is read, and of every way it may be packed."""

import io

import cv2
import numpy as np
import pydicom
from image_files import a_hand, encoded, encoded_16_bit
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

GREY = a_hand(72, 48)
DEEP = GREY.astype(np.uint16) * 15
COLOUR = np.stack([GREY, GREY // 2, 255 - GREY], axis=-1)


def seeds() -> dict[str, bytes]:
    """Valid files by name; each is read by ``read_grey``."""
    colour, grey = Image.fromarray(COLOUR), Image.fromarray(GREY)
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = grey.convert("RGBA")
    clear.putalpha(Image.fromarray(255 - GREY))
    rasters = {
        "grey.jpg": encoded(grey, "JPEG"),
        "colour.jpg": encoded(colour, "JPEG"),
        "progressive.jpg": encoded(colour, "JPEG", progressive=True),
        "cmyk.jpg": encoded(colour.convert("CMYK"), "JPEG"),
        "turned.jpg": encoded(grey, "JPEG", exif=exif),
        "grey.png": encoded(grey),
        "deep.png": encoded_16_bit(DEEP),
        "palette.png": encoded(colour.convert("P")),
        "clear.png": encoded(clear),
        "bits.png": encoded(grey.convert("1")),
        **{f"{kind}.tif": encoded(grey, "TIFF", compression=kind) for kind in ("raw", "packbits")},
        **{
            f"{kind}.tif": encoded(grey, "TIFF", compression=f"tiff_{kind}")
            for kind in ("lzw", "adobe_deflate")
        },
        "jpeg.tif": encoded(colour, "TIFF", compression="jpeg"),
        "fax.tif": encoded(grey.convert("1"), "TIFF", compression="group4"),
        "deep.tif": encoded(Image.fromarray(DEEP), "TIFF"),
        "deep-colour.tif": cv2.imencode(".tif", COLOUR.astype(np.uint16) * 200)[1].tobytes(),
        "float.tif": encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"),
        "clear.tif": encoded(clear, "TIFF"),
        "grey.bmp": encoded(grey, "BMP"),
        "colour.bmp": encoded(colour, "BMP"),
        "lossy.webp": encoded(colour, "WEBP"),
        "lossless.webp": encoded(clear, "WEBP", lossless=True),
    }
    return rasters | dicoms()


def dicoms() -> dict[str, bytes]:
    """DICOM files in every transfer syntax that there is an encoder for."""
    table = pydicom.Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 16])
    table.add_new("LUTData", "US", list(range(0, 65536, 16)))
    tables = {"VOILUTSequence": pydicom.Sequence([table])}
    palette = {
        f"{name}PaletteColorLookupTable{what}": value
        for name in ("Red", "Green", "Blue")
        for what, value in (("Descriptor", [256, 0, 16]), ("Data", bytes(range(256)) * 2))
    }
    rgb = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    jpegs: dict[str, tuple[str, bytes]] = {
        "jpeg.dcm": (uid.JPEGBaseline8Bit, encoded(Image.fromarray(GREY), "JPEG")),
        "jpeg-2000.dcm": (uid.JPEG2000, encoded(Image.fromarray(GREY), "JPEG2000", no_jp2=True)),
    }
    return {
        "plain.dcm": dicom(DEEP),
        "implicit.dcm": dicom(DEEP, uid.ImplicitVRLittleEndian),
        "deflated.dcm": dicom(DEEP, uid.DeflatedExplicitVRLittleEndian),
        "rle.dcm": dicom(DEEP, uid.RLELossless),
        "jpeg-ls.dcm": dicom(DEEP, uid.JPEGLSLossless),
        "jpeg-2000-lossless.dcm": dicom(DEEP, uid.JPEG2000Lossless),
        "signed.dcm": dicom(DEEP.astype(np.int16) - 900, RescaleSlope=2, RescaleIntercept=-1000),
        "window.dcm": dicom(DEEP, WindowCenter=1000, WindowWidth=2000, PixelPaddingValue=0),
        "white.dcm": dicom(DEEP, PhotometricInterpretation="MONOCHROME1"),
        "voi.dcm": dicom(DEEP, **tables),
        "modality.dcm": dicom(DEEP, ModalityLUTSequence=tables["VOILUTSequence"]),
        "palette.dcm": dicom(GREY, PhotometricInterpretation="PALETTE COLOR", **palette),
        "colour.dcm": dicom(COLOUR, **rgb),
        **{name: dicom(GREY, syntax, frame=frame) for name, (syntax, frame) in jpegs.items()},
    }


def dicom(
    pixels: np.ndarray, syntax: str = uid.ExplicitVRLittleEndian, frame: bytes = b"", **tags: object
) -> bytes:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = uid.SecondaryCaptureImageStorage, "1.2.3"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = 8 * pixels.itemsize, 12 if pixels.itemsize == 2 else 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(pixels.dtype.kind == "i")
    dataset.PixelData = encapsulate([frame]) if frame else pixels.tobytes()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    if frame:
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax.is_encapsulated:
        dataset.compress(syntax)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()
