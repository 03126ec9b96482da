"""The loader: the same batches whatever reads them, fresh noise where it is asked for."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from denoisers.data import Cut, Loader, Mixture, mixture, open_data
from denoisers.data.developed import FRESH
from denoisers.data.grey import GreyData
from denoisers.data.turns import ALL, HALF_TURN, MIRRORS, NONE, OTHER_SWAP, SWAP, put, turned
from noisegen.errors import (
    CorpusMismatchError,
    DamagedCorpusError,
    InputError,
    MissingDataError,
    UnreadableFileError,
)
from tests.denoisers.conftest import make


def data(corpus, **options):
    return open_data(corpus.storage.url, **options)


def loader(*datasets, weights=None, **options):
    settings = {"patch": 16, "batch": 6, "seed": 3, **options}
    return Loader(Mixture(datasets, weights or (1,) * len(datasets)), **settings)


def assert_equal(first, second):
    np.testing.assert_array_equal(first.items, second.items)
    np.testing.assert_array_equal(first.noise, second.noise)
    assert first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name])


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("start", [0, 5])
def test_any_number_of_workers_gives_the_batches_of_none(corpus, lazy, workers, start):
    own = loader(data(corpus), data(lazy, renoise=True))
    batches = own.batches(start, workers=workers)
    for number in range(start, start + 9):  # more than an epoch of 48
        assert_equal(next(batches), own.batch(number))
    batches.close()


def test_worker_processes_give_the_batches_of_none(lazy, photos, tmp_path):
    for i in range(3):
        for half in ("clean", "noisy"):
            Path(tmp_path, f"{i}_{half}.png").write_bytes((photos / f"{'abc'[i]}.png").read_bytes())
    own = loader(data(lazy, renoise=True), open_data(str(tmp_path)))
    batches = own.batches(2, workers=2, processes=True)
    for number in range(2, 8):
        assert_equal(next(batches), own.batch(number))
    batches.close()
    (tmp_path / "1_noisy.png").write_bytes(b"no picture")
    own = loader(open_data(str(tmp_path)))
    with pytest.raises(UnreadableFileError, match=r"1_noisy\.png"):
        next(own.batches(workers=1, processes=True))


def test_an_epoch_shows_every_sample_as_often_as_its_weight_says(corpus, lazy):
    own = loader(data(corpus), data(lazy), weights=(1, 2), batch=24)
    seen = np.concatenate([own.batch(n).items for n in range(6)])
    for epoch in (0, 1):
        of_epoch = seen[seen[:, 0] == epoch]
        assert len(of_epoch) == 72
        for number, times in ((0, 1), (1, 2)):
            samples = of_epoch[of_epoch[:, 1] == number, 2]
            np.testing.assert_array_equal(np.bincount(samples, minlength=24), times)
    first, second = (seen[seen[:, 0] == epoch, 1:] for epoch in (0, 1))
    assert not np.array_equal(first, second), "epochs have orders of their own"


def test_orders_are_drawn_once_an_epoch_however_many_data_there_are(corpus, monkeypatch):
    drawn = []

    def counted(*key):
        drawn.append(key)
        return real(*key)

    real = mixture.permutation
    monkeypatch.setattr(mixture, "permutation", counted)
    opened = [data(corpus).take(range(first, first + 4)) for first in range(20)]
    own = Mixture(opened, (1,) * 19 + (30,))
    for start in range(0, 3 * len(own), 14):
        epochs, index = np.divmod(np.arange(start, start + 14), len(own))
        for epoch in np.unique(epochs).tolist():
            own.items(0, epoch, index[epochs == epoch])
    assert len(drawn) == len(set(drawn)), "none is drawn again"
    assert sum(map(len, own._kept)) <= 2 + 19 * 4 + 62, "old ones are forgotten"


def test_items_do_not_depend_on_the_size_of_a_batch(corpus):
    small, large = (loader(data(corpus), batch=b) for b in (4, 12))
    whole = large.batch(1)
    for i in range(3):
        part = small.batch(3 + i)
        for name in part.arrays:
            np.testing.assert_array_equal(part.arrays[name], whole.arrays[name][4 * i : 4 * i + 4])


def test_ranks_have_the_parts_of_a_batch(corpus):
    whole = loader(data(corpus)).batch(7)
    parts = [loader(data(corpus), rank=rank, ranks=3).batch(7) for rank in range(3)]
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(np.concatenate([p.arrays[name] for p in parts]), array)
    with pytest.raises(InputError, match="not a multiple of 4 ranks"):
        loader(data(corpus), ranks=4)


def test_whole_patches_are_those_of_the_corpus(corpus):
    batch = loader(data(corpus), patch=32, augment=False).batch(2)
    for i, (_, _, sample) in enumerate(batch.items):
        arrays = corpus[int(corpus.valid[sample])].arrays
        for name in ("clean", "noisy"):
            np.testing.assert_array_equal(batch.arrays[name][i], arrays[name])


def find(picture, crop):
    """Return the corners at which a crop stands in a picture."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, crop.shape[:2], (0, 1))
    crop = np.moveaxis(crop, (0, 1), (-2, -1))  # the windows' own axes come last
    return np.argwhere((windows == crop).all(tuple(range(2, windows.ndim))))


