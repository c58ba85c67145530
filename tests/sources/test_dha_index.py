"""The atlas's web index is read politely, from a local server that answers like it, faults and all."""

from urllib.parse import parse_qs

import pytest
from web_server import Answer, Request, serve

from boneage.core.errors import BoneAgeError
from boneage.sources.dha import read_atlas
from boneage.sources.dha_index import fetch_atlas
from boneage.sources.web import Web

JPEG = b"\xff\xd8\xff\xe0" + bytes(5000) + b"\xff\xd9"

FORM = """<html><form method="post" action="">
<input type=hidden name="__VIEWSTATE" value="abc">
<select name="Race"><option value="ASI">Asian<option value="BLK">African American
<option value="CAU">Caucasian<option value="HIS">Hispanic</select>
<select name="Gender"><option value="F">Female</option><option value="M">Male</option></select>
<select name="Age"><option>00<option>01<option>05<option>06<option>10<option>12</select></form>"""

HEADER = (
    "<tr><th>Image<th>Race<th>Gender<th>Age<th>Birth Date<th>Exam Date<th>Tanner<th>Height"
    "<th>Weight<th>Trunk HT<th>Reading 1<th>Reading 2</tr>"
)


def row(link: str, *readings: str) -> str:
    first, second = readings or ("10.5", "11.0")
    cells = "<td>x</td>" * 9 + f"<td>{first}</td><td> {second} </td>"
    return f"<tr><td><a href='{link}'><img src='{link}'></a></td>{cells}</tr>"


class Index:
    """The atlas's index: the form, a table for each group, and the images."""

    def __init__(self) -> None:
        self.tables: dict[str, list[str]] = {}
        self.images: dict[str, Answer] = {}
        self.faults: list[Answer] = []
        self.form = FORM
        self.header = HEADER

    def add(self, group: str, number: str, answer: Answer | None = None, link: str = "") -> None:
        path = f"JPEGimages/{group[:4]}/{group}/{number}.jpg"
        self.tables.setdefault(group, []).append(row(link or path))
        self.images[f"/BAAweb/{path}"] = answer or Answer(JPEG)

    def __call__(self, request: Request) -> Answer:
        if self.faults:
            return self.faults.pop(0)
        if request.path != "/BAAweb/":
            return self.images.get(request.path, Answer(b"<html>no", 404))
        if request.method == "GET":
            return Answer(self.form.encode())
        asked = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        rows = self.tables.get(asked["Race"] + asked["Gender"] + asked["Age"], [])
        copyright_row = "<tr><td colspan=12>Copyright</td></tr>"
        return Answer(f"<table>{self.header}{''.join(rows)}{copyright_row}</table>".encode())


@pytest.fixture
def index():
    index = Index()
    index.add("BLKM10", "3145")
    index.add("BLKM10", "3146")
    index.add("ASIF05", "5001")
    return index


def reasons(skipped) -> dict[str, str]:
    return dict(skipped.itertuples(index=False))


def test_the_images_and_readings_land_where_the_atlas_is_read(tmp_path, index, web):
    with serve(index) as server:
        skipped = fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[5, 10], web=web)
        posts = [request for request in server.requests if request.method == "POST"]
    assert skipped.empty
    assert len(posts) == 4 * 2 * 2
    assert all(b"__VIEWSTATE=abc" in request.body for request in posts)
    assert all("boneage" in request.headers["User-Agent"] for request in server.requests)
    assert (tmp_path / "JPEGimages/BLKM/BLKM10/3145.jpg").read_bytes() == JPEG
    assert (tmp_path / "readings.csv").read_text().splitlines()[:2] == [
        "image number,reading 1,reading 2",
        "3145,10.5,11.0",
    ]
    cases, left = read_atlas(tmp_path)
    assert cases["case_id"].tolist() == ["3145", "3146", "5001"]
    assert cases["age_group"].tolist() == [10, 10, 5]
    assert cases["bone_age"].tolist() == [10.75] * 3
    # A child of five with the bones of ten, as this index has it.
    assert left["item"].tolist() == ["5001"]


