"""Small files of images, good and bad, that tests write."""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image


def a_hand(height: int = 96, width: int = 64, seed: int = 0) -> np.ndarray:
    """A grey image that is unlike itself turned or mirrored."""
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).integers(0, 8, (height, width))
    return (rows * 120 // height + columns * 100 // width + noise).astype(np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def encoded_16_bit(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


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
    "text.jpg": (b"Not an image at all.\n" * 40, "not an image"),
    "page.png": (b"<!DOCTYPE html><html><title>Quota exceeded</title></html>", "not an image"),
    "halved.jpg": (JPEG[: len(JPEG) // 2], "cut short"),
    "without-end.jpg": (JPEG[:-2], "cut short"),
    "header-only.jpg": (JPEG[:200], "cut short|not an image"),
    "magic-only.jpg": (JPEG[:3], "not an image"),
    "holed.jpg": (JPEG[: len(JPEG) // 2] + b"\xff\x00\xff\xe7" * 50 + JPEG[len(JPEG) // 2 :], "damaged"),
    "halved.png": (PNG[: len(PNG) // 2], "cut short"),
    "without-end.png": (PNG[:-12], "cut short"),
    "flipped.png": (PNG[: len(PNG) // 2] + b"\x00\x01\x02" + PNG[len(PNG) // 2 + 3 :], "checksum"),
    "bomb.png": (png_bomb(60_000, 60_000), "megapixels"),
    "small-bomb.png": (png_bomb(12_000, 10_000), "megapixels"),
    "lying.png": (png_bomb(4_000, 4_000), "damaged"),
    "dot.png": (encoded(np.zeros((1, 1), np.uint8)), "too small"),
    "dot.jpg": (encoded(np.zeros((1, 1), np.uint8), "JPEG"), "too small"),
    "thumbnail.png": (encoded(a_hand(31, 200)), "too small"),
    "moving.gif": (animated("GIF"), "animated"),
    "moving.png": (animated("PNG"), "animated"),
    "two.jpg": (animated("MPO"), "animated"),
    "pages.tif": (animated("TIFF"), "several images"),
    "halved.tif": (encoded(a_hand(400, 300), "TIFF", compression=None)[:60_000], "cut short"),
    "packed-halved.tif": (encoded(a_hand(400, 300), "TIFF", compression="tiff_lzw")[:9_000], "cut short"),
    "halved.bmp": (encoded(a_hand(), "BMP")[:-900], "damaged"),
    "halved.webp": (encoded(a_hand(), "WEBP")[:-100], "not an image|cut short"),
    "scan.jp2": (encoded(a_hand(), "JPEG2000"), "JPEG 2000 is not supported"),
    "scan.pdf": (encoded(a_hand(), "PDF"), "PDF is not supported"),
    "phone.heic": (bytes(4) + b"ftypheic" + bytes(100), "HEIC"),
    "still.gif": (encoded(a_hand(), "GIF"), "GIF is not supported"),
}
