"""The project's one deliberate error, on one line."""

_LONGEST_LINE = 2000


def one_line(text: str) -> str:
    """A text as one line for a terminal: line breaks and control characters, as of file names, escaped."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


class BoneAgeError(Exception):
    """An error that the user can fix: one line that names the file and says what to do.

    The command line prints it and exits with 2; a notebook shows it without a traceback and stops.
    Any other exception that escapes is a bug.
    """

    def line(self) -> str:
        """The message on one line, even if a file name in it contains a line break, or an id is endless."""
        line = one_line(str(self))
        half = _LONGEST_LINE // 2
        return line if len(line) <= _LONGEST_LINE else f"{line[:half]} … {line[-half:]}"

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback."""
        return [f"\x1b[0;31mBoneAgeError: {self.line()}\x1b[0m"]
