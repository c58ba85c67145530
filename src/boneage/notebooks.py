"""The numbered notebooks: their settings, and their run from first to last."""

import asyncio
import concurrent.futures
import contextlib
import itertools
import json
import multiprocessing
import multiprocessing.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from boneage.core import runtime
from boneage.core.errors import BoneAgeError
from boneage.core.files import make_folder, write_text
from boneage.core.settings import Settings
from boneage.networks import NETWORKS
from boneage.sources import drive, local
from boneage.workspace import Workspace

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

COLAB_FOLDER = "/content"
"""Where Colab starts notebooks, puts what a person uploads, and opens its file browser."""

DRIVE_FOLDER = "/content/drive/MyDrive/boneage"
"""The work folder on a mounted Drive, where none is named."""

CACHE_BESIDE_DRIVE = "/content/boneage-cache"
"""Where images lie while the work folder is on Drive: on the runtime's own disk, which is much faster."""

TOGETHER = 2
"""How many notebooks of tiny networks run at a time: each leaves a core idle for most of its time."""

# What a kernel that runs no cell may take to answer; one that never does must not hold up the run for ever.
_SECONDS_TO_ANSWER = 60.0

# Of this process; None has each notebook start one of its own.
_kept: "AsyncKernelManager | None" = None

_FORGET = """
import sys
if "keras" in sys.modules:
    sys.modules["keras"].backend.clear_session()
get_ipython().reset()
"""

# Each has a field of its own in the notebooks' settings cell; every other setting is an override.
_FIELDS = ("source", "data", "work")


def checkout() -> Path:
    """The folder of the repository that this package lies in.

    Raises:
        BoneAgeError: The package was installed without its repository.
    """
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "notebooks").is_dir():
        raise BoneAgeError(
            f"{folder}: holds no notebooks; clone the repository and install it with `pip install -e .`"
        )
    return folder


def find_notebooks() -> list[Path]:
    """The numbered notebooks of the repository, in their order.

    Raises:
        BoneAgeError: There are none.
    """
    folder = checkout() / "notebooks"
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise BoneAgeError(f"{folder}: holds no notebooks; clone the repository again")
    return found


