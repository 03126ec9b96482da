"""``noisegen inspect X.zarr --out report.html``: one file, of every kind of corpus."""

import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import pipelines
from noisegen.cli import main
from noisegen.raw import write_dng
from pipelines.parameters import LENGTHS
from pipelines.realism.measures import measure
from pipelines.recipe import Recipe
from pipelines.reports.inspect import COMPONENTS, noise_of, source_noise

KINDS = {
    "srgb": {},
    "16 bits, lazy, both": {"bits": 16, "lazy": True, "stage": "both", "draws": 2},
    "linear": {"stage": "linear"},
    "raw": {"stage": "raw"},
    "dark": {"exposure_ratio": 10.0},
    "eld": {"stage": "raw", "camera": "SonyA7S2", "iso": None},
}


def inspect(store, out, code=0):
    result = CliRunner().invoke(main, ["inspect", str(store), "--out", str(out)])
    assert result.exit_code == code, result.output
    return result


def build(folder, **changes):
    options = {"iso": 800.0, "count": 12, **changes}
    recipe = Recipe(source_options={"size": 160}, patch=64, per_image=4, **options)
    pipelines.synthesize(recipe, str(folder / "c.zarr"))
    return pipelines.open(folder / "c.zarr")


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS.keys())
def test_a_page_of_every_kind(tmp_path, changes):
    corpus = build(tmp_path, **changes)
    out = tmp_path / "report.HTML"
    lines = inspect(corpus.storage.url, out).output.splitlines()
    raw = corpus.recipe.stage == "raw"
    assert [line.partition(":")[0] for line in lines[:-1]] == (
        ["R", "G1", "B", "G2"] if raw else ["R", "G", "B"]
    )
    assert lines[-1] == f"wrote {out}"
    html = out.read_text()
    assert html.count('src="data:image/png;base64,') == html.count("<img") == 3 * 8
    assert html.count("<svg") == html.count("</svg>") == 4
    assert "<script" not in html
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert ("lag of one is two pixels of the sensor" in html) == raw
    assert corpus.attributes["source"]["licence"] in html
    assert "schema = 1" in html
    assert "Not recorded for this source" in html


def test_a_drawn_lens_is_among_the_histograms(tmp_path):
    corpus = build(tmp_path, shading={"k1": (0.5, 1.0), "centre_y": (0.4, 0.6)})
    inspect(corpus.storage.url, tmp_path / "report.html")
    assert {name: len(names) for name, names in COMPONENTS.items()} == LENGTHS


def test_the_noise_of_a_mosaic_is_white_plane_by_plane(tmp_path):
    corpus = build(tmp_path, stage="raw", count=24)
    noise = measure((noise_of(corpus, int(n)) for n in corpus.valid), 32)
    # 24 patches of four planes of 32x32; means of levels of 256 pixels are taken out
    bound = 5.5 / np.sqrt(24 * 32 * 32) + 1 / 256
    lags = np.stack([noise.lags(1), noise.lags(2)])
    assert np.abs(lags).max() < bound
    assert np.abs(noise.channels - np.eye(4)).max() < bound


def test_planes_follow_the_phase(tmp_path):
    folder = tmp_path / "raws"
    folder.mkdir()
    values = np.array([[400, 500], [600, 700]], np.uint16)  # G2 B / R G1 of GBRG: G B / R G
    write_dng(
        folder / "a.dng", np.tile(values, (32, 32)), cfa="GBRG", black_level=64, white_level=1023
    )
    recipe = Recipe(source="folder", stage="raw", patch=32, per_image=1, iso=100.0)
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=str(folder))
    one = noise_of(pipelines.open(tmp_path / "c.zarr"), 0)
    codes = np.array([600, 700, 500, 400])  # R, G in red rows, B, G in blue rows
    np.testing.assert_allclose(one.level[0, 0], (codes - 64) * 255 / 959, atol=0.5)


def test_source_noise_over_target_noise(tmp_path):
    corpus = build(tmp_path)
    assert not len(source_noise(corpus))
    rows = corpus.table
    rows["source_shot"], rows["source_read"] = 0.1 * rows["shot"], 0.1 * rows["read"]
    np.testing.assert_allclose(source_noise(corpus), 0.1)
    # The input with a quarter of the light has, at the clean one's scale, four times the shot noise
    # and sixteen times the read noise.
    rows["exposure_ratio"] = 4
    level = rows["mean"].astype(float)[:, None]
    own = rows["shot"] * level + rows["read"]
    put = 4 * rows["shot"] * level + 16 * rows["read"]
    np.testing.assert_allclose(source_noise(corpus), 0.1 * own.mean(1) / put.mean(1))


def test_where_there_is_nothing_to_show_or_to_write(tmp_path):
    corpus = build(tmp_path)
    result = inspect(corpus.storage.url, tmp_path / "no" / "r.html", code=1)
    assert "r.html: cannot write" in result.stderr
    path = shutil.copytree(corpus.storage.url, tmp_path / "empty.zarr")
    (path / "manifest" / "c.0.0").unlink()
    result = inspect(path, tmp_path / "r.html", code=1)
    assert "no sample is there yet" in result.stderr
