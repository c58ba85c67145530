"""What was seen of each image comes back as it was; a damaged file is looked past."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.anomalies.anomaly import KINDS, Anomaly
from boneage.anomalies.looks import Look, keep_looks, read_looks

shares = st.floats(0, 1)
anomalies = st.builds(
    Anomaly,
    kind=st.sampled_from(sorted(KINDS)),
    score=shares,
    why=st.text(max_size=60),
    box=st.none() | st.tuples(shares, shares, shares, shares),
    measured=st.none() | st.floats(-180, 180),
)


@given(st.dictionaries(st.text("abcXYZ019-_ ", min_size=1), st.lists(anomalies, max_size=4), min_size=1))
@settings(max_examples=30, deadline=None)
def test_looks_come_back_as_they_were(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("looks") / "anomalies.npz"
    rng = np.random.default_rng(len(found))
    looks = {
        key: Look(of_image, rng.random(640, np.float32), rng.random(256) < 0.5)
        for key, of_image in found.items()
    }
    keep_looks(path, looks)
    back = read_looks(path)
    assert list(back) == list(looks)
    for key, look in looks.items():
        assert back[key].anomalies == look.anomalies
        assert np.array_equal(back[key].pattern, look.pattern)
        assert np.array_equal(back[key].hash, look.hash)


def test_a_damaged_file_holds_no_looks(tmp_path):
    path = tmp_path / "anomalies.npz"
    assert read_looks(path) == {}
    keep_looks(
        path, {"a": Look([Anomaly("ring", 0.5, "bright")], np.zeros(640, np.float32), np.zeros(256, bool))}
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert read_looks(path) == {}
