"""The manners that every notebook keeps, and how the suite runs them."""

import ast
import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from slug import slug

from boneage import notebooks
from boneage.core import runtime
from boneage.core.errors import BoneAgeError
from boneage.core.settings import PRESETS, Settings, choices
from boneage.networks import NETWORKS

NOTEBOOKS = notebooks.find_notebooks()
FIELDS = ["PRESET", "SOURCE", "DATA", "WORK", "USE_DRIVE", "OVERRIDES"]
# The board waits for a person to say that the review is done.
ASKED_IN = {"02_review_and_augment": ["REVIEWED"]}
LONGEST_CELL, MEDIAN_CELL, LONGEST_DEF = 25, 6, 4
MACHINE_PATHS = re.compile(r"/(home|root|work|tmp|Users|mnt)/|[A-Z]:\\\\")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def code_lines(cell: nbformat.NotebookNode) -> list[str]:
    return [line for line in cell.source.splitlines() if line.strip()]


def trains(name: str) -> bool:
    return any(network.notebook == name for network in NETWORKS.values())


def manners(notebook: nbformat.NotebookNode, name: str) -> list[str]:
    """What a notebook does against the manners; empty for a well-mannered one."""
    faults = []
    cells, code = notebook.cells, code_cells(notebook)
    kinds = [cell.cell_type for cell in cells]
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        faults.append("not nbformat 4.5")
    if len({cell.id for cell in cells}) != len(cells) or any(
        re.fullmatch("[0-9a-f]{8}", c.id) for c in cells
    ):
        faults.append("cell ids are doubled or random")
    if ("accelerator" in notebook.metadata) != trains(name):
        faults.append("accelerator: asks Colab for a GPU where none is used, or for none where one is")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        faults.append("the kernel is not python3")
    if "widgets" in notebook.metadata:
        faults.append("widget state was kept")
    if any(cell.outputs or cell.execution_count is not None for cell in code):
        faults.append("outputs or execution counts were kept")
    if kinds[:2] != ["markdown", "code"] or kinds[-1] != "markdown":
        faults.append("does not begin with title and Setup or does not end with prose")
    if any(pair == ("code", "code") for pair in itertools.pairwise(kinds)):
        faults.append("two code cells without prose between")
    faults += title_faults(cells[0].source, name)
    if not code[0].source.startswith("# @title Setup\n") or code[0].metadata.get("cellView") != "form":
        faults.append("the first code cell is no Setup form")
    faults += settings_faults(code, FIELDS + ASKED_IN.get(name, []))
    lengths = [len(code_lines(cell)) for cell in code]
    if statistics.median(lengths) > MEDIAN_CELL or max(lengths) > LONGEST_CELL:
        faults.append(f"cells too long: median {statistics.median(lengths)}, longest {max(lengths)}")
    if any(re.search(r"\bfrom PIL\b|\bpyplot\b|import Image\b", cell.source) for cell in code):
        faults.append("a picture without words: show it as a Chart or a Picture")
    words = sum(len(cell.source.split()) for cell in prose(notebook))
    if words < 2 * sum(lengths):
        faults.append(f"{words} words of prose for {sum(lengths)} lines of code")
    for cell in code:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ClassDef):
                faults.append(f"class {node.name}")
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= LONGEST_DEF:
                faults.append(f"long def {node.name}")
    return faults


def title_faults(source: str, name: str) -> list[str]:
    faults = []
    if not source.startswith(f"# {name[:2]} · "):
        faults.append("the title does not begin with the notebook's number")
    badge = f"https://colab.research.google.com/github/{slug()}/blob/main/notebooks/{name}.ipynb"
    if f"[![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)]({badge})" not in source:
        faults.append("no badge that opens this very notebook")
    for word in ("**Reads**", "**Writes**", "**Takes**", "**GPU:**", "not a medical device"):
        if word not in source:
            faults.append(f"the title cell does not say {word}")
    return faults


def settings_faults(code: list[nbformat.NotebookNode], fields: list[str]) -> list[str]:
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    if tagged != [code[1]]:
        return ["the second code cell, and no other, must be tagged parameters"]
    lines = tagged[0].source.splitlines()
    faults = []
    if [line.split(" = ")[0] for line in lines] != fields or not all("# @param" in line for line in lines):
        faults.append("the settings cell does not hold the fields, each with # @param")
    return faults