def test_crops_and_turns_are_alike_in_clean_and_noisy(corpus):
    own = loader(data(corpus), batch=48)
    batch = own.batch(0)
    corners, turns = set(), set()
    for i, (_, _, sample) in enumerate(batch.items):
        arrays = corpus[int(corpus.valid[sample])].arrays
        hits = []
        for turn in ALL:
            back = {n: turned(turned(arrays[n], 0), turn) for n in arrays}
            places = find(back["noisy"], batch.arrays["noisy"][i])
            hits += [(turn, *place) for place in places.tolist()]
        ((turn, y, x),) = hits
        clean = turned(arrays["clean"], turn)[y : y + 16, x : x + 16]
        np.testing.assert_array_equal(batch.arrays["clean"][i], clean)
        corners.add((y, x))
        turns.add(turn)
    assert len(corners) > 40
    # 48 draws of eight turns miss a given one with odds of (7/8)^48 = 0.16 %
    assert turns == set(ALL)


@pytest.mark.parametrize("turn", ALL)
@pytest.mark.parametrize(("shape", "dtype"), [((17, 17, 3), "uint8"), ((18, 18), "uint16")])
def test_pictures_are_put_as_numpy_turns_them(turn, shape, dtype):
    picture = np.random.default_rng(turn).integers(0, 255, (20, *shape[1:])).astype(dtype)[1:-1]
    picture = picture[: shape[0]]
    out = np.zeros(shape, dtype)
    put(picture, turn, out)
    np.testing.assert_array_equal(out, turned(picture, turn))
    if turn < 4:
        itself = picture.copy()
        put(itself, turn, itself)
        np.testing.assert_array_equal(itself, out)


@pytest.mark.parametrize("turn", ALL)
def test_whole_patches_are_turned_as_crops_are(corpus, turn):
    opened = data(corpus)
    every = np.arange(len(opened))
    cut = Cut(every, np.zeros_like(every), 32, np.zeros((len(every), 2)), np.full_like(every, turn))
    found = opened.read(cut)
    for i, sample in enumerate(corpus.valid.tolist()):
        for name, array in corpus[sample].arrays.items():
            np.testing.assert_array_equal(found[name][i], turned(array, turn))


def test_crops_reach_every_border(corpus):
    cut = Cut(
        *(np.zeros(2, int),) * 2, 30, np.array([[0, 0], [np.nextafter(1, 0)] * 2]), np.zeros(2, int)
    )
    np.testing.assert_array_equal(cut.corners((32, 32)), [[0, 0], [2, 2]])
    np.testing.assert_array_equal(cut.corners((32, 32), 2), [[0, 0], [2, 2]])


def test_a_lazy_corpus_gives_what_a_stored_one_does(corpus, lazy):
    whole = [loader(data(c), patch=32, augment=False).batch(1) for c in (corpus, lazy)]
    assert_equal(*whole)
    # Crops of lazy corpora lie on the CFA's period: each is the crop of the stored rendering.
    batch = loader(data(lazy), augment=False).batch(1)
    for i, (_, _, sample) in enumerate(batch.items):
        arrays = corpus[int(corpus.valid[sample])].arrays
        ((y, x),) = find(arrays["noisy"], batch.arrays["noisy"][i])
        assert y % 2 == x % 2 == 0
        np.testing.assert_array_equal(
            batch.arrays["clean"][i], arrays["clean"][y : y + 16, x : x + 16]
        )


