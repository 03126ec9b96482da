"""The group of processes ends when training does."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os

import torch

from denoisers.training.ranks import joined


def threads():
    tasks = "/proc/self/task"
    return [name for t in os.listdir(tasks) if "gloo" in (name := open(f"{tasks}/{t}/comm").read())]


with joined("cpu") as (ranks, device):
    network = ranks.share(torch.nn.Linear(3, 3), device, phases=False)
    network(torch.ones(2, 3)).sum().backward()
    del network
    assert threads()
assert not threads(), threads()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads of Linux")
def test_no_thread_of_the_group_outlives_it(tmp_path):
    # One that does aborts the process now and then, when it lets go of a tensor too late.
    (tmp_path / "step.py").write_text(SCRIPT, encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", str(tmp_path / "step.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr
