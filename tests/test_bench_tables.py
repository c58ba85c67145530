"""The tables that benchmarks add to: no row takes the place of another run's, and what is there stays."""

import importlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from finished_runs import write_run

from boneage.core.errors import BoneAgeError
from boneage.evaluation import read_run

ROOT = Path(__file__).parents[1]
RECIPE = {
    **{"width": "full", "precision": "float32", "degradation": 0.25},
    **{"learning_rate": 1e-3, "weight_decay": 1e-2},
}


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module


def run_of(folder, **changes):
    known = {"source": "rsna", "size": 128, "batch_size": 8, "settings": RECIPE}
    return read_run(write_run(folder, **known | changes))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"variant": "tta"}, "variant is 'tta'"),
        ({"variant": "month_bins"}, "variant is 'month_bins'"),
        ({"source": "dha"}, "source is 'dha'"),
        ({"split_seed": 7}, "split_seed is 7"),
        ({"fold": "1-of-5"}, "fold is '1-of-5'"),
        ({"settings": {**RECIPE, "width": "tiny"}}, "width is 'tiny'"),
        ({"settings": {**RECIPE, "learning_rate": 0.003}}, "learning_rate is 0.003"),
    ],
)
def test_a_recipe_that_no_column_tells_is_refused(benchmark, tmp_path, changes, named):
    recipes = benchmark("recipes")
    like_the_rows = [run_of(tmp_path / "1"), run_of(tmp_path / "2", variant="sex")]
    recipes.check_told_apart(like_the_rows)
    with pytest.raises(BoneAgeError, match=f"{named}, for which the table has no column"):
        recipes.check_told_apart([*like_the_rows, run_of(tmp_path / "3", **changes)])


def test_two_recipes_of_one_row_are_refused_and_one_given_twice_is_not(benchmark, tmp_path):
    recipes = benchmark("recipes")
    run = run_of(tmp_path / "1")
    recipes.check_told_apart([run, run])
    with pytest.raises(BoneAgeError, match="cannot tell them apart"):
        recipes.check_told_apart([run, run_of(tmp_path / "2", finished="2026-11-02T10:00:00+00:00")])


@pytest.mark.parametrize("changes", [{"size": 256}, {"batch_size": 1}])
def test_a_recipe_of_other_size_or_steps_has_a_row_of_its_own(benchmark, tmp_path, changes):
    recipes = benchmark("recipes")
    one, other = (
        pd.DataFrame([{**recipes.named(run), "As they are": 1.0}])
        for run in (run_of(tmp_path / "1"), run_of(tmp_path / "2", **changes))
    )
    assert len(recipes.joined(one, other)) == 2
    again = recipes.joined(one, other, one.assign(**{"As they are": 2.0}))
    assert sorted(again["As they are"]) == [1.0, 2.0]


def test_the_recipes_that_are_recorded_stay_as_they_are(benchmark):
    recipes = benchmark("recipes")
    path = ROOT / "results" / "recipes.csv"
    known = pd.read_csv(path)
    assert list(known)[: len(recipes.RUN)] == recipes.RUN
    assert recipes.joined(known, known[-1:]).to_csv(index=False) == path.read_text(encoding="utf-8")


def scale_row(**changes):
    row = {"Radiographs": 1000, "Source side": 300, "Image side": 256, "Stage": "cases", "Workers": 0}
    row |= {"Seconds": 1.0, "CPU seconds": 1.0, "Peak memory": 100.0, "Disk": 0.0}
    return row | changes


def test_a_stage_on_radiographs_of_another_side_has_a_row_of_its_own(benchmark, tmp_path):
    scale = benchmark("scale")
    path = tmp_path / "scale.csv"
    recorded = scale.RECORD.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*recorded, ""]), encoding="utf-8")
    for row in (scale_row(), scale_row(**{"Source side": 600}), scale_row(Seconds=2.0)):
        scale.add([{**row, "Radiographs": 5}], path)
    added = pd.read_csv(path).query("Radiographs == 5")
    assert added[["Source side", "Seconds"]].values.tolist() == [[300, 2.0], [600, 1.0]]
    assert [line for line in path.read_text(encoding="utf-8").splitlines() if line[:2] != "5,"] == recorded


