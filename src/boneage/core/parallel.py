"""Loops over images in threads on all cores: safe in a notebook, and OpenCV and NumPy release the GIL.

Or on the workers of a cluster, inside :func:`boneage.core.cluster.on_cluster`.
"""

import contextlib
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from boneage.core import cluster
from boneage.core.errors import BoneAgeError

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")

SECONDS_BETWEEN_SAVES = 5.0
# The whole record is written each time: without this, its cost would grow with the square of its length.
_TIMES_A_SAVE = 20.0
# Each core has one job at hand and one in reserve.
_JOBS_PER_CORE = 2


def on_all_cores(
    work: Callable[[T], R],
    jobs: Sequence[T],
    title: str,
    progress: bool = True,
    in_order: bool = False,
    unit: str = "image",
) -> Generator[R, None, None]:
    """Runs ``work`` on each job on all cores, or on a cluster, under a progress bar and yields the results.

    At most two jobs per core are in flight. Ctrl-C and any exception of a job end it, once those that have
    begun are done.

    Args:
        title: Label of the progress bar.
        in_order: Whether results come in the order of the jobs rather than of completion.
        unit: What a job is, on the bar.
    """
    from tqdm.auto import tqdm

    bar = tqdm(total=len(jobs), desc=title, unit=unit, disable=not progress)
    results = (cluster.on_workers if cluster.in_use() else _in_threads)(work, jobs, in_order)
    with bar, contextlib.closing(results):
        for result in results:
            bar.update()
            yield result


def _in_threads(work: Callable[[T], R], jobs: Sequence[T], in_order: bool) -> Generator[R, None, None]:
    import cv2
    from joblib import cpu_count

    opencv_threads = cv2.getNumThreads()
    # One image per core is faster than one image on all cores, and the two compete.
    cv2.setNumThreads(1)
    cores, left = cpu_count(), iter(jobs)
    pool = ThreadPoolExecutor(cores)
    try:
        waiting = [pool.submit(work, job) for job in islice(left, _JOBS_PER_CORE * cores)]
        while waiting:
            finished = waiting[:1] if in_order else wait(waiting, return_when=FIRST_COMPLETED).done
            for future in finished:
                result = future.result()
                waiting.remove(future)
                waiting += (pool.submit(work, job) for job in islice(left, 1))
                yield result
    finally:
        # What has begun is finished first: the caller lets go of its folder after this.
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(opencv_threads)


def fill_rows(
    rows: list[R],
    make: Callable[[T], R],
    jobs: Mapping[int, T],
    save: Callable[[list[R]], S],
    title: str,
    unit: str = "image",
) -> S:
    """Does on all cores what the rows of a record still lack; the next run goes on where this one stops.

    Args:
        rows: As things stand before.
        make: Does one job; returns its row.
        jobs: What is to be done, by the place of its row.
        save: Writes the record: before the first job, every few seconds, at the end, and when it is stopped.
            One that takes long to write, as that of many images, is written less often.
        title: What the bar says.
        unit: What a job is, on the bar.

    Returns:
        What ``save`` returns at the end.
    """
    began = time.monotonic()
    save(rows)
    saved = time.monotonic()
    try:
        for place, row in on_all_cores(lambda at: (at, make(jobs[at])), list(jobs), title, unit=unit):
            rows[place] = row
            if time.monotonic() - saved > max(SECONDS_BETWEEN_SAVES, _TIMES_A_SAVE * (saved - began)):
                began = time.monotonic()
                save(rows)
                saved = time.monotonic()
    except BaseException:
        # Interrupted, or the disk is full: record what was made, if possible.
        with contextlib.suppress(BoneAgeError):
            save(rows)
        raise
    return save(rows)
