"""Writes docs/verbs.md from the command line's own parser: ``make docs``."""

import argparse
from pathlib import Path

from boneage.__main__ import make_parser

PATH = Path(__file__).resolve().parents[1] / "docs" / "verbs.md"

_KINDS = {int: "NUMBER", float: "NUMBER", Path: "PATH"}

_HEAD = """# Verbs

Each stage of the suite is a verb: `.venv/bin/python -m boneage VERB`, or `boneage VERB` once the package
is installed. A verb reads the tables of the stages before it from the work folder (`--work`), writes its
own, prints what it wrote and what it left out, and exits with 0; with 2 and one line that says what to
do where something is wrong. Every stage can be stopped at any moment and run again: it goes on where it
was. A setting that is given once is kept in `settings.json` in the work folder for the verbs that
follow.

Written by `make docs` from the parser.
"""


def verbs_page(parser: argparse.ArgumentParser) -> str:
    """Every verb with its options, as Markdown."""
    (verbs,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return "\n".join([_HEAD, *(_verb(name, verb) for name, verb in verbs.choices.items())])


def _verb(name: str, parser: argparse.ArgumentParser) -> str:
    rows = [_option(action) for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    said = parser.description[0].upper() + parser.description[1:]
    return "\n".join([f"## {name}\n", f"{said}.\n", "| option | meaning |", "| --- | --- |", *rows, ""])


def _option(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else action.metavar or _KINDS.get(action.type, "TEXT")
    names = ", ".join(f"`{f'{name} {value}'.strip()}`" for name in action.option_strings)
    choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
    return f"| {names} | {action.help}{choices} |"


if __name__ == "__main__":
    PATH.write_text(verbs_page(make_parser()), encoding="utf-8")
    print(f"wrote docs/{PATH.name}")
