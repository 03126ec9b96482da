"""What a run shows while it works, and when it is done."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

LOG_SECONDS = 10.0
"""Off a terminal, a line at most this often."""


@contextlib.contextmanager
def progress(client: Any | None) -> Iterator[Callable[[Any], None]]:
    """Show a progress bar on a terminal, plain lines elsewhere.

    Parameters
    ----------
    client
        Dask client whose dashboard is linked, or None.

    Yields
    ------
    callable
        To be called with a ``pipelines.run.Progress`` after each shard.
    """
    if client is not None and client.dashboard_link:
        click.echo(f"Dask dashboard: {client.dashboard_link}", err=True)
    if sys.stderr.isatty():
        yield from _bar()
    else:
        yield _Lines()


@contextlib.contextmanager
def counting(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Show a progress bar on a terminal, nothing elsewhere.

    Parameters
    ----------
    what
        What is being done.
    total
        Number of steps, if it is known.

    Yields
    ------
    callable
        To be called after each step.
    """
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


@contextlib.contextmanager
def training(iterations: int) -> Iterator[Callable[[Any], None]]:
    """Show how a training run goes: a bar on a terminal, plain lines elsewhere.

    Yields
    ------
    callable
        To be called with a ``denoisers.training.loop.Progress`` after each iteration.
    """
    if sys.stderr.isatty():
        yield from _training_bar(iterations)
    else:
        yield _TrainingLines()


def report(summary: Any) -> None:
    """Print what a run did."""
    click.echo(summary.text())


def _bar() -> Iterator[Callable[[Any], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("samples  {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("synthesize", total=None, rate="")

        def update(state: Any) -> None:
            bar.update(task, completed=state.done, total=state.total, rate=state.rates())

        yield update


class _Lines:
    def __init__(self) -> None:
        self._next = time.monotonic() + LOG_SECONDS

    def __call__(self, state: Any) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LOG_SECONDS
            done = f"{state.done} of {state.total} samples"
            click.echo(f"{done}, {state.rates()}, {state.eta():.0f} s to go", err=True)


def _training_bar(iterations: int) -> Iterator[Callable[[Any], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("train"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("train", total=iterations, state="")

        def update(state: Any) -> None:
            bar.update(task, completed=state.iteration, state=_state(state))

        yield update


class _TrainingLines:
    def __init__(self) -> None:
        self._next = time.monotonic() + LOG_SECONDS

    def __call__(self, state: Any) -> None:
        if time.monotonic() >= self._next or state.iteration == state.iterations:
            self._next = time.monotonic() + LOG_SECONDS
            click.echo(
                f"iteration {state.iteration} of {state.iterations}: {_state(state)}", err=True
            )


def _state(state: Any) -> str:
    """Return loss, learning rate, speed, time left and what a training run measured last."""
    minutes, seconds = divmod(round(state.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    text = (
        f"loss {state.loss:.4g}, lr {state.lr:.2e}, {state.patches_per_second:.3g} patches/s, "
        f"{hours}:{minutes:02}:{seconds:02} to go"
    )
    return f"{text}, {state.measured}" if state.measured else text
