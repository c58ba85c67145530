"""The review board in a notebook: core widgets over a review log, with keys where a script can run.

A decision is on disk before the next image shows. No click deletes anything: the board adds rows to the log,
and a later cell applies them. The board knows nothing of files or training: it is given a case table,
anomalies, a log and a function that reads an image.

Works with ipywidgets 7.7.1 (Colab's) and 8. A small script (with anywidget, if installed) handles keys and
the pointer; without it a click on an image is a click on a button over it, and every button works.
"""

from boneage.review.board.one_image import Suggest
from boneage.review.board.review_board import ReviewBoard

__all__ = ["ReviewBoard", "Suggest"]