def prose(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def a_notebook() -> nbformat.NotebookNode:
    return read(NOTEBOOKS[0])


@every_notebook
def test_notebook_keeps_the_manners(path):
    nbformat.validate(read(path))
    assert manners(read(path), path.stem) == []


def test_a_breach_of_each_manner_is_found():
    def breach(change) -> str:
        notebook = a_notebook()
        change(notebook, code_cells(notebook))
        return "; ".join(manners(notebook, NOTEBOOKS[0].stem))

    def write(source: str):
        return lambda notebook, code: code[-1].update(source=source)

    assert "nbformat" in breach(lambda notebook, code: notebook.update(nbformat_minor=4))
    assert "ids" in breach(lambda notebook, code: code[3].update(id=code[4].id))
    assert "ids" in breach(lambda notebook, code: code[3].update(id="0a1b2c3d"))
    assert "accelerator" in breach(lambda notebook, code: notebook.metadata.update(accelerator="GPU"))
    assert "kernel" in breach(lambda notebook, code: notebook.metadata.pop("kernelspec"))
    assert "widget" in breach(lambda notebook, code: notebook.metadata.update(widgets={}))
    assert "outputs" in breach(lambda notebook, code: code[4].update(execution_count=3))
    assert "prose" in breach(lambda notebook, code: notebook.cells.pop())
    assert "between" in breach(lambda notebook, code: notebook.cells.pop(4))
    assert "Setup" in breach(lambda notebook, code: code[0].metadata.pop("cellView"))
    assert "parameters" in breach(lambda notebook, code: code[1].metadata.pop("tags"))
    assert "fields" in breach(lambda notebook, code: code[1].update(source="PRESET = 'demo'"))
    assert "too long" in breach(write("x = 1\n" * 26))
    assert "words" in breach(lambda notebook, code: [cell.update(source="") for cell in prose(notebook)])
    assert "class" in breach(write("class Net:\n    pass"))
    assert "without words" in breach(write("from PIL import Image"))
    assert "def" in breach(write("def f():\n" + "    x = 1\n" * 4))
    assert "badge" in breach(lambda notebook, code: notebook.cells[0].update(source="# 01 · Title"))


def test_setup_and_settings_are_the_same_in_every_notebook():
    def cells(path: Path) -> list[str]:
        setup, parameters, settings = (cell.source.splitlines() for cell in code_cells(read(path))[:3])
        return [setup, parameters[: len(FIELDS)], settings]

    assert all(cells(path) == cells(NOTEBOOKS[0]) for path in NOTEBOOKS)


@every_notebook
def test_the_settings_cell_is_explained_by_the_settings_themselves(path):
    explained = read(path).cells[2].source
    for field in ("source", "data", "work"):
        assert f"- `{field.upper()}`: {Settings.model_fields[field].description}\n" in explained
    for field in FIELDS + ASKED_IN.get(path.stem, []):
        assert f"- `{field}`: " in explained
    offered = re.search(r'SOURCE = ""  # @param (\[.*\])', read(path).cells[3].source)
    assert sorted(ast.literal_eval(offered[1])) == sorted(["", *choices("source")])
    (example,) = re.findall(r"`(\{.*?\})`", explained)
    Settings().replace(**ast.literal_eval(example))


def test_the_settings_are_shown_with_what_they_mean():
    shown = Settings(work="<b>")._repr_html_()
    assert "<td>&lt;b&gt;</td>" in shown
    assert all(field.description in shown for field in Settings.model_fields.values())


@pytest.fixture
def colab(tmp_path):
    """Runs the Setup cell in a process of its own, as on Colab, with the git that a test writes."""
    content, programs = tmp_path / "content", tmp_path / "programs"
    content.mkdir()
    programs.mkdir()
    for name in ("sh", "rm", "mv", "mkdir", "cp", "unzip"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)

    def setup(git: str | None) -> subprocess.CompletedProcess:
        if git is not None:
            (programs / "git").write_text(f"#!/bin/sh\n{git}\n")
            (programs / "git").chmod(0o755)
        cell = code_cells(a_notebook())[0].source.replace("/content", str(content))
        # What pip would install is there already, and pip takes a second.
        cell = cell.replace("subprocess.run([sys.executable", "print([sys.executable").replace(
            "], check=False)", "])"
        )
        return subprocess.run(
            [sys.executable, "-S", "-c", cell],
            capture_output=True,
            text=True,
            cwd=content,
            env={"PATH": str(programs), "COLAB_RELEASE_TAG": "release-colab_20260801"},
        )

    setup.content = content
    return setup


def small_checkout(folder: Path) -> None:
    package = folder / "src" / "boneage"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = 'small'")


# Where it clones to is its last argument.
CLONES = 'while [ $# -gt 1 ]; do shift; done; mkdir -p "$1"'


@pytest.mark.parametrize(
    "git",
    [
        None,
        "echo 'fatal: unable to access: Could not resolve host' >&2; exit 128",
        "echo 'fatal: could not read Username: terminal prompts disabled' >&2; exit 128",
        f"{CLONES}; exit 0",
        f"{CLONES}/src/boneage; exit 1",
    ],
    ids=["no git", "no network", "no repository", "another repository", "cut off"],
)
def test_setup_without_a_repository_to_clone_says_what_to_do(colab, git):
    (colab.content / "boneage-suite" / ".git").mkdir(parents=True)
    done = colab(git)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    for words in (f"No code at https://github.com/{slug()}", "boneage.zip", "Drive", "make slug NAME="):
        assert words in last
    assert "Traceback" not in done.stderr


def test_setup_clones_again_what_was_cut_off(colab):
    assert colab(f"{CLONES}/src/boneage; exit 1").returncode == 1
    done = colab(f"{CLONES}/src; mkdir $1/src/boneage; echo '__version__ = 1' > $1/src/boneage/__init__.py")
    assert f"boneage 1 from {colab.content}/boneage-code/src/boneage" in done.stdout
    assert "boneage 1 from" in colab("exit 1").stdout


@pytest.mark.parametrize("place", ["boneage", "drive/MyDrive/my bone-age copy"])
def test_setup_takes_an_uploaded_checkout_before_it_clones(colab, place):
    small_checkout(colab.content / place)
    done = colab("exit 1")
    assert f"boneage small from {colab.content / place}" in done.stdout


@pytest.mark.skipif(not shutil.which("unzip"), reason="needs unzip, which Colab has")
@pytest.mark.parametrize("folder", ["checkout", ""])
def test_setup_unpacks_an_uploaded_zip(colab, tmp_path, folder):
    small_checkout(tmp_path / "zipped" / folder)
    shutil.make_archive(str(colab.content / "boneage"), "zip", tmp_path / "zipped")
    assert "boneage small from" in colab(None).stdout


def test_architecture_notebooks_differ_in_the_name_alone():
    sources = {}
    for key, network in NETWORKS.items():
        path = notebooks.checkout() / "notebooks" / f"{network.notebook}.ipynb"
        if path.is_file():
            code = "\n\n".join(cell.source for cell in code_cells(read(path)))
            assert code.count(f'NETWORK = "{key}"') == 1
            sources[key] = code.replace(f'NETWORK = "{key}"', "")
    assert len(set(sources.values())) == 1


@every_notebook
def test_notebook_names_no_folder_of_one_machine(path):
    assert MACHINE_PATHS.findall(path.read_text(encoding="utf-8")) == []


@every_notebook
def test_notebook_on_colab_changes_no_package_of_colab(path):
    setup = code_cells(read(path))[0].source
    assert "--no-deps" in setup
    assert not re.search(r"--upgrade|-U\b|==", setup.replace('"COLAB_RELEASE_TAG"', ""))


@every_notebook
def test_clone_cell_carries_the_slug_of_pyproject(path):
    assert path.read_text(encoding="utf-8").count(f"https://github.com/{slug()}") == 1


def test_settings_of_a_notebook(tmp_path):
    settings = notebooks.notebook_settings(
        "demo", "", "", str(tmp_path / "w"), False, {"epochs": [3], "train_seed": 7}
    )
    assert settings == Settings.preset("demo", work=str(tmp_path / "w"), epochs=(3,), train_seed=7)
    assert Settings.from_json((tmp_path / "w" / "settings.json").read_text()) == settings


def test_folders_of_a_notebook_count_from_the_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notebooks, "checkout", lambda: tmp_path / "repository")
    settings = notebooks.notebook_settings("demo", data="images.zip")
    assert settings.work == str(tmp_path / "repository" / "work" / "demo")
    assert settings.data == str(tmp_path / "repository" / "images.zip")