RECIPES = [
    {"finish": {"quality": 80, "luma": 0.5, "sharpen": 0.5}},
    {"finish": {"resize": (1.0, 1.5)}},
    {"shading": {"k1": 1.0}},
    {"body": {"column": 2.0, "dsnu": 2.0}, "bodies": 3},
    {"exposure_ratio": (10.0, 50.0), "amplify": True},
    {"border": "published"},
    {"stage": "linear"},
    {"stage": "raw"},
    {"noise": "eld", "camera": "SonyA7S2", "demosaic": "ahd", "draws": 2},
]


@pytest.mark.parametrize("changes", RECIPES)
def test_crops_of_a_lazy_corpus_are_those_of_a_stored_one(tmp_path, changes):
    stored, lazy = (
        make(tmp_path / f"{kept}.zarr", count=4, per_image=2, lazy=not kept, **changes)
        for kept in (True, False)
    )
    size = 32 if "resize" in changes.get("finish", {}) else 16
    batch = loader(data(lazy), augment=False, patch=size, batch=4).batch(0)
    for i, (_, _, sample) in enumerate(batch.items):
        arrays = stored[int(stored.valid[sample])].arrays
        hits = find(arrays["noisy"], batch.arrays["noisy"][i]).tolist()
        assert len(hits) == 1
        ((y, x),) = hits
        clean = arrays["clean"][y : y + size, x : x + size]
        np.testing.assert_array_equal(batch.arrays["clean"][i], clean)


@pytest.mark.parametrize("turn", ALL)
@pytest.mark.parametrize(
    "changes",
    [
        {"lazy": True, "shading": {"k1": 1.0}, "source_options": {"size": 96}},
        {"lazy": True},
        {"stage": "both", "finish": {"sharpen": 0.5}},
        {"lazy": True, "border": "published"},
    ],
)
def test_fresh_noise_is_drawn_on_what_is_turned(tmp_path, odd_photos, turn, changes):
    odd = {"root": str(odd_photos), "source": "folder", "source_options": {}}
    settings = {"patch": 24, "per_image": 8, "count": 40, **changes}
    corpus = make(
        tmp_path / "c.zarr", **{**({} if "source_options" in changes else odd), **settings}
    )
    opened = data(corpus, renoise=True)
    assert opened.turns == ALL
    size = opened.stored_patch
    every = np.arange(len(opened))
    zeros = np.zeros_like(every)
    cut = Cut(every, zeros, size, np.zeros((len(every), 2)), np.full_like(every, turn))
    found = opened.read(cut)
    margin = (24 - size) // 2
    for sample in every.tolist():
        clean = corpus[int(corpus.valid[sample])].arrays["clean"]
        clean = turned(clean[margin : margin + size, margin : margin + size], turn)
        # Sums of turned neighbours round otherwise; the last line of an odd frame is left away.
        assert np.abs(found["clean"][sample].astype(int) - clean).mean() < 0.25
        assert (found["noisy"][sample] != found["clean"][sample]).any()


def test_row_noise_stays_in_rows_whatever_is_turned(tmp_path):
    corpus = make(
        tmp_path / "c.zarr", stage="raw", noise="eld", camera="SonyA7S2", iso=25600.0,
        without=("shot",), count=12, per_image=2,
    )  # fmt: skip
    opened = data(corpus, renoise=True)
    assert opened.turns == SWAP
    assert data(corpus).turns == NONE
    every = np.arange(len(opened))
    table = corpus.table
    power = np.mean((table["row"] * (table["white"] - table["black"][:, 1])) ** 2)
    for turn in SWAP:
        drawn = []
        for visit in range(8):
            visits, turns = np.full_like(every, visit), np.full_like(every, turn)
            cut = Cut(every, visits, 32, np.zeros((len(every), 2)), turns)
            drawn.append(opened.read(cut)["noisy"].astype(float))
        noise = np.stack(drawn[::2]) - drawn[1::2]
        # Of 4 x 24 x 32 means each of 32 pixels: white noise gives rows and columns the same
        # variance, row noise gives rows twice its power more (two draws), columns 1/32 of that.
        # A standard error of either variance, all that is white included, is 7 % of the difference.
        rows, columns = (noise.mean(axis).var() for axis in (3, 2))
        assert rows - columns == pytest.approx(2 * power * 31 / 32, rel=0.5)


