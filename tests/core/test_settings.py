"""Settings refuse what they do not know and come back from JSON as they went."""

import json
import re

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.core.errors import BoneAgeError
from boneage.core.settings import PRESETS, Settings


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid_and_survive_json(preset):
    settings = Settings.preset(preset)
    assert Settings.from_json(settings.to_json()) == settings


@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.floats(1e-6, 1.0),
    epochs=st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True),
    work=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
)
def test_any_valid_settings_survive_json(seed, rate, epochs, work):
    settings = Settings(split_seed=seed, train_seed=seed, learning_rate=rate, epochs=tuple(epochs), work=work)
    assert Settings.from_json(settings.to_json()) == settings


def test_the_colab_preset_is_the_published_design():
    settings = Settings.preset("colab")
    assert (settings.image_size, settings.epochs, settings.source) == (928, (10, 18), "dha")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"epoch": 10}, "no such setting"),
        ({"seed": 10}, r"did you mean split_seed or train_seed\?"),
        ({"epochs": 10}, "list of whole numbers"),
        ({"epochs": [10, 10]}, "once"),
        ({"epochs": []}, "once"),
        ({"epochs": [0]}, "between"),
        ({"train_size": "128"}, "whole number"),
        ({"train_size": True}, "whole number"),
        ({"train_size": 100000}, "between"),
        ({"learning_rate": float("nan")}, "a number"),
        ({"source": "knee"}, "one of"),
        ({"work": 3}, "text"),
        ({"cache": "a\0b"}, "text"),
        ({"data": "\ud800"}, "text"),
        ({"validation_share": 0.9}, "between"),
        ({"width": "wide"}, "one of"),
        ({"weights": "imagenet"}, "tiny networks have no ImageNet weights"),
    ],
)
def test_wrong_overrides_are_refused_by_name(overrides, words):
    with pytest.raises(BoneAgeError, match=words) as caught:
        Settings.preset("demo", **overrides)
    assert next(iter(overrides)) in str(caught.value)


def test_an_unknown_preset_is_refused():
    with pytest.raises(BoneAgeError, match="demo, colab"):
        Settings.preset("laptop")


def test_a_damaged_settings_file_is_named(tmp_path):
    path = tmp_path / "settings.json"
    texts = ["", "{", "[]", "NaN", json.dumps({"sed": 1}), '{"train_seed": "1"}', '{"learning_rate": NaN}']
    texts += ["[" * 100_000, '{"train_seed": ' + "1" * 5000 + "}", json.dumps({"work": ["x" * 10_000_000]})]
    for text in texts:
        path.write_text(text)
        with pytest.raises(BoneAgeError, match=r"settings\.json: .*; correct the file, or delete") as caught:
            Settings.load(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Settings().train_seed = 1


def test_every_setting_is_explained_once_and_in_a_sentence():
    for name, field in Settings.model_fields.items():
        assert re.fullmatch(r"[A-Z].*\.", field.description), name