def test_without_a_named_folder_the_work_lies_below_the_repository_and_on_colab_below_content(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(notebooks, "checkout", lambda: tmp_path / "repository")
    monkeypatch.setattr(notebooks, "COLAB_FOLDER", str(tmp_path / "content"))
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    assert notebooks.notebook_settings("colab").work == str(tmp_path / "repository" / "work" / "atlas")
    assert not (tmp_path / "content").exists()
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260801")
    settings = notebooks.notebook_settings("colab", data="atlas.zip")
    assert settings.work == str(tmp_path / "content" / "work" / "atlas")
    assert settings.data == str(tmp_path / "content" / "atlas.zip")


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_works_outside_the_folder_it_is_started_in(preset):
    assert not Path(Settings.preset(preset).work).is_absolute()


def test_drive_is_mounted_and_holds_the_work_folder(tmp_path, monkeypatch):
    mounted = []
    monkeypatch.setattr(runtime, "mount_drive", lambda: mounted.append(True))
    monkeypatch.setattr(notebooks, "DRIVE_FOLDER", str(tmp_path / "drive"))
    assert notebooks.notebook_settings("demo", use_drive=True).work == str(tmp_path / "drive")
    assert notebooks.notebook_settings("demo", work=str(tmp_path), use_drive=True).work == str(tmp_path)
    assert len(mounted) == 2


LINK = "https://drive.google.com/file/d/1AbCdEfGhIjKlMnOpQrStUvWxYz012345/view?usp=sharing"


def test_data_may_be_a_link_or_lie_on_a_drive_that_is_mounted_for_it(tmp_path, monkeypatch):
    mounted = []
    monkeypatch.setattr(runtime, "mount_drive", lambda: mounted.append(True))
    work = str(tmp_path / "w")
    assert notebooks.notebook_settings("colab", data=LINK, work=work).data == LINK
    on_drive = "/content/drive/MyDrive/atlas.zip"
    assert notebooks.notebook_settings("colab", data=on_drive, work=work).data == on_drive
    assert not mounted
    monkeypatch.setattr(runtime, "on_colab", lambda: True)
    settings = notebooks.notebook_settings("colab", data=f" '{on_drive}'\n", work=work)
    assert (settings.data, settings.work, mounted) == (on_drive, work, [True])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("demmo",), "preset"),
        (("demo", "atlas"), "source"),
        (("demo", "", "", "", False, {"epoch": 3}), "epoch: no such setting; did you mean epochs?"),
        (("demo", "", "", "", False, {"Train_Size": 3}), "did you mean train_size?"),
        (("demo", "", "", "", False, "epochs=3"), "OVERRIDES: 'epochs=3' must be like"),
        (("demo", "", "", "", False, {3: 4}), "OVERRIDES"),
        (("demo", "", "", "", True), "Drive"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_in_one_line(arguments, words):
    with pytest.raises(BoneAgeError, match=words) as error:
        notebooks.notebook_settings(*arguments)
    assert "\n" not in str(error.value)


@pytest.fixture
def small_suite(tmp_path, monkeypatch):
    """A checkout with notebooks made of the code cells that a test gives."""
    folder = tmp_path / "repository" / "notebooks"
    folder.mkdir(parents=True)
    monkeypatch.setattr(notebooks, "checkout", lambda: folder.parent)

    def write(name: str, *sources: str) -> Path:
        cells = [nbformat.v4.new_code_cell("", metadata={"tags": ["parameters"]})]
        cells += [nbformat.v4.new_code_cell(source) for source in sources]
        metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / f"{name}.ipynb")
        return folder / f"{name}.ipynb"

    return write


