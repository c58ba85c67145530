"""Sets the repository's name everywhere: ``make slug NAME=owner/repository``.

pyproject.toml holds it; badges, clone cells and links follow it.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = ROOT / "pyproject.toml"

FILES = ("README.md", "CITATION.cff", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml")
"""Files that may link to the repository, besides the notebooks."""

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")


def slug() -> str:
    """The repository's ``owner/name``."""
    return tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["boneage"]["slug"]


def with_slug(text: str, old: str, new: str) -> str:
    """A file's text with its links to the repository, and pyproject's own entry, set to another name.

    Links to other repositories stay, also those whose names only start like this one's.
    """
    before = r'(?P<before>github\.com/|colab\.research\.google\.com/github/|slug = ")'
    return re.sub(rf"{before}{re.escape(old)}(?![\w-])", rf"\g<before>{new}", text)


def files() -> list[Path]:
    """The files of the checkout that contain the name."""
    named = [ROOT / name for name in FILES]
    return [*(path for path in named if path.is_file()), *sorted((ROOT / "notebooks").glob("*.ipynb"))]


def stamp(new: str) -> list[Path]:
    """Replaces the name everywhere.

    Args:
        new: ``owner/repository``.

    Returns:
        The files that changed.

    Raises:
        ValueError: It is not the name of a GitHub repository.
    """
    if not _SLUG.fullmatch(new):
        raise ValueError(f"{new!r} is not of the form owner/repository")
    old = slug()
    changed = []
    for path in files():
        text = path.read_text(encoding="utf-8")
        stamped = with_slug(text, old, new)
        if stamped != text:
            path.write_text(stamped, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    try:
        for stamped_path in stamp(sys.argv[1] if len(sys.argv) == 2 else ""):
            print(f"wrote {stamped_path.relative_to(ROOT)}")
    except ValueError as error:
        sys.exit(f"slug: {error}; run `make slug NAME=owner/repository`")
