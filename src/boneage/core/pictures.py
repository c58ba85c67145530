"""Pictures with words: what a notebook or a report shows also says what is to be seen there.

Shown as HTML, for neither Jupyter nor Colab takes a text alternative with a bare PNG; the PNG goes along for
what knows no HTML, such as a PDF.
"""

import base64
import html
import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image


def img(png: bytes, words: str, width: int, height: int | None = None) -> str:
    """An HTML image that holds its picture and its text alternative.

    Args:
        png: The file.
        words: What is to be seen.
        width: CSS pixels to show it at, where there is room.
        height: The same; None to keep the shape.
    """
    size = f'width="{width}"' + (f' height="{height}"' if height else "")
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<img alt="{html.escape(words)}" {size} style="max-width: 100%; height: auto" '
        f'src="data:image/png;base64,{data}">'
    )


class Shown:
    """What a notebook shows as a picture: gives ``png()``, ``words`` and ``css_width``."""

    words: str
    css_width: int

    def png(self) -> bytes:
        """The picture as a PNG file."""
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        # Not _repr_html_: once pyplot is loaded, IPython draws a Figure its own way, without the words.
        from IPython.display import display

        png = self.png()
        bundle = {
            "text/plain": self.words,
            "text/html": img(png, self.words, self.css_width),
            "image/png": base64.b64encode(png).decode("ascii"),
        }
        display(bundle, metadata={"image/png": {"width": self.css_width, "alt": self.words}}, raw=True)


class Picture(Shown):
    """A picture made of pixels.

    Args:
        pixels: uint8, (height, width) or (height, width, 3).
        words: What is to be seen.
        css_width: CSS pixels to show it at; by default one for each of its own.
    """

    def __init__(self, pixels: np.ndarray, words: str, css_width: int | None = None):
        self.pixels, self.words = pixels, words
        self.css_width = css_width or pixels.shape[1]

    @classmethod
    def read(cls, file: Path | str | BinaryIO, words: str, css_width: int | None = None) -> "Picture":
        """The picture in a file."""
        with Image.open(file) as picture:
            return cls(np.asarray(picture), words, css_width)

    def png(self) -> bytes:
        """The picture as a PNG file."""
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, format="png")
        return file.getvalue()
