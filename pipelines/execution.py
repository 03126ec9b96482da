"""Where the shards of a run are made: in this process, or by Dask.

Dask gets tasks of one whole shard each and sees small summaries only, never pixels. A bounded
number of tasks is in flight, so that memory and the scheduler's work do not grow with the corpus.
"""

import contextlib
import importlib
import logging
import signal
import threading
import tomllib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from noisegen.errors import InputError, MissingDataError, RunError

Result = TypeVar("Result")

TASKS_PER_THREAD = 2
"""Tasks in flight for each thread of the cluster: one runs, one waits."""

RETRIES = 2
"""How often Dask tries a task again that failed or whose worker died."""

CONNECT_SECONDS = 20.0
"""How long a scheduler may take to answer."""


def run(
    task: Callable[[int], Result],
    shards: Iterable[int],
    client: Any | None = None,
    resources: Mapping[str, int] | None = None,
) -> Generator[Result, None, None]:
    """Yield ``task(shard)`` for all shards, in any order.

    Close the generator to call off what is still being made.

    Parameters
    ----------
    task
        A picklable function of a shard's number.
    shards
        Numbers of the shards.
    client
        A ``distributed.Client``; None makes one shard after the other in this process.
    resources
        What a worker must offer for each task, such as ``{"GPU": 1}``; this process has what it
        has.
    """
    if client is None:
        yield from map(task, shards)
    else:
        yield from _on_dask(task, shards, client, resources or {})


def check_resources(client: Any, resources: Mapping[str, int]) -> None:
    """Refuse a cluster of which no worker offers what a task needs: it would wait for ever.

    Raises
    ------
    InputError
        One line that says what to start workers with.
    """
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    for name, amount in resources.items():
        if workers and not any(w["resources"].get(name, 0) >= amount for w in workers):
            raise InputError(
                f"no worker of this cluster offers {name}={amount}; start them with "
                f'dask worker --resources "{name}={amount}"'
            )


def _on_dask(
    task: Callable[[int], Result],
    shards: Iterable[int],
    client: Any,
    resources: Mapping[str, int],
) -> Iterator[Result]:
    from distributed import as_completed

    waiting = iter(shards)
    window = max(1, TASKS_PER_THREAD * sum(client.nthreads().values()))
    running = as_completed(loop=client.loop)
    in_flight: set[Any] = set()

    def submit() -> None:
        shard = next(waiting, None)
        if shard is not None:
            # Not pure: a shard made by an earlier run may have been removed since.
            future = client.submit(
                task, shard, pure=False, retries=RETRIES, resources=dict(resources)
            )
            in_flight.add(future)
            running.add(future)

    for _ in range(window):
        submit()
    try:
        for future in running:
            in_flight.discard(future)
            result = future.result()
            future.release()
            submit()
            yield result
    finally:
        client.cancel(list(in_flight))


@contextlib.contextmanager
def executor(
    workers: int = 0, scheduler: str | None = None, cluster: str | Path | None = None
) -> Iterator[Any | None]:
    """Give the client that a run asks for, and close it after.

    Parameters
    ----------
    workers
        Number of local processes; 0: none, work in this process.
    scheduler
        Address of a running scheduler.
    cluster
        TOML file that names a Dask cluster class and its arguments::

            class = "dask_jobqueue.SLURMCluster"
            workers = 20            # or: adapt = { minimum = 2, maximum = 50 }
            [arguments]
            queue = "cpu"
            cores = 8
            memory = "32GB"

    Raises
    ------
    InputError
        If more than one of the three is given, or the file does not fit.
    RunError
        If the scheduler cannot be reached.
    """
    if sum([bool(workers), bool(scheduler), bool(cluster)]) > 1:
        raise InputError("--workers, --scheduler, --cluster: give one of them")
    if scheduler:
        yield from _connected(scheduler)
    elif cluster:
        yield from _started(*_read_cluster(Path(cluster)))
    elif workers:
        # One thread a process: the kernels release the GIL, but Python around them does not.
        # A worker's warnings are about tasks cancelled by Ctrl-C; what goes wrong is raised here.
        arguments = {
            "n_workers": workers,
            "threads_per_worker": 1,
            "dashboard_address": ":0",
            "silence_logs": logging.ERROR,
        }
        yield from _started("distributed.LocalCluster", arguments, {})
    else:
        yield None


def _connected(address: str) -> Iterator[Any]:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise RunError(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        yield client


def _started(name: str, arguments: dict[str, Any], size: dict[str, Any]) -> Iterator[Any]:
    from distributed import Client

    module, _, attribute = name.rpartition(".")
    try:
        factory = getattr(importlib.import_module(module or "distributed"), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"cluster class {name} cannot be imported ({error}): install it") from None
    try:
        with _quiet(), _interrupts_ignored():
            cluster = factory(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"cluster class {name} refuses its arguments: {error}") from None
    except (RuntimeError, OSError) as error:
        # Workers are started by others, who say no more than that it failed.
        reason = error.__cause__ or error.__context__ or error
        raise RunError(f"cluster class {name} does not start: {reason}") from None
    with cluster:
        if "workers" in size:
            cluster.scale(size["workers"])
        if "adapt" in size:
            cluster.adapt(**size["adapt"])
        with Client(cluster, set_as_default=False) as client:
            yield client


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C until the cluster stands; the workers that it starts inherit that for ever.

    A terminal sends Ctrl-C to every process, and it is the client that ends its workers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers belong to the main thread; nobody types Ctrl-C to this one
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Dask logs of a failure away: its exception says it in one line."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _read_cluster(path: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingDataError(f"no cluster file at {path}: check the path") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the cluster file {path}: {error}") from None
    name, arguments = data.pop("class", None), data.pop("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise InputError(f'{path}: needs class = "module.Class" and a table [arguments]')
    unknown = set(data) - {"workers", "adapt"}
    if unknown:
        raise InputError(
            f"{path}: unknown key '{min(unknown)}'; known: class, arguments, workers, adapt"
        )
    return name, arguments, data
