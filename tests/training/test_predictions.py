"""Each image gets its own prediction, whatever the batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage.training import prediction


class Brightness:
    """Says of an image how bright it is, and of which sex it was told; notes the batches."""

    def __init__(self, takes_sex: bool):
        self.inputs = ["images", "male"][: 1 + takes_sex]
        self.batches: set[int] = set()

    def predict_on_batch(self, given):
        images, male = given if len(self.inputs) == 2 else (given, np.zeros((len(given), 1)))
        self.batches.add(len(images))
        return images.mean((1, 2)) + 1000 * male


@given(count=st.integers(1, 300), batch_size=st.integers(1, 150), takes_sex=st.booleans())
@settings(deadline=None, max_examples=60)
def test_each_image_has_its_own_prediction_and_all_batches_one_size(count, batch_size, takes_sex):
    rng = np.random.default_rng(count)
    images, male = rng.integers(0, 256, (count + 5, 2, 2), np.uint8), rng.random(count) < 0.5
    rows = rng.permutation(count + 5)[:count]
    model = Brightness(takes_sex)
    said = prediction(model, images, male, batch_size, rows=rows)
    np.testing.assert_allclose(said, images[rows].mean((1, 2)) + 1000 * (male & takes_sex), rtol=1e-6)
    # Another size of batch would be compiled anew.
    assert model.batches == {min(batch_size, count)}
    assert said == pytest.approx(prediction(Brightness(takes_sex), images, male, count, rows=rows))