def printed(copy: Path) -> str:
    outputs = [output for cell in code_cells(read(copy)) for output in cell.outputs]
    return "".join(output.get("text", "") for output in outputs)


def test_run_uses_this_python_this_package_and_these_settings(small_suite, tmp_path, monkeypatch):
    show = "import os, sys, boneage; print(sys.executable, boneage.__file__, os.getcwd())"
    backend = "print('backend', repr(os.environ['KERAS_BACKEND']))"
    small_suite("01_first", show, backend, "print(PRESET, SOURCE, DATA, WORK, USE_DRIVE, OVERRIDES)")
    small_suite("10_last", "print('last')")
    small_suite("draft", "raise RuntimeError('not numbered, not run')")
    # As choose_backend leaves it behind in this process: not the user's wish.
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(runtime, "BACKEND_OF_USER", "")
    monkeypatch.chdir(tmp_path)
    settings = Settings.preset("demo", work="w", data="images.zip", epochs=(1, 2))

    first, last = notebooks.run_notebooks(settings, "demo")

    assert [first, last] == [
        tmp_path / "w" / "notebooks" / name for name in ("01_first.ipynb", "10_last.ipynb")
    ]
    text = printed(first)
    assert sys.executable in text
    assert str(Path(notebooks.__file__).parent) in text
    assert "backend ''" in text
    given = f"demo phantom {tmp_path / 'images.zip'} {tmp_path / 'w'} False {{'epochs': [1, 2]}}"
    assert given in text
    assert "JUPYTER_PATH" not in os.environ


