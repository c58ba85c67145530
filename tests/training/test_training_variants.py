"""What is trained or predicted otherwise than in the two tables, smaller batches, and other precisions."""

import keras
import numpy as np
import pandas as pd
import pytest
from discs import SIZE, disc_work, plain_work
from scipy import stats

from boneage.core.errors import BoneAgeError
from boneage.core.settings import Settings
from boneage.dataset.labels import read_labels, repeated
from boneage.dataset.pack import open_pack
from boneage.evaluation import Run, RunKey, read_run
from boneage.training import build_model, load_model, predict_pack, prediction
from boneage.training import run as training
from boneage.training.model import LABEL_YEARS, label_distribution, mae
from boneage.training.predictions import TTA_VIEWS, tta_images

pytestmark = pytest.mark.slow

# Years by which a boy's label lies above what his image shows, in the set where sex matters.
OLDER = 4.0


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return plain_work(tmp_path_factory.mktemp("work"))


@pytest.fixture
def train(work, tmp_path):
    """Trains the tiny CNN in a folder of the test's own; keywords are settings."""

    def run(epochs=2, variant="", work=work, runs=tmp_path, labels=None, **settings) -> Run:
        chosen = Settings(train_seed=5, width="tiny", **settings)
        pack, labels = open_pack(work / "pack"), labels or read_labels(work / "labels.csv")
        training.train("cnn", epochs, labels, pack, chosen, runs, variant)
        return read_run(runs / str(RunKey("cnn", epochs, labels.set, 5, variant)))

    return run


def told_again(run: Run, work) -> pd.DataFrame:
    """The predictions of a finished run, from its files."""
    return predict_pack(run.folder, open_pack(work / "pack"), read_labels(work / "labels.csv"))


def timeless(run: Run) -> pd.DataFrame:
    return run.history.drop(columns=["seconds", "training_seconds"])


@pytest.fixture
def memory(monkeypatch):
    """Lets no batch larger than some size through, once a few have passed."""

    def hold(most: int, error: Exception, after: int = 0) -> None:
        passed = 0
        batch = training.Batches.__getitem__

        def watched(self, step):
            nonlocal passed
            images, years = batch(self, step)
            passed += 1
            if len(years) > most and passed > after:
                raise error
            return images, years

        monkeypatch.setattr(training.Batches, "__getitem__", watched)

    return hold


@pytest.fixture(scope="module")
def in_fours(work, tmp_path_factory) -> Run:
    """A run whose batches of four were asked for."""
    chosen = Settings(train_seed=5, width="tiny", batch_size=4)
    runs, pack = tmp_path_factory.mktemp("runs"), open_pack(work / "pack")
    training.train("cnn", 2, read_labels(work / "labels.csv"), pack, chosen, runs)
    return read_run(runs / "cnn-2-plain-s5")


