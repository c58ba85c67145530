"""The stage table against published receptive fields, and on our own network."""

import keras
import pytest

from boneage.networks import NETWORKS
from boneage.networks.stages import STAGE_TABLE, stage_table
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
    assert list(table.columns) == list(STAGE_TABLE)
    assert table["Receptive field (px)"].iloc[-1] == receptive_field
    assert table["Parameters"].sum() == parameters == model.count_params()


@pytest.mark.parametrize("key", NETWORKS)
def test_every_parameter_of_a_network_but_the_heads_stands_in_its_table(key):
    model = build_model(key, 64, 10.0, 5.0, 1, "tiny")
    table = stage_table(model)
    head = model.layers[[layer.name for layer in model.layers].index("pooled") + 1 :]
    assert table["Parameters"].sum() + sum(layer.count_params() for layer in head) == model.count_params()
    assert table["Convolutions"].sum() > 0
    assert not table.isna().any(axis=None)


def test_u_net_is_read_down_and_up_again():
    table = stage_table(build_model("unet", 64, 10.0, 5.0, 1))
    assert table["Map"].tolist() == [f"{side} × {side}" for side in (32, 16, 8, 4, 8, 16, 32)]
    # By hand, from the bottom up: its two convolutions see 137. A transposed one halves the distance of 16
    # and sees no more, two of 3 x 3 add two distances each: 137 + 2 x 16, + 2 x 8, + 2 x 4.
    assert table["Receptive field (px)"].tolist()[3:] == [137, 169, 185, 193]


def test_a_split_stage_and_gates_keep_their_windows():
    yolo = stage_table(build_model("yolo", 64, 10.0, 5.0, 1, "tiny"))
    # By hand: stem 3, halving 5, one 3 x 3 at distance 2: 9; halving 13, one at distance 4: 21; and so on.
    assert yolo["Receptive field (px)"].tolist() == [3, 9, 21, 45, 93]
    gated = stage_table(build_model("efficientnetv2s", 64, 10.0, 5.0, 1, "tiny"))
    assert "1 × 1" not in gated["Map"].tolist()


def test_a_patch_sees_the_whole_image_once_it_attends():
    of_stem = ["32 × 32", "16 × 16", "8 × 8"]
    for width in ("full", "tiny"):
        table = stage_table(build_model("vision_transformer", 64, 10.0, 5.0, 1, width))
        assert table["Map"].tolist() == [*of_stem, "4 × 4 patches", "4 × 4 patches, attending"]
        # By hand: three convolutions of stride 2, then two of their places, eight pixels apart.
        assert table["Receptive field (px)"].tolist() == [3, 7, 15, 23, 64]


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
