"""Heat maps say what the network does, and what of them lies on growth centres is counted right."""

import keras
import numpy as np
import pytest
from on_jax import said_on_jax

from boneage.core.backends import gradient
from boneage.core.errors import BoneAgeError
from boneage.evaluation.explain import (
    CENTRES,
    drawn_hands,
    grad_cam,
    growth_centre_table,
    heat_map,
    heat_sheet,
    mass_on_growth_centres,
    near,
    overlay,
    roll_out,
)
from boneage.networks.maps import attention_by_place, outputs_of, years_by_place
from boneage.phantom.drawing import draw_hand, hand_region
from boneage.training import build_model

SIZE = 64
MALE = np.array([True, False, True])


def images_of(count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, SIZE, SIZE)).astype(np.uint8)


def tiny_model(key: str, variant: str = "") -> keras.Model:
    """A tiny network whose head is drawn: as it is built it says the same of all images."""
    keras.utils.set_random_seed(3)
    model = build_model(key, SIZE, 10.0, 5.0, 3, "tiny", variant=variant)
    rng = np.random.default_rng(2)
    head = model.get_layer("month_bins" if variant == "month_bins" else "standardised_years")
    head.kernel.assign(rng.normal(size=head.kernel.shape))
    if key == "attention":
        score = model.get_layer("score")
        score.kernel.assign(rng.normal(size=score.kernel.shape))
    return model


# Heat maps


@pytest.mark.parametrize("key", ["vgg16", "cnn", "attention", "vision_transformer"])
@pytest.mark.slow
def test_a_map_shares_one_out_and_grad_cam_of_a_linear_head_is_the_class_activation_map(key):
    model, images = tiny_model(key), images_of()
    heat = heat_map(model, images)
    assert heat.shape[0] == 3
    assert heat.min() >= 0
    assert heat.max() * heat[0].size > 1.01
    np.testing.assert_allclose(heat.sum(axis=(1, 2)), 1)
    years = years_by_place(model, images)
    np.testing.assert_allclose(grad_cam(model, images), years, atol=1e-4 * np.abs(years).max())
    if key == "attention":
        np.testing.assert_allclose(heat, attention_by_place(model, images), rtol=1e-4)
    elif key == "vision_transformer":
        flow = roll_out(model, images)
        np.testing.assert_allclose(heat, flow / flow.sum(axis=(1, 2), keepdims=True), rtol=1e-4)
    else:
        size = np.abs(years)
        np.testing.assert_allclose(heat, size / size.sum(axis=(1, 2), keepdims=True), rtol=1e-4)


@pytest.mark.parametrize("variant", ["sex", "month_bins"])
@pytest.mark.slow
def test_of_a_head_that_is_not_linear_the_map_is_its_slope_at_the_image(variant):
    model, images = tiny_model("cnn", variant), images_of()
    years = grad_cam(model, images, MALE)
    means = outputs_of(model, model.get_layer("pooled").output, images)
    head = keras.Model([model.get_layer("pooled").output, *model.inputs[1:]], model.output)
    male = [MALE[:, None].astype(np.float32)] if variant == "sex" else []
    step = 1e-2
    more, less = (head.predict([means * (1 + one), *male], verbose=0)[:, 0] for one in (step, -step))
    # All maps a little brighter: the prediction changes by what the places hold together.
    np.testing.assert_allclose(years.sum(axis=(1, 2)), (more - less) / (2 * step), rtol=0.02)
    size = np.abs(years)
    np.testing.assert_allclose(
        heat_map(model, images, MALE), size / size.sum(axis=(1, 2), keepdims=True), rtol=1e-4
    )


def test_the_sex_is_used_where_the_model_asks_for_it():
    model, images = tiny_model("cnn", "sex"), images_of()
    assert np.abs(heat_map(model, images, MALE) - heat_map(model, images, ~MALE)).max() > 1e-6
    with pytest.raises(BoneAgeError, match="cnn: takes the sex"):
        heat_map(model, images)


