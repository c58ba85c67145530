"""The Digital Hand Atlas's web index, fetched politely into the tree that :mod:`boneage.sources.dha` reads.

The index is a form for race, sex and year of age; its answer is a table with 12 cells per row, the first with
the link to the image.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

import pandas as pd
from lxml import html
from tqdm.auto import tqdm

from boneage.core.columns import Column, Table
from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, write_bytes
from boneage.core.tables import SEXES, read_table, skipped_table, write_table
from boneage.sources.dha import NEVER_FOUND, OLDEST_AGE_GROUP, RACE_OF_CODE, WRONG_LINKS, place_of
from boneage.sources.spellings import column_name
from boneage.sources.web import Refused, Unreachable, Web, check_url

CELLS = 12
READINGS_TABLE = Table(
    "Readings of the atlas's index",
    [
        Column("image number", "Number of the radiograph in the atlas."),
        Column("reading 1", "The first radiologist's reading.", ".2f", unit="years"),
        Column("reading 2", "The second radiologist's reading.", ".2f", unit="years"),
    ],
    about="One row per radiograph of the Digital Hand Atlas.",
)
LARGEST_IMAGE_BYTES = 32 * 2**20
LARGEST_PAGE_BYTES = 8 * 2**20

# After this many failed requests in a row the host counts as down.
_MOST_FAILURES = 3


@dataclass
class _Form:
    """A form of the index page: address, method, hidden fields, and the options of the others."""

    action: str = ""
    method: str = "GET"
    hidden: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


# What the form is known to ask, for when the page does not show it.
_KNOWN_FORM = _Form(method="POST", choices={"Race": [], "Gender": [], "Age": []})


@dataclass
class _Image:
    """An image of the index: its address and where it belongs."""

    url: str
    group: str
    number: str
    filed: str
    suffix: str
    readings: tuple[str, str] | None

    def path(self, folder: Path) -> Path:
        return folder / "JPEGimages" / self.group[:4] / self.group / f"{self.number}{self.suffix}"


def fetch_atlas(
    index_url: str,
    folder: Path | str,
    years: Iterable[int] = range(OLDEST_AGE_GROUP + 1),
    web: Web | None = None,
) -> pd.DataFrame:
    """Fetches the atlas's images and readings from its web index into a folder.

    Sends one request at a time, with a pause between. Complete images are not fetched again, so an
    interrupted run continues. Known wrong links (:data:`dha.WRONG_LINKS`) are corrected. If the index gives
    the two readings, they go to ``readings.csv`` in the folder, which :func:`boneage.sources.dha.read_atlas`
    finds.

    Args:
        index_url: The index page.
        folder: Gets ``JPEGimages/BLKM/BLKM10/3145.jpg`` and so on.
        years: Years of age to fetch.
        web: By default one request a second.

    Returns:
        ``SKIPPED_TABLE`` with what was not fetched.

    Raises:
        BoneAgeError: The host does not answer, lists no image, or the disk is full. What was fetched is kept.
    """
    folder = make_folder(folder)
    web = web or Web(pause=1.0)
    skipped: list[tuple[str, str]] = []
    images = _listed(check_url(index_url), sorted(set(years)), web, skipped)
    if not images:
        raise BoneAgeError(f"{index_url}: lists no images; check the address of the atlas's index")
    _write_readings(folder / "readings.csv", images, skipped)
    patience = _Patience(index_url, skipped, (Unreachable,))
    for image in tqdm(images, desc="Fetching the atlas", unit="image"):
        path = image.path(folder)
        if path.is_file() and _is_image(path.read_bytes()):
            continue
        with patience.on(f"{image.group}/{image.number}"):
            write_bytes(path, _fetched(image, web))
    return skipped_table(skipped)


def _fetched(image: _Image, web: Web) -> bytes:
    """An image's bytes; raises Refused unless they are a complete JPEG or PNG."""
    try:
        body = web.fetch(image.url, LARGEST_IMAGE_BYTES)
    except Refused as error:
        if (image.group, image.filed) in NEVER_FOUND:
            raise Refused(f"{error}; nobody has found this image; continue without it") from None
        raise
    if not _is_image(body):
        raise Refused(f"{image.url}: the answer is not a complete image; look at it in a browser")
    return body


def _is_image(body: bytes) -> bool:
    """Whether bytes begin and end like a JPEG or PNG."""
    end = body[-1024:]
    is_jpeg = body.startswith(b"\xff\xd8\xff") and b"\xff\xd9" in end
    return is_jpeg or (body.startswith(b"\x89PNG\r\n\x1a\n") and b"IEND" in end)


class _Patience:
    """Turns failed requests into skipped rows, until too many fail in a row."""

    def __init__(self, host: str, skipped: list[tuple[str, str]], hopeless: tuple[type[BoneAgeError], ...]):
        self.host, self.skipped, self.hopeless = host, skipped, hopeless
        self.failures = 0

    @contextlib.contextmanager
    def on(self, item: str) -> Iterator[None]:
        try:
            yield
            self.failures = 0
        except (Refused, Unreachable) as error:
            self.failures = self.failures + 1 if isinstance(error, self.hopeless) else 0
            if self.failures >= _MOST_FAILURES:
                raise BoneAgeError(
                    f"{self.host}: no longer answers ({error}); what was fetched is kept, try again later"
                ) from None
            self.skipped.append((item, str(error)))


