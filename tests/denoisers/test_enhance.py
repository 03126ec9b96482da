"""``noisegen enhance``, and what networks show of how they came to a picture."""

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import denoisers
from denoisers import card as cards
from denoisers.inference.job import Job
from denoisers.inference.padding import padded
from denoisers.inference.restorer import Restorer
from noisegen.cli import main
from noisegen.errors import InputError
from noisegen.metrics import to_8bit

NETS = {
    "r2rnet": {"width": 4},
    "dvn": {"width": 8, "widening": 4, "reduction": 4},
    "rffnet": {"width": 8, "widening": 4},
    "dncnn": {"depth": 2, "width": 4, "batch_norm": False},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of weights and networks by their names."""
    folder, made = tmp_path_factory.mktemp("weights"), {}
    for name, options in NETS.items():
        net = denoisers.create(name, seed=4, **options)
        chosen = denoisers.entry(name).check(options).model_dump()
        path = folder / f"{name}.safetensors"
        cards.save(path, net, cards.Card(model=name, options=chosen, origin="a test"))
        made[name] = path, net.eval()
    return made


def run(verb, *arguments):
    return CliRunner().invoke(main, [verb, *map(str, arguments), "--device", "cpu"])


def refused(verb, *arguments):
    done = run(verb, *arguments)
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.strip().splitlines()
    return line


def picture(path, size=(32, 64), seed=1, channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size, 3) if channels == 3 else size
    codes = np.random.default_rng(seed).integers(0, 60, shape, np.uint8)
    assert cv2.imwrite(str(path), codes)
    return path


def tensor(path, channels=3):
    codes = cv2.imread(str(path))[..., ::-1][..., :channels].astype(np.float32) / 255
    return torch.from_numpy(codes.copy()).permute(2, 0, 1)[None]


def codes(values):
    """(1, C, H, W) as they are written, (H, W, C) uint8."""
    return to_8bit(values[0].permute(1, 2, 0).clamp(0, 1).numpy())


def read(path, channels):
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return found[..., ::-1] if channels == 3 else found[..., None]


def test_a_dark_picture_of_any_size_is_made_bright(weights, tmp_path):
    path, net = weights["r2rnet"]
    dark = picture(tmp_path / "photos/a.png", (37, 51))
    done = run("enhance", dark, "--model", path, "--out", tmp_path / "out.png")
    assert done.exit_code == 0, done.output
    assert "by r2rnet of a test" in done.output
    with torch.no_grad():
        expected = codes(padded(net, 8)(tensor(dark)))
    np.testing.assert_array_equal(read(tmp_path / "out.png", 3), expected)
    picture(tmp_path / "photos/below/b.jpg", seed=2)
    done = run("enhance", tmp_path / "photos", "--model", path, "--out", tmp_path / "all")
    assert "2 pictures" in done.output
    np.testing.assert_array_equal(read(tmp_path / "all/a.png", 3), expected)
    assert (tmp_path / "all/below/b.jpg").exists()


def test_strength_goes_from_the_old_light_to_the_new(weights, tmp_path):
    path, net = weights["r2rnet"]
    dark, out = picture(tmp_path / "a.png"), tmp_path / "b.png"
    with torch.no_grad():
        parts, denoised, relit = net.steps(tensor(dark))
    for strength in (0, 0.25, 1):
        done = run(
            "enhance", dark, "--model", path, "--out", out, "--strength", strength, "--overwrite"
        )
        assert done.exit_code == 0, done.output
        light = (1 - strength) * parts.illumination + strength * relit
        difference = read(out, 3).astype(int) - codes(denoised * light)
        assert np.abs(difference).max() <= 1, strength
    line = refused("enhance", dark, "--model", path, "--out", out, "--strength", 2)
    assert "2.0 is not in the range 0<=x<=1" in line


@pytest.mark.parametrize(
    ("verb", "name", "line"),
    [
        ("denoise", "r2rnet", "r2rnet makes dark pictures bright: use noisegen enhance"),
        ("enhance", "dncnn", "dncnn takes noise off pictures: use noisegen denoise"),
    ],
)
def test_the_other_verb_is_named(weights, tmp_path, verb, name, line):
    told = (picture(tmp_path / "a.png"), "--model", weights[name][0], "--out", tmp_path / "b.png")
    assert refused(verb, *told) == f"noisegen: {line}"
    assert not (tmp_path / "b.png").exists()


def test_a_network_that_has_no_strength_is_not_asked_for_one(weights, tmp_path):
    _, net = weights["dncnn"]
    card = cards.Card(model="dncnn", options={"depth": 2, "width": 4, "batch_norm": False})
    with pytest.raises(InputError, match="dncnn has no --strength: leave it away"):
        Job.prepare(picture(tmp_path / "a.png"), tmp_path / "b.png", net, card, strength=0.5)


def test_every_page_names_the_maps_that_its_network_gives(weights):
    x, guide = torch.rand((1, 3, 32, 32)), torch.rand((1, 1, 32, 32))
    for name, (_, net) in weights.items():
        page = denoisers.entry(name)
        if not page.maps:
            continue
        given = (x, guide)[: len(page.inputs)]
        with torch.no_grad():
            plain, (made, *maps) = net(*given), net.with_maps(*given)
        torch.testing.assert_close(made, plain)
        assert len(maps) == len(page.maps) == len(set(page.maps))
        for one in maps:
            assert one.shape in ((1, 1, 32, 32), (1, 3, 32, 32)), name


def test_enhance_shows_reflectance_and_illumination(weights, tmp_path):
    path, net = weights["r2rnet"]
    dark = picture(tmp_path / "a.png")
    shown = tmp_path / "maps"
    told = ("enhance", dark, "--model", path, "--out", tmp_path / "b.png", "--show", shown)
    done = run(*told)
    assert done.exit_code == 0, done.output
    with torch.no_grad():
        parts, denoised, relit = net.steps(tensor(dark))
    expected = {
        "reflectance": parts.reflectance,
        "illumination": parts.illumination,
        "denoised": denoised,
        "relit": relit,
    }
    assert {one.name for one in shown.iterdir()} == {f"a-{name}.png" for name in expected}
    for name, values in expected.items():
        found = read(shown / f"a-{name}.png", values.shape[1])
        np.testing.assert_array_equal(found, codes(values))
    np.testing.assert_array_equal(read(tmp_path / "b.png", 3), codes(denoised * relit))
    line = refused(*told[:-3], tmp_path / "c.png", "--show", shown)
    assert line.endswith("a-reflectance.png is there already; give another --show, or --overwrite")


def test_denoise_shows_structures_and_where_they_agree(weights, tmp_path):
    path, net = weights["dvn"]
    noisy, guide = picture(tmp_path / "a.png"), picture(tmp_path / "g.png", seed=5, channels=1)
    told = ("denoise", noisy, "--guide", guide, "--model", path, "--out", tmp_path / "b.png")
    done = run(*told, "--show", tmp_path / "maps")
    assert done.exit_code == 0, done.output
    with torch.no_grad():
        fused = net.fuse(tensor(noisy), tensor(guide, 1))
    expected = {
        "denoised": fused.denoised,
        "structures": fused.structures[0].mean(1, keepdim=True),
        "nir-structures": fused.nir_structures[0].mean(1, keepdim=True),
        "agreement": fused.agreement[0].mean(1, keepdim=True),
    }
    assert len(list((tmp_path / "maps").iterdir())) == len(expected)
    for name, values in expected.items():
        found = read(tmp_path / f"maps/a-{name}.png", values.shape[1])
        np.testing.assert_array_equal(found, codes(values))
    np.testing.assert_array_equal(read(tmp_path / "b.png", 3), codes(fused.final))


def test_rffnet_shows_how_much_of_picture_and_guide_it_takes(weights):
    _, net = weights["rffnet"]
    x, guide = torch.rand((1, 3, 32, 64)), torch.rand((1, 1, 32, 64))
    seen = []
    finest = net.calibrate.attns[-1]
    hook = finest.register_forward_hook(lambda layer, given, made: seen.append((given, made)))
    with torch.no_grad():
        _, denoised, of_picture, of_guide = net.with_maps(x, guide)
    hook.remove()
    ((given, made),) = seen
    assert denoised.shape == x.shape
    for weight, before, after in zip((of_picture, of_guide), given, made, strict=True):
        # What went in, times the weights, is what came out.
        mean = (after / before).mean(1, keepdim=True)
        assert 0 < weight.min() <= weight.max() < 1
        assert mean.mean().item() == pytest.approx(weight.mean().item(), abs=1e-3)
        assert weight.shape == (1, 1, 32, 64)


@pytest.mark.parametrize("ensemble", [False, True])
def test_maps_are_made_by_tiles_and_turns_as_the_picture_is(weights, ensemble):
    dark = np.random.default_rng(3).integers(0, 60, (70, 90, 3), np.uint8)
    restorer = Restorer(weights["r2rnet"][1], tile=48, ensemble=ensemble)
    made, *maps = restorer.with_maps(dark)
    np.testing.assert_allclose(made, restorer(dark), atol=1e-6)
    assert [one.shape for one in maps] == [(70, 90, c) for c in (3, 1, 3, 1)]


def test_a_network_without_maps_has_none_to_show(weights, tmp_path):
    told = ("--model", weights["dncnn"][0], "--out", tmp_path / "b.png", "--show", tmp_path / "m")
    line = refused("denoise", picture(tmp_path / "a.png"), *told)
    assert (
        line
        == "noisegen: dncnn has no maps to --show; networks that have some: dvn, r2rnet, rffnet"
    )


def test_maps_of_one_name_are_refused(weights, tmp_path):
    for ending in ("png", "jpg"):
        picture(tmp_path / f"photos/a.{ending}")
    told = ("--model", weights["r2rnet"][0], "--out", tmp_path / "out", "--show", tmp_path / "m")
    line = refused("enhance", tmp_path / "photos", *told)
    assert "a.jpg and" in line
    assert "a.png would have maps of one name; rename one, or leave --show away" in line
