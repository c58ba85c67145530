"""Contact sheets: small copies of many images on one page."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from boneage.core.files import write_bytes
from boneage.images.grey_range import to_uint8
from boneage.images.preprocess import IMAGE_FOLDER
from boneage.images.reading import read_file
from boneage.images.square import square

_SHEET_LEVEL = 48


def contact_sheet(
    images: Sequence[tuple[str, np.ndarray | Path | str]], columns: int = 8, thumb: int = 160
) -> np.ndarray:
    """Small copies of images in rows, each with its caption beneath.

    Args:
        images: (caption, image) pairs. A caption may have several lines. An image is a uint8 or uint16 array
            of shape (height, width), a square uint8 one of shape (side, side, 3), or a path.
        columns: Images in a row, where there are so many.
        thumb: Side of a small copy in pixels.

    Returns:
        uint8 of shape (height, width), or (height, width, 3) where an image has colours.

    Raises:
        BoneAgeError: A path that cannot be read as an image.
    """
    gap, line = max(2, thumb // 32), max(10, thumb // 9)
    below = line * max([1, *(caption.count("\n") + 1 for caption, _ in images)])
    columns = max(1, min(columns, len(images)))
    rows = max(1, -(-len(images) // columns))
    width, height = gap + columns * (thumb + gap), gap + rows * (thumb + below + gap)
    coloured = any(np.ndim(image) == 3 for _, image in images)
    sheet = Image.new(
        "RGB" if coloured else "L", (width, height), (_SHEET_LEVEL,) * 3 if coloured else _SHEET_LEVEL
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(line * 0.8)
    for index, (caption, image) in enumerate(images):
        row, column = divmod(index, columns)
        left, top = gap + column * (thumb + gap), gap + row * (thumb + below + gap)
        sheet.paste(_thumb(image, thumb), (left, top))
        # Pillow's own font has no minus sign.
        for place, words in enumerate(caption.replace("−", "-").split("\n")):
            while words and draw.textlength(words, font) > thumb:
                words = words[:-1]
            middle = (left + thumb / 2, top + thumb + (place + 0.5) * line)
            draw.text(middle, words, (255,) * 3 if coloured else 255, font, anchor="mm")
    return np.asarray(sheet)


def _thumb(image: np.ndarray | Path | str, side: int) -> Image.Image:
    if np.ndim(image) == 3:
        return Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    grey = image if isinstance(image, np.ndarray) else read_file(Path(image))
    return Image.fromarray(square(to_uint8(grey), side))


def write_contact_sheet(
    path: Path | str,
    cases: pd.DataFrame,
    report: pd.DataFrame,
    work: Path | str,
    count: int = 48,
    columns: int = 8,
    thumb: int = 160,
) -> Path:
    """Writes a contact sheet of at most ``count`` preprocessed images, drawn evenly over age, as PNG.

    Args:
        path: Where the sheet belongs.
        cases: The case table.
        report: What :func:`boneage.images.preprocess.preprocess` returned.
        work: The work folder that holds the images.

    Raises:
        BoneAgeError: An image is gone, or the sheet cannot be written.
    """
    made = cases[cases["case_id"].isin(report.loc[report["status"] == "ok", "case_id"])]
    ages = pd.to_numeric(made.get("bone_age"), errors="coerce")
    groups = pd.to_numeric(made.get("age_group"), errors="coerce")
    captions = ages.map("{:.1f} years".format).where(
        ages.notna(), groups.map("year {:.0f}".format).where(groups.notna(), "age unknown")
    )
    by_age = made.assign(age=ages.fillna(groups), caption=captions).sort_values(["age", "case_id"])
    drawn = by_age.iloc[
        np.unique(np.linspace(0, len(by_age) - 1, min(count, len(by_age))).round().astype(int))
    ]
    images = [
        (f"{case_id} · {caption}", Path(work) / IMAGE_FOLDER / f"{case_id}.png")
        for case_id, caption in zip(drawn["case_id"], drawn["caption"], strict=True)
    ]
    sheet = contact_sheet(images, columns, thumb)
    return write_bytes(path, cv2.imencode(".png", sheet)[1].tobytes())
