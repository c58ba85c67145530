"""Figures say what their tables say, and leave nothing behind."""

import base64
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from boneage.core.tables import LABEL_TABLE
from boneage.report import plots

PNG_MARK = b"\x89PNG\r\n\x1a\n"


def make_joined(errors: dict[str, list[float]]) -> pd.DataFrame:
    """Predictions beside the truth with given errors for each split."""
    rows = [
        (split, 4.0 + 2 * place, error)
        for split, given in errors.items()
        for place, error in enumerate(given)
    ]
    joined = pd.DataFrame(rows, columns=["Split", "Bone Age", "Error"])
    return joined.assign(Prediction=joined["Bone Age"] + joined["Error"])


def make_labels(years: list[float], males: list[bool], splits: list[str]) -> pd.DataFrame:
    ids = [f"c{place}" for place in range(len(years))]
    columns = (ids, years, males, ["Unknown"] * len(ids), ids, splits, ["[]"] * len(ids))
    return pd.DataFrame(dict(zip(LABEL_TABLE, columns, strict=True)))


def words_of(figure: Figure) -> str:
    """Every word that a figure shows."""
    figure.draw_without_rendering()
    return " ".join(text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text")))


def points_of(figure: Figure) -> np.ndarray:
    clouds = [one for one in figure.axes[0].collections if isinstance(one, PathCollection)]
    return np.concatenate([np.asarray(cloud.get_offsets()) for cloud in clouds])


def history(network: str = "CNN", epochs: int = 3, val_mae=(2.5, 2.0, 1.5)) -> pd.DataFrame:
    """How a training went, as ``evaluation.histories_table`` has it."""
    return pd.DataFrame(
        {"Network": network, "Epochs": epochs, "epoch": [1, 2, 3], "mae": [3.0, 2, 1], "val_mae": val_mae}
    )


HISTORY = history()
DETAILS = pd.DataFrame(
    {
        "Network": ["VGG19", "CNN", "CNN"],
        "Epochs": [10, 10, 18],
        "Test cases": [15, 15, 15],
        "Test MAE (years)": [1.0, 2.0, 1.5],
        "Test MAE low (years)": [0.8, 1.5, np.nan],
        "Test MAE high (years)": [1.2, 2.5, np.nan],
    }
)


JOINED = make_joined({"train": [0.1, 0.2], "validation": [1.0, -1.0], "test": [2.0, -1.0, 0.5]})
LABELS = make_labels([0.5, 3.0, 18.9], [True, False, True], ["train", "validation", "test"])


@pytest.mark.parametrize(
    ("draw", "given"),
    [
        (plots.age_histogram, (LABELS,)),
        (plots.ages_by_sex, (pd.Series([0.5, 3.0]), pd.Series(["F", "M"]))),
        (plots.years_before_and_after, (pd.Series([0.5, 3.0]), pd.Series([0.5, 0.5, 3.0]))),
        (plots.learning_curves, (HISTORY,)),
        (plots.predicted_against_true, ({"CNN": JOINED}, "10 epochs")),
        (plots.bland_altman, ({"CNN": JOINED}, "10 epochs")),
        (plots.error_by_age, ({"CNN": JOINED}, "10 epochs")),
        (plots.mae_bars, (DETAILS, 2.8)),
    ],
)
def test_every_figure_has_a_title_units_words_and_a_picture_for_notebooks(draw, given: tuple) -> None:
    chart = draw(*given)
    assert isinstance(chart, Figure)
    assert chart.png().startswith(PNG_MARK)
    assert chart.css_width < 600
    assert chart.get_suptitle()
    labels = [axes.get_ylabel() + axes.get_xlabel() for axes in chart.axes]
    assert "year" in " ".join(labels)
    # Words that hold numbers: not the title over again.
    assert re.search(r"\d", chart.words)
    assert len(chart.words) > len(chart.get_suptitle())


def test_a_notebook_shows_a_figure_with_its_words(monkeypatch) -> None:
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, **given: shown.append((bundle, given)))
    chart = plots.mae_bars(DETAILS.assign(Network='<VGG> "19"'), 2.8)
    # What IPython asks first, so that no formatter of pyplot's comes before it.
    chart._ipython_display_()
    ((bundle, given),) = shown
    assert base64.b64decode(bundle["image/png"]).startswith(PNG_MARK)
    assert bundle["text/plain"] == chart.words
    assert given["metadata"]["image/png"]["alt"] == chart.words
    assert 'alt="Bars: test MAE in years, the best first. &lt;VGG&gt; &quot;19&quot;' in bundle["text/html"]
    assert bundle["image/png"] in bundle["text/html"]


