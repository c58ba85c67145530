"""Writes docs/verbs.md from the settings and the command line's table of verbs: ``make docs``."""

from pathlib import Path

from boneage.__main__ import EVERY_VERB, VERBS, Verb, option_name
from boneage.core.settings import Settings, allowed

PATH = Path(__file__).resolve().parents[1] / "docs" / "verbs.md"

_HEAD = """# Verbs

Each stage of the suite is a verb: `.venv/bin/python -m boneage VERB`, or `boneage VERB` once the package
is installed. A verb reads the tables of earlier stages from the work folder (`--work`), writes its own,
prints what it wrote and what it left out, and exits with 0. On an error it prints one line that says what
to do, and exits with 2. Every stage can be stopped at any moment and run again; it resumes where it
stopped. An option that is a setting is kept in `settings.json` in the work folder for later verbs, unless
the command fails before anything came of it.

Written by `make docs` from the settings and the verbs.
"""


def verbs_page() -> str:
    """Every verb with its options, and every setting, as Markdown."""
    every = ", ".join(f"`{option_name(name)}`" for name in EVERY_VERB)
    return "\n".join(
        [
            _HEAD,
            *(_verb(name, one) for name, one in VERBS.items()),
            "## Settings\n",
            f"Every verb takes {every}. In a notebook, `OVERRIDES` sets any of them by name.\n",
            "| setting | default | may be | meaning |",
            "| --- | --- | --- | --- |",
            *(_setting(name) for name in Settings.model_fields),
            "",
        ]
    )


def _verb(name: str, verb: Verb) -> str:
    lines = [f"## {name}\n", f"{verb.says[0].upper()}{verb.says[1:]}.\n"]
    if verb.settings:
        lines.append(f"Settings: {', '.join(f'`{option_name(one)}`' for one in verb.settings)}.\n")
    lines += [f"- `{_own(option, how)}`: {how['help']}{_choices(how)}" for option, how in verb.own.items()]
    return "\n".join([*lines, ""]) if verb.own else "\n".join(lines)


def _own(name: str, how: dict) -> str:
    kind = {int: "NUMBER", Path: "PATH"}.get(how.get("type"), "TEXT")
    value = "" if how.get("action") == "store_true" or name.isupper() else how.get("metavar", kind)
    return f"{option_name(name)} {value}".strip()


def _choices(how: dict) -> str:
    return f" ({', '.join(how['choices'])})" if "choices" in how else ""


def _setting(name: str) -> str:
    field = Settings.model_fields[name]
    default = " ".join(map(str, field.default)) if isinstance(field.default, tuple) else str(field.default)
    default = f"`{default}`" if default else ""
    return f"| `{name}` | {default} | {allowed(name)} | {field.description} |"


if __name__ == "__main__":
    PATH.write_text(verbs_page(), encoding="utf-8")
    print(f"wrote docs/{PATH.name}")