def test_what_is_there_is_not_fetched_again_and_what_is_half_is(tmp_path, index, web):
    with serve(index) as server:
        url = f"{server.url}/BAAweb/"
        fetch_atlas(url, tmp_path, years=[10], web=web)
        half = tmp_path / "JPEGimages/BLKM/BLKM10/3146.jpg"
        half.write_bytes(JPEG[:100])
        fetch_atlas(url, tmp_path, years=[10], web=web)
        assert server.asked("/BAAweb/JPEGimages/BLKM/BLKM10/3145.jpg") == 1
        assert server.asked("/BAAweb/JPEGimages/BLKM/BLKM10/3146.jpg") == 2
    assert half.read_bytes() == JPEG


def test_a_later_run_for_other_years_keeps_the_readings(tmp_path, index, web):
    with serve(index) as server:
        for year in (5, 10):
            fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[year], web=web)
    assert len((tmp_path / "readings.csv").read_text().splitlines()) == 4


def test_there_is_a_pause_between_requests(tmp_path, index, waits):
    with serve(index) as server:
        fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[10], web=Web(pause=0.25))
        assert waits == [0.25] * (len(server.requests) - 1)


def test_trouble_on_the_way_is_waited_out(tmp_path, index, web, waits):
    cut = [Answer(JPEG, send=2000), Answer(JPEG)]
    index.faults = [Answer(status=500), Answer(status=503, headers={"Retry-After": "7"})]
    with serve(lambda request: cut.pop(0) if request.path.endswith("3145.jpg") else index(request)) as server:
        skipped = fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[10], web=web)
    assert skipped.empty
    assert waits == [7, 2]
    assert (tmp_path / "JPEGimages/BLKM/BLKM10/3145.jpg").read_bytes() == JPEG


def test_known_wrong_links_are_put_right_and_the_lost_image_is_named(tmp_path, index, web):
    index.add("BLKF06", "7290", link="JPEGimages/BLKF/BLKF06/7090.jpg")
    index.tables["BLKF12"] = [row("JPEGimages/BLKF/BLKF12/7144.jpg")]
    with serve(index) as server:
        skipped = fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[6, 12], web=web)
        assert server.asked("/BAAweb/JPEGimages/BLKF/BLKF06/7090.jpg") == 0
    assert (tmp_path / "JPEGimages/BLKF/BLKF06/7290.jpg").is_file()
    assert "7290" in (tmp_path / "readings.csv").read_text()
    assert "nobody has found" in reasons(skipped)["BLKF12/7144"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(status=404), "not found"),
        (Answer(b"<html>Sorry, try later</html>"), "not a complete image"),
        (Answer(JPEG[:-500]), "not a complete image"),
        (Answer(b""), "not a complete image"),
        (Answer(JPEG + bytes(40 * 2**20)), "larger than 32 MiB"),
        (Answer(status=302, headers={"Location": "https://example.org/3147.jpg"}), "redirects away"),
        (Answer(status=500), "answered 500, 5 times"),
    ],
)
def test_an_image_that_cannot_be_had_is_skipped_and_the_rest_goes_on(tmp_path, index, web, answer, reason):
    index.add("ASIF10", "5003", answer)
    with serve(index) as server:
        skipped = fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[10], web=web)
    assert list(reasons(skipped)) == ["ASIF10/5003"]
    assert reason in reasons(skipped)["ASIF10/5003"]
    found = sorted(path.name for path in tmp_path.rglob("*.jpg"))
    assert found == ["3145.jpg", "3146.jpg"]


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("https://example.org/JPEGimages/BLKM/BLKM10/3147.jpg", "another host"),
        ("//example.org/JPEGimages/BLKM/BLKM10/3147.jpg", "another host"),
        ("JPEGimages/BLKM/BLKM10/../../../../evil.jpg", "not in the atlas's tree"),
        ("JPEGimages/BLKM/BLKM10/%2e%2e%2f3147.jpg", "not in the atlas's tree"),
        ("JPEGimages/BLKM/BLKM99/3147.jpg", "beyond 18"),
        ("details.asp?id=3147", "not a JPEG, PNG"),
    ],
)
def test_a_link_that_leads_elsewhere_is_not_followed(tmp_path, index, web, link, reason):
    index.tables["BLKM10"].append(row(link))
    with serve(index) as server:
        skipped = fetch_atlas(f"{server.url}/BAAweb/", tmp_path / "atlas", years=[10], web=web)
        assert all("evil" not in request.path and "3147" not in request.path for request in server.requests)
    ((_, found),) = reasons(skipped).items()
    assert reason in found
    assert sorted(path.name for path in tmp_path.rglob("*.jpg")) == ["3145.jpg", "3146.jpg"]


