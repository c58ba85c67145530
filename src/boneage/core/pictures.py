"""Pictures with a text alternative, for notebooks and reports.

Shown as HTML because neither Jupyter nor Colab gives a bare PNG a text alternative; the PNG goes along for
formats without HTML, such as PDF.
"""

import base64
import html
import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image


def img(png: bytes, words: str, width: int, height: int | None = None) -> str:
    """An HTML image with embedded data and alt text; sizes in CSS pixels.

    Args:
        words: The alt text.
        width: Shrinks to fit the page.
        height: None keeps the aspect ratio.
    """
    size = f'width="{width}"' + (f' height="{height}"' if height else "")
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<img alt="{html.escape(words)}" {size} style="max-width: 100%; height: auto" '
        f'src="data:image/png;base64,{data}">'
    )


class Shown:
    """Base of what a notebook shows as a picture; subclasses give ``png()``, ``words`` and ``css_width``."""

    words: str
    css_width: int

    def png(self) -> bytes:
        """The picture as a PNG file."""
        raise NotImplementedError

    def _ipython_display_(self) -> None:
        # Not _repr_html_: once pyplot is loaded, IPython draws a Figure its own way, without alt text.
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
        words: The alt text.
        css_width: Shown width in CSS pixels; by default that of the pixels.
    """

    def __init__(self, pixels: np.ndarray, words: str, css_width: int | None = None):
        self.pixels, self.words = pixels, words
        self.css_width = css_width or pixels.shape[1]

    @classmethod
    def read(cls, file: Path | str | BinaryIO, words: str, css_width: int | None = None) -> "Picture":
        with Image.open(file) as picture:
            return cls(np.asarray(picture), words, css_width)

    def png(self) -> bytes:
        file = io.BytesIO()
        Image.fromarray(self.pixels).save(file, format="png")
        return file.getvalue()