@pytest.mark.parametrize("changes", [{"lazy": True}, {"stage": "both"}, {"stage": "raw"}])
def test_renoise_draws_anew_at_every_visit(tmp_path, changes):
    corpus = make(tmp_path / "c.zarr", draws=2, count=6, per_image=3, **changes)
    own = loader(data(corpus, renoise=True), batch=12, augment=False, patch=16)
    stored = {s: corpus[s].arrays["noisy"] for s in range(12)}
    first, second = own.batch(0), own.batch(1)
    assert sorted(first.items[:, 2]) == sorted(second.items[:, 2]) == list(range(12))
    noisy = [b for batch in (first, second) for b in batch.arrays["noisy"]]
    assert len({picture.tobytes() for picture in noisy}) == 24
    for batch in (first, second):
        for i, (_, _, sample) in enumerate(batch.items):
            crop = batch.arrays["noisy"][i]
            rows = np.lib.stride_tricks.sliding_window_view(stored[sample], crop.shape)
            assert not (rows == crop).all(tuple(range(-crop.ndim, 0))).any()
            clean = np.lib.stride_tricks.sliding_window_view(
                corpus[int(sample)].arrays["clean"], crop.shape
            )
            found = (clean == batch.arrays["clean"][i]).all(tuple(range(-crop.ndim, 0)))
            assert found.any(), "clean is what is stored"
    assert_equal(first, own.batch(0))


def test_fresh_draws_are_none_that_a_corpus_stores(lazy):
    rows = lazy.table
    assert rows["draw"].max() < FRESH


def test_renoise_has_the_law_of_the_stored_noise(tmp_path):
    # 16 stored and 16 fresh draws of one patch: the mean squares of n = 16 * 32 * 32 values each,
    # whose own variance the fourth moment gives, differ by five standard errors with odds of 6e-7.
    corpus = make(
        tmp_path / "c.zarr", stage="raw", draws=16, count=1, per_image=1, noise="heteroscedastic"
    )
    stored = np.stack([corpus[s].arrays["noisy"] for s in range(16)]).astype(float)
    fresh = loader(data(corpus, renoise=True), patch=32, batch=16, augment=False).batch(0)
    clean = corpus[0].arrays["clean"]
    first, second = (np.mean((noisy - clean) ** 2) for noisy in (stored, fresh.arrays["noisy"]))
    spread = np.mean((stored - clean) ** 4) / first**2 - 1
    assert abs(first - second) < 5 * first * np.sqrt(2 * spread / stored.size)


def test_noise_on_pictures_is_drawn_anew_on_stored_ones(tmp_path):
    noise_file(tmp_path / "n.toml", None)
    settings = {"noise": str(tmp_path / "n.toml"), "iso": None, "count": 4, "draws": 2}
    corpus = make(tmp_path / "c.zarr", **settings, per_image=2)
    own = loader(data(corpus, renoise=True), batch=8, patch=31, augment=False)
    first, second = own.batch(0), own.batch(1)
    noisy = {p.tobytes() for batch in (first, second) for p in batch.arrays["noisy"]}
    assert len(noisy) == 16
    for i, (_, _, sample) in enumerate(first.items):
        arrays = corpus[int(sample)].arrays
        ((y, x),) = find(arrays["clean"], first.arrays["clean"][i])
        difference = first.arrays["noisy"][i].astype(int) - first.arrays["clean"][i]
        stored = arrays["noisy"].astype(int) - arrays["clean"]
        assert (difference != stored[y : y + 31, x : x + 31]).any()
        # n = 3 * 31 * 31 values: 5 standard errors, and what is cut at 0 and 255
        assert difference.std() == pytest.approx(0.02 * 255, rel=0.15)


def test_samples_that_are_not_there_are_left_out(tmp_path):
    settings = {"select": {"method": "stratified", "candidates": 1, "min_mean": 0.15}}
    stored, lazy = (
        make(tmp_path / f"{kept}.zarr", draws=2, lazy=kept, **settings) for kept in (False, True)
    )
    missing = len(stored) - len(stored.valid)
    assert 0 < missing < len(stored)
    for corpus in (stored, lazy):
        own = loader(data(corpus), batch=len(stored.valid), patch=32, augment=False)
        batch = own.batch(0)
        assert sorted(batch.items[:, 2]) == list(range(len(stored.valid)))
        for i, (_, _, sample) in enumerate(batch.items):
            np.testing.assert_array_equal(
                batch.arrays["noisy"][i], stored[int(stored.valid[sample])].arrays["noisy"]
            )


