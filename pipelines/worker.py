"""What a local Dask worker does when it starts; Dask loads this module there by its name."""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the client: it ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