def test_run_says_that_the_review_is_done_where_a_notebook_asks(small_suite, tmp_path):
    small_suite("02_asks", "print('goes on:', REVIEWED)  # REVIEWED = False stands in its settings cell")
    small_suite("03_does_not", "print('told:', 'REVIEW' + 'ED' in globals())")
    copies = notebooks.run_notebooks(Settings.preset("demo", work=str(tmp_path / "w"), data=LINK), "demo")
    assert [printed(copy) for copy in copies] == ["goes on: True\n", "told: False\n"]


def test_run_stops_at_a_failing_cell_and_keeps_the_copy(small_suite, tmp_path):
    failing = "from boneage.core.errors import BoneAgeError\n"
    failing += "raise BoneAgeError('labels.csv: gone; run notebook 03')"
    small_suite("01_fails", "print('before')", failing)
    small_suite("02_after", "print('never')")
    settings = Settings.preset("demo", work=str(tmp_path / "w"))
    with pytest.raises(BoneAgeError) as error:
        notebooks.run_notebooks(settings, "demo")
    assert re.search(
        r"01_fails\.ipynb: cell \[\d\] stopped: labels\.csv: gone; run notebook 03$", str(error.value)
    )
    assert "\n" not in str(error.value)
    assert "before" in printed(tmp_path / "w" / "notebooks" / "01_fails.ipynb")
    assert not (tmp_path / "w" / "notebooks" / "02_after.ipynb").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "from boneage.notebooks import notebook_settings\n\n\n"
            "def asked():\n    return notebook_settings('demo', overrides={'epoch': 3})\n\n\nasked()",
            "BoneAgeError: epoch: no such setting; did you mean epochs?",
        ),
        (
            "from boneage.sources.web import Refused\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n"
            "    raise Refused('two\\nlines')",
            r"BoneAgeError: two\nlines",
        ),
    ],
)
def test_what_a_person_can_put_right_is_one_red_line_in_a_notebook_and_stops_it(
    small_suite, tmp_path, source, said
):
    small_suite("01_fails", source, "print('never')")
    with pytest.raises(BoneAgeError, match="stopped: "):
        notebooks.run_notebooks(Settings.preset("demo", work=str(tmp_path / "w")), "demo")
    cells = code_cells(read(tmp_path / "w" / "notebooks" / "01_fails.ipynb"))
    (output,) = next(cell.outputs for cell in cells if cell.source == source)
    assert output.output_type == "error"
    assert output.traceback == [f"\x1b[0;31m{said}\x1b[0m"]
    assert "never" not in printed(tmp_path / "w" / "notebooks" / "01_fails.ipynb")


