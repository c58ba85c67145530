"""Percentiles are NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from boneage.anomalies.order import percentiles

SHAPES = array_shapes(min_dims=1, max_dims=2, max_side=60)


@pytest.mark.parametrize(
    ("dtype", "elements"),
    [
        (np.uint8, st.integers(0, 255)),
        (np.float32, st.floats(-1e6, 1e6, width=32)),
        (np.float64, st.floats(-1e6, 1e6)),
    ],
)
def test_percentiles_are_those_of_numpy_to_the_last_digit(dtype, elements):
    @given(values=arrays(dtype, SHAPES, elements=elements), share=st.floats(0, 100))
    def check(values, share):
        every = (share, 0, 0.5, 75, 95, 100)
        expected = [np.percentile(values, one) for one in every]
        found = percentiles(values, *every)
        assert found == expected
        assert [one.dtype for one in found] == [one.dtype for one in expected]

    check()
