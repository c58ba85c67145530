"""Many decisions by two people at once, one of them where the folder stalls and fails."""

import pytest
from two_people import CALM, ON_DRIVE, both_decide, faults_of

pytestmark = pytest.mark.slow

EACH = 600


def test_two_people_at_once_lose_and_reorder_nothing_though_one_of_their_folders_stalls(tmp_path):
    path = tmp_path / "drive" / "review.csv"
    said = both_decide(path, EACH)
    assert faults_of(path, EACH) == []
    # The folder did fail, and only for the one whose it is.
    assert said[ON_DRIVE]["refused"] > 0
    assert said[CALM]["refused"] == 0
