"""What README and docs show is run, or at least parsed by the real commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from noisegen.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def _commands():
    for page in PAGES:
        for block in re.findall(
            r"^```(?:sh|bash)?\n(.*?)^```", page.read_text("utf-8"), re.M | re.S
        ):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("noisegen "):
                    yield pytest.param(line, id=f"{page.stem}: {line[:60]}")


@pytest.mark.parametrize("line", list(_commands()))
def test_commands_that_are_shown_exist_with_their_options(line):
    name, *arguments = shlex.split(line, comments=True)[1:]
    command = main.get_command(click.Context(main), name)
    assert command is not None, f"there is no command {name}"
    command.make_context(name, arguments)


@pytest.mark.parametrize("page", ["README.md", "docs/corpus.md"])
def test_the_python_that_is_shown_runs(page, tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    assert len(blocks) == 2
    if page != "README.md":
        shown = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.M | re.S)
        blocks = [blocks[0], *shown]
    for number, block in enumerate(blocks):
        script = tmp_path / f"block{number}.py"
        script.write_text(block)
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=250,
        )
        assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"