def waits_for(own, other, folder):
    """Code that ends only where the other notebook runs at the same time."""
    return (
        "import time; from pathlib import Path\n"
        f"(Path({str(folder)!r}) / {own!r}).touch(); until = time.time() + 60\n"
        f"while not (Path({str(folder)!r}) / {other!r}).exists():\n"
        "    assert time.time() < until; time.sleep(0.05)"
    )


def test_notebooks_of_tiny_networks_run_two_at_a_time_after_what_they_need(small_suite, tmp_path):
    small_suite("03_build_labels", f"open({str(tmp_path / 'labels')!r}, 'w').close()")
    needs = f"assert __import__('os').path.exists({str(tmp_path / 'labels')!r})"
    small_suite("04_vgg19", needs, waits_for("one", "two", tmp_path))
    small_suite("05_vgg16", needs, waits_for("two", "one", tmp_path))
    small_suite("06_cnn", "raise ValueError('broken')")
    small_suite("13_comparison", "print('never')")
    settings = Settings.preset("demo", work=str(tmp_path / "w"))
    with pytest.raises(BoneAgeError, match=r"06_cnn\.ipynb: cell \[\d\] stopped: ValueError: broken$"):
        notebooks.run_notebooks(settings, "demo")
    small_suite("06_cnn", "print('mended')")
    for name in ("one", "two"):
        (tmp_path / name).unlink()
    done = notebooks.run_notebooks(settings, "demo")
    assert [path.stem for path in done] == [path.stem for path in notebooks.find_notebooks()]
    assert "mended" in printed(done[3])


def test_notebooks_of_full_networks_have_the_device_to_themselves(small_suite, tmp_path):
    other = f"__import__('os').path.exists({str(tmp_path / 'one')!r})"
    small_suite("04_vgg19", "import time; time.sleep(2)", f"open({str(tmp_path / 'one')!r}, 'w').close()")
    small_suite("05_vgg16", f"print('after the other:', {other})")
    settings = Settings.preset("demo", work=str(tmp_path / "w"), width="full")
    _, last = notebooks.run_notebooks(settings, "demo")
    assert "after the other: True" in printed(last)


def test_run_of_an_unknown_notebook_is_refused(small_suite, tmp_path):
    small_suite("01_first", "pass")
    with pytest.raises(BoneAgeError, match="99_none: must be one of 01_first"):
        notebooks.run_notebooks(Settings.preset("demo", work=str(tmp_path)), "demo", ["99_none"])


def test_a_python_that_dies_is_told_in_one_line(small_suite, tmp_path):
    small_suite("01_dies", "import os", "os._exit(1)")
    with pytest.raises(BoneAgeError, match="01_dies") as error:
        notebooks.run_notebooks(Settings.preset("demo", work=str(tmp_path / "w")), "demo")
    assert "\n" not in str(error.value)


def test_a_python_that_no_longer_answers_holds_nothing_up(small_suite, tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "_SECONDS_TO_ANSWER", 2.0)
    frozen = 'subprocess.Popen(["sh", "-c", f"sleep 2; kill -STOP {os.getpid()}"])'
    small_suite("01_freezes", f"import os, subprocess; {frozen}")
    small_suite("02_waits", "print('never')")
    real = notebooks._run

    def late(notebook, *job):
        time.sleep(4 if notebook.stem == "02_waits" else 0)
        return real(notebook, *job)

    monkeypatch.setattr(notebooks, "_run", late)
    with pytest.raises(BoneAgeError, match="02_waits") as error:
        notebooks.run_notebooks(Settings.preset("demo", work=str(tmp_path / "w")), "demo")
    assert "the notebook's Python ended or does not answer" in str(error.value)


def test_without_a_checkout_the_run_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "__file__", str(tmp_path / "lib" / "boneage" / "notebooks.py"))
    with pytest.raises(BoneAgeError, match="clone the repository"):
        notebooks.find_notebooks()


def test_run_all_stops_at_the_board_before_anything_is_made_of_the_decisions():
    (path,) = [path for path in NOTEBOOKS if path.stem in ASKED_IN]
    sources = [cell.source for cell in code_cells(read(path))]
    places = [
        next(place for place, source in enumerate(sources) if word in source)
        for word in ("open_board(", "wait_for_review(work, REVIEWED)", "apply_review(", "make_plan(")
    ]
    assert places == sorted(places)
