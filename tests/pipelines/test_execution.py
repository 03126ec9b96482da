"""Where a run's work is done changes nothing: processes, clusters, schedulers, parts, stores."""

import os
import re
import signal
import subprocess
import sys
import time

import dask
import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from noisegen.cli import main
from noisegen.errors import InputError, MissingDataError, RunError
from pipelines import execution
from pipelines.recipe import Recipe

# 16-bit patches of 128, four to a shard of a megabyte: five shards
RECIPE = Recipe(source_options={"size": 160}, patch=128, bits=16, per_image=4, count=20)


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "r.toml"
    path.write_text(RECIPE.to_toml())
    return path


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "c.zarr"
    pipelines.synthesize(RECIPE, str(path), shard_mb=1)
    return pipelines.open(path).digest()


@pytest.fixture
def command(recipe_file):
    """Return the command that makes the corpus."""

    def make(out, *more):
        arguments = ["synthesize", "--recipe", recipe_file, "--shard-mb", 1, "--out", out, *more]
        return [str(a) for a in arguments]

    return make


def run(arguments):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result


def refused(arguments, code):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    (line,) = result.stderr.strip().splitlines()
    return line


def test_a_cluster_file_starts_a_cluster(tmp_path, digest, command):
    file = tmp_path / "cluster.toml"
    file.write_text(
        'class = "distributed.LocalCluster"\nworkers = 1\n[arguments]\nn_workers = 0\n'
        'threads_per_worker = 2\nprocesses = false\ndashboard_address = ":0"\n'
    )
    result = run(command(tmp_path / "c.zarr", "--cluster", file))
    assert "20 of 20 samples" in result.output
    assert re.search(r"^Dask dashboard: http://", result.stderr, re.MULTILINE)
    assert pipelines.open(tmp_path / "c.zarr").digest() == digest


def test_a_running_scheduler_is_used(tmp_path, digest, command):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0",
        protocol="tcp",
    ) as cluster:  # fmt: skip
        address = cluster.scheduler_address
        run(command(tmp_path / "c.zarr", "--scheduler", address))
        assert pipelines.open(tmp_path / "c.zarr").digest() == digest
        assert dask.config.get("scheduler", None) is None, "no client is left as the default one"
        # it is the user's: it goes on running
        with execution.executor(scheduler=address) as client:
            assert client.submit(int, "3").result() == 3


def test_local_workers_make_the_same(tmp_path, digest, command):
    run(command(tmp_path / "c.zarr", "--workers", 2))
    assert pipelines.open(tmp_path / "c.zarr").digest() == digest


def test_without_a_client_there_is_none():
    with execution.executor() as client:
        assert client is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('class = "distributed.NoSuchCluster"', ["NoSuchCluster", "cannot be imported"]),
        ('class = "no_such_package.Cluster"', ["no_such_package", "install"]),
        ('class = "distributed.SpecCluster"\n[arguments]\nwrokers = 1', ["refuses", "wrokers"]),
        ('class = "distributed.LocalCluster"\nwokrers = 1', ["unknown key 'wokrers'", "workers"]),
        ("workers = 1", ["class"]),
        ("class = 3", ["class"]),
        ("class = = 3", ["cannot read"]),
    ],
)
def test_a_wrong_cluster_file_is_one_line(tmp_path, command, text, words):
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    line = refused(command(tmp_path / "c.zarr", "--cluster", file), 2)
    assert all(word in line for word in words), line


def test_a_cluster_that_does_not_start_says_why(tmp_path, command):
    file = tmp_path / "cluster.toml"
    file.write_text(
        'class = "distributed.LocalCluster"\n[arguments]\nn_wrokers = 1\nn_workers = 1\n'
        'dashboard_address = ":0"\n'
    )
    process = start(command(tmp_path / "c.zarr", "--cluster", file))
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 1
    # the worker's own process writes to the terminal as well; ours is the last line
    line = stderr.splitlines()[-1]
    assert line.startswith("noisegen: cluster class distributed.LocalCluster does not start: ")
    assert "n_wrokers" in line


def test_a_missing_cluster_file_is_named(tmp_path, command):
    missing = tmp_path / "no.toml"
    assert str(missing) in refused(command(tmp_path / "c.zarr", "--cluster", missing), 2)
    with pytest.raises(MissingDataError), execution.executor(cluster=missing):
        pass


def test_two_places_to_work_are_one_too_many(tmp_path, command):
    line = refused(command(tmp_path / "c.zarr", "--workers", 1, "--scheduler", "tcp://x:1"), 2)
    assert "--workers, --scheduler, --cluster" in line
    with pytest.raises(InputError), execution.executor(1, cluster="c.toml"):
        pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x"])
def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, command, monkeypatch, address):
    monkeypatch.setattr(execution, "CONNECT_SECONDS", 0.5)
    line = refused(command(tmp_path / "c.zarr", "--scheduler", address), 1)
    assert address in line
    assert not (tmp_path / "c.zarr").exists()
    with pytest.raises(RunError), execution.executor(scheduler=address):
        pass
    assert dask.config.get("scheduler", None) is None, "Dask works as before"


