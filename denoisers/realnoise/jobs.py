"""Tasks in the order of their urgency, one after the other or several at a time."""

import heapq
import itertools
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any

Task = Callable[[], Any]
Then = Callable[[Any], None]


class Jobs:
    """Runs tasks and hands on what they return; that may add more tasks.

    Parameters
    ----------
    number
        How many run at a time. One runs in this process; more run in processes of their own, which
        share the processor's cores, so that tasks and what they return must be picklable.
    """

    def __init__(self, number: int) -> None:
        self._number, self._order = number, itertools.count()
        self._waiting: list[tuple[int, int, Task, Then]] = []

    def add(self, urgency: int, task: Task, then: Then) -> None:
        """Add a task; the least number is the most urgent, and of equal ones the first goes first.

        Parameters
        ----------
        urgency
            When it is run.
        task
            What is run.
        then
            Gets what the task returns, in this process.
        """
        heapq.heappush(self._waiting, (urgency, next(self._order), task, then))

    def run(self) -> None:
        """Run all tasks; what one raises is raised after those that run have ended."""
        running: dict[Future[Any], Then] = {}
        pool = self._pool()
        try:
            while self._waiting or running:
                while self._waiting and len(running) < self._number:
                    _, _, task, then = heapq.heappop(self._waiting)
                    running[pool.submit(task)] = then
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    running.pop(done)(done.result())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _pool(self) -> Executor:
        if self._number == 1:
            return _Here()
        # A forked process would inherit locks that threads hold, and cannot use a GPU.
        context = get_context("spawn")
        return ProcessPoolExecutor(self._number, context, _share_cores, (self._number,))


class _Here(Executor):
    """Runs what is submitted at once."""

    def submit(self, task: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(task(*arguments, **named))
        return future


def _share_cores(processes: int) -> None:
    """Leave the other processes their cores."""
    import torch

    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) // processes)))
