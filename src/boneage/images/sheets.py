"""Contact sheets: a sample of images, anomalies, operators, a case and its augmented copies."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from boneage.core.errors import BoneAgeError
from boneage.core.files import write_bytes
from boneage.core.pictures import Picture
from boneage.images.grey_range import to_uint8
from boneage.images.operators import apply_operators, in_words, parse_operators
from boneage.images.preprocess import IMAGE_FOLDER
from boneage.images.reading import read_file
from boneage.images.square import square

_BOX_SHARE = 0.01

# A mild and a strong setting of each operator, within what a reviewer may choose.
SHOWN_OPERATORS = (
    ("original", {}),
    ("flip", {"name": "flip"}),
    ("rotate 8 degrees", {"name": "rotate", "degrees": 8}),
    ("darker", {"name": "brightness", "levels": -40}),
    ("brighter", {"name": "brightness", "levels": 40}),
    ("less contrast", {"name": "contrast", "factor": 0.7}),
    ("more contrast", {"name": "contrast", "factor": 1.4}),
    ("gamma 0.7", {"name": "gamma", "power": 0.7}),
    ("gamma 1.4", {"name": "gamma", "power": 1.4}),
    ("clahe", {"name": "clahe", "clip": 3.0}),
    ("sharpen", {"name": "sharpen", "amount": 1.5}),
    ("tint, cool", {"name": "tint", "warmth": -1.0}),
    ("tint, warm", {"name": "tint", "warmth": 1.0}),
    ("invert", {"name": "invert"}),
    ("blank", {"name": "blank", "x": 0.7, "y": 0.02, "width": 0.25, "height": 0.12}),
)

_SHEET_LEVEL = 48


def contact_sheet(
    images: Sequence[tuple[str, np.ndarray | Path | str]], columns: int = 8, thumb: int = 160
) -> np.ndarray:
    """A contact sheet: thumbnails in rows with captions below.

    Args:
        images: (caption, image) pairs. Captions may have several lines. An image is a uint8 or uint16 array
            (height, width), a square uint8 one (side, side, 3), or a path.
        columns: Most images per row.
        thumb: Side of a thumbnail in pixels.

    Returns:
        uint8 (height, width), or (height, width, 3) if any image has colour.

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
        # Pillow's built-in font has no minus sign.
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
    path: Path | str, cases: pd.DataFrame, report: pd.DataFrame, work: Path | str, count: int = 48
) -> Path:
    """Writes a PNG contact sheet of up to ``count`` preprocessed images, evenly spread over age.

    Args:
        cases: The case table.
        report: From :func:`boneage.images.preprocess.preprocess`.
        work: The work folder with the images.

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
    places = np.linspace(0, len(by_age) - 1, min(count, len(by_age))).round().astype(int)
    drawn = by_age.iloc[np.unique(places)]
    images = [
        (f"{case_id} · {caption}", Path(work) / IMAGE_FOLDER / f"{case_id}.png")
        for case_id, caption in zip(drawn["case_id"], drawn["caption"], strict=True)
    ]
    return write_bytes(path, cv2.imencode(".png", contact_sheet(images))[1].tobytes())


def sheet_of(
    images: Sequence[tuple[str, np.ndarray | Path]], words: str, columns: int = 4, thumb: int = 220
) -> Picture:
    """A :func:`contact_sheet` whose alt text is ``words`` and the captions.

    Raises:
        BoneAgeError: A path that cannot be read as an image.
    """
    captions = "; ".join(caption.replace("\n", ", ") for caption, _ in images)
    return Picture(contact_sheet(images, columns, thumb), f"{words}. {captions or 'None'}.")


def with_box(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """A copy of an image with a box in white edged with black, visible on any grey level.

    Args:
        image: uint8, (height, width).
        box: x, y, width, height as fractions of the image's width and height.
    """
    height, width = image.shape
    x, y, wide, high = box
    first = (round(x * width), round(y * height))
    last = (round((x + wide) * width), round((y + high) * height))
    line = max(1, round(_BOX_SHARE * min(image.shape) / 2))
    drawn = image.copy()
    for level, thickness in ((0, 3 * line), (255, line)):
        cv2.rectangle(drawn, first, last, level, thickness)
    return drawn


def anomaly_sheet(
    anomalies: pd.DataFrame, read_image: Callable[[str], np.ndarray], count: int = 12
) -> Picture:
    """The first images of the queue, each with its id and most urgent anomaly.

    Args:
        anomalies: ``anomalies.ANOMALY_TABLE``, highest score first.
        read_image: Returns a case's image, uint8 (size, size); unreadable ones are left out.
        count: Most images.
    """
    images: list[tuple[str, np.ndarray]] = []
    for row in anomalies.drop_duplicates("case_id").itertuples():
        if len(images) == count:
            break
        try:
            image = read_image(row.case_id)
        except BoneAgeError:
            continue
        box = (row.x, row.y, row.width, row.height)
        drawn = image if np.isnan(box).any() else with_box(image, box)
        images.append((f"{row.case_id}\n{row.kind} {row.score:.2f}", drawn))
    return sheet_of(images, "Anomalies, the most urgent first", columns=4, thumb=220)


def operator_sheet(image: np.ndarray) -> Picture:
    """An image, uint8 (size, size), beside the result of each operator."""
    shown = [(caption, apply_operators(image, [one] if one else [])) for caption, one in SHOWN_OPERATORS]
    return sheet_of(shown, "An image and the result of each operator", columns=5, thumb=180)


def copies_sheet(copies: Iterable[tuple[str, str]], folder: Path | str, count: int = 12) -> Picture:
    """A case and its augmented copies, each with its operators.

    Args:
        copies: (id, operators as JSON) of one case's images, the case itself first.
        folder: Folder of the images, ``<id>.png``.
        count: Most images.

    Raises:
        BoneAgeError: An image cannot be read.
    """
    shown = [
        ("\n".join(words_of(operators) or ["original"]), Path(folder) / f"{image_id}.png")
        for image_id, operators in itertools.islice(copies, count)
    ]
    # A single image may be larger.
    return sheet_of(shown, "A case and its augmented copies", columns=4, thumb=220 if len(shown) > 1 else 460)


def words_of(operators: str) -> list[str]:
    """Each operator of a JSON list, as :func:`operators.in_words`."""
    return [in_words(one) for one in parse_operators(operators)]
