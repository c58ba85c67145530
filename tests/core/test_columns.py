"""A table that is declared once says the same as CSV, HTML and Markdown."""

import numpy as np
import pandas as pd
import pytest

from boneage.core.columns import Column, Table, leaves_out_zero, with_interval
from boneage.core.errors import BoneAgeError

BASELINE = "Baseline"
RUNS = Table(
    "Error of each run",
    [
        Column("Network", "What was trained."),
        with_interval("MAE (years)", "How far a prediction is off on average.", ".2f", best="min"),
        Column("Accuracy", "Share of accurate cases.", ".3f", unit="share", best="max"),
        Column("Bias (years)", "Mean error.", "+.2f"),
        Column("Cases", "How many were tested.", ",.0f"),
    ],
    note="Years & months.",
    reference=BASELINE,
    absent="not run yet",
)
ROWS = [
    ("CNN", 1.0, 0.5, 1.25, 0.25, -0.001, 1200),
    ("<b>", 0.75, 0.5, 1.0, 0.25, -0.5, 1200),
    ("U-Net", *[np.nan] * 6),
    (BASELINE, 0.5, np.nan, np.nan, 0.9, 0.0, 1200),
]
FRAME = RUNS.frame(ROWS)


def test_a_table_stands_for_the_names_of_its_columns():
    names = [
        "Network",
        "MAE (years)",
        "MAE low (years)",
        "MAE high (years)",
        "Accuracy",
        "Bias (years)",
        "Cases",
    ]
    assert list(RUNS) == names == list(FRAME)
    assert "MAE low (years)" in RUNS
    assert "MAE" not in RUNS
    assert RUNS.frame().empty
    assert set(RUNS) <= set(FRAME)


def test_a_frame_is_checked_and_put_in_order():
    assert list(RUNS.check(FRAME[FRAME.columns[::-1]].assign(more=1))) == list(RUNS)
    with pytest.raises(BoneAgeError, match="Error of each run: column MAE low"):
        RUNS.check(FRAME.drop(columns="MAE low (years)"))


def test_csv_holds_every_column_and_no_formula():
    text = RUNS.to_csv(FRAME.assign(Network=["=cmd()", *FRAME["Network"][1:]]))
    assert text.splitlines()[0] == ",".join(RUNS)
    assert text.splitlines()[1] == "'=cmd(),1.0,0.5,1.25,0.25,-0.001,1200.0"


def test_markdown_has_units_intervals_proper_signs_and_the_best_marked():
    assert RUNS.show(FRAME).to_markdown().splitlines() == [
        "| Network | MAE (years) | Accuracy (share) | Bias (years) | Cases |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| CNN | 1.00 (0.50–1.25) | 0.250 ★ | +0.00 | 1,200 |",
        "| <b> | 0.75 ★ (0.50–1.00) | 0.250 ★ | −0.50 | 1,200 |",
        "| U-Net | not run yet |  |  |  |",
        "| *Baseline* | *0.50* | *0.900* | *+0.00* | *1,200* |",
    ]


def test_one_alone_is_no_competition():
    assert not RUNS.show(FRAME.iloc[[0, 2, 3]]).stars
    assert "★" not in RUNS.show(FRAME.iloc[[0, 2, 3]]).to_markdown()


def test_html_is_escaped_and_says_what_stands_out():
    page = RUNS.part("A & B").show(FRAME).to_html()
    assert "<b>" not in page
    assert 'aria-label="A &amp; B"' in page
    assert '<tr class="absent"><th scope="row">U-Net</th><td colspan="4">not run yet</td>' in page
    assert '<td class="best">0.75 ★ <small>0.50–1.00</small></td>' in page
    assert page.count('class="reference"') == 1
    assert "Years &amp; months." in page


def test_some_columns_may_be_shown_and_are_explained():
    shown = RUNS.part("Cases", "Network", "Cases").show(FRAME)
    assert [column.name for column in shown.columns] == ["Network", "Cases"]
    assert shown.table.explain() == "- **Network**: What was trained.\n- **Cases**: How many were tested.\n"
    assert "What was trained." in shown._repr_html_()
    assert repr(shown) == "Cases"


def test_a_difference_stands_out_where_its_interval_leaves_out_zero():
    marked = leaves_out_zero("low", "high")
    rows = pd.DataFrame({"low": [-2, -1, 1, np.nan], "high": [-1, 1, 2, np.nan]}).to_dict("records")
    assert [marked(row) for row in rows] == ["significant", "", "significant", ""]