def test_the_plain_set_repeated_takes_as_many_steps_as_the_augmented_and_resumes(train, work, monkeypatch):
    labels = repeated(read_labels(work / "labels.csv"), 200)
    counts = labels.table["Split"].value_counts()
    an_epoch = 200 - counts["validation"] - counts["test"]
    planned, compile_model = [], training.compile_model
    monkeypatch.setattr(
        training, "compile_model", lambda *of, **more: planned.append(of[2]) or compile_model(*of, **more)
    )
    begun, begin = [], training.Batches.begin

    def stopped(self, epoch, logs=None):
        # Without a seed they are shown to validate, in every epoch alike.
        if self._seed is not None:
            begun.append(epoch)
            if begun == [0, 0, 1]:
                raise KeyboardInterrupt
        begin(self, epoch)

    monkeypatch.setattr(training.Batches, "begin", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(labels=labels)
    run = train(labels=labels)
    # A set begins with its first epoch by itself; the training goes on with the second.
    assert begun[3:] == [0, 1]
    assert run.folder.name == "cnn-2-repeated-s5"
    assert run.history["epoch"].tolist() == [1, 2]
    assert planned == [2 * -(-an_epoch // 8)]
    assert run.record["images_per_epoch"] == an_epoch
    assert run.record["images"]["train"] == counts["train"]
    with pytest.raises(BoneAgeError, match=r"different images_per_epoch \(.*, now "):
        train(labels=repeated(read_labels(work / "labels.csv"), 300))


@pytest.mark.parametrize(
    ("error", "after"),
    # The second strikes in the second epoch, when there is a checkpoint: an epoch has seven batches.
    [(MemoryError("no more"), 0), (RuntimeError("RESOURCE_EXHAUSTED: 9 GiB"), 10)],
)
def test_where_memory_runs_out_the_run_is_one_of_half_the_batch(
    train, memory, in_fours, error, after, capsys
):
    memory(4, error, after)
    halved = train(batch_size=8)
    assert "batches of 8 do not fit" in capsys.readouterr().out
    assert (halved.record["batch_size"], halved.record["settings"]["batch_size"]) == (4, 8)
    pd.testing.assert_frame_equal(timeless(halved), timeless(in_fours), check_exact=True)
    pd.testing.assert_frame_equal(halved.predictions, in_fours.predictions, check_exact=True)


def test_a_memory_too_small_for_one_image_is_said(train, memory, tmp_path):
    memory(0, MemoryError())
    with pytest.raises(BoneAgeError, match=r"s5: one image of 32 px does not fit .* smaller train_size"):
        train(batch_size=4)
    assert not (tmp_path / "cnn-2-plain-s5" / "record.json").exists()


def test_another_error_halves_nothing(train, memory):
    memory(0, ZeroDivisionError("a fault of the code"))
    with pytest.raises(ZeroDivisionError):
        train(batch_size=4)


def test_with_the_sex_the_prediction_depends_on_it(train, tmp_path, tmp_path_factory):
    shown = np.arange(80) % 20 * 0.8
    sex = np.where(np.arange(80) // 20 % 2, "M", "F")
    work = disc_work(tmp_path_factory.mktemp("sex"), shown, shown + OLDER * (sex == "M"), sex)
    run = train(12, "sex", work, learning_rate=1e-2, batch_size=4)
    assert run.folder.name == "cnn-12-plain-sex-s5"
    assert run.record["variant"] == "sex"
    model, images = load_model(run.folder), open_pack(work / "pack").images
    boys, girls = (prediction(model, images, np.full(80, male)) for male in (True, False))
    assert OLDER / 4 < np.mean(boys - girls) < OLDER * 1.5
    np.testing.assert_allclose(told_again(run, work)["Prediction"], run.predictions["Prediction"], atol=1e-4)


# The last two are wide enough, or near enough to birth, that a normal distribution would be cut off.
@pytest.mark.parametrize(("mean", "std"), [(10.6, 3.4), (9.5, 5.5), (1.5, 2.0), (8.0, 0.1)])
def test_untrained_months_say_the_training_mean(mean, std):
    model = build_model("cnn", SIZE, mean, std, 1, "tiny", variant="month_bins")
    images = np.random.default_rng(1).integers(0, 256, (2, SIZE, SIZE), np.uint8)
    assert prediction(model, images, np.zeros(2, bool)) == pytest.approx([mean, mean], abs=0.1)


def test_months_are_trained_on_a_normal_distribution_about_the_label():
    ages = (np.arange(240) + 0.5) / 12
    about = stats.norm.pdf(ages, 10.3, LABEL_YEARS)
    about /= about.sum()
    others = np.stack(
        [about, stats.norm.pdf(ages, 10.3, 2 * LABEL_YEARS), stats.norm.pdf(ages, 11, LABEL_YEARS)]
    )
    others /= others.sum(axis=1, keepdims=True)
    truth = np.full((3, 1), 10.3, np.float32)
    losses = keras.ops.convert_to_numpy(label_distribution(truth, others.astype(np.float32)))
    assert losses[0] == pytest.approx(stats.entropy(about), abs=1e-3)
    assert losses[0] < min(losses[1:])
    errors = keras.ops.convert_to_numpy(mae(truth, others.astype(np.float32)))
    assert errors == pytest.approx([0, 0, 0.7], abs=0.01)


def test_months_learn_and_are_kept(train, work):
    run = train(12, "month_bins", learning_rate=3e-3)
    assert run.record["variant"] == "month_bins"
    assert run.history["mae"].iloc[-1] < 0.5 * run.history["mae"].iloc[0]
    assert run.history["val_mae"].iloc[-1] == pytest.approx(
        run.record["metrics"]["validation"]["mae"], abs=1e-3
    )
    model = load_model(run.folder)
    months = keras.Model(model.input, model.get_layer("month_bins").output)
    images = open_pack(work / "pack").images[:8]
    shares = months.predict(images[..., np.newaxis], verbose=0)
    ages = (np.arange(240) + 0.5) / 12
    np.testing.assert_allclose(shares @ ages, run.predictions["Prediction"][:8], atol=1e-3)
    np.testing.assert_allclose(told_again(run, work)["Prediction"], run.predictions["Prediction"], atol=1e-4)


def test_views_are_what_training_shows_never_mirrored_and_the_same_for_every_image():
    model = build_model("cnn", SIZE, 9.5, 3.0, 1, "tiny")
    # A bright patch on the left half, which no rotation, shift or zoom of training carries to the right.
    image = np.zeros((SIZE, SIZE), np.uint8)
    image[12:20, 4:9] = 200
    images = np.stack([image, np.roll(image, 2, axis=0), image])
    views = list(tta_images(model, images))
    assert len(views) == TTA_VIEWS
    assert all(set(np.unique(view)) == {0, 200} for view in views)
    assert all(view[0, :, : SIZE // 2].sum() == view[0].sum() > 0 for view in views)
    assert len({view[0].tobytes() for view in views}) > TTA_VIEWS / 2
    for view, alone in zip(views, tta_images(model, images[2:]), strict=True):
        np.testing.assert_array_equal(view[2], view[0])
        np.testing.assert_array_equal(alone[0], view[0])


def test_views_take_the_finished_plain_run_and_train_nothing(train, work, monkeypatch):
    with pytest.raises(BoneAgeError, match=r"cnn-6-plain-s5: not finished; train the network without"):
        train(6, "tta")
    plain = train(6, learning_rate=3e-3)
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("it trains"))
    run = train(6, "tta", learning_rate=3e-3)
    assert run.folder.name == "cnn-6-plain-tta-s5"
    assert (run.record["variant"], plain.record["variant"]) == ("tta", "")
    pd.testing.assert_frame_equal(run.history, plain.history)
    images = open_pack(work / "pack").images[:]
    model = load_model(plain.folder)
    said = [model.predict(view[..., np.newaxis], verbose=0)[:, 0] for view in tta_images(model, images)]
    np.testing.assert_allclose(run.predictions["Prediction"], np.mean(said, axis=0), atol=1e-4)
    assert np.abs(run.predictions["Prediction"] - plain.predictions["Prediction"]).max() > 0.01
    pd.testing.assert_frame_equal(told_again(run, work), run.predictions, atol=1e-4)
    # Nor are they those of a plain run that was trained otherwise.
    with pytest.raises(BoneAgeError, match="learning_rate"):
        train(6, "tta", learning_rate=0.01)


def test_an_unknown_variant_is_refused_before_a_folder_is_made(train, tmp_path):
    with pytest.raises(BoneAgeError, match="variant 'race': must be one of sex, month_bins, tta"):
        train(variant="race")
    assert not list(tmp_path.iterdir())


def test_half_precision_ends_with_numbers_and_is_kept_as_it_was_trained(train, work):
    run = train(precision="mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert np.isfinite(run.predictions["Prediction"]).all()
    assert np.isfinite(run.history["loss"]).all()
    model = load_model(run.folder)
    assert model.get_layer("pooled").compute_dtype == "bfloat16"
    assert {one.dtype for one in model.trainable_variables} == {"float32"}
    np.testing.assert_allclose(told_again(run, work)["Prediction"], run.predictions["Prediction"], atol=1e-4)


def test_the_precision_is_what_it_was_after_an_error(train, memory):
    memory(0, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        train(precision="mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
