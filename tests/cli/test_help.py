import subprocess
import sys

import pytest
from click.testing import CliRunner

from noisegen.cli import COMMANDS, main

HEAVY = ("torch", "numba", "dask", "zarr", "rawpy", "matplotlib", "cv2", "pydantic", "scipy")


def test_help_is_light():
    code = (
        "import sys\nfrom noisegen.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as stop:\n    code = stop.code\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output
    listed = CliRunner().invoke(main, ["--help"]).output
    line = next(line for line in listed.splitlines() if line.strip().startswith(name))
    assert len(line.split()) > 2, "a command needs a short help"


def test_version():
    from noisegen import __version__

    assert __version__ in CliRunner().invoke(main, ["--version"]).output
