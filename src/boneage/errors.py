"""The one error this project raises on purpose."""


class BoneAgeError(Exception):
    """Something a person can put right: one line that names the file and says what to do.

    The command line prints it and exits with 2; a notebook shows it as the last line of the cell.
    Anything else that escapes is a defect of this project.
    """
