"""Makes a folder of models from finished runs: ``python tools/ship.py NAME RUN ...``.

Writes ``models/NAME/``, which `python -m boneage estimate` uses where no run is named. The runs may be folds
of a cross-validation, seeds, or networks; their work folder must hold their labels and packed images.
"""

import argparse
import sys
from pathlib import Path

from boneage.core.errors import BoneAgeError
from boneage.core.runtime import choose_backend
from boneage.core.tables import is_safe_id


def main(arguments: list[str] | None = None) -> int:
    """Ships the runs that the arguments name; 0, or 2 with what to do."""
    parser = argparse.ArgumentParser(description="Makes a folder of models from finished runs.")
    parser.add_argument("name", help="the folder's name below models/")
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, work/.../runs/RUN")
    parser.add_argument("--models", type=Path, help="where the folder goes (default: models/)")
    parser.add_argument("--outside", type=Path, help="work folder of another source to test them on")
    given = parser.parse_args(arguments)
    try:
        if not is_safe_id(given.name):
            raise BoneAgeError(f"{given.name}: cannot name a folder; use letters, digits, _ and -")
        choose_backend()
        from boneage.estimate.evidence import held_out_robustness, outside_errors
        from boneage.estimate.models import SHIPPED, load_ensemble, write_models

        ensemble = load_ensemble(given.runs)
        robustness = held_out_robustness(ensemble, given.runs[0])
        outside = outside_errors(ensemble, given.outside) if given.outside else None
        folder = write_models(ensemble, (given.models or SHIPPED) / given.name, robustness, outside)
    except BoneAgeError as error:
        print(error.line(), file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"wrote {folder}: {size / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
