"""Models by name: what is asked for is made, or one line says what to do."""

import os
import pickle
import subprocess
import sys

import pytest
import torch

import denoisers
from denoisers.base import ModelEntry
from noisegen.errors import RecipeError, UnknownNameError
from tests.denoisers.conftest import Point

OWN = [
    "adfnet", "dncnn", "dualdn", "dvn", "dvn-recons", "mirnet", "r2rnet", "restormer", "rffnet",
    "swinir",
]  # fmt: skip

SMALL = {
    "adfnet": {"width": 8},
    "dncnn": {"depth": 3, "width": 8},
    "rffnet": {"width": 8, "widening": 4},
    "dvn": {"width": 8, "widening": 4},
    "dvn-recons": {"width": 8, "widening": 4},
    "mirnet": {"width": 16, "mrb": 1},
    "r2rnet": {"width": 4},
    "restormer": {"width": 8, "blocks": (1, 1, 1, 1), "refinement": 1},
    "swinir": {"width": 8, "depths": (2, 2), "heads": (2,)},
}
"""Options with which a model is quick."""

PICTURES = [name for name in OWN if name in SMALL]
"""Those that take pictures, some with a guide, and no numbers of a raw beside them."""

ROUNDS = 6
"""Weights and pictures tried: a ReLU of few channels may let nothing through in one of them."""


def test_all_of_the_registry_is_complete():
    found, broken = denoisers.entries()
    assert [page.name for page in found] == denoisers.names() == OWN
    assert broken == []
    for page in found:
        assert all((page.title, page.paper, page.licence, page.variants, page.keys, page.inputs))
        assert all(field.description for field in page.options.model_fields.values())


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_net_gives_back_what_shape_it_takes(name, channels):
    page = denoisers.entry(name)
    if "channels" not in page.options.model_fields:
        options, channels = SMALL[name], 3
    else:
        options = {"channels": channels} | SMALL[name]
    net = denoisers.create(name, **options).eval()
    side = 3 * net.multiple
    first, *others = page.shapes(page.check(options), side, 2 * side)
    with torch.no_grad():
        output = net(*(torch.rand(2, *shape[1:]) for shape in (first, *others)))
    assert output.shape == (2, *first[1:]) == (2, channels, side, 2 * side)
    assert output.isfinite().all()


@pytest.mark.parametrize("name", PICTURES)
def test_every_parameter_gets_a_gradient(name):
    net = denoisers.create(name, **SMALL[name])
    draws = torch.Generator().manual_seed(1)
    page = denoisers.entry(name)
    shapes = page.shapes(page.check(SMALL[name]), 2 * net.multiple, 3 * net.multiple)
    with torch.random.fork_rng():  # a network may leave parts out at random
        torch.manual_seed(0)
        for _ in range(ROUNDS):
            for parameter in net.parameters():
                # Off the first weights, some of which are zero so that others have no effect yet.
                parameter.data += 0.05 * torch.randn(parameter.shape, generator=draws)
            made = net(*(torch.rand(2, *shape[1:], generator=draws) for shape in shapes))
            sum(t.square().sum() for t in tensors(made) if t.requires_grad).backward()
            trained = [(n, p) for n, p in net.named_parameters() if p.requires_grad]
            without = [n for n, p in trained if p.grad is None or not p.grad.any()]
            if not without:
                break
    assert not without


def tensors(made):
    """All tensors of a network's outputs."""
    return [made] if isinstance(made, torch.Tensor) else [t for part in made for t in tensors(part)]


@pytest.mark.parametrize("name", PICTURES)
def test_first_weights_are_a_function_of_the_seed(name):
    before = torch.get_rng_state()
    one, same, other = (denoisers.create(name, seed=s, **SMALL[name]) for s in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    first, again, different = (
        torch.nn.utils.parameters_to_vector(n.parameters()) for n in (one, same, other)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, different)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"'adfent' \(did you mean 'adfnet'\?\)"):
        denoisers.create("adfent")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("adfnet", {"widht": 32}, r"model 'adfnet': unknown key 'widht' \(did you mean 'width'"),
        ("adfnet", {"width": 20}, r"width: .*multiple of 8 \(found 20\); it has: channels, width"),
        ("adfnet", {"channels": 4}, r"channels: .*1 or 3 \(found 4\)"),
        ("dncnn", {"depth": "20"}, r"depth: .*valid integer \(found '20'\)"),
        ("dncnn", {"batch_norm": 1}, r"batch_norm: .*valid boolean"),
        ("dncnn", {"depth": 1}, r"depth: .*greater than or equal to 2"),
    ],
)
def test_options_are_checked(name, options, said):
    with pytest.raises(RecipeError, match=said) as caught:
        denoisers.create(name, **options)
    assert len(str(caught.value).splitlines()) == 1


def test_other_packages_models_are_loaded_when_named(offer):
    own = denoisers.entry("dncnn")
    loaded = []

    def load() -> ModelEntry:
        loaded.append(1)
        return own

    offer(Point("theirs", load), Point("adfnet", load))
    assert denoisers.names() == [*OWN, "theirs"]
    assert loaded == []
    assert type(denoisers.create("theirs", depth=2)) is type(denoisers.create("dncnn", depth=2))
    # A name of this project cannot be taken over.
    assert denoisers.entry("adfnet").name == "adfnet"


def test_a_broken_package_is_named_and_skipped(offer):
    def fail() -> None:
        raise ImportError("no module named theirs\nand more")

    offer(Point("broken", fail), Point("odd", lambda: 7))
    found, broken = denoisers.entries()
    assert [page.name for page in found] == OWN
    import_error, wrong_type = broken
    assert import_error == (
        "model 'broken' (somebody.models:ENTRY) cannot be loaded: "
        "ImportError: no module named theirs; mend its package"
    )
    assert "a int where a denoisers.base.ModelEntry should be" in wrong_type
    with pytest.raises(denoisers.BrokenModelError, match=r"'broken'") as caught:
        denoisers.create("broken")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_listing_names_loads_nothing_heavy():
    code = (
        "import sys, denoisers; denoisers.names();"
        "heavy = {'torch', 'numba', 'cv2', 'zarr', 'pydantic', 'scipy', 'pipelines'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
