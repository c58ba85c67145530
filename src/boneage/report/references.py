"""Published results with their sources: how far readers differ, how well other systems do.

Images, labels and inputs differ, so none compares directly with a run of this project, and wherever these are
shown it says so.
"""

import numpy as np
import pandas as pd

from boneage.core.columns import Column, Table, View
from boneage.core.tables import MONTHS_PER_YEAR

READERS_RMS_YEARS = 0.63
"""RMS difference of two readers of the Digital Hand Atlas (Thodberg and Sävendahl, 2010)."""

CAUTION = (
    "None of these compares directly with a run of this project: the radiographs, the readings used as "
    "ground truth, the number of training images and the further inputs of a system all differ."
)

REFERENCES = Table(
    "Published results",
    [
        Column("What", "Readers or system."),
        Column("MAE (months)", "Mean absolute error.", ".3g"),
        Column("MAE (years)", "The same in years.", ".2f"),
        Column("RMS (years)", "Root mean square of the differences, always larger than the MAE.", ".2f"),
        Column("Images", "Which radiographs it was measured on.", heading="Images"),
        Column("Cases", "Number of cases, where published.", ",.0f"),
        Column(
            "Told besides",
            "Inputs besides the image; a healthy child's age says most about the bone age.",
            heading="Further input",
        ),
        Column("Trained on", "Data that the system was trained on."),
        Column("Source", "Where it was published."),
    ],
    "references.csv",
    "One row per result published by others.",
    CAUTION,
)

_THODBERG = (
    "H. H. Thodberg, L. Sävendahl: Validation and reference values of automated bone age determination for "
    "four ethnicities. Academic Radiology 2010; 17:1425–1432. doi:10.1016/j.acra.2010.06.007"
)
_CONVNEXT = (
    "J. T. Bram, A. Pareek, S. A. Beber et al.: Determination of skeletal age from hand radiographs using "
    "deep learning. American Journal of Sports Medicine 2025. doi:10.1177/03635465251359618"
)
_DEEPLASIA = (
    "S. Rassmann et al.: Deeplasia: deep learning for bone age assessment validated on skeletal dysplasias. "
    "Pediatric Radiology 2024; 54:82–95. doi:10.1007/s00247-023-05789-1"
)
_STRESS = (
    "S. M. Santomartino, K. Putman, E. Beheshtian, V. S. Parekh, P. H. Yi: Evaluating the robustness of a "
    "deep learning bone age algorithm to clinical image variation using computational stress testing. "
    "Radiology: Artificial Intelligence 2024"
)
_CHALLENGE = (
    "S. S. Halabi et al.: The RSNA Pediatric Bone Age Machine Learning Challenge. Radiology 2019; "
    "290:498–503. doi:10.1148/radiol.2018180736"
)
_BONEXPERT = (
    "D. D. Martin, A. D. Calder, M. B. Ranke, G. Binder, H. H. Thodberg: Accuracy and self-validation of "
    "automated bone age determination. Scientific Reports 2022; 12:6388. doi:10.1038/s41598-022-10292-y"
)
_PERFECT = "A perfect prediction, against the mean of both readers"
_COMPUTED = f"Computed from the readers' {READERS_RMS_YEARS} year, errors taken as normal and independent"

_IMAGES = {"dha": "the Digital Hand Atlas", "rsna": "the RSNA test set"}
_RSNA, _RSNA_RHPE = "RSNA 2017", "RSNA 2017, RHPE"
_SEX, _SEX_AND_AGE = "sex", "sex and the child's age"

# Name, MAE in months, RMS in years, image source, cases, further input, training data, reference.
_REFERENCES = (
    ("Two readers, one against the other", None, READERS_RMS_YEARS, "dha", 1100, "", "", _THODBERG),
    (
        "BoneXpert 2010, against the mean of both readers",
        None,
        0.61,
        "dha",
        None,
        _SEX,
        "own radiographs",
        _THODBERG,
    ),
    ("ConvNeXt, told the child's age", 4.65, None, "dha", None, _SEX_AND_AGE, _RSNA_RHPE, _CONVNEXT),
    ("ConvNeXt", 5.66, None, "dha", None, _SEX, _RSNA, _CONVNEXT),
    ("Deeplasia", 5.8, None, "dha", None, _SEX, _RSNA, _DEEPLASIA),
    ("Winner of the RSNA challenge 2017", 6.9, None, "dha", 1202, _SEX, _RSNA, _STRESS),
    ("ConvNeXt", 3.68, None, "rsna", None, _SEX, _RSNA, _CONVNEXT),
    ("Deeplasia", 3.87, None, "rsna", 200, _SEX, _RSNA, _DEEPLASIA),
    ("Winner of the RSNA challenge 2017", 4.2, None, "rsna", 200, _SEX, _RSNA, _CHALLENGE),
    (
        "BoneXpert 3, against the mean of six readings",
        None,
        0.45,
        "rsna",
        200,
        _SEX,
        "RSNA 2017, own radiographs",
        _BONEXPERT,
    ),
)


def perfect_mae(readers_rms: float) -> float:
    """The MAE in years of a perfect prediction against the mean of two readings.

    If two readings differ by ``readers_rms`` (root mean square, years), each has an error of that over √2,
    their mean half of it; the mean absolute value of a normal error is √(2/π) of its standard deviation.
    """
    return readers_rms / 2 * np.sqrt(2 / np.pi)


def references_table() -> pd.DataFrame:
    """``REFERENCES``: one row per published result, and the MAE of a perfect prediction."""
    rows = [
        (
            what,
            months,
            months and months / MONTHS_PER_YEAR,
            rms,
            _IMAGES[images],
            cases,
            told,
            trained,
            source,
        )
        for what, months, rms, images, cases, told, trained, source in _REFERENCES
    ]
    perfect = perfect_mae(READERS_RMS_YEARS)
    rows.insert(
        1,
        (_PERFECT, perfect * MONTHS_PER_YEAR, perfect, None, _IMAGES["dha"], None, "", "", _COMPUTED),
    )
    table = pd.DataFrame(rows, columns=list(REFERENCES))
    numbers = ["MAE (months)", "MAE (years)", "RMS (years)", "Cases"]
    return table.astype(dict.fromkeys(numbers, float)).astype({"Cases": "Int64"})


def reference_lines(source: str) -> dict[str, tuple[float, float]]:
    """Published results to show in an MAE figure of a source: words -> span in years.

    Systems that take the child's age are left out: in healthy children it says most about the bone age.

    Args:
        source: A source, or several joined by " and "; none for drawn hands.
    """
    if source not in _IMAGES:
        return {}
    table = references_table()
    perfect = perfect_mae(READERS_RMS_YEARS)
    systems = table[(table["Images"] == _IMAGES[source]) & (table["Told besides"] == _SEX)]
    mae = systems["MAE (years)"].dropna()
    return {
        f"a perfect prediction, against two readers ({perfect:.2f} years)": (perfect, perfect),
        f"published on {_IMAGES[source]}, under other conditions\n({mae.min():.2f}–{mae.max():.2f} years)": (
            mae.min(),
            mae.max(),
        ),
    }


def sources_of(table: pd.DataFrame) -> list[str]:
    """The references of published results, without duplicates."""
    return list(dict.fromkeys(table["Source"]))


def references_view(table: pd.DataFrame) -> View:
    """Published results, each with the number of its reference in :func:`sources_of`."""
    sources = sources_of(table)
    numbers = [f"[{sources.index(source) + 1}]" for source in table["Source"]]
    return REFERENCES.show(table.assign(Source=numbers))