def test_every_panel_of_many_says_whose_it_is_and_the_rest_stay_empty() -> None:
    runs = {f"Network {place}": JOINED for place in range(7)}
    for draw in (plots.predicted_against_true, plots.bland_altman, plots.error_by_age):
        for wide, columns in ((True, 3), (False, 2)):
            chart = draw(runs, "10 epochs", wide)
            shown = [axes for axes in chart.axes if axes.get_visible()]
            names = [axes.get_title(loc="left").split("\n")[0] for axes in shown]
            assert names == list(runs)
            assert chart.axes[0].get_subplotspec().get_gridspec().ncols == columns
            assert all(name in chart.words for name in runs)
    assert chart.css_width < 600


def test_figures_leave_no_trace_in_pyplot() -> None:
    code = (
        "import sys, pandas as pd; from boneage.report import plots;"
        "plots.ages_by_sex(pd.Series([1.0]), pd.Series(['F'])).png();"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


DIFFERENCES = pd.DataFrame(
    {
        "Epochs": 10,
        "Network": ["VGG19", "VGG19", "CNN"],
        "Other network": ["CNN", "Yolo", "Yolo"],
        "Test cases": 1500,
        "Test MAE (years)": [1.0, 1.0, 2.0],
        "Other test MAE (years)": [2.0, 1.25, 1.25],
        "Significant": ["yes", "no", "yes"],
    }
)


def test_the_heat_map_shows_each_pair_once_and_colours_the_significant_ones() -> None:
    chart = plots.difference_heatmap(DIFFERENCES)
    words = words_of(chart)
    for expected in ("months", "10 epochs", "1,500 test cases", "3 pairs", "VGG19 (1.00)", "CNN (2.00)"):
        assert expected in words
    (axes,) = chart.axes
    rows = [label.get_text().split()[0] for label in axes.get_yticklabels()]
    columns = [label.get_text().split()[0] for label in axes.get_xticklabels()]
    # The better, the further left and up.
    assert (rows, columns) == (["Yolo", "CNN"], ["VGG19", "Yolo"])
    numbers = {
        (rows[text.get_position()[1]], columns[text.get_position()[0]]): text.get_text()
        for text in axes.texts
    }
    assert numbers == {("Yolo", "VGG19"): "3.0", ("CNN", "VGG19"): "12.0", ("CNN", "Yolo"): "9.0"}
    coloured = ~np.ma.getmaskarray(axes.images[0].get_array())
    assert coloured.tolist() == [[False, False], [True, True]]


def test_the_heat_map_of_one_pair_that_differs_in_nothing_is_drawn() -> None:
    alike = DIFFERENCES.iloc[:1].assign(**{"Other test MAE (years)": 1.0, "Significant": "no"})
    chart = plots.difference_heatmap(alike)
    assert chart.png().startswith(PNG_MARK)
    assert [text.get_text() for text in chart.axes[0].texts] == ["0.0"]


def test_published_figures_stand_in_the_bars_as_a_line_and_a_span() -> None:
    lines = {"perfect (0.25 years)": (0.25, 0.25), "published (0.47–0.58 years)": (0.47, 0.58)}
    chart = plots.mae_bars(DETAILS, 3.0, lines)
    words = words_of(chart)
    assert all(line in words for line in lines)
    (axes,) = chart.axes
    vertical = {tuple(line.get_xdata()) for line in axes.get_lines() if len(set(line.get_xdata())) == 1}
    assert {(0.25, 0.25), (3.0, 3.0)} <= vertical
    spans = [patch for patch in axes.patches if patch.get_label() == "published (0.47–0.58 years)"]
    assert [(one.get_x(), one.get_x() + one.get_width()) for one in spans] == [pytest.approx((0.47, 0.58))]
    assert "published" not in words_of(plots.mae_bars(DETAILS, 3.0))


def test_ages_are_counted_by_whole_year_sex_and_split() -> None:
    labels = make_labels(
        [0.0, 0.9, 1.0, 5.5, 20.0],
        [False, False, False, True, True],
        ["train", "test", "train", "train", "test"],
    )
    chart = plots.age_histogram(labels)
    girls, boys = chart.axes
    heights = {round(bar.get_x() + bar.get_width() / 2): 0 for bar in girls.patches}
    for bar in girls.patches:
        heights[round(bar.get_x() + bar.get_width() / 2)] += bar.get_height()
    assert (heights[0], heights[1], heights[5]) == (2, 1, 0)
    assert sum(bar.get_height() for bar in boys.patches) == 2
    words = words_of(chart)
    for expected in ("5 cases", "Girls (n = 3)", "Boys (n = 2)", "train (3)", "validation (0)", "test (2)"):
        assert expected in words
    assert "copies" not in words


def test_changed_copies_are_told_apart_from_the_cases_that_they_are_of() -> None:
    labels = make_labels([1.0, 1.0, 5.0], [True] * 3, ["train", "train", "test"])
    labels["Source ID"] = ["c0", "c0", "c2"]
    chart = plots.age_histogram(labels)
    words = words_of(chart)
    for expected in ("3 images", "train (1)", "train, augmented (1)", "test (1)"):
        assert expected in words
        assert expected.split(" (")[0] in chart.words
    boys = chart.axes[1]
    assert sum(bar.get_height() for bar in boys.patches) == 3


def test_sex_and_race_are_counted_before_and_after() -> None:
    before = pd.DataFrame({"sex": list("FFM"), "race": ["Asian", "Caucasian", "Asian"]})
    after = pd.concat([before, before.iloc[[2, 2]]])
    chart = plots.groups_before_and_after(before, after)
    first, second = chart.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["Caucasian", "Asian"]
    widths = [[bar.get_width() for bar in axes.patches] for axes in (first, second)]
    # Girls of each race, then boys.
    assert widths == [[1, 1, 0, 1], [1, 1, 0, 3]]
    assert "images of the plan, boys: 3 Asian, 0 Caucasian" in chart.words


def test_predicted_against_true_shows_no_training_case() -> None:
    joined = make_joined({"train": [0.0] * 9, "validation": [1.0, -2.0], "test": [0.5]})
    chart = plots.predicted_against_true({"CNN": joined}, "10 epochs")
    judged = joined[joined["Split"] != "train"]
    assert sorted(points_of(chart).tolist()) == sorted(judged[["Bone Age", "Prediction"]].to_numpy().tolist())
    words = words_of(chart)
    assert "validation: MAE 1.50, n = 2" in words
    assert "test: MAE 0.50, n = 1" in words


def test_bland_altman_limits_are_those_of_the_paper() -> None:
    errors = [1.0, -1.0, 3.0, 1.0]
    chart = plots.bland_altman({"CNN": make_joined({"validation": [9.0], "test": errors})}, "10 epochs")
    lines = {round(float(line.get_ydata()[0]), 6) for line in chart.axes[0].lines}
    # Mean 1, sample standard deviation sqrt(8 / 3).
    reach = 1.96 * np.sqrt(8 / 3)
    assert lines == {0.0, 1.0, round(1 + reach, 6), round(1 - reach, 6)}
    points = points_of(chart)
    assert points[:, 1].tolist() == errors
    assert points[0, 0] == pytest.approx((4.0 + 5.0) / 2)
    assert "bias +1.00" in words_of(chart)
    assert "4 test cases" in chart.words


def test_a_first_validation_out_of_all_proportion_does_not_flatten_the_curves() -> None:
    chart = plots.learning_curves(history(val_mae=[500.0, 2.0, 1.5]))
    (axes,) = chart.axes
    assert axes.get_ylim()[1] < 2 * 3.0
    assert "1 beyond the scale, up to 500" in words_of(chart)


def test_learning_curves_of_all_runs_stand_in_one_figure() -> None:
    table = pd.concat([history("VGG19"), history("CNN"), history("CNN", epochs=18, val_mae=[np.nan] * 3)])
    chart = plots.learning_curves(table)
    vgg19, cnn = chart.axes
    assert [axes.get_title(loc="left") for axes in chart.axes] == ["VGG19", "CNN"]
    labels = [line.get_label() for line in cnn.lines]
    assert labels == [
        "3 epochs, training (augmented)",
        "3 epochs, validation",
        "18 epochs, training (augmented)",
        "18 epochs, validation",
    ]
    assert vgg19.lines[1].get_ydata().tolist() == [2.5, 2.0, 1.5]
    # An epoch count has its colour, a split its line.
    colours = [line.get_color() for line in cnn.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert cnn.lines[0].get_linestyle() != cnn.lines[1].get_linestyle()


def test_error_by_age_names_its_groups_and_their_counts() -> None:
    words = words_of(plots.error_by_age({"CNN": make_joined({"test": [1.0, 2.0]})}, "10 epochs"))
    assert "3\n1" in words
    assert "6\n1" in words


def test_mae_bars_show_each_run_and_the_baseline() -> None:
    chart = plots.mae_bars(DETAILS, 2.8)
    axes = chart.axes[0]
    assert sorted(bar.get_width() for bar in axes.patches) == [1.0, 1.5, 2.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["VGG19", "CNN"]
    better = DETAILS.assign(**{"Test MAE (years)": [1.0, 2.0, 0.5]})
    names = [label.get_text() for label in plots.mae_bars(better).axes[0].get_yticklabels()]
    assert names == ["CNN", "VGG19"]
    assert "training median (2.80 years)" in words_of(chart)
    assert "training median" not in words_of(plots.mae_bars(DETAILS))


@pytest.mark.parametrize("cases", [0, 1])
def test_few_cases_and_no_history_are_drawn_all_the_same(cases: int) -> None:
    joined = make_joined({"test": [0.5] * cases}).astype({"Bone Age": float, "Prediction": float})
    for draw in (plots.predicted_against_true, plots.bland_altman, plots.error_by_age):
        assert draw({"CNN": joined}, "10 epochs").png().startswith(PNG_MARK)
    assert plots.learning_curves(HISTORY.iloc[:cases]).png().startswith(PNG_MARK)
    labels = make_labels([1.0] * cases, [True] * cases, ["train"] * cases)
    assert plots.age_histogram(labels).png().startswith(PNG_MARK)


def test_a_dollar_sign_in_a_title_is_no_formula() -> None:
    title = "CNN on $\\frac{x$ _^"
    assert plots.bland_altman({title: make_joined({"test": [1.0, 2.0]})}, title).png().startswith(PNG_MARK)


def test_years_before_and_after_say_how_even_they_are():
    before, after = pd.Series([0.2, 3.0, 3.9, 18.0]), pd.Series([0.2, 0.2, 3.0, 3.9, 18.0, 18.0])
    figure = plots.years_before_and_after(before, after)
    words = words_of(figure)
    assert "Accepted cases (n = 4, 1 to 2 a year)" in words
    assert "Images of the plan (n = 6, 2 to 2 a year)" in words
    heights = [[bar.get_height() for bar in axes.patches] for axes in figure.axes]
    assert [heights[0][year] for year in (0, 1, 3, 18)] == [1, 0, 2, 1]
    assert [heights[1][year] for year in (0, 1, 3, 18)] == [2, 0, 2, 2]


COVERAGE = pd.DataFrame(
    {
        "Predictions": ["below 9", "from 9 on", "all"],
        "Validation cases": [40, 60, 100],
        "Test cases": [0, 50, 50],
        "Covered": [0, 44, 44],
        "Coverage": [np.nan, 0.88, 0.88],
        "Coverage low": [np.nan, 0.757, 0.757],
        "Coverage high": [np.nan, 0.955, 0.955],
        "Mean width (years)": [np.nan, 5.0, 5.0],
        "Level": [0.9] * 3,
    }
)
ROBUSTNESS = pd.DataFrame(
    {
        "Images": ["as they are", "turned by 5°", "turned by 180°", "inverted"],
        "Perturbation": ["", "rotation", "rotation", "inversion"],
        "Cases": [68] * 4,
        "MAE (years)": [1.0, 1.1, 4.0, 3.0],
        "Change in MAE (years)": [0.0, 0.1, 3.0, 2.0],
        "Change low (years)": [0.0, -0.1, 2.0, np.nan],
        "Change high (years)": [0.0, 0.3, 4.0, np.nan],
        "Mean movement (years)": [0.0, 0.4, 3.5, 2.5],
    }
)


def test_coverage_stands_beside_the_nominal_level_with_counts_and_widths() -> None:
    chart = plots.coverage_by_band(COVERAGE, "CNN")
    axes = chart.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [
        "below 9\n0 cases",
        "from 9 on\n50 cases, 5.0 years wide",
        "all\n50 cases, 5.0 years wide",
    ]
    words = words_of(chart)
    for expected in ("Coverage of the 90% intervals: CNN", "50 test cases", "nominal: 90%"):
        assert expected in words
    low, high = axes.get_xlim()
    assert low < 0.757
    assert high > 0.955
    assert chart.png().startswith(PNG_MARK)


def test_robustness_shows_each_change_against_the_images_as_they_are() -> None:
    chart = plots.robustness_dots(ROBUSTNESS, "CNN")
    axes = chart.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ROBUSTNESS["Images"].tolist()[1:]
    lines = {
        line.get_marker(): line.get_xdata().tolist() for line in axes.lines if line.get_marker() in ("o", "d")
    }
    assert lines == {"o": [0.1, 3.0, 2.0], "d": [0.4, 3.5, 2.5]}
    assert "68 cases, MAE 1.00 years unchanged" in words_of(chart)
    assert chart.png().startswith(PNG_MARK)
