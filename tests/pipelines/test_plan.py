import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegen.errors import RecipeError
from pipelines import plan
from pipelines.recipe import Recipe


@given(
    st.integers(1, 60),
    st.integers(1, 40),
    st.integers(0, 39),
    st.integers(1, 4),
    st.integers(1, 500),
)
def test_pieces_cover_every_patch_once_in_order(images, per_image, missing, draws, fit):
    patches = max(images * per_image - min(missing, per_image - 1), 1)
    made = plan.make(Recipe(draws=draws), images, per_image, patches, 10, 10 * fit)
    seen = [
        (piece.image, piece.first + i)
        for shard in range(made.shards)
        for piece in made.pieces(shard)
        for i in range(piece.patches)
    ]
    assert seen == [divmod(p, per_image) for p in range(patches)]
    assert made.samples == patches * draws


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 500))
def test_an_image_is_decoded_once_unless_it_overflows_a_shard(images, per_image, fit):
    made = plan.make(Recipe(), images, per_image, images * per_image, 10, 10 * fit)
    shards_of = [{p.image for p in made.pieces(s)} for s in range(made.shards)]
    touched = sum(map(len, shards_of))
    if fit >= per_image:
        assert touched == images
        # Rows under images/ come in chunks that one shard writes alone.
        chunks = [{i // made.images_per_shard for i in images} for images in shards_of]
        assert all(len(c) == 1 for c in chunks)
    else:
        assert made.images_per_shard == 1
        assert max(map(len, shards_of)) <= 2
    assert made.patches_per_shard <= max(fit, 1)


@given(st.integers(1, 5000), st.integers(1, 700))
def test_shards_are_full_whatever_the_divisors(per_image, fit):
    made = plan.make(Recipe(), 3, per_image, 3 * per_image, 10, 10 * fit)
    least = -(-3 * per_image // fit)
    # Whole images leave less than half a shard unused, equal parts of an image less than one patch.
    assert made.shards <= 2 * least + 2


def test_too_much_for_one_shard_or_one_seed_is_refused():
    with pytest.raises(RecipeError, match="draws"):
        plan.make(Recipe(draws=1 << 20), 1, 1, 1, 3 << 30, 1 << 20)
    with pytest.raises(RecipeError, match="seed"):
        plan.selection(Recipe(per_image=1 << 20), 1 << 12, 16)


@given(st.integers(1, 300), st.integers(1, 3000))
def test_count_is_met_exactly_and_spread_over_the_images(available, count):
    images, per_image, patches = plan.selection(Recipe(count=count), available, 16)
    assert patches == count
    assert (images - 1) * per_image < count <= images * per_image
    chosen = list(plan.spread(available, images))
    assert len(set(chosen)) == images
    assert chosen == sorted(chosen)
    assert chosen[-1] < available


def test_defaults():
    assert plan.selection(Recipe(), None, 16) == (16, 16, 256)
    assert plan.selection(Recipe(), 5, 16) == (5, 16, 80)
    assert plan.selection(Recipe(per_image=2), 5, 16) == (5, 2, 10)
    assert plan.selection(Recipe(count=100), None, 16) == (7, 16, 100)
    assert plan.selection(Recipe(count=3), None, 16) == (1, 3, 3)


def test_too_few_images_are_refused():
    with pytest.raises(RecipeError, match="need 10 images, the source has 5"):
        plan.selection(Recipe(count=20, per_image=2), 5, 16)