def test_a_form_with_other_names_and_values_is_filled_in(tmp_path, index, web):
    index.form = """<form action="find"><select name="race">
        <option value="1">Asian</option><option value="2">African American</option>
        <option value="3">Caucasian</option><option value="4">Hispanic American</option></select>
        <select name="sex"><option>male</option><option>female</option></select>
        <select name="age"><option value="a10">10</option></select></form>"""
    asked = []

    def answer(request):
        if request.path.startswith("/BAAweb/find?"):
            asked.append(request.path.partition("?")[2])
            rows = index.tables["BLKM10"] if "race=2&sex=male&age=a10" in request.path else []
            return Answer(f"<table>{HEADER}{''.join(rows)}</table>".encode())
        return index(request)

    with serve(answer) as server:
        skipped = fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[10], web=web)
    assert skipped.empty
    assert len(asked) == 8
    assert (tmp_path / "JPEGimages/BLKM/BLKM10/3146.jpg").is_file()


def test_without_a_form_to_see_the_known_one_is_sent(tmp_path, index, web):
    index.form = "<html>Welcome"
    with serve(index) as server:
        assert fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[10], web=web).empty
    assert len(list(tmp_path.rglob("*.jpg"))) == 2


def test_a_table_without_named_readings_says_so(tmp_path, index, web):
    index.header = ""
    with serve(index) as server:
        skipped = fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[10], web=web)
    assert "gives no readings" in reasons(skipped)["readings.csv"]
    assert not (tmp_path / "readings.csv").exists()


def test_an_image_listed_twice_is_fetched_once(tmp_path, index, web):
    index.tables["BLKM10"] *= 2
    with serve(index) as server:
        skipped = fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[10], web=web)
        assert server.asked("/BAAweb/JPEGimages/BLKM/BLKM10/3145.jpg") == 1
    assert "twice" in reasons(skipped)["BLKM10/3145"]


def test_a_host_that_goes_down_ends_the_run_and_keeps_what_came(tmp_path, index, web):
    for number in range(5100, 5110):
        index.add("CAUM10", str(number))

    def answer(request):
        down = "/CAUM10/" in request.path
        return Answer(status=503) if down else index(request)

    with serve(answer) as server:
        with pytest.raises(BoneAgeError, match="what was fetched is kept"):
            fetch_atlas(f"{server.url}/BAAweb/", tmp_path, years=[10], web=web)
        assert server.asked("/BAAweb/JPEGimages/CAUM/CAUM10/5103.jpg") == 0
    assert (tmp_path / "JPEGimages/BLKM/BLKM10/3145.jpg").is_file()


@pytest.mark.parametrize(
    ("path", "reason"), [("/nothing/", "no longer answers"), ("/BAAweb/", "lists no images")]
)
def test_an_address_that_is_no_index_is_one_line(tmp_path, web, path, reason):
    with serve(Index()) as server, pytest.raises(BoneAgeError, match=reason) as caught:
        fetch_atlas(f"{server.url}{path}", tmp_path, years=[10], web=web)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://example.org/", "file:///etc/", "nonsense"])
def test_only_https_is_asked(tmp_path, web, url):
    with pytest.raises(BoneAgeError, match="only https"):
        fetch_atlas(url, tmp_path, web=web)
