"""Every network of the tables builds, learns, keeps, and sees what its weights expect to see."""

import cv2
import numpy as np
import pytest
from on_jax import said_on_jax

from boneage import notebooks
from boneage.core.errors import BoneAgeError
from boneage.evaluation import results_table
from boneage.networks import NETWORKS, WeightsError, build_features, check_size

SIZE = 32
IMAGENET = [key for key, network in NETWORKS.items() if network.imagenet]

# From scratch, up to the mean of the maps; the vision transformer's at 224 px, with which its position table
# grows.
PARAMETERS = {
    "vgg19": (20_024_384, 313_672),
    "vgg16": (14_714_688, 230_568),
    "cnn": (1_183_904, 79_568),
    "unet": (1_943_168, 30_784),
    "attention": (1_929_888, 72_264),
    "efficientnetv2s": (20_331_360, 22_601),
    "resnet50": (23_587_712, 133_344),
    "vision_transformer": (5_503_848, 83_776),
    "yolo": (26_652_512, 207_320),
}

every_network = pytest.mark.parametrize("key", NETWORKS)


def pictures(size: int = SIZE, count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 1)).astype(np.float32)


def shapes(size: int = SIZE) -> np.ndarray:
    """Squares of one grey level each, where pictures are noise, of which local contrast shows little."""
    return pictures(size // 8).repeat(8, axis=1).repeat(8, axis=2)


def tiny_model(key: str, size: int = SIZE):
    """A tiny network that says more than the mean age: its head is drawn, and so are its statistics."""
    import keras

    from boneage.training import build_model

    keras.utils.set_random_seed(3)
    model = build_model(key, size, 10.0, 5.0, 3, "tiny")
    head = model.get_layer("standardised_years")
    kernel = np.random.default_rng(2).normal(size=head.kernel.shape)
    head.kernel.assign(kernel / np.linalg.norm(kernel))
    return model


def test_every_network_has_one_notebook_and_one_row():
    found = [path.stem for path in notebooks.find_notebooks() if "04" <= path.stem < "13"]
    assert [network.notebook for network in NETWORKS.values()] == found
    rows = results_table([], 10).index.tolist()
    assert rows == [network.title for network in NETWORKS.values()]
    assert len(set(rows)) == 9


@every_network
@pytest.mark.slow
def test_parameters_are_those_that_were_counted(key):
    import keras

    def count(width: str) -> int:
        images = keras.Input((224, 224, 1))
        model = keras.Model(images, build_features(key, images, width))
        return keras.Model(images, model.get_layer("pooled").output).count_params()

    assert (count("full"), count("tiny")) == PARAMETERS[key]


def test_with_published_weights_the_vision_transformer_is_as_large_as_theirs():
    from boneage.networks.vision_transformer import backbone

    assert backbone(224, "published").count_params() == 85_798_656


@every_network
@pytest.mark.slow
def test_it_runs_and_takes_a_step_and_is_the_same_once_saved(key, tmp_path):
    import keras

    model = tiny_model(key)
    images = pictures()
    said = np.array(model(images, training=False))
    assert said.shape == (4, 1)
    assert said.std() > 0
    model.save(tmp_path / "model.keras")
    kept = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(kept(images, training=False), said, atol=1e-5)
    before = [np.array(one) for one in model.trainable_variables]
    # Without a graph, which takes longer to draw than the step does; the notebooks' run trains with one.
    model.compile(keras.optimizers.AdamW(1e-3), loss="mse", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(images, np.arange(4.0)[:, None]))
    moved = [np.any(np.array(now) != one) for now, one in zip(model.trainable_variables, before, strict=True)]
    # Where a bias is followed by a batch normalisation its gradient is nothing but rounding.
    assert np.mean(moved) > 0.9


ON_JAX = """
import json, sys
import keras, numpy as np
from boneage.core.backends import hasten
from boneage.training import build_model
assert keras.backend.backend() == "jax"
# The weights are loaded; to draw others first would be compiled for each shape.
for name in ("VarianceScaling", "RandomNormal", "RandomUniform", "TruncatedNormal"):
    getattr(keras.initializers, name).__call__ = lambda self, shape, dtype=None: np.zeros(shape, "float32")
worst = {}
for key in sys.argv[2:]:
    given = np.load(f"{sys.argv[1]}/{key}.npz")
    model = build_model(key, given["images"].shape[1], 10.0, 5.0, 3, "tiny")
    model.load_weights(f"{sys.argv[1]}/{key}.keras")
    said = model.predict_on_batch(given["images"])
    model.compile(keras.optimizers.AdamW(1e-3), loss="mse")
    hasten(model)
    loss = model.train_on_batch(given["images"], np.arange(4.0)[:, None])
    worst[key] = [float(np.abs(said - given["said"]).max()), float(loss)]
print(json.dumps(worst))
"""


@pytest.mark.slow
def test_on_jax_a_network_says_the_same_and_takes_a_step(tmp_path):
    for key in NETWORKS:
        model = tiny_model(key)
        model.save(tmp_path / f"{key}.keras")
        images = pictures()
        np.savez(tmp_path / f"{key}.npz", images=images, said=np.array(model(images, training=False)))
    worst = said_on_jax(ON_JAX, str(tmp_path), *NETWORKS)
    assert list(worst) == list(NETWORKS)
    assert max(difference for difference, _ in worst.values()) < 1e-3, worst
    assert all(np.isfinite(loss) for _, loss in worst.values())


@pytest.fixture
def without_download(monkeypatch):
    """The networks take random weights where they would fetch those of ImageNet."""
    from boneage.networks import vision_transformer, yolo

    def random(build, size, weights):
        return build(weights=None, include_top=False, input_shape=(size, size, 3))

    for module in ("vgg16", "efficientnetv2s", "resnet50"):
        monkeypatch.setattr(f"boneage.networks.{module}.application", random)
    monkeypatch.setattr(
        vision_transformer,
        "fetched",
        lambda load: vision_transformer.backbone(SIZE, "published"),
    )
    monkeypatch.setattr(yolo, "fetched", lambda load: yolo.backbone(SIZE, "full"))


@pytest.mark.parametrize("key", IMAGENET)
@pytest.mark.slow
def test_images_are_scaled_as_the_weights_expect(key, without_download):
    import keras

    # What each library's own function does to a colour image, 0 to 255. The published weights of the last
    # two are those of google/vit-base-patch16-224 and of timm's cspdarknet53, trained in these ranges.
    prepare = {
        "vgg19": keras.applications.vgg19.preprocess_input,
        "vgg16": keras.applications.vgg16.preprocess_input,
        "efficientnetv2s": keras.applications.efficientnet_v2.preprocess_input,
        "resnet50": keras.applications.resnet.preprocess_input,
        "vision_transformer": keras.applications.mobilenet_v2.preprocess_input,
        "yolo": keras.applications.densenet.preprocess_input,
    }[key]
    images = keras.Input((SIZE, SIZE, 1))
    features = build_features(key, images, weights="imagenet")
    model = keras.Model(images, features)
    scaled = keras.Model(images, model.get_layer("scaled").output)(pictures())
    colour = np.repeat(pictures(), 3, axis=-1)
    np.testing.assert_allclose(np.asarray(scaled), prepare(colour), atol=1e-3)


def test_the_batch_normalisation_of_published_weights_stays_as_it_was(tmp_path):
    import keras

    from boneage.networks.published import fetched

    def published():
        images = keras.Input((8, 8, 1))
        inner = keras.Sequential([keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()])
        return keras.Model(images, keras.layers.GlobalAveragePooling2D()(inner(images)))

    keras.Sequential([fetched(published), keras.layers.Dense(1)]).save(tmp_path / "begun.keras")
    model = keras.saving.load_model(tmp_path / "begun.keras")
    model.compile("sgd", loss="mse")
    before = {one.path: np.array(one) for one in model.weights}
    model.fit(pictures(8), np.arange(4.0)[:, None], verbose=0)
    moved = {path for one in model.weights if (np.array(one) != before[(path := one.path)]).any()}
    assert any("conv2d" in path for path in moved)
    assert not any("batch_normalization" in path for path in moved)


@pytest.mark.parametrize("key", IMAGENET)
@pytest.mark.slow
def test_begun_at_random_a_network_sees_contrast_whatever_the_exposure(key):
    import keras

    images = keras.Input((SIZE, SIZE, 1))
    model = keras.Model(images, build_features(key, images, "tiny"))
    scaled = keras.Model(images, model.get_layer("scaled").output)
    seen = [np.asarray(scaled(one)) for one in (shapes(), 0.5 * shapes() + 60)]
    assert seen[0].std() > 0.3
    assert np.abs(seen[0] - seen[1]).mean() < 0.15 * np.abs(seen[0]).mean()


def test_efficientnet_brings_its_own_scaling():
    import keras

    model = keras.applications.EfficientNetV2S(include_top=False, weights=None, input_shape=(32, 32, 3))
    first = model.layers[1]
    assert (first.scale, first.offset) == (pytest.approx(1 / 128), -1)


def test_begun_at_random_the_blocks_of_efficientnet_add_nothing_yet():
    import keras

    *_, network = (layer for layer in tiny_model("efficientnetv2s").layers if isinstance(layer, keras.Model))
    sums = [layer for layer in network.layers if isinstance(layer, keras.layers.Add)]
    assert len(sums) == 2
    seen = keras.Model(network.input, [tensor for layer in sums for tensor in (layer.input[1], layer.output)])
    colour = np.random.default_rng(1).normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    tensors = [keras.ops.convert_to_numpy(tensor) for tensor in seen(colour, training=True)]
    for before, after in zip(tensors[::2], tensors[1::2], strict=True):
        assert np.ptp(before) > 0
        np.testing.assert_array_equal(after, before)


def test_a_size_that_a_network_does_not_take_is_refused_with_the_nearest_that_it_does():
    with pytest.raises(BoneAgeError, match="at least 32, so set train_size to 32"):
        check_size("vgg16", 31)
    with pytest.raises(BoneAgeError, match="a multiple of 16, so set train_size to 96"):
        check_size("vision_transformer", 100)
    with pytest.raises(BoneAgeError, match="network vit: must be one of"):
        check_size("vit", 224)
    for key in NETWORKS:
        check_size(key, 224)


@pytest.mark.parametrize("key", [key for key, network in NETWORKS.items() if network.multiple == 1])
@pytest.mark.slow
def test_any_size_will_do(key):
    assert np.isfinite(tiny_model(key, 55)(pictures(55), training=False)).all()


@pytest.mark.parametrize("size", [96, 256])
@pytest.mark.slow
def test_positions_of_the_vision_transformer_are_resized_as_a_picture_is(size):
    from boneage.networks import vision_transformer

    model = vision_transformer.backbone(224, "tiny")
    other = vision_transformer.resized(model, size)
    assert other(np.zeros((1, size, size, 3), np.float32)).shape[1] == 1 + (size // 16) ** 2
    changed = []
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        if ours.shape == theirs.shape:
            np.testing.assert_array_equal(np.array(ours), np.array(theirs))
        else:
            changed.append((np.array(ours), np.array(theirs)))
    [(table, of_224)] = changed
    np.testing.assert_array_equal(table[0], of_224[0])
    side = size // 16
    grid = cv2.resize(of_224[1:].reshape(14, 14, -1), (side, side), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(table[1:], grid.reshape(side * side, -1), atol=1e-5)


@pytest.mark.slow
def test_a_vision_transformer_of_the_same_size_stays_as_it_is():
    from boneage.networks import vision_transformer

    model = vision_transformer.backbone(64, "tiny")
    images = np.random.default_rng(1).normal(size=(1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(vision_transformer.resized(model, 64)(images), model(images), atol=1e-5)


@pytest.mark.slow
def test_a_hastened_transformer_multiplies_all_tokens_of_a_batch_at_once_and_says_the_same(tmp_path):
    import keras
    import tensorflow as tf

    from boneage.core.backends import hasten

    plain = tiny_model("vision_transformer")
    plain.save(tmp_path / "model.keras")
    loaded, twice = (keras.saving.load_model(tmp_path / "model.keras") for _ in range(2))
    for model in (loaded, twice, twice):
        hasten(model)
    images = tf.constant(pictures(count=3))

    def predictions_and_gradients(model):
        with tf.GradientTape() as tape:
            # Not as in training, where every model turns its images in its own way.
            years = model(images, training=False)
            said = tf.reduce_sum(years**2)
        gradients = tape.gradient(said, [one.value for one in model.trainable_weights])
        return years, *(tf.convert_to_tensor(one) for one in gradients)

    expected = predictions_and_gradients(plain)
    # Some gradients are nothing but rounding: that of the keys' offsets, which attention does not see.
    rounding = 1e-5 * max(np.abs(one).max() for one in expected)
    for model in (loaded, twice):
        for ours, theirs in zip(predictions_and_gradients(model), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=rounding)

    def shapes(model):
        graph = tf.function(lambda: predictions_and_gradients(model)).get_concrete_function().graph
        return {
            tuple(out.shape)
            for operation in graph.get_operations()
            for out in operation.outputs
            if out.shape.rank
        }

    a_matrix_for_each_image = {(3, 48, 96), (3, 96, 48)}
    assert a_matrix_for_each_image <= shapes(plain)
    assert not a_matrix_for_each_image & shapes(loaded)


@pytest.mark.parametrize(("key", "size"), [("vision_transformer", 96), ("yolo", 96)])
@pytest.mark.slow
def test_published_weights_of_kerashub_are_taken_at_another_size(key, size, tmp_path, monkeypatch):
    import importlib

    import keras

    module = importlib.import_module(f"boneage.networks.{key}")
    published = module.backbone(224, "tiny")
    published.save_to_preset(str(tmp_path / "preset"))
    monkeypatch.setattr(module, "PRESET", str(tmp_path / "preset"))
    images = keras.Input((size, size, 1))
    model = keras.Model(images, build_features(key, images, weights="imagenet"))
    ours = {one.path: one for one in model.weights}
    same = [
        np.array_equal(np.array(one), np.array(theirs))
        for theirs in published.weights
        if (one := ours[theirs.path]).shape == theirs.shape
    ]
    assert all(same)
    assert len(same) >= len(published.weights) - 1


def test_weights_that_do_not_exist_are_refused():
    import keras

    with pytest.raises(WeightsError, match="cnn"):
        build_features("cnn", keras.Input((32, 32, 1)), weights="imagenet")
    with pytest.raises(WeightsError, match="tiny"):
        build_features("vgg16", keras.Input((32, 32, 1)), "tiny", "imagenet")


def test_a_download_that_fails_is_one_line_and_leaves_the_patience_as_it_was():
    import socket

    from boneage.networks.published import fetched

    def fails():
        assert socket.getdefaulttimeout() is not None
        raise Exception("URL fetch failure\nand a long story")

    with pytest.raises(WeightsError, match="cannot be downloaded") as error:
        fetched(fails)
    assert "\n" not in str(error.value)
    assert socket.getdefaulttimeout() is None


@every_network
@pytest.mark.slow
def test_the_years_by_place_add_up_to_the_prediction(key):
    from boneage.networks.maps import years_by_place

    model = tiny_model(key, 64)
    images = pictures(64)[..., 0]
    kernel = model.get_layer("standardised_years").kernel
    # Untrained, some networks say nearly the same of all images: here the predictions spread by a year.
    kernel.assign(kernel / np.asarray(model(images[..., None], training=False)).std())
    said = np.asarray(model(images[..., None], training=False))[:, 0]
    assert said.std() == pytest.approx(1, abs=0.05)
    years = years_by_place(model, images)
    rest = said - years.sum(axis=(1, 2))
    np.testing.assert_allclose(rest, rest[0], atol=0.02)


@pytest.mark.slow
def test_attention_is_shared_out_among_the_places_and_even_before_training():
    from boneage.networks.maps import attention_by_place

    model = tiny_model("attention", 64)
    images = shapes(64)[..., 0]
    share = attention_by_place(model, images)
    np.testing.assert_allclose(share, 1 / share[0].size, rtol=1e-4)
    score = model.get_layer("score")
    score.kernel.assign(np.random.default_rng(1).normal(size=score.kernel.shape))
    share = attention_by_place(model, images)
    np.testing.assert_allclose(share.sum(axis=(1, 2)), 1, rtol=1e-4)
    assert share.max() > 1.5 / share[0].size
    assert attention_by_place(tiny_model("cnn"), pictures()[..., 0]) is None
