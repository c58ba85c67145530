"""The stage table against published receptive fields, and on our own network."""

import keras
import pytest

from boneage.networks.stages import STAGE_COLUMNS, stage_table
from boneage.training import build_model


@pytest.mark.parametrize(
    ("application", "receptive_field", "parameters"),
    # Araujo, Norris and Sim (Distill, 2019) list 483, and 212 after the last pooling of VGG16: 16 more.
    [("VGG16", 196, 14_714_688), ("ResNet50", 483, 23_587_712)],
)
def test_known_networks_have_their_published_receptive_fields(application, receptive_field, parameters):
    build = getattr(keras.applications, application)
    model = build(weights=None, include_top=False, input_shape=(224, 224, 3))
    table = stage_table(model)
    assert list(table.columns) == list(STAGE_COLUMNS)
    assert table["Receptive field (px)"].iloc[-1] == receptive_field
    assert table["Parameters"].sum() == parameters == model.count_params()


def test_cnn_is_counted_from_its_first_convolution_to_its_last_map():
    model = build_model("cnn", size=64, mean_years=10.0, std_years=5.0, seed=1)
    table = stage_table(model)
    assert table["Map"].tolist() == ["32 × 32", "16 × 16", "8 × 8", "4 × 4"]
    assert table["Convolutions"].tolist() == [3, 2, 2, 2]
    # By hand: the first convolution sees 3 and steps by 2. Each further one adds two steps, each pooling adds
    # a step and doubles it: 3 + 4 + 4 = 11, 11 + 2 + 8 + 8 = 29, 29 + 4 + 16 + 16 = 65, and so on.
    assert table["Receptive field (px)"].tolist() == [11, 29, 65, 137]
    head = 256 + 1
    assert table["Parameters"].sum() + head == model.count_params()
