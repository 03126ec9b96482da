"""A corpus opens as it is in zarr, xarray and dask, without a warning, with names and units.

Warnings are errors in all tests.
"""

import json

import numpy as np
import pytest

import pipelines
from pipelines.parameters import PARAMETERS
from pipelines.recipe import Recipe

xarray = pytest.importorskip("xarray")
zarr = pytest.importorskip("zarr")
dask_array = pytest.importorskip("dask.array")

STAGES = ("srgb", "linear", "raw", "both", "lazy")


@pytest.fixture(scope="module", params=STAGES)
def corpus(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("open") / "c.zarr"
    lazy = request.param == "lazy"
    recipe = Recipe(
        source_options={"size": 96},
        stage="srgb" if lazy else request.param,
        lazy=lazy,
        patch=32,
        per_image=4,
        count=10,
        draws=2,
    )
    pipelines.synthesize(recipe, str(path))
    return pipelines.open(path)


def test_zarr_reads_what_the_corpus_reads(corpus):
    group = zarr.open_group(corpus.storage.url, mode="r")
    for name in corpus.stored_names:
        array = group[name][:]
        for sample in range(len(corpus)):
            stored = corpus.stored_arrays(sample).get(name)
            if stored is not None:
                at = sample // corpus.plan.draws if corpus.recipe.lazy else sample
                np.testing.assert_array_equal(array[at], stored)
    for parameter in PARAMETERS:
        np.testing.assert_array_equal(
            group[f"params/{parameter.name}"][:], corpus.table[parameter.name]
        )
    assert group.attrs["noisegen"]["recipe_sha256"] == corpus.recipe.sha256


def test_every_array_has_dimension_names_units_and_a_description(corpus):
    group = zarr.open_group(corpus.storage.url, mode="r")
    arrays = {
        name: node for name, node in group.members(max_depth=None) if isinstance(node, zarr.Array)
    }
    assert len(arrays) == len(corpus.stored_names) + len(PARAMETERS) + 9 + 1
    for name, array in arrays.items():
        assert array.metadata.dimension_names is not None
        assert all(array.metadata.dimension_names), name
        assert array.attrs.get("units") or name == "manifest", name
        assert array.attrs["description"], name
    lengths = {}
    for array in arrays.values():
        for dim, length in zip(array.metadata.dimension_names, array.shape, strict=True):
            assert lengths.setdefault(dim, length) == length


def test_xarray_opens_the_pixels(corpus):
    with xarray.open_zarr(corpus.storage.url, consolidated=False) as data:
        assert set(corpus.stored_names) | {"manifest"} == set(data.data_vars)
        for name in corpus.stored_names:
            assert data[name].attrs["units"] in ("DN", "1")
            if not corpus.recipe.lazy:
                assert data[name].dims[:3] == ("sample", "y", "x")
        assert data.sizes["shard"] == corpus.plan.shards


def test_xarray_opens_the_tree(corpus):
    with xarray.open_datatree(corpus.storage.url, engine="zarr", consolidated=False) as tree:
        assert set(tree.children) == {"params", "images"}
        params = tree["params"].to_dataset()
        assert params["shot"].dims == ("sample", "plane")
        assert params["cam_to_xyz"].dims == ("sample", "xyz", "camera_color")
        for parameter in PARAMETERS:
            np.testing.assert_array_equal(
                params[parameter.name].values, corpus.table[parameter.name]
            )
            assert params[parameter.name].attrs["units"] == parameter.units
        names = tree["images/name"].values
        assert names.shape[0] == corpus.plan.images
        assert [bytes(n).rstrip(b"\0").decode() for n in names] == list(corpus.images.names)


def test_dask_reads_a_sample(corpus):
    name = corpus.stored_names[-1]
    array = dask_array.from_zarr(corpus.storage.url, component=name)
    expected = corpus.stored_arrays(2 if corpus.recipe.lazy else 1)[name]
    np.testing.assert_array_equal(array[1].compute(scheduler="sync"), expected)


def test_linear_values_decode_by_their_attributes(tmp_path):
    recipe = Recipe(
        source_options={"size": 96}, stage="linear", patch=32, per_image=2, count=4, iso=3200.0
    )
    pipelines.synthesize(recipe, str(tmp_path / "c.zarr"))
    corpus = pipelines.open(tmp_path / "c.zarr")
    with xarray.open_zarr(corpus.storage.url, consolidated=False) as data:
        decoded = data["noisy"].load()
    assert decoded.dtype.kind == "f"
    codes = np.stack([corpus[i].arrays["noisy"] for i in range(4)]).astype(np.float64)
    # codes of 1/57344 from -4096/57344 on, in float32: half its last digit
    np.testing.assert_allclose(decoded.values, (codes - 4096) / 57344, atol=1e-7)
    assert decoded.values.min() < 0, "noise below black keeps its sign"


def test_there_is_no_loose_file(corpus):
    groups = {"", "params", "images"}
    for file in corpus.storage.path.rglob("*"):
        if file.is_dir():
            continue
        folder = file.parent.relative_to(corpus.storage.path).as_posix().removeprefix(".")
        if folder in groups:
            assert file.name == "zarr.json"
        else:
            assert file.name == "zarr.json" or file.name.startswith("c.")
        if file.name == "zarr.json":
            assert json.loads(file.read_text())["zarr_format"] == 3


def test_phases_are_flags(corpus):
    group = zarr.open_group(corpus.storage.url, mode="r")
    meanings = group["params/cfa"].attrs["flag_meanings"].split()
    assert meanings[int(group["params/cfa"][0])] == "BGGR", "the Google Pixel's"
