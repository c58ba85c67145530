"""Loops over all cores, in threads: safe in a notebook, and OpenCV and NumPy work outside Python's lock."""

import warnings
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def on_all_cores(
    work: Callable[[T], R], jobs: Sequence[T], title: str, progress: bool = True, in_order: bool = False
) -> Generator[R, None, None]:
    """Does jobs on all cores under a progress bar; yields what they return.

    Two jobs a core are under way at most. Ctrl-C ends it, and so does what a job raises.

    Args:
        work: Done once for each job.
        jobs: What to work on.
        title: What the bar says.
        progress: Whether a bar shows how far it is.
        in_order: Whether results come in the order of the jobs, not in that in which they are done.
    """
    import cv2
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    opencv_threads = cv2.getNumThreads()
    # One image a core is faster than one image on all cores, and the two fight each other.
    cv2.setNumThreads(1)
    kind = "generator" if in_order else "generator_unordered"
    pool = Parallel(n_jobs=-1, backend="threading", return_as=kind)
    results = pool(delayed(work)(job) for job in jobs)
    try:
        with tqdm(total=len(jobs), desc=title, unit="image", disable=not progress) as bar:
            for result in results:
                bar.update()
                yield result
    finally:
        # Whoever stops early need not be told that some results are lost.
        with warnings.catch_warnings(action="ignore"):
            results.close()
        cv2.setNumThreads(opencv_threads)
