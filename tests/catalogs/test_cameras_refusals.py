"""What a camera refuses, in one line that says what to do instead."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from catalogs import cameras
from noisegen.cli.cameras import command
from noisegen.errors import (
    InputError,
    MissingDataError,
    StorageError,
    UnknownNameError,
    UnreadableFileError,
)
from noisegen.sensor import BodyFigures

PLANES = (1e-4, 1e-4, 1.1e-4, 1e-4)


def draw(name, **asked):
    return cameras.load(name).draw(np.random.default_rng(0), **asked)


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("GP", {"iso": -100}, "ISO -100 is not a positive number"),
        ("GP", {"iso": 0}, "ISO 0 is not a positive number"),
        ("GP", {"iso": math.nan}, "ISO nan is not a positive number"),
        ("GP", {"iso": (800, 100)}, r"ISO range 800\.\.100 is empty"),
        ("GP", {"gain": 1.0}, r"set by ISO; .*--iso within 100\.\.3200"),
        ("GP", {"iso": 100, "gain": 1.0}, "exclude each other"),
        ("NikonD850", {"iso": 100}, r"no ISO; .*--gain within 0\.415\.\.26\.56 DN/e-"),
        ("google", {"iso": 100}, "has no ISO"),
        ("SonyA7R", {"iso": 100}, "has no ISO"),
        ("NikonD850", {"gain": 0.1}, r"gain 0\.1 DN/e- is outside"),
        ("NikonD850", {"gain": (1, 100)}, r"gain 1\.\.100 DN/e- is outside"),
        ("NikonD850", {"gain": -1}, "gain -1 is not a positive number"),
        ("iPhone12Pro", {"iso": 64}, "known at ISO 32 only"),
        ("GP", {"model": "eld"}, "Tukey-lambda read noise and row noise; use --noise hetero"),
        ("GP", {"model": "eld-gaussian"}, "camera GP does not have: row noise"),
        ("GP", {"model": "eldd"}, "did you mean 'eld'"),
    ],
)
def test_refused_draw(name, asked, message):
    with pytest.raises(InputError, match=message) as caught:
        draw(name, **asked)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=message):
        cameras.load(name).check(**asked)


def test_ends_of_a_gain_range_may_be_typed_as_shown():
    # Shown as 0.5554..11.22; the published range is 0.55538..11.2231.
    assert draw("Nexus6P", gain=0.5554).gain == pytest.approx(0.5554)
    assert draw("Nexus6P", gain=0.5552).gain == pytest.approx(0.555377044)


def test_unknown_camera_is_told_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean 'NikonD850'.*noisegen cameras"):
        cameras.load("NikonD580")


def test_names_do_not_depend_on_case():
    assert cameras.load("gp") is cameras.load("GP")


def test_missing_file(tmp_path):
    with pytest.raises(MissingDataError, match=r"nothing\.toml: no such camera file"):
        cameras.load(tmp_path / "nothing.toml")


def test_folder_instead_of_a_file(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match="cannot be read as a camera file"):
        cameras.load(str(tmp_path / "folder.toml"))


GOOD = cameras.load("GP").toml


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('cfa = "BGGR"', 'cfa = "XTRANS"', "cfa: input should be 'RGGB'"),
        ('cfa = "BGGR"', "", "the key 'cfa' is missing"),
        ("licence =", "license =", r"unknown key 'license' \(did you mean 'licence'\?\)"),
        ("bits = 10", "bitz = 10", r"unknown key 'levels\.bitz' \(did you mean 'bits'\?\)"),
        ("white = 1023", "white = 20", r"levels: white 20 is not above black 64"),
        ("white = 1023", "white = 4095", r"levels: white 4095 does not fit in 10 bits"),
        ("white = 1023", "white = nan", r"levels\.white: "),
        ("iso = 400, shot", "iso = 400, shots", r"'noise\.points\[2\]\.shots' .*mean 'shot'"),
        ("shot = 0.000886", "shot = -1", r"noise\.points\[2\]\.shot"),
        ("iso = 400", "iso = 4000", "points must be in order of increasing iso"),
        ("iso = 400, ", "", "iso is given in some points only"),
        ("read = 5e-06", "read = 5e-06, read_std = 1", "either read .* or read_std"),
        ('kind = "table"', 'kind = "tabel"', r"noise\.kind must be one of table, polynomial"),
        ('kind = "table"', "", r"noise\.kind must be one of table, polynomial"),
        ('substitute = "google-mixture"', "", "either matrices or substitute"),
        ('figures = "declared"', 'figures = "guessed"', "figures: input should be 'declared'"),
        ('"heteroscedastic"', '"heteroskedastic"', "did you mean 'heteroscedastic'"),
        ('cfa = "BGGR"', 'cfa = "BGGR"\nbreakpoints = [200]', "has 1 point; each needs two"),
        ('cfa = "BGGR"', 'cfa = "BGGR"\nbreakpoints = [900, 700]', "must be increasing"),
        ('cfa = "BGGR"', "cfa = ", "not a TOML file"),
        ("[levels]", "[body]\nprnu = 0.2\n[levels]", "body: prnu is .*: 0 to 0.1, not 0.2"),
        ("[levels]", "[body]\nprnuu = 0.01\n[levels]", r"'body\.prnuu' .*mean 'prnu'"),
        ("[levels]", "[body]\nhot_pixels = 0.01\n[levels]", "body: hot_pixels needs hot_rate"),
    ],
)
def test_refused_file(old, new, message, tmp_path):
    assert old in GOOD
    file = tmp_path / "mine.toml"
    file.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        cameras.load(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_breakpoints_need_an_iso():
    text = cameras.load("google").toml.replace("cfa =", "breakpoints = [800]\ncfa =")
    with pytest.raises(InputError, match="need a camera with ISO"):
        cameras.parse(text, "mine", "mine.toml")


def test_polynomial_must_be_positive():
    text = cameras.load("Reno10x").toml.replace("iso = [100,", "iso = [1,")
    text = text.replace("0.00868861", "-0.00868861")
    with pytest.raises(InputError, match="shot must be positive"):
        cameras.parse(text, "mine", "mine.toml")


def metadata(**changes):
    known = {
        "path": "a.dng",
        "cfa": "GRBG",
        "black_level": (64.0, 64.0, 65.0, 64.0),
        "white_level": 1023.0,
        "bits": None,
        "as_shot_neutral": (0.5, 1.0, 0.625),
        "color_matrices": ((21, ((0.7, -0.1, -0.1), (-0.4, 1.2, 0.2), (-0.1, 0.2, 0.6))),),
        "noise_profile": (PLANES, (1e-7, 2e-7, 3e-7, 2e-7)),
        "make": "ACME",
        "model": "A1",
        "iso": 200,
    }
    return SimpleNamespace(**known | changes)


def test_as_shot_is_what_the_file_states():
    camera = cameras.as_shot(metadata())
    state = camera.draw(np.random.default_rng(0))
    assert state.iso == 200
    assert state.parameters.shot == PLANES
    assert state.parameters.read == (1e-7, 2e-7, 3e-7, 2e-7)
    assert state.parameters.read_includes == ("quantisation",)
    assert (camera.levels.black, camera.bits, camera.cfa) == ((64, 64, 65, 64), 10, "GRBG")
    assert camera.draw_color(np.random.default_rng(0)).white_balance == (2.0, 1.0, 1.6)


def test_as_shot_without_iso():
    state = cameras.as_shot(metadata(iso=None)).draw(np.random.default_rng(0))
    assert math.isnan(state.iso)
    assert state.parameters.shot == pytest.approx(PLANES)
    assert state.gain == pytest.approx(1e-4 * (1023 - 64))


@pytest.mark.parametrize(
    "profile", [None, ((0.0,) * 4, (0.0,) * 4), ((1e-4,) * 4, (-1e-7,) * 4), ((math.nan,) * 4,) * 2]
)
def test_as_shot_without_a_usable_profile(profile):
    with pytest.raises(UnreadableFileError, match=r"^a\.dng: .*NoiseProfile"):
        cameras.as_shot(metadata(noise_profile=profile))


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("NIKON CORPORATION", "NIKON D850", "NikonD850"),
        ("Canon", "Canon EOS 5D Mark IV", "CanonEOS5D4"),
        ("Apple", "iPhone 7", "IP"),
        ("Sony", "ilce-7sm2", "SonyA7S2"),
        ("Nikon", "NIKON D5", None),
        ("", "", None),
        (None, None, None),
    ],
)
def test_match(make, model, name):
    found = cameras.match(make, model)
    assert (found.name if found else None) == name


def test_list_names_every_camera():
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    for name in cameras.names():
        assert f" {name} " in result.output
    assert "as-shot" in result.output


@pytest.mark.parametrize("name", cameras.names())
def test_show(name):
    result = CliRunner().invoke(command, [name])
    assert result.exit_code == 0
    camera = cameras.load(name)
    words = " ".join(result.output.split())
    for text in (camera.title, camera.licence, camera.note, camera.figures):
        assert " ".join(text.split()) in words
    assert all(s.figures in words for s in camera.sources)


def test_a_body_is_read_and_shown_with_its_units(tmp_path):
    file = tmp_path / "mine.toml"
    body = "[body]\nprnu = 0.01\ncolumn = 0.5\nhot_pixels = 1e-4\nhot_rate = 2000\n[levels]"
    file.write_text(GOOD.replace("[levels]", body, 1), encoding="utf-8")
    stated = {"prnu": 0.01, "column": 0.5, "hot_pixels": 1e-4, "hot_rate": 2000}
    assert cameras.load(file).body == BodyFigures(**stated)
    words = " ".join(CliRunner().invoke(command, [str(file)]).output.split())
    assert "body prnu 0.01, column 0.5 electron, hot_pixels 0.0001, hot_rate 2000 elec" in words
    assert not any(cameras.load(name).body.on for name in cameras.names())


@pytest.mark.parametrize("name", ["GP", "NikonD850", "IMX296", "google", "SonyA7S2-PMN", "SonyA7R"])
def test_plot_is_a_picture(name, tmp_path):
    file = tmp_path / "curve.png"
    result = CliRunner().invoke(command, [name, "--plot", str(file)])
    assert result.exit_code == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    assert file.stat().st_size > 20_000


def test_plot_refusals(tmp_path):
    def failure(*arguments):
        return CliRunner().invoke(command, arguments).exception

    assert isinstance(failure("--plot", "x.png"), InputError)
    assert isinstance(failure("GP", "--plot", str(tmp_path / "x.xyz")), InputError)
    assert isinstance(failure("GP", "--plot", str(tmp_path / "no" / "x.png")), StorageError)
    assert isinstance(failure("GPP"), UnknownNameError)