def test_where_an_image_takes_no_part_yet_the_map_is_even():
    model = build_model("cnn", SIZE, 10.0, 5.0, 3, "tiny")
    heat = heat_map(model, images_of())
    np.testing.assert_allclose(heat, 1 / heat[0].size)


@pytest.mark.slow
def test_the_roll_out_follows_from_the_weights_of_queries_and_keys():
    model, images = tiny_model("vision_transformer"), images_of()
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    for block in backbone.get_layer("vit_encoder").encoder_layers:
        # Drawn weights ask for next to nothing; these tell the patches apart.
        block.mha.query_dense.kernel.assign(8 * np.asarray(block.mha.query_dense.kernel))
    *_, last_of_stem = (layer for layer in model.layers if isinstance(layer, keras.layers.Activation))
    tokens = backbone.get_layer("vit_patching_and_embedding")(outputs_of(model, last_of_stem.output, images))
    flow = np.eye(17)
    for block in backbone.get_layer("vit_encoder").encoder_layers:
        asked = np.asarray(block.layer_norm_1(tokens))
        query, key = (
            np.einsum("ptd,dhk->phtk", asked, np.asarray(dense.kernel))
            for dense in (block.mha.query_dense, block.mha.key_dense)
        )
        score = np.exp(query @ key.transpose(0, 1, 3, 2) / np.sqrt(query.shape[-1]))
        attention = (score / score.sum(axis=-1, keepdims=True)).mean(axis=1)
        flow = (np.eye(17) + attention) / 2 @ flow
        tokens = block(tokens)
    expected = flow[:, 1:, 1:].mean(axis=1).reshape(-1, 4, 4)
    assert expected.max() > 1.2 * expected.min()
    np.testing.assert_allclose(roll_out(model, images), expected, rtol=1e-3)


def test_a_gradient_is_the_derivative():
    at = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
    np.testing.assert_allclose(gradient(lambda x: keras.ops.sum(x**3, axis=1), at), 3 * at**2, rtol=1e-6)


ON_JAX = """
import json, sys
import keras, numpy as np
from boneage.evaluation.explain import grad_cam, heat_map
from boneage.core.backends import gradient
assert keras.backend.backend() == "jax"
at = np.array([1.0, -2.0], np.float32)
worst = {"gradient": float(np.abs(gradient(lambda x: x ** 3, at) - 3 * at ** 2).max())}
given = np.load(f"{sys.argv[1]}/given.npz")
for name in sys.argv[2:]:
    model = keras.saving.load_model(f"{sys.argv[1]}/{name}.keras", compile=False)
    heat = heat_map(model, given["images"], given["male"])
    worst[name] = float(np.abs(heat / given[name] - 1).max())
print(json.dumps(worst))
"""


@pytest.mark.slow
def test_on_jax_the_maps_are_the_same(tmp_path):
    models = {
        "cnn": tiny_model("cnn"),
        "cnn-sex": tiny_model("cnn", "sex"),
        "cnn-month_bins": tiny_model("cnn", "month_bins"),
        "attention": tiny_model("attention"),
        "vision_transformer": tiny_model("vision_transformer"),
    }
    images = images_of()
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    heat = {name: heat_map(model, images, MALE) for name, model in models.items()}
    np.savez(tmp_path / "given.npz", images=images, male=MALE, **heat)
    worst = said_on_jax(ON_JAX, str(tmp_path), *models)
    assert list(worst) == ["gradient", *models]
    assert max(worst.values()) < 0.02, worst


# Shown


def test_an_overlay_colours_the_peak_and_leaves_the_image_visible():
    heat = np.zeros((4, 4))
    heat[1, 1] = 1.0
    dark, bright = (overlay(np.full((SIZE, SIZE), level, np.uint8), heat).astype(int) for level in (40, 200))
    place = (SIZE * 3 // 8, SIZE * 3 // 8)
    assert np.ptp(dark[place]) > 50
    assert (bright[place] > dark[place] + 30).all()
    np.testing.assert_array_equal(dark[-1, -1], [40, 40, 40])


def test_an_even_map_colours_nothing():
    image = images_of()[0]
    # Even but for rounding.
    shown = overlay(image, 1 / 16 + 1e-8 * np.arange(-7.5, 8).reshape(4, 4))
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown, np.repeat(image[..., None], 3, axis=2))