def notebook_settings(
    preset: str,
    source: str = "",
    data: str = "",
    work: str = "",
    use_drive: bool = False,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """The settings of a notebook from the fields of its settings cell; kept in the work folder.

    Folders that are not absolute count from the repository, wherever Jupyter was started, and on Colab from
    ``/content``, where its own file browser begins.

    Args:
        preset: Name of the preset.
        source: Where the radiographs come from; empty for the preset's own.
        data: A folder or a zip with them, also one on the user's Drive, which is mounted for it (Colab), or
            a bucket's address, or the sharing link of a zip on Google Drive; empty to draw or fetch them.
        work: The folder for everything that is made; empty for the preset's own.
        use_drive: Whether to mount the user's Drive (Colab only). Then the work folder, where none is
            named, is ``boneage`` in it, and images, which can be made again, stay on the runtime's own disk.
        overrides: Further settings by name.

    Raises:
        BoneAgeError: An unknown preset or setting, a value that does not fit, no Drive here, or a work
            folder that cannot be made.
    """
    # Quotes are what a file browser copies around a path.
    data = str(data or "").strip().strip("\"'")
    overrides = overrides or {}
    if not (isinstance(overrides, Mapping) and all(isinstance(name, str) for name in overrides)):
        raise BoneAgeError(f'OVERRIDES: {overrides!r} must be like {{"epochs": [3], "train_seed": 7}}')
    on_drive = runtime.on_colab() and data.startswith(drive.MOUNTED) and not Path(data).exists()
    if use_drive or on_drive:
        runtime.mount_drive()
    if use_drive:
        work = work or DRIVE_FOLDER
        overrides = {"cache": CACHE_BESIDE_DRIVE, **overrides}
    given = {name: value for name, value in zip(_FIELDS, (source, data, work), strict=True) if value}
    settings = Settings.preset(preset, **{**given, **overrides})
    folders = {name: getattr(settings, name) for name in ("data", "work", "cache") if getattr(settings, name)}
    if data := folders.pop("data", ""):
        settings = settings.replace(data=local.absolute(data, _base()))
    settings = settings.replace(**{name: drive.absolute(folder, _base()) for name, folder in folders.items()})
    settings.save(Workspace(settings).settings_file)
    return settings


def _base() -> Path:
    if runtime.on_colab():
        return Path(COLAB_FOLDER)
    try:
        return checkout()
    except BoneAgeError:
        return Path.cwd()


def run_notebooks(
    settings: Settings, preset: str, names: Sequence[str] | None = None, out_folder: Path | None = None
) -> list[Path]:
    """Runs notebooks from first to last with these settings and keeps the executed copies.

    The kernel is this very Python with this very package, whatever kernels are registered here. With tiny
    networks, notebooks share kernels, and those of the networks, which know nothing of each other, run
    ``TOGETHER`` at a time.

    Args:
        settings: The settings of the run; folders that are not absolute count from the current one.
        preset: The preset that the notebooks show as their starting point.
        names: Notebooks without their suffix, such as ``06_cnn``; by default all there are, in order.
        out_folder: Where the copies go; by default ``notebooks`` in the work folder.

    Returns:
        The executed copies.

    Raises:
        BoneAgeError: No such notebook, or a cell failed: names notebook, cell and error. Its copy is kept.
    """
    notebooks = find_notebooks()
    if names is not None:
        by_name = {path.stem: path for path in notebooks}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise BoneAgeError(f"notebook {unknown[0]}: must be one of {', '.join(by_name)}")
        notebooks = [by_name[name] for name in names]
    work = Workspace(settings).root.resolve()
    parameters = _parameters(settings, preset, work)
    copies = make_folder(out_folder or work / "notebooks")
    tiny = settings.width == "tiny"
    done: list[Path] = []
    with tempfile.TemporaryDirectory(prefix="boneage-") as scratch, _this_kernel(Path(scratch)):
        for of_networks, group in itertools.groupby(notebooks, _is_of_a_network):
            jobs = [(path, copies / path.name, _known_to(path, parameters), Path(scratch)) for path in group]
            if tiny and of_networks:
                done += _run_together(jobs)
            else:
                with contextlib.ExitStack() as stack:
                    if tiny:
                        stack.callback(_start_kernel())
                    done += [_run(*job) for job in jobs]
    return done


def _is_of_a_network(notebook: Path) -> bool:
    return notebook.stem.partition("_")[2] in NETWORKS


def _run_together(jobs: list[tuple[Path, Path, dict[str, object], Path]]) -> list[Path]:
    # Processes, because what runs a notebook is not made for threads; new ones, whatever this one has loaded.
    new = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(TOGETHER, mp_context=new, initializer=_keep_a_kernel) as pool:
        running = [pool.submit(_run, *job, False) for job in jobs]
        finished = concurrent.futures.as_completed(running)
        try:
            for one in tqdm(finished, "networks", len(jobs), unit="notebook"):
                one.result()
        except concurrent.futures.BrokenExecutor:
            names = ", ".join(job[0].stem for job in jobs)
            raise BoneAgeError(f"{names}: a process that ran one of them ended; out of memory?") from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [one.result() for one in running]


def _parameters(settings: Settings, preset: str, work: Path) -> dict[str, object]:
    own = Settings.preset(preset).model_dump()
    overrides = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in settings.model_dump().items()
        if name not in _FIELDS and value != own[name]
    }
    return {
        "PRESET": preset,
        "SOURCE": settings.source,
        "DATA": local.absolute(settings.data) if settings.data else "",
        "WORK": str(work),
        "USE_DRIVE": False,
        "OVERRIDES": overrides,
        # Nobody sits at the board of a run: what was decided before stands, the rest stays in.
        "REVIEWED": True,
    }


