"""Temporary names, and the clearing away of those whose maker has died.

A file is written beside its place under ``NAME.HOST.PID.UUID.partial`` and renamed when it is
whole. A killed process leaves that name behind and nothing else.
"""

import os
import re
import shutil
import socket
import time
import uuid
from functools import cache
from pathlib import Path

SUFFIX = ".partial"
STALE_AFTER = 3600.0
"""Seconds after which any partial file is an orphan: no single write takes an hour."""

_SIBLING = ".noisegen"
_OURS = re.compile(r"\.(?P<host>[A-Za-z0-9-]+)\.(?P<pid>[0-9]+)\.[0-9a-f]{32}\.partial$")


def partial_name(path: str) -> str:
    """Return a temporary name beside `path` that no other process or thread will choose."""
    return f"{path}.{_host()}.{os.getpid()}.{uuid.uuid4().hex}{SUFFIX}"


def sibling_folder(path: Path) -> Path:
    """Return a temporary folder's name beside `path`."""
    return Path(partial_name(str(path.with_name(_SIBLING))))


def clean_folder(root: Path) -> list[str]:
    """Remove the orphaned partial files under `root`, and orphaned skeletons beside it.

    An orphan carries this host's name and the number of a process that is gone, or is older than
    :data:`STALE_AFTER`, whoever made it. Files of living processes stay.

    Returns
    -------
    list of str
        The paths that were removed.
    """
    removed = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if name.endswith(SUFFIX) and _is_orphan(path):
                path.unlink(missing_ok=True)
                removed.append(str(path))
    for path in root.parent.glob(f"{_SIBLING}.*{SUFFIX}"):
        # A folder's age says nothing: only the death of its maker does.
        if _maker_is_dead(path.name):
            shutil.rmtree(path, ignore_errors=True)
            removed.append(str(path))
    return removed


def _is_orphan(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False  # its writer has just finished
    return age > STALE_AFTER or _maker_is_dead(path.name)


def _maker_is_dead(name: str) -> bool:
    made = _OURS.search(name)
    if made is None or made["host"] != _host():
        return False
    try:
        os.kill(int(made["pid"]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False  # alive, and someone else's
    return False


@cache
def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "host"
