"""Loops on the workers of a Dask cluster, which must have this package and reach the same folders."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

from boneage.core.errors import BoneAgeError
from boneage.core.runtime import package

T = TypeVar("T")
R = TypeVar("R")

LOCAL = "local"
"""In place of a scheduler's address: a cluster of processes on this machine, one per core."""

_SECONDS_TO_ANSWER = 20.0
# Each thread of a worker has one job at hand and one in reserve.
_JOBS_PER_THREAD = 2
_INSTALL = "pip install dask distributed"

_client: Any = None


def in_use() -> bool:
    """Whether loops run on a cluster."""
    return _client is not None


@contextlib.contextmanager
def on_cluster(scheduler: str) -> Iterator[None]:
    """Has the loops of :mod:`boneage.core.parallel` run on a Dask cluster for the time of the block.

    Args:
        scheduler: Its scheduler's address, such as ``tcp://host:8786``, or ``LOCAL``.

    Raises:
        BoneAgeError: Dask is not installed, no scheduler answers there, or it has no worker.
    """
    global _client
    distributed = package("distributed", _INSTALL)
    with contextlib.ExitStack() as stack:
        place = scheduler
        if scheduler == LOCAL:
            local = distributed.LocalCluster(threads_per_worker=1, dashboard_address=":0", silence_logs=50)
            stack.callback(_close, local)
            place = local
        try:
            client = stack.enter_context(distributed.Client(place, timeout=_SECONDS_TO_ANSWER))
            client.wait_for_workers(1, timeout=_SECONDS_TO_ANSWER)
        except (OSError, ValueError) as error:
            reason = f"no Dask scheduler with a worker answers there ({type(error).__name__})"
            advice = f"give its address, such as tcp://host:8786, or {LOCAL}"
            raise BoneAgeError(f"--scheduler {scheduler}: {reason}; {advice}") from None
        _client = client
        try:
            yield
        finally:
            _client = None


def on_workers(work: Callable[[T], R], jobs: Sequence[T], in_order: bool) -> Generator[R, None, None]:
    """The results of each job. A job whose worker is lost is done again by another.

    Args:
        work: Does a job; sent to the workers with all that it refers to.
        jobs: What is to be done.
        in_order: Whether results come in the order of the jobs rather than of completion.

    Raises:
        BoneAgeError: A job ended several workers, or the scheduler is gone.
    """
    cloudpickle, distributed = (package(name, _INSTALL) for name in ("cloudpickle", "distributed"))
    # As the result of a job, it is sent to a worker once, and again to one that takes the place of another.
    todo = _client.submit(cloudpickle.loads, cloudpickle.dumps(work), pure=False)
    left, waiting = iter(jobs), deque[Any]()
    finished = distributed.as_completed()

    def send(count: int) -> None:
        for _, job in zip(range(count), left, strict=False):
            waiting.append(_client.submit(_alone, todo, job, pure=False))
            if not in_order:
                finished.add(waiting[-1])

    try:
        send(_JOBS_PER_THREAD * max(1, sum(_client.nthreads().values())))
        while waiting:
            future = waiting[0] if in_order else next(finished)
            result = future.result()
            waiting.remove(future)
            send(1)
            yield result
    except distributed.KilledWorker:
        raise BoneAgeError("a job ended several workers one after the other; out of memory there?") from None
    except (distributed.CancelledError, distributed.comm.CommClosedError):
        reason = "the Dask scheduler no longer answers; what was made is kept"
        raise BoneAgeError(f"{reason}: start it, and the same command again") from None
    finally:
        # What has begun is finished first: the caller lets go of its folder after this.
        with contextlib.suppress(TimeoutError, distributed.CancelledError, distributed.comm.CommClosedError):
            distributed.wait(list(waiting), timeout=_SECONDS_TO_ANSWER)
        _client.cancel(list(waiting))


def _close(local: Any) -> None:
    # Workers that take longer to end than Dask waits for, on a busy machine, end with this process.
    with contextlib.suppress(TimeoutError):
        local.close()


def _alone(work: Callable[[T], R], job: T) -> R:
    """One job on a worker, which does as many at a time as it has threads."""
    import cv2

    cv2.setNumThreads(1)
    return work(job)
