"""The review of images in a notebook: core widgets over a review log, and keys where they can be heard.

A decision is on disk before the next image shows. Nothing is deleted by a click: what the board writes are
rows of the log, and a later cell applies them. The board knows no files and no training: it is handed a case
table, anomalies, a log and a function that reads an image.

Valid on ipywidgets 7.7.1 (Colab's) and 8. A small script (anywidget, where it is there) hears keys and the
pointer; without it a click on a picture is a click on a button that lies over it, and every button works.
"""

from boneage.review.board.one_image import Suggest
from boneage.review.board.review_board import ReviewBoard

__all__ = ["ReviewBoard", "Suggest"]