def test_each_image_is_followed_by_where_the_network_looks():
    model, images = tiny_model("cnn"), images_of(2)
    sheet = heat_sheet(model, images, ["first", "second"])
    where = "where it looks"
    assert sheet.words.endswith(f"first; {where}; second; {where}.")
    # Grey images, coloured maps.
    grey = [
        np.ptp(sheet.pixels[20:200, left : left + 200].astype(int), axis=2).max() == 0 for left in (12, 238)
    ]
    assert grey == [True, False]


# On growth centres


def test_the_share_on_growth_centres_is_that_of_the_covered_places():
    centres, hand = np.zeros((80, 80), bool), np.zeros((80, 80), bool)
    # Of an 8 x 8 map: one place wholly on a centre, another by half; the hand is the upper left quarter.
    centres[10:20, 10:20] = True
    centres[30:35, 30:40] = True
    hand[:40, :40] = True
    heat = np.zeros((8, 8))
    heat[1, 1], heat[3, 3], heat[7, 7] = 0.5, 0.3, 0.2
    mass = mass_on_growth_centres(heat, centres, hand)
    assert mass.on_hand == pytest.approx(0.8)
    assert mass.on_centres == pytest.approx(0.5 + 0.3 / 2)
    assert mass.even_over_hand == pytest.approx(1.5 / 16)
    assert mass.at_best == pytest.approx(1)
    # As coarse as 2 x 2, everything lies in the hand's one place.
    coarse = mass_on_growth_centres(np.full((2, 2), 0.25), centres, hand)
    assert coarse.at_best == pytest.approx(coarse.even_over_hand) == pytest.approx(150 / 1600)
    assert coarse.on_centres == pytest.approx(coarse.at_best / 4)


def test_near_is_a_disc_around_each_point():
    mask = near([(30.2, 50.4), (70, 50)], (100, 80), 0.1)
    assert mask.sum() == pytest.approx(2 * np.pi * 10**2, rel=0.05)
    assert mask[50, [21, 30, 39]].all()
    assert not mask[50, [19, 42]].any()
    assert not near([], (100, 80)).any()
    assert near([(79.9, 99.9)], (100, 80))[99, 79]


def test_the_region_of_a_drawn_hand_holds_its_centres_and_costs_no_pixel():
    before = draw_hand(9.0, "F", 4, height=400)
    region = hand_region(9.0, "F", 4, height=400)
    after = draw_hand(9.0, "F", 4, height=400)
    np.testing.assert_array_equal(before.image, after.image)
    assert region.shape == before.image.shape
    assert all(region[int(y), int(x)] for x, y in before.centres.values())
    # Bones and skin stand out against what is left of the plate.
    assert np.median(before.image[region]) > np.percentile(before.image[~region], 90)
    with pytest.raises(BoneAgeError, match="F or M"):
        hand_region(9.0, "X", 4)


@pytest.mark.slow
def test_a_network_is_judged_on_drawn_hands():
    hands = drawn_hands(SIZE, count=3, seed=7)
    for hand in hands:
        assert hand.image.shape == (SIZE, SIZE)
        assert 0.01 < hand.centres.mean() < hand.hand.mean() < 0.5
        # The discs follow the hand into the square.
        assert hand.hand[hand.centres].mean() > 0.85
    table = growth_centre_table(tiny_model("cnn"), hands)
    assert list(table) == list(CENTRES)
    assert table["Bone Age"].tolist() == [2, 9.5, 17]
    assert table["Male"].tolist() == [False, True, False]
    shares = table[list(CENTRES)[2:]]
    assert ((shares > 0) & (shares < 1)).all(axis=None)
    assert (table["At best"] >= table[["On centres", "Even over the hand"]].max(axis=1)).all()