def _listed(index_url: str, years: list[int], web: Web, skipped: list[tuple[str, str]]) -> list[_Image]:
    """Queries the index for every group; returns its images in order, without duplicates."""
    form = _form_of(index_url, web)
    groups = [(race, sex, year) for race in RACE_OF_CODE for sex in SEXES for year in years]
    images: dict[tuple[str, str], _Image] = {}
    patience = _Patience(index_url, skipped, (Refused, Unreachable))
    for race, sex, year in tqdm(groups, desc="Reading the atlas's index", unit="group"):
        with patience.on(f"{race}{sex}{year:02d}"):
            fields = form.hidden | _answers(form, race, sex, year)
            page_url = form.action or index_url
            page = web.fetch(page_url, LARGEST_PAGE_BYTES, fields, form.method)
            for image in _images_of(_parsed(page), page_url, skipped):
                if images.setdefault((image.group, image.number), image) is not image:
                    skipped.append((f"{image.group}/{image.number}", "listed twice; fetched once"))
    return list(images.values())


def _form_of(index_url: str, web: Web) -> _Form:
    """The index page's form for race, sex and age, or the known one if none is shown."""
    try:
        page = _parsed(web.fetch(index_url, LARGEST_PAGE_BYTES))
    except Refused:
        return _KNOWN_FORM
    for form in map(_read_form, page.forms):
        if all(_field(form, *names) for names in (("race",), ("gender", "sex"), ("age",))):
            form.action = urljoin(index_url, form.action)
            if urlsplit(form.action).netloc != urlsplit(index_url).netloc:
                raise BoneAgeError(f"{index_url}: its form leads to {form.action}; not followed")
            return form
    return _KNOWN_FORM


def _read_form(element: html.FormElement) -> _Form:
    form = _Form(element.get("action", ""), element.method)
    for one in element.iter("select", "input"):
        name, kind = one.get("name", ""), one.get("type", "text").lower()
        if one.tag == "select":
            texts = [(option.get("value"), option.text_content().strip()) for option in one.iter("option")]
            form.choices[name] = [(value or text, text) for value, text in texts]
        elif kind in ("hidden", "submit"):
            form.hidden[name] = one.get("value", "")
        elif kind in ("text", "radio", "number"):
            form.choices.setdefault(name, []).append((one.get("value", ""), ""))
    return form


def _field(form: _Form, *names: str) -> str:
    """The form's field whose name ends in one of these (``ctl00$ddlRace`` is race)."""
    return next((name for name in form.choices if column_name(name).endswith(names)), "")


def _answers(form: _Form, race: str, sex: str, year: int) -> dict[str, str]:
    """The form filled in for one group, with the form's own option values."""
    wanted = {
        _field(form, "race"): ({column_name(race), column_name(RACE_OF_CODE[race])}, race),
        _field(form, "gender", "sex"): ({"f", "female"} if sex == "F" else {"m", "male"}, sex),
        _field(form, "age"): ({str(year), f"{year:02d}"}, f"{year:02d}"),
    }
    return {
        name: next(
            (value for value, text in form.choices[name] if {column_name(value), column_name(text)} & names),
            default,
        )
        for name, (names, default) in wanted.items()
    }


def _images_of(page: html.HtmlElement, page_url: str, skipped: list[tuple[str, str]]) -> list[_Image]:
    """The images of one answer; rows without a link to an image on this host are skipped."""
    images = []
    columns: tuple[int, int] | None = None
    for row in page.iter("tr"):
        cells = [" ".join(cell.text_content().split()) for cell in row.iterchildren("td", "th")]
        if len(cells) != CELLS:
            continue
        links = [link.strip() for link in row[0].xpath(".//a/@href | .//img/@src")]
        if not links:
            columns = _reading_columns(cells) or columns
            continue
        urls = [urljoin(page_url, link) for link in links]
        places = [place_of(PurePosixPath(unquote(urlsplit(url).path))) for url in urls]
        url, place = min(zip(urls, places, strict=True), key=lambda pair: isinstance(pair[1], str))
        if urlsplit(url).netloc != urlsplit(page_url).netloc:
            skipped.append((url, "a link to another host; not followed"))
        elif isinstance(place, str):
            skipped.append((url, place))
        else:
            group, filed = place
            number = WRONG_LINKS.get(place, filed)
            suffix = PurePosixPath(urlsplit(url).path).suffix
            readings = (cells[columns[0]], cells[columns[1]]) if columns else None
            right = urljoin(url, number + suffix)
            images.append(_Image(right, group, number, filed, suffix.lower(), readings))
    return images


def _reading_columns(header: list[str]) -> tuple[int, int] | None:
    """The two cells with the readings, from the header."""
    names = list(map(column_name, header))
    found = [[at for at, name in enumerate(names) if re.search(f"read(ing|er)?{n}$", name)] for n in "12"]
    return (found[0][0], found[1][0]) if all(found) else None


def _write_readings(path: Path, images: list[_Image], skipped: list[tuple[str, str]]) -> None:
    """Adds these images' readings to those of earlier runs."""
    rows = {image.number: image.readings for image in images if image.readings and any(image.readings)}
    if not rows:
        skipped.append((path.name, "the index gives no readings; use another readings table"))
        return
    if path.is_file():
        old = read_table(path, READINGS_TABLE)[list(READINGS_TABLE)]
        rows = {number: readings for number, *readings in old.itertuples(index=False)} | rows
    table = [(number, *readings) for number, readings in sorted(rows.items())]
    write_table(path, pd.DataFrame(table, columns=list(READINGS_TABLE)))


def _parsed(page: bytes) -> html.HtmlElement:
    # The parser takes an empty page, or one of comments only, for no document.
    return html.document_fromstring(b"<body>" + page, html.HTMLParser(encoding="utf-8"))
