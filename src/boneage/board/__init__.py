"""The review of photos in a notebook: core widgets over a review log, for the mouse.

A decision is on disk before the next photo shows. Nothing is deleted by a click: what the board writes are
rows of the log, and a later cell applies them. The board knows no files and no training: it is handed a case
table, suspicions, a log and a function that reads a photo.

Valid on ipywidgets 7.7.1 (Colab's) and 8: a click on a picture is a click on a button that lies over it, and
a picture is changed by replacing ``Image.value``.
"""

from boneage.board.review_board import ReviewBoard

__all__ = ["ReviewBoard"]
