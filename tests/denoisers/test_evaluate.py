"""``noisegen evaluate``: tables and files, test pictures that were trained on, what is refused."""

import csv
import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import denoisers
import pipelines
from denoisers import card as cards
from denoisers.evaluation import looks
from denoisers.evaluation.overlap import SAME_BITS
from denoisers.training import recipe
from denoisers.training.run import Run
from noisegen.cli import main
from pipelines.frame import perceptual_hash, thumbnail
from tests.denoisers.conftest import make

RNG = np.random.default_rng(21)
SMALL = {"depth": 3, "width": 4, "batch_norm": False}


def save(path, scale=0.0, channels=3, data=None):
    """Save a network that, of weights scaled by 0, gives back what it gets."""
    options = {**SMALL, "channels": channels}
    model = denoisers.create("dncnn", **options).eval()
    for parameter in model.parameters():
        parameter.data *= scale
    chosen = denoisers.entry("dncnn").check(options).model_dump()
    card = cards.Card(model="dncnn", options=chosen, origin="a test", data=data or {})
    cards.save(path, model, card)
    return path


def smooth(height=40, width=52):
    coarse = RNG.integers(20, 236, (6, 7, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def evaluate(*arguments):
    done = CliRunner().invoke(main, ["evaluate", *map(str, arguments), "--device", "cpu"])
    if done.exit_code:
        (line,) = [s for s in done.output.splitlines() if s.startswith("noisegen: ")]
        return done.exit_code, line
    return 0, done.output


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save(tmp_path_factory.mktemp("weights") / "a.safetensors")


@pytest.fixture
def photos(tmp_path):
    """Three pictures, and one that is not in order of its number."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("1", "2", "10"):
        cv2.imwrite(str(folder / f"{name}.png"), smooth())
    return folder


@pytest.fixture
def pairs(tmp_path):
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number in range(3):
        clean = smooth(200, 190)
        noisy = np.clip(clean + RNG.normal(0, 9, clean.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}_clean.png"), clean)
        cv2.imwrite(str(folder / f"{number}_noisy.png"), noisy)
    return folder


# What is shown and written


def test_table_and_files(weights, pairs, tmp_path):
    out = tmp_path / "out"
    code, text = evaluate(weights, "--on", "pairs", "--root", pairs, "--out", out)
    assert code == 0, text
    found = json.loads((out / "results.json").read_text())
    assert found["protocol"]["name"] == "pairs"
    assert found["versions"]["noisegen"] == found["model"]["card"]["versions"]["noisegen"]
    assert re.fullmatch("[0-9a-f]{64}", found["model"]["card_sha256"])
    # The network gives back what it gets.
    for one in found["scores"]:
        assert one["psnr"] == pytest.approx(one["noisy_psnr"], abs=1e-4)
        assert one["ssim"] == pytest.approx(one["noisy_ssim"], abs=1e-6)
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.split()}
    for one in found["scores"]:
        assert lines[one["name"]][:2] == [f"{one['psnr']:.2f}", f"{one['ssim']:.4f}"]
        assert lines[one["name"]][4] in ("+0.00", "-0.00")
    assert lines["mean"][2] == f"{found['mean']['psnr']:.2f}"
    for name in ("results.json", "results.csv", "report.html"):
        assert f"wrote {out / name}" in text
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["0", "1", "2"]
    assert float(rows[1]["psnr"]) == pytest.approx(found["scores"][1]["psnr"], abs=1e-6)
    html = (out / "report.html").read_text()
    # Of each picture: four crops and the map of its errors.
    assert html.count('class="sample"') == 3
    assert html.count('<div class="view">') == 15
    assert html.count("</td>") == (1 + 3) * 7
    for word in ("noisy", "restored", "clean", "error of the whole picture"):
        assert html.count(f'alt="{word}"') == 3


def test_many_pictures_are_a_mean(weights, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(31):
        cv2.imwrite(str(folder / f"{number:02}.png"), smooth(12, 14))
    code, text = evaluate(weights, "--on", "awgn", "--root", folder, "--sigma", 30)
    assert code == 0
    assert "mean of 31" in text
    assert not re.search(r"^ *0\d ", text, re.M)


def test_numbers_that_do_not_exist(weights, tmp_path):
    folder = tmp_path / "pairs"
    folder.mkdir()
    for half in ("noisy", "clean"):
        cv2.imwrite(str(folder / f"a_{half}.png"), np.full((9, 9, 3), 7, np.uint8))
    out = tmp_path / "out"
    code, text = evaluate(weights, "--on", "pairs", "--root", folder, "--out", out)
    assert code == 0
    assert re.search(r"a +inf +– +inf +– +– *$", text, re.M)
    (score,) = json.loads((out / "results.json").read_text())["scores"]
    assert [score[key] for key in ("psnr", "ssim", "noisy_psnr")] == [None, None, None]
    assert (out / "report.html").exists()


def test_results_are_not_written_over(weights, pairs, tmp_path):
    arguments = (weights, "--on", "pairs", "--root", pairs, "--out", tmp_path)
    assert evaluate(*arguments)[0] == 0
    code, line = evaluate(*arguments)
    assert code == 2
    assert "results.json is there already; give another --out, or --overwrite" in line
    first = (tmp_path / "results.csv").read_bytes()
    assert evaluate(*arguments, "--overwrite")[0] == 0
    assert (tmp_path / "results.csv").read_bytes() == first
    code, line = evaluate(*arguments[:-1], tmp_path / "results.csv" / "below")
    assert code == 1
    assert "cannot make" in line


def test_crops_show_where_the_errors_are():
    clean = np.full((300, 420, 3), 0.5, np.float32)
    wrong = clean.copy()
    wrong[200:230, 350:380] = 1.0
    look = looks.of(4, "a", (clean, wrong, clean), 30.0, 20.0)
    assert [picture.shape for _, picture in look.crops] == [(looks.SIDE, looks.SIDE, 3)] * 3
    assert (look.error > 100).sum() == 30 * 30
    assert look.error.max() == pytest.approx(127.5)
    height, width = look.map.shape
    assert height == looks.SIDE
    assert width == round(420 * looks.SIDE / 300)
    # The frame is around the errors, to a pixel of the map.
    pixel = 300 / looks.SIDE
    left, top, right, bottom = (i * pixel for i in look.box)
    assert left - pixel <= 350 < 380 <= right + 2 * pixel
    assert top - pixel <= 200 < 230 <= bottom + 2 * pixel


def test_pictures_that_gained_least_are_shown():
    kept = looks.Looks(40)
    gains = RNG.permutation(40).astype(float)
    picture = np.zeros((4, 4, 1), np.float32)
    for number, gain in enumerate(gains):
        if kept.wants(number, gain):
            kept.add(looks.of(number, str(number), (picture,) * 3, gain, 0.0))
    spread, worst = kept.all()
    assert [look.number for look in spread] == [0, 5, 10, 15, 20, 25, 30, 35]
    least = [int(i) for i in np.argsort(gains)[:4]]
    assert [look.number for look in worst] == [i for i in least if i % 5]


# Test pictures that were trained on


def test_a_copy_among_the_training_pictures_is_a_warning(photos, tmp_path):
    trained = tmp_path / "trained"
    trained.mkdir()
    copy = cv2.imread(str(photos / "2.png"))
    larger = cv2.resize(copy, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(trained / "copy.jpg"), larger)
    cv2.imwrite(str(trained / "other.png"), smooth())
    slope = np.broadcast_to(np.arange(40, 120, dtype=np.uint8)[:, None], (60, 80, 3))
    for folder, picture in ((trained, slope), (photos, slope + 60)):
        cv2.imwrite(str(folder / "sky.png"), picture)
    path = save(tmp_path / "a.safetensors", data={str(trained): ""})
    arguments = (path, "--on", "awgn", "--root", photos, "--sigma", 25)
    code, text = evaluate(*arguments, "--out", tmp_path / "out")
    assert code == 0
    said = f"1 of 4 test pictures stand in the training data, first 2, as {trained / 'copy.jpg'}"
    assert f"warning: {said}" in text
    found = json.loads((tmp_path / "out" / "results.json").read_text())["overlap"]
    assert found["training_pictures"] == 2
    assert found["plain_test_pictures"] == 1
    assert [one["name"] for one in found["found"]] == ["2"]
    code, line = evaluate(*arguments, "--strict")
    assert code == 1
    assert line.startswith(f"noisegen: {said}")
    code, text = evaluate(*arguments, "--strict", "--data", trained / "..")
    assert code == 1
    (trained / "copy.jpg").unlink()
    code, text = evaluate(*arguments, "--strict")
    assert (code, "warning" in text) == (0, False)


UNKNOWN = "not known whether test pictures were trained on: "


def test_training_data_that_are_not_known(weights, photos, tmp_path):
    arguments = ("--on", "awgn", "--root", photos, "--sigma", 25)
    code, text = evaluate(weights, *arguments)
    assert code == 0
    assert f"warning: {UNKNOWN}the weights do not say what" in text
    gone = save(tmp_path / "a.safetensors", data={str(tmp_path / "gone"): ""})
    code, line = evaluate(gone, *arguments, "--strict")
    assert code == 1
    assert f"{UNKNOWN}cannot reach {tmp_path / 'gone'}" in line


def test_scenes_that_a_run_held_out_were_not_trained_on(corpus, tmp_path):
    path = corpus.storage.url
    training = recipe.parse(
        {
            "model": "dncnn",
            "options": SMALL,
            "iterations": 2,
            "batch": 2,
            "patch": 16,
            "validation": {"every": 2, "count": 1, "crop": 16},
        }
    )
    Run(training, [(path, 1.0)], tmp_path / "run", workers=0, device="cpu").train()
    arguments = (tmp_path / "run", "--on", "corpus", "--root", path, "--strict")
    splits = np.array(["train", "val", "test"])[corpus.images.split]
    for split in np.unique(splits):
        code, line = evaluate(*arguments, "--split", split)
        count = 2 * int((splits == split).sum())
        if split == "train":
            assert code == 1
            assert f"{count} of {count} test pictures stand in the training data" in line
        else:
            assert (code, f"mean of {count}" in line) == (0, True)
    # Weights alone, without the run's folder, do not know of scenes held out.
    lone = tmp_path / "lone.safetensors"
    lone.write_bytes((tmp_path / "run" / "best.safetensors").read_bytes())
    code, line = evaluate(lone, *arguments[1:])
    assert code == 1
    assert "24 of 24 test pictures" in line


def test_samples_that_are_left_out_are_said_to_be(tmp_path):
    (tmp_path / "photos").mkdir()
    textured = np.random.default_rng(0).integers(60, 140, (48, 48, 3), np.uint8)
    for name, picture in (("black", np.zeros_like(textured)), ("a", textured)):
        cv2.imwrite(str(tmp_path / "photos" / f"{name}.png"), picture)
    path = tmp_path / "c.zarr"
    source = {"source": "folder", "source_options": {}, "select": {"method": "stratified"}}
    corpus = make(path, root=str(tmp_path / "photos"), count=4, **source)
    assert len(corpus.valid) == 2  # no place of a black picture is worth a patch
    code, text = evaluate(save(tmp_path / "a.safetensors"), "--on", "corpus", "--root", path)
    assert code == 0
    assert "note: 2 of the corpus's 4 samples are there and valid; of the others" in text
    assert "mean of 2" in text


def test_a_corpus_that_was_made_anew_is_not_the_one_of_the_card(corpus, photos, tmp_path):
    path = save(tmp_path / "a.safetensors", data={corpus.storage.url: "0" * 64})
    code, text = evaluate(path, "--on", "awgn", "--root", photos, "--sigma", 25)
    assert code == 0
    assert "is not the corpus that was trained on any more" in text


def hashed(picture):
    return perceptual_hash(thumbnail(picture))


def test_copies_have_near_hashes_and_other_pictures_have_not():
    pictures = [smooth(240, 320) for _ in range(40)]
    for picture in pictures:
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])
        half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        for copy in (cv2.imdecode(data, cv2.IMREAD_COLOR), half, picture // 2 + 100):
            assert np.bitwise_count(hashed(copy) ^ hashed(picture)).sum() <= SAME_BITS
    # Of independent fair bits: P(4 or fewer of 64 differ) = 3.6e-14 a pair; 780 pairs.
    hashes = np.array([hashed(picture) for picture in pictures])
    bits = np.bitwise_count(hashes[:, None] ^ hashes).sum(-1)
    assert bits[np.triu_indices(40, 1)].min() > SAME_BITS


# What is refused


def bad(arguments, line, code=2):
    return pytest.param(arguments, line, code, id=line[:50])


@pytest.mark.parametrize(
    ("arguments", "line", "code"),
    [
        bad("a --on cbsd86 --root photos", "unknown protocol 'cbsd86' (did you mean 'cbsd68'?)"),
        bad("a --on cbsd68 --root photos", "say how much, in 8-bit levels, such as --sigma 25"),
        bad("a --on cbsd68 --root photos --sigma 0", "--sigma 0 is not above 0 and up to 255"),
        bad("a --on cbsd68 --root photos --sigma nan", "--sigma nan is not above 0 and up to 255"),
        bad("a --on cc --root pairs --sigma 5", "cc has noise of its own: leave --sigma away"),
        bad("a --on cbsd68 --root gone --sigma 5", "cannot reach gone: there is no such folder"),
        bad("a --on cbsd68 --root photos --sigma 5 --split val", "cbsd68 is tested on whole"),
        bad("a --on pairs --root pairs --data gone", "--data gone: no folder or corpus is there"),
        bad("a --on pairs --root photos", "no pair (pictures there: 3); name the halves"),
        bad("a --on pairs --root pairs --bgr", "pairs gives networks R, G, B: leave --bgr away"),
        bad("a --on corpus --root raw.zarr", "raw.zarr has no sRGB pictures, it is a corpus of"),
        bad("grey --on cbsd68 --root photos --sigma 5", "takes grey pictures, cbsd68 is in colour"),
        bad("a --on set12 --root photos --sigma 5", "takes colour pictures, set12 is in grey"),
        bad("gone.pth --on cbsd68 --root photos --sigma 5", "there is no file gone.pth"),
        bad("photos --on cbsd68 --root photos --sigma 5", "photos: no weights there yet"),
        bad("other.pth --on cbsd68 --root photos --sigma 5", "are of no network known here"),
        bad("a --on sidd-benchmark --root sidd", "writes files for a server: give --out DIR"),
        bad("a --on cbsd68 --root photos --sigma 5 --self-ensemble --tile 8", "", 0),
        bad(
            "a --on awgn --root tiny --sigma 5 --self-ensemble", "run the picture whole (--tile 0)"
        ),
        bad("a --on awgn --root photos --sigma 5 --device cuda", "no GPU: torch sees none"),
        bad("nan --on awgn --root photos --sigma 5", "its result for 1 has values that are not", 1),
        bad("a --on awgn --root cut --sigma 5", "a.png is a PNG that was cut short", 1),
    ],
)
def test_what_cannot_be_is_one_line(photos, pairs, tmp_path, monkeypatch, arguments, line, code):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    save("a")
    save("grey", channels=1)
    save("nan", scale=1e30)
    for name in ("a", "grey", "nan"):
        Path(name).rename(f"{name}.safetensors")
    torch.save({"encoder.0.weight": torch.zeros(3)}, "other.pth")
    for name in ("tiny", "cut", "sidd"):
        Path(name).mkdir()
    cv2.imwrite("tiny/a.png", smooth(20, 24))
    Path("cut/a.png").write_bytes((photos / "1.png").read_bytes()[:200])
    blocks = np.zeros((1, 1, 8, 8, 3), np.uint8)
    __import__("scipy.io").io.savemat(
        "sidd/BenchmarkNoisyBlocksSrgb.mat", {"BenchmarkNoisyBlocksSrgb": blocks}
    )
    if "raw.zarr" in arguments:
        options = {"source": "deadleaves", "source_options": {"size": 64}, "stage": "raw"}
        pipelines.synthesize(pipelines.Recipe(patch=32, count=2, **options), "raw.zarr")
    model, *rest = arguments.split()
    model = f"{model}.safetensors" if model in ("a", "grey", "nan") else model
    done = CliRunner().invoke(main, ["evaluate", model, *rest])
    assert done.exit_code == code, done.output
    if code:
        (last,) = [s for s in done.output.splitlines() if s.startswith("noisegen: ")]
        assert line in last
    assert "Traceback" not in done.output


# Real pictures

DATA = os.environ.get("NOISEGEN_DATA")


@pytest.mark.skipif(DATA is None, reason="real files: set NOISEGEN_DATA to their folder")
def test_noisy_set12_has_the_psnr_of_its_noise(tmp_path):
    path, out = save(tmp_path / "a.safetensors", channels=1), tmp_path / "out"
    root = Path(DATA) / "clean" / "set12"
    code, text = evaluate(path, "--on", "set12", "--root", root, "--sigma", 25, "--out", out)
    assert code == 0
    assert "note" not in text
    found = json.loads((out / "results.json").read_text())
    # The mean square of n normal numbers is off by sqrt(2 / n), at most n = 256 * 256, z = 5.
    bound = 5 * (2 / 256**2) ** 0.5 * 10 / np.log(10)
    for one in found["scores"]:
        assert one["noisy_psnr"] == pytest.approx(20 * np.log10(255 / 25), abs=bound)
        assert one["psnr"] > one["noisy_psnr"]  # by the cut alone


@pytest.mark.skipif(DATA is None, reason="real files: set NOISEGEN_DATA to their folder")
def test_noisy_cc_has_the_psnr_that_its_readme_states(weights, tmp_path):
    root = Path(DATA) / "pairs" / "cc"
    code, _ = evaluate(weights, "--on", "cc", "--root", root, "--out", tmp_path)
    assert code == 0
    found = json.loads((tmp_path / "results.json").read_text())
    values = [one["psnr"] for one in found["scores"]]
    assert [round(min(values), 1), round(max(values), 1)] == [29.6, 37.0]
    assert found["notes"] == ["9 of the set's 15 pairs are there"]