def test_renoise_is_refused_where_no_mosaic_is(corpus, photos):
    with pytest.raises(InputError, match="no mosaic to draw noise on; make the corpus with --lazy"):
        data(corpus, renoise=True)
    with pytest.raises(InputError, match="only a corpus knows its noise"):
        open_data(str(photos), ("clean",), renoise=True)


TURNS = [
    ({}, ALL),
    ({"noise": "eld", "camera": "SonyA7S2"}, MIRRORS),
    ({"noise": "eld", "camera": "SonyA7S2", "without": ("row",)}, ALL),
    ({"finish": {"quality": 90}}, MIRRORS),
    ({"finish": {"sharpen": 0.5}}, ALL),
    ({"body": {"column": 2.0}}, MIRRORS),
    ({"stage": "raw"}, SWAP),
    ({"stage": "raw", "camera": "S6"}, OTHER_SWAP),
    ({"stage": "raw", "body": {"green_imbalance": 0.01}}, NONE),
    ({"stage": "raw", "noise": "eld", "camera": "SonyA7S2"}, NONE),
]


@pytest.mark.parametrize(("changes", "turns"), TURNS)
def test_turns_are_those_that_keep_the_noises_law(tmp_path, changes, turns):
    settings = {"iso": 1600.0, **changes}
    corpus = make(tmp_path / "c.zarr", count=2, per_image=1, **settings)
    assert data(corpus).turns == turns
    if changes.get("stage") != "raw":
        assert data(corpus, names=("clean",)).turns == ALL, "noise is put on after turning"
    own = Mixture([data(corpus)], (1,))
    assert own.turns(0, augment=False) == NONE


def test_grain_is_the_same_in_opposite_directions_alone(tmp_path):
    kernel = np.zeros((3, 3, 3, 3))
    kernel[range(3), range(3), 1, 1:] = [0.8, 0.6]
    for name, grain, turns in (("grain", kernel.tolist(), HALF_TURN), ("white", None, ALL)):
        file = tmp_path / f"{name}.toml"
        noise_file(file, grain)
        corpus = make(tmp_path / f"{name}.zarr", count=2, per_image=1, noise=str(file), iso=None)
        assert data(corpus).turns == turns


def noise_file(path, kernel):
    from catalogs import noise_file as files
    from noisegen.picture import PictureNoise

    shape = {} if kernel is None else {"kernel": tuples(kernel)}
    noise = PictureNoise((0.0, 1.0), ((0.02, 0.04),) * 3, **shape)
    model = "awgn" if kernel is None else "heteroscedastic-covariance"
    if kernel is None:
        noise = PictureNoise((0.0,), ((0.02,),) * 3)
    files.write(str(path), model, noise, "a test", "CC0")


def tuples(nested):
    return tuple(map(tuples, nested)) if isinstance(nested, list) else nested


def test_pictures_are_cut_from_files(photos):
    own = loader(open_data(str(photos), ("clean",)), augment=False, batch=5)
    batch = own.batch(0)
    assert batch.arrays["clean"].dtype == np.uint16, "one of them has 16 bits"
    names = sorted(photos.iterdir())
    for i, (_, _, sample) in enumerate(batch.items):
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        picture = cv2.imread(str(names[sample]), flags)[..., ::-1]
        if picture.dtype == np.uint8:
            picture = picture * np.uint16(257)
        assert len(find(picture, batch.arrays["clean"][i])) >= 1
    assert str(names[batch.items[0, 2]]) in own.address(batch)


