"""A board on a page of its own, served by a process that can be killed; its log lies in BOARD_FOLDER."""

import os
from pathlib import Path

import solara
from browser_cases import a_board, an_image
from IPython.display import display


@solara.component
def Page():
    """What Solara shows."""
    board = solara.use_memo(lambda: a_board(Path(os.environ["BOARD_FOLDER"]), 12, an_image), [])
    display(board.widget)