def _known_to(notebook: Path, parameters: dict[str, object]) -> dict[str, object]:
    """The parameters without REVIEWED where the notebook has no such field."""
    asks = "REVIEWED = " in notebook.read_text(encoding="utf-8")
    return {name: value for name, value in parameters.items() if asks or name != "REVIEWED"}


@contextmanager
def _this_kernel(scratch: Path) -> Iterator[None]:
    """Registers this Python as the kernel ``python3``, ahead of all others, for the time of the block."""
    package = str(Path(__file__).resolve().parents[1])
    environment = {
        "KERAS_BACKEND": runtime.BACKEND_OF_USER,
        # A GPU's memory is taken as it is needed, so that notebooks can share it.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")])),
    }
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
        "env": environment,
    }
    write_text(scratch / "kernels" / "python3" / "kernel.json", json.dumps(kernel))
    ours = {
        "JUPYTER_PATH": os.pathsep.join(filter(None, [str(scratch), os.environ.get("JUPYTER_PATH", "")])),
        # Python's debugger is not in use; its warnings, here and at the start of each kernel, are noise.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _keep_a_kernel() -> None:
    """Has this process, one of ``TOGETHER``, run all its notebooks in one kernel."""
    # Two libraries that each take all cores spend a sixth of their time waiting for each other.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, (os.cpu_count() or 1) // TOGETHER)))
    multiprocessing.util.Finalize(None, _start_kernel(), exitpriority=0)


def _start_kernel() -> Callable[[], None]:
    """Has notebooks run in one kernel, so that packages are imported once; gives what ends that."""
    global _kept
    from jupyter_core.utils import run_sync

    jupyter_client = runtime.package("jupyter_client", "pip install papermill nbclient")
    kernel = _kept = jupyter_client.AsyncKernelManager(kernel_name="python3")

    async def end() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(kernel.shutdown_kernel(now=True), _SECONDS_TO_ANSWER)

    def stop() -> None:
        global _kept
        _kept = None
        run_sync(end)()

    return stop


async def _forget(kernel: "AsyncKernelManager") -> None:
    """Leaves a kernel as if no notebook had run in it; what was imported stays so."""
    client = kernel.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=_SECONDS_TO_ANSWER)
        quiet = {"silent": True, "store_history": False, "reply": True}
        await client.execute(_FORGET, **quiet, timeout=_SECONDS_TO_ANSWER)
    finally:
        client.stop_channels()


def _run(
    notebook: Path, copy: Path, parameters: dict[str, object], scratch: Path, with_bar: bool = True
) -> Path:
    papermill = runtime.package("papermill", "pip install papermill nbclient")
    from jupyter_core.utils import run_sync
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    running = scratch / notebook.name
    try:
        if _kept and _kept.has_kernel:
            run_sync(_forget)(_kept)
        papermill.execute_notebook(
            str(notebook),
            str(running),
            parameters=parameters,
            kernel_name="python3",
            km=_kept,
            progress_bar={"desc": notebook.stem, "file": sys.stderr} if with_bar else False,
            cwd=str(scratch),
        )
    except PapermillExecutionError as error:
        raise BoneAgeError(f"{copy}: cell [{error.exec_count}] stopped: {_last_line(error)}") from None
    except (DeadKernelError, CellTimeoutError, RuntimeError, TimeoutError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BoneAgeError(
            f"{copy}: the notebook's Python ended or does not answer ({reason}); out of memory? Try a "
            "smaller batch_size"
        ) from None
    finally:
        if running.is_file():
            write_text(copy, running.read_text(encoding="utf-8"))
    return copy


def _last_line(error: Any) -> str:
    message = " ".join(str(error.evalue).split())
    return message if error.ename == BoneAgeError.__name__ else f"{error.ename}: {message}"