def test_pairs_of_files_are_cut_alike(tmp_path):
    rng = np.random.default_rng(2)
    for i in range(3):
        clean = rng.integers(0, 250, (40, 44, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{i}_clean.png"), clean)
        cv2.imwrite(str(tmp_path / f"{i}_noisy.png"), clean + np.uint8(5))
    batch = loader(open_data(str(tmp_path))).batch(0)
    np.testing.assert_array_equal(batch.arrays["noisy"].astype(int) - batch.arrays["clean"], 5)
    clean = loader(open_data(str(tmp_path), ("clean",))).batch(0)
    assert clean.arrays.keys() == {"clean"}
    np.testing.assert_array_equal(clean.arrays["clean"], batch.arrays["clean"])


def test_grey_is_the_rounded_luma(photos):
    colour = open_data(str(photos), ("clean",))
    picture = GreyData(colour).whole(0)["clean"]
    luma = colour.whole(0)["clean"] @ [0.299, 0.587, 0.114]
    assert picture.shape[2] == 1
    assert np.abs(picture[..., 0] - luma).max() <= 0.51  # OpenCV's weights have 14 bits
    batch = loader(GreyData(colour)).batch(0)
    assert batch.arrays["clean"].shape == (6, 16, 16, 1)


def test_scenes_are_held_out_and_stay_so(corpus, lazy):
    mixture = Mixture([data(corpus), data(lazy)], (1, 3))
    train, val = mixture.held_out()
    scenes = [{s for d in part.datasets for s in d.scenes} for part in (train, val)]
    assert not scenes[0] & scenes[1]
    assert train.weights == val.weights == (1, 3)
    every = sorted(set(corpus.images.scenes))
    split = dict(zip(corpus.images.scenes, corpus.images.split, strict=True))
    assert scenes[0] == {s for s in every if split[s] == 0}
    assert scenes[1] == {s for s in every if split[s] == 1}


def test_of_few_scenes_the_last_is_held_out(photos):
    data = open_data(str(photos), ("clean",))
    two = Mixture([data.take([0, 3])], (1,))
    train, val = two.held_out()
    assert (train.datasets[0].scenes, val.datasets[0].scenes) == (("a.png",), ("d.png",))
    train, val = Mixture([data.take([2])], (1,)).held_out()
    assert val is None
    assert train.datasets[0].scenes == ("c.png",)


def test_what_cannot_be_loaded_is_named(corpus, photos, tmp_path):
    with pytest.raises(InputError, match="samples of 32, too small for patches of 64"):
        loader(data(corpus), patch=64)
    with pytest.raises(InputError, match=r"a picture of \d+x\d+, too small for patches of 64"):
        loader(open_data(str(photos), ("clean",)), patch=64).batch(0)
    with pytest.raises(MissingDataError, match="say which noise is put on them, such as --awgn 25"):
        open_data(str(photos))
    with pytest.raises(MissingDataError, match="there is no such folder"):
        open_data(str(tmp_path / "nothing"))
    with pytest.raises(MissingDataError, match=r"no picture there .* and no corpus"):
        open_data(str(tmp_path), ("clean",))
    with pytest.raises(MissingDataError, match="it has no 'raw_noisy', only clean, noisy"):
        data(corpus, names=("clean", "raw_noisy"))
    with pytest.raises(MissingDataError, match="its samples have no guide; make a corpus of a sou"):
        data(corpus, names=("clean", "noisy", "guide"))
    both = make(tmp_path / "both.zarr", stage="both", count=2, per_image=1)
    with pytest.raises(InputError, match="32 are developed to 28 when noise is drawn anew"):
        loader(data(both, renoise=True), patch=32)
    raw = make(tmp_path / "raw.zarr", stage="raw", count=2, per_image=1)
    with pytest.raises(InputError, match="train on one kind of data"):
        Mixture([data(corpus), data(raw)], (1, 1))


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    with pytest.raises(MissingDataError, match=r"no picture there .* and no corpus"):
        open_data(str(tmp_path))


def test_an_unfinished_corpus_is_refused(tmp_path):
    corpus = make(tmp_path / "c.zarr")
    for file in (tmp_path / "c.zarr" / "manifest").glob("c.*"):
        file.unlink()
    with pytest.raises(MissingDataError, match="no sample is there yet; run the same synthesize"):
        data(corpus)


def test_a_damaged_sample_is_an_error_in_the_thread_that_asked(tmp_path):
    corpus = make(tmp_path / "c.zarr")
    opened = data(corpus)
    (shard,) = (tmp_path / "c.zarr" / "noisy").glob("c.*")
    shard.write_bytes(b"")
    with pytest.raises(DamagedCorpusError, match="the shard is torn"):
        next(loader(opened).batches(workers=2))


def test_a_folder_that_is_no_corpus_says_so(tmp_path):
    (tmp_path / "zarr.json").write_text("{}")
    with pytest.raises(CorpusMismatchError):
        open_data(str(tmp_path))