def test_the_picture_is_of_radiographs_of_one_side(benchmark, tmp_path):
    scale = benchmark("scale")
    table = pd.DataFrame([scale_row(), scale_row(Radiographs=4000)]).assign(Processor="one", Cores=2)
    other = table[:1].assign(**{"Source side": 600, "CPU seconds": 9.0})
    alone = scale.draw(table, tmp_path / "alone.svg")
    mixed = scale.draw(pd.concat([table, other]), tmp_path / "mixed.svg")
    assert alone.read_bytes() == mixed.read_bytes()


def test_each_precision_is_measured_and_named(benchmark, monkeypatch, tmp_path):
    precision = benchmark("precision")
    path, asked = tmp_path / "precision.csv", []

    def measured(network, names):
        asked.append((network, names[1]))
        return {"float32": 4.0, names[1]: {"mixed_bfloat16": 2.0, "mixed_float16": 1.0}[names[1]]}

    monkeypatch.setattr(precision, "milliseconds_an_image", measured)
    kinds = ("mixed_bfloat16", "mixed_float16")
    for kind in (*kinds, *kinds):
        options = ["--networks", "cnn", "unet", "--precision", kind, "--out", str(path)]
        monkeypatch.setattr("sys.argv", ["precision.py", *options])
        precision.main()
    rows = [(network, kind) for kind in kinds for network in ("cnn", "unet")]
    table = pd.read_csv(path)
    assert asked == rows == list(table[["Network", "Precision"]].itertuples(index=False, name=None))
    assert table["ms an image"].tolist() == [2.0, 2.0, 1.0, 1.0]
    assert table["Share"].tolist() == [0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    ("words", "steps"),
    [("nothing: the recipe as it is", 10), ("batches of 32", 4), ("a third of the rate", 10)],
)
def test_an_ingredient_is_trained_with_its_batches(benchmark, monkeypatch, words, steps):
    ingredients = benchmark("ingredients")
    keras = ingredients.keras
    trained = []

    def small(network, size, *choice, seed=1):
        image = keras.Input((size, size, 1))
        mean = keras.layers.GlobalAveragePooling2D()(image)
        return keras.Model(image, keras.layers.Dense(1)(mean), name=network)

    def compiled(model, settings, planned):
        ingredients.compile_model(model, settings, planned)
        trained.append((model, planned))

    monkeypatch.setattr(ingredients, "EPOCHS", 2)
    change = next(one for one in ingredients.CHANGES if one.words == words)
    cases = [f"{number}" for number in range(48)]
    split = np.where(np.arange(48) < 40, "train", "validation")
    labels = pd.DataFrame({"Case ID": cases, "Split": split, "Bone Age": np.linspace(1, 18, 48)})
    images = np.random.default_rng(1).integers(0, 256, (48, 8, 8), np.uint8)
    pack = SimpleNamespace(images=images, ids=tuple(cases), size=8, path=Path("pack"))
    row = ingredients.train_changed(replace(change, build=small, compile=compiled), labels, pack, seed=3)
    ((model, planned),) = trained
    assert int(model.optimizer.iterations) == planned == steps
    assert (row["Change"], row["Training images"], row["Seed"]) == (words, 40, 3)


def test_ingredients_of_another_seed_are_trained_and_those_that_are_recorded_are_not(
    benchmark, monkeypatch, tmp_path
):
    ingredients = benchmark("ingredients")
    path, trained = tmp_path / "ingredients.csv", []
    recorded = (ROOT / "results" / "ingredients.csv").read_text(encoding="utf-8")
    path.write_text(recorded, encoding="utf-8")

    def row_of(change, labels, pack, seed):
        trained.append((change.words, seed))
        return {**pd.read_csv(path).iloc[0], "Change": change.words, "Seed": seed}

    monkeypatch.setattr(ingredients, "train_changed", row_of)
    monkeypatch.setattr(ingredients, "read_labels", lambda path: SimpleNamespace(table=None))
    monkeypatch.setattr(ingredients, "open_pack", lambda path: None)
    for seed in (2026, 2027, 2027):
        options = ["--work", str(tmp_path), "--seed", str(seed), "--out", str(path)]
        monkeypatch.setattr("sys.argv", ["ingredients.py", *options])
        ingredients.main()
    assert trained == [(change.words, 2027) for change in ingredients.CHANGES]
    assert path.read_text(encoding="utf-8").startswith(recorded)
    assert len(pd.read_csv(path)) == 2 * len(ingredients.CHANGES)