def start(arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "noisegen", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(out):
    return len(list((out / "manifest").glob("c.*.0")))


@pytest.mark.parametrize("workers", [0, 1])
def test_ctrl_c_stops_with_one_line_and_the_same_command_goes_on(tmp_path, workers):
    out = tmp_path / "c.zarr"
    arguments = ["synthesize", "--out", str(out), "--count", "400", "--per-image", "4"]
    arguments += ["--shard-mb", "1"]
    process = start([*arguments, "--workers", str(workers)])
    deadline = time.monotonic() + 100
    while finished(out) < 1 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    lines = [line for line in stderr.splitlines() if not line.startswith("Dask dashboard")]
    assert lines == ["noisegen: stopped; the same command again goes on from here"]
    corpus = pipelines.open(out)
    done = int(corpus.finished.sum())
    assert 0 < done < corpus.plan.shards
    assert not list(out.rglob("*.partial"))
    # The rest would take a while: one more shard shows that the run goes on where it stopped.
    missing = np.flatnonzero(~corpus.finished)
    part = f"{missing[0] + 1}/{corpus.plan.shards}"
    result = run([*arguments, "--parts", part])
    assert "other shards are not made yet" in result.output
    after = pipelines.open(out)
    assert set(np.flatnonzero(after.finished)) == {*np.flatnonzero(corpus.finished), missing[0]}


def test_parts_started_at_the_same_time_make_one_corpus(tmp_path, digest, command):
    out = tmp_path / "c.zarr"
    processes = [start(command(out, "--parts", f"{i}/3")) for i in (1, 2, 3)]
    for process in processes:
        stdout, stderr = process.communicate(timeout=100)
        assert process.returncode == 0, stderr
        assert stdout.startswith(f"{out}: ")
    assert pipelines.open(out).digest() == digest
    assert not list(tmp_path.rglob("*.partial"))
    assert [p.name for p in tmp_path.iterdir()] == ["c.zarr"]


def test_more_parts_than_shards(tmp_path, command):
    result = run(command(tmp_path / "c.zarr", "--parts", "7/7"))
    assert "0 of 0 samples" in result.output
    assert not pipelines.open(tmp_path / "c.zarr").finished.any()


@pytest.mark.parametrize("parts", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_wrong_parts_are_refused(tmp_path, command, parts):
    result = CliRunner().invoke(main, command(tmp_path / "c.zarr", "--parts", parts))
    assert result.exit_code == 2
    assert "I/N" in result.stderr


def test_a_store_in_memory(digest, command):
    url = "memory://execution/store.zarr"
    run(command(url))
    assert pipelines.open(url).digest() == digest
    assert "nothing was missing" in run(command(url)).output
    result = CliRunner().invoke(main, ["digest", url])
    assert result.output.splitlines()[-1] == digest.hex()
    assert "5 shards compared, 0 damaged" in CliRunner().invoke(main, ["verify", url]).output
    other = refused([*command(url), "--seed", "9"], 2)
    assert "seed is 0 there, 9 here" in other
    run([*command(url), "--seed", "9", "--overwrite"])
    assert pipelines.open(url).digest() != digest


def test_a_file_url(tmp_path, digest, command):
    run(command(f"file://{tmp_path}/c.zarr"))
    assert pipelines.open(tmp_path / "c.zarr").digest() == digest
    assert pipelines.open(f"file://{tmp_path}/c.zarr").digest() == digest


def test_a_source_at_a_url(tmp_path):
    import cv2
    import fsspec

    memory = fsspec.filesystem("memory")
    rng = np.random.default_rng(0)
    (tmp_path / "local").mkdir()
    for number in range(3):
        data = cv2.imencode(".png", rng.integers(0, 256, (40, 50, 3), np.uint8))[1].tobytes()
        memory.pipe_file(f"/end-to-end/pictures/{number}.png", data)
        (tmp_path / "local" / f"{number}.png").write_bytes(data)
    recipe = Recipe(source="folder", patch=32, per_image=2)
    for name, root in (("a", "memory://end-to-end/pictures"), ("b", str(tmp_path / "local"))):
        pipelines.synthesize(recipe, str(tmp_path / f"{name}.zarr"), root=root)
    first, second = (pipelines.open(tmp_path / f"{name}.zarr") for name in "ab")
    assert first.digest() == second.digest()


def test_a_url_that_nothing_understands_is_one_line(command):
    line = refused(command("nosuchscheme://x/c.zarr"), 2)
    assert "nosuchscheme" in line


@pytest.mark.parametrize("default", [True, False])
def test_python_and_the_command_make_the_same(tmp_path, digest, default):
    from distributed import Client

    with Client(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0",
        set_as_default=default,
    ) as client:  # fmt: skip
        seen = []
        summary = pipelines.synthesize(
            RECIPE, str(tmp_path / "c.zarr"), client, shard_mb=1, on_shard=seen.append
        )
    assert summary.finished
    assert (summary.samples, summary.planned, summary.made) == (20, 20, 20)
    assert sorted(p.done for p in seen) == [4, 8, 12, 16, 20]
    assert all(p.total == 20 and p.eta() >= 0 for p in seen)
    stored = sum(f.stat().st_size for f in (tmp_path / "c.zarr").rglob("c.*"))
    assert 0 <= stored - summary.bytes < 1000, "all but the names of the images"
    assert pipelines.open(tmp_path / "c.zarr").digest() == digest
