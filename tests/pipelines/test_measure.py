"""The measured noise lies on the model's curve, and off it when the parameters are not the ones."""

import numpy as np
import pytest

import pipelines
from noisegen.raw import write_dng
from pipelines.measure import expected, noise_curves
from pipelines.recipe import Recipe
from pipelines.store import write_chunk

STAGES = {
    "srgb": {},
    "srgb 16 bit": {"bits": 16, "tone": (0.0, 1.0)},
    "linear": {"stage": "linear"},
    "raw": {"stage": "raw"},
    "both": {"stage": "both", "demosaic": "ahd"},
    "lazy": {"lazy": True, "draws": 2},
    "eld": {"camera": "SonyA7S2", "stage": "both"},
    "dark": {"stage": "raw", "exposure_ratio": 20.0},
    "dark, amplified": {"stage": "both", "exposure_ratio": 5.0, "amplify": True},
}

BOUND = 0.2
"""The ratio scatters by 0.04 from seed to seed: bins of few pixels weigh as much as others, and
row noise moves whole rows. Five times that."""


def build(tmp_path, **changes):
    options = {"iso": (400.0, 3200.0)} if changes.get("camera", "GP") == "GP" else {}
    recipe = Recipe(
        source_options={"size": 160}, patch=64, per_image=8, count=24, **{**options, **changes}
    )
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"))
    return pipelines.open(tmp_path / "c.zarr")


def curves_of(corpus):
    return noise_curves(corpus, [int(i) for i in corpus.valid])


@pytest.mark.parametrize("changes", STAGES.values(), ids=STAGES.keys())
def test_measured_noise_is_the_models(tmp_path, changes):
    corpus = build(tmp_path, **changes)
    curves = curves_of(corpus)
    raw = corpus.recipe.stage == "raw"
    assert [c.name for c in curves] == (["R", "G1", "B", "G2"] if raw else ["R", "G", "B"])
    for curve in curves:
        assert np.isfinite(curve.level).sum() >= 4
        assert curve.ratio == pytest.approx(1, abs=BOUND), curve


@pytest.mark.parametrize("stage", ["srgb", "linear", "raw"])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_other_parameters_than_the_ones_are_noticed(tmp_path, stage, factor):
    corpus = build(tmp_path, stage=stage)
    for name in ("shot", "read"):
        stored = corpus.reader(f"params/{name}")
        rows = stored.rows(0, len(corpus)) * factor
        write_chunk(corpus.storage, stored.spec, 0, rows)
    for curve in curves_of(pipelines.open(corpus.storage.url)):
        assert abs(np.log2(curve.ratio * factor)) < 0.25
        assert abs(np.log2(curve.ratio)) > 0.7


def test_without_noise_the_dark_picture_is_the_clean_one_over_the_ratio(tmp_path):
    corpus = build(tmp_path, stage="raw", exposure_ratio=8.0)
    sample = corpus[3]
    clean = sample.arrays["clean"].astype(int)
    # codes are rounded once, half up
    dark = np.clip(64 + (2 * (clean - 64) + 8) // 16, 0, 1023)
    np.testing.assert_array_equal(expected(corpus, 3, sample), dark)


def test_too_few_pixels_of_a_level_are_left_out(tmp_path):
    folder = tmp_path / "flat"
    folder.mkdir()
    mosaic = np.full((64, 64), 500, np.uint16)
    mosaic[:4, :4] = 900
    write_dng(folder / "a.dng", mosaic, cfa="BGGR", black_level=64, white_level=1023, bits=10)
    recipe = Recipe(source="folder", stage="raw", patch=64, per_image=1, iso=800.0)
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"), root=str(folder))
    for curve in curves_of(pipelines.open(tmp_path / "c.zarr")):
        level = curve.level[np.isfinite(curve.level)]
        np.testing.assert_array_equal(level, [500])
