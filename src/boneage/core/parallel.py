"""Loops over cores that a stop by hand ends cleanly."""

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_JOBS_UNDER_WAY_PER_CORE = 4


def interruptible(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """What a generator yields, with the generator run in a thread of its own, one step at a time.

    Python raises KeyboardInterrupt in the main thread between any two steps. Inside a thread pool it can
    strike while a lock of the pool is held, which then is never released: the pool's threads wait for it,
    and the program for them. Here the main thread only waits on queues, which have no such moment.

    Args:
        items: A generator that works with a thread pool; it is closed at the end, whatever the end.
    """
    wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
    found: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            while wanted.get():
                found.put((next(items), None))
        except BaseException as error:
            found.put((None, error))
        finally:
            items.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            wanted.put(True)
            item, error = found.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        wanted.put(False)
        thread.join()


def on_all_cores(
    work: Callable[[T], R], jobs: Sequence[T], title: str, progress: bool = True
) -> Generator[R, None, None]:
    """Does jobs on all cores under a progress bar; yields what they return, in the order they are done.

    Threads, not processes: safe in a notebook, and OpenCV and NumPy work outside Python's lock. So many
    jobs are under way at most that memory knows no number of jobs, and a stop by hand ends it cleanly.

    Args:
        work: Done once for each job; what it raises ends the generator and is raised from it.
        jobs: What to work on.
        title: What the bar says.
        progress: Whether a bar shows how far it is.
    """
    import cv2
    from tqdm.auto import tqdm

    opencv_threads = cv2.getNumThreads()
    # One photo a core is faster than one photo on all cores, and the two fight each other.
    cv2.setNumThreads(1)
    try:
        with (
            contextlib.closing(interruptible(_done(work, jobs))) as results,
            tqdm(total=len(jobs), desc=title, unit="photo", disable=not progress) as bar,
        ):
            for result in results:
                bar.update()
                yield result
    finally:
        cv2.setNumThreads(opencv_threads)


def _done(work: Callable[[T], R], jobs: Sequence[T]) -> Generator[R, None, None]:
    cores, waiting = os.cpu_count() or 1, iter(jobs)
    with ThreadPoolExecutor(cores) as pool:
        running = {pool.submit(work, job) for job in islice(waiting, cores * _JOBS_UNDER_WAY_PER_CORE)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(work, job) for job in islice(waiting, len(done))}
                for future in done:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()
