"""The one error this project raises on purpose."""


class BoneAgeError(Exception):
    """Something a person can put right: one line that names the file and says what to do.

    The command line prints it and exits with 2; a notebook shows it, without a traceback, and stops.
    Anything else that escapes is a defect of this project.
    """

    def line(self) -> str:
        """The message as one line, also where the name of a file in it holds a line break."""
        return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(self))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows for it, in red; the cell has failed all the same."""
        return [f"\x1b[0;31mBoneAgeError: {self.line()}\x1b[0m"]
