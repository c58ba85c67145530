"""Networks that begin with what they learnt from drawn hands."""

import numpy as np
import pandas as pd
import pytest

from boneage.core.errors import BoneAgeError
from boneage.core.settings import Settings
from boneage.networks import WeightsError
from boneage.training import load_model, pretrain
from boneage.training.first_weights import begin_with, find_pretrained, new_model
from boneage.training.model import build_model
from boneage.training.pretrain import SEED, draw_hands

SIZE, HANDS = 32, 100


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    folder = tmp_path_factory.mktemp("pretrained")
    return Settings(
        work=folder,
        train_size=SIZE,
        hands=HANDS,
        width="tiny",
        train_seed=5,
        weights="phantom",
    )


@pytest.fixture(scope="module")
def run(settings):
    return pretrain("cnn", settings, epochs=2)


def test_the_record_says_what_it_learnt_from(run):
    assert run.record["source"] == "phantom"
    assert run.record["cases"]["train"] == 90
    assert run.record["train_seed"] == SEED


def test_the_same_hands_are_drawn_though_it_was_stopped(run, settings, tmp_path):
    # What a stop leaves: some hands are there, and are not drawn again.
    drawn = sorted((run.folder.parent / "hands" / str(HANDS)).iterdir())
    there = tmp_path / "hands" / str(HANDS)
    there.mkdir(parents=True)
    (there / drawn[0].name).write_bytes(drawn[1].read_bytes())
    labels, pack = draw_hands(HANDS, SIZE, run.folder.parent)
    again, resumed = draw_hands(HANDS, SIZE, tmp_path)
    pd.testing.assert_frame_equal(labels.table, again.table)
    assert (resumed.images[0] == pack.images[1]).all()
    assert (resumed.images[1:] == pack.images[1:]).all()


def test_another_number_of_hands_is_of_other_hands_with_their_own_ages(tmp_path):
    draw_hands(4, SIZE, tmp_path)
    labels, pack = draw_hands(6, SIZE, tmp_path)
    alone, fresh = draw_hands(6, SIZE, tmp_path / "fresh")
    pd.testing.assert_frame_equal(labels.table, alone.table)
    assert all((pack.images[row] == fresh.images[row]).all() for row in range(6))


def test_drawn_hands_have_all_ages_and_differ(run):
    labels, pack = draw_hands(HANDS, SIZE, run.folder.parent)
    assert labels.table["Bone Age"].between(0, 19).all()
    assert labels.table["Bone Age"].std() > 4
    assert len(np.unique(pack.images[:].reshape(HANDS, -1), axis=0)) == HANDS
    assert set(labels.table["Split"]) == {"train", "validation", "test"}


def test_what_is_finished_is_left_alone(run, settings, capsys):
    pretrain("cnn", settings.replace(train_seed=6), epochs=2)
    assert "not trained again" in capsys.readouterr().out


def test_a_network_begins_with_the_ages_that_it_learnt(run, settings):
    model, words = new_model("cnn", SIZE, (11.0, 2.5), "", settings)
    assert words == "from 90 drawn hands, 2 epochs"
    images = np.random.default_rng(0).integers(0, 255, (6, SIZE, SIZE, 1)).astype("float32")
    theirs = load_model(run.folder).predict(images, verbose=0)
    np.testing.assert_allclose(model.predict(images, verbose=0), theirs, rtol=1e-4)


def test_what_was_not_pretrained_says_what_to_run(run, settings):
    with pytest.raises(WeightsError, match="pretrain --arch unet --variant sex --train-size 32"):
        find_pretrained("unet", SIZE, "sex", settings)


def test_weights_of_other_layers_are_refused(run):
    with pytest.raises(BoneAgeError, match="pretrain again"):
        begin_with(build_model("unet", SIZE, 11.0, 2.5, seed=8, width="tiny"), load_model(run.folder))
