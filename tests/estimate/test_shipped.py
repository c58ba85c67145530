"""The models that come with the repository: small, whole, and what their card and the README say of them."""

import re

import numpy as np
import pytest
from on_jax import said_on_jax

from boneage.core.columns import number
from boneage.notebooks import checkout

ROOM_BYTES = 15_000_000

# What they say of drawn hands, in years; by age and sex. They learnt from real ones and often err here.
SAID = {(2.0, "F"): 2.73, (5.0, "M"): 5.27, (9.0, "F"): 6.27, (13.0, "M"): 9.55, (16.0, "F"): 7.69}

ON_JAX = """
import json
import keras
from boneage.estimate import load_ensemble
from boneage.estimate.ensemble import read_images
from boneage.phantom.drawing import draw_hand
assert keras.backend.backend() == "jax"
hand = draw_hand(9.0, "F", 9, height=600).image
print(json.dumps(read_images(load_ensemble(), [hand], "F").votes.ravel().tolist()))
"""


@pytest.fixture(scope="module")
def ensemble():
    from boneage.estimate import load_ensemble

    return load_ensemble()


def votes(ensemble, age, sex):
    from boneage.estimate.ensemble import read_images
    from boneage.phantom.drawing import draw_hand

    return read_images(ensemble, [draw_hand(age, sex, round(age), height=600).image], sex).votes.ravel()


def test_they_are_small_and_hold_no_image():
    from boneage.estimate.models import shipped_models

    folder = shipped_models()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= ROOM_BYTES
    assert {path.suffix for path in folder.iterdir()} == {".md", ".json", ".npz"}


def test_every_case_was_held_out_of_one_network_and_the_card_and_the_readme_tell_their_errors(ensemble):
    from boneage.estimate.interval import held_out_means
    from boneage.estimate.models import shipped_models
    from boneage.report.card import ERRORS, errors_by_group

    reference = ensemble.reference
    assert ((~reference.trained).sum(axis=0) == 1).all()
    said = held_out_means(reference.held_out)
    errors = errors_by_group(reference.years, reference.male, said)
    card = (shipped_models() / "README.md").read_text(encoding="utf-8")
    assert ERRORS.show(errors).to_markdown() in card
    baseline = np.abs(reference.years - np.median(reference.years)).mean()
    assert f"has an MAE of {baseline:.2f} years (baseline)" in card
    row = r"\| the Digital Hand Atlas \| (\d+) \| (\d\.\d\d) .* \| −(\d\.\d\d) \| 0\.(\d\d) \|"
    (cases, outside, bias, inside) = re.search(row, card).groups()
    guide = " ".join((checkout() / "docs" / "estimate.md").read_text(encoding="utf-8").split())
    assert f"{outside} years on {cases} of the Digital Hand Atlas, which they call {bias} years too" in guide
    assert f"the 90 % interval holds {inside} % of the bone ages" in guide
    readme = " ".join((checkout() / "README.md").read_text(encoding="utf-8").split())
    assert f"and {outside} on {cases} of another source" in readme
    mae = number(float(np.abs(said - reference.years).mean()), ".2f")
    line = f"{mae} years on {len(said)} radiographs, each held out of the network that read it"
    for page in ("README.md", "docs/estimate.md"):
        assert line in " ".join((checkout() / page).read_text(encoding="utf-8").split())


@pytest.mark.parametrize(("case", "years"), SAID.items())
def test_they_say_of_drawn_hands_what_they_said_when_they_were_shipped(ensemble, case, years):
    assert votes(ensemble, *case).mean() == pytest.approx(years, abs=0.02)


@pytest.mark.slow
def test_on_jax_they_say_the_same(ensemble):
    assert said_on_jax(ON_JAX) == pytest.approx(votes(ensemble, 9.0, "F").tolist(), abs=0.01)
