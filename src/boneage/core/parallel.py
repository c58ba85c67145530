"""Loops over all cores in threads: safe in a notebook, and OpenCV and NumPy release the GIL."""

import warnings
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def on_all_cores(
    work: Callable[[T], R], jobs: Sequence[T], title: str, progress: bool = True, in_order: bool = False
) -> Generator[R, None, None]:
    """Runs ``work`` on each job on all cores under a progress bar and yields the results.

    At most two jobs per core are in flight. Ctrl-C and any exception of a job end it.

    Args:
        title: Label of the progress bar.
        in_order: Whether results come in the order of the jobs rather than of completion.
    """
    import cv2
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    opencv_threads = cv2.getNumThreads()
    # One image per core is faster than one image on all cores, and the two compete.
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
        # Stopping early is no reason to warn of lost results.
        with warnings.catch_warnings(action="ignore"):
            results.close()
        cv2.setNumThreads(opencv_threads)
