"""``noisegen sources``: every line leads on."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from catalogs import sources
from noisegen.cli import main

PNG = cv2.imencode(".png", np.zeros((20, 30, 3), np.uint8))[1].tobytes()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sources", *arguments])


def test_lists_all_with_licences() -> None:
    result = run()
    assert result.exit_code == 0
    for page in sources.entries()[0]:
        assert page.title in result.output
        assert page.licence in result.output


def test_warns_of_a_broken_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "entries", lambda: ([sources.entry("kodak")], ["it broke"]))
    result = run()
    assert result.exit_code == 0
    assert "warning: it broke" in result.stderr


def test_shows_where_to_get_one_and_its_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOISEGEN_SOURCES", raising=False)
    result = run("fivek")
    assert result.exit_code == 0
    for text in ("data.csail.mit.edu", "research only", "HQa1to700", "dualdn-val", "--root DIR"):
        assert text in result.output
    monkeypatch.setenv("NOISEGEN_SOURCES", "/nowhere")
    assert run("fivek").exit_code == 0


def test_checks_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "kodak"
    root.mkdir()
    for number in range(1, 25):
        (root / f"kodim{number:02d}.png").write_bytes(PNG)
    result = run("kodak", "--root", str(root))
    assert result.exit_code == 0
    assert "24 of 24 images\n" in result.output
    assert "24 images, 0 not readable" in result.output
    (root / "kodim07.png").write_bytes(PNG[:-4])
    (root / "kodim08.png").unlink()
    monkeypatch.setenv("NOISEGEN_SOURCES", str(tmp_path))
    result = run("kodak")
    assert result.exit_code == 1
    assert "23 of 24 images, 1 missing" in result.output
    assert f"not readable: {root / 'kodim07.png'} is a PNG that was cut short" in result.output


def test_reads_a_sample_unless_told_all(tmp_path: Path) -> None:
    for number in range(70):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    (tmp_path / "notes.txt").write_text("x")
    assert "24 images, 0 not" in run("folder", "--root", str(tmp_path)).output
    result = run("folder", "--root", str(tmp_path), "--all")
    assert "70 images, 0 not" in result.output
    assert "skipped: 1 file ending in .txt, first notes.txt" in result.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("kodk",), "unknown source 'kodk' (did you mean 'kodak'?)"),
        (("kodak", "--root", "/nowhere"), "there is no folder /nowhere; get it from https://"),
        (("--root", "/nowhere"), "--root needs the NAME of a source"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(arguments: tuple[str, ...], text: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert text in result.stderr
    assert "Traceback" not in result.output
