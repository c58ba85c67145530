"""Does verbs of ``python -m boneage`` in processes that may be killed, without an import for each.

A program of its own (``python killed_verbs.py``): for each line of JSON on its input it forks, does a verb in
the child, and answers with the child's exit status. Until then it has started no thread, so a child is as
sound as a process that did the imports itself.

A child can be killed at a place in the order of what it does to the files of a run, or some time later.
Python's own audit hook tells the places, each just before the thing is done.
"""

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

_WATCHED = ("open", "os.chmod", "os.mkdir", "os.remove", "os.rename", "shutil.rmtree")

# The part of a temporary file's name that is drawn anew each time.
_DRAWN = re.compile(r"-[a-z0-9_]{8}(?=\.)")


class FileWatch:
    """Names the places that a run passes, and kills its process after one of them.

    A place is what is done to which file, and within the checkpoints the epoch that was written last. So a
    run that is taken up passes the places that lie before it as it would have passed them the first time.

    Args:
        folder: The run folder.
        log: A file for the places and the seconds at which they were passed; empty for none.
        deadly: The process dies after the first of these that it passes.
        delay: Seconds from there to its death.
        last: At this place it dies at the latest, if any is deadly.
    """

    def __init__(self, folder: str, log: str = "", deadly: tuple = (), delay: float = 0.0, last: str = ""):
        self._folder, self._deadly, self._delay, self._last = folder + os.sep, set(deadly), delay, last
        # By its number, because opening it in the hook would call the hook.
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if log else None
        self._epoch = ""
        self._doomed = False

    def __call__(self, event: str, arguments: tuple) -> None:
        if event not in _WATCHED or not str(arguments[0]).startswith(self._folder):
            return
        name = _DRAWN.sub("", str(arguments[0])[len(self._folder) :])
        written = re.match(r"checkpoint/\.(epoch-\d+)\.", name)
        if written:
            self._epoch = written[1]
        place = f"{event} {name} {self._epoch}" if name.startswith("checkpoint/") else f"{event} {name}"
        if self._log is not None:
            os.write(self._log, f"{json.dumps([place, time.monotonic()])}\n".encode())
        if self._deadly and place == self._last:
            _die()
        if place in self._deadly and not self._doomed:
            self._doomed = True
            threading.Timer(self._delay, _die).start() if self._delay else _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def do(arguments: list[str], output: str, watch: dict) -> int:
    """Does a verb in a child; its exit status, or minus the signal that ended it.

    Args:
        arguments: The words after ``python -m boneage``.
        output: The file for what it prints.
        watch: Arguments of :class:`FileWatch`.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.addaudithook(FileWatch(**watch))
        code = main(arguments)
        sys.stdout.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    from boneage.__main__ import main
    from boneage.core.runtime import choose_backend

    choose_backend("tensorflow")
    import boneage.training  # noqa: F401

    if len(list(Path("/proc/self/task").iterdir())) > 1:
        sys.exit("a thread has started, and a child would have its locks but not the thread")
    for line in sys.stdin:
        print(do(**json.loads(line)), flush=True)
