"""Camera bodies: the fast kernels against plain NumPy, crops, scopes, and the law of every term.

A statistic of n samples is allowed five of its standard errors, computed from the law's own
moments: one false alarm in about 2e6 tests for each line.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from noisegen.cfa import PHASES, plane_map, planes, shift
from noisegen.errors import InputError
from noisegen.kernels import normals, words
from noisegen.kernels.body import CELL
from noisegen.random import (
    BodyCounter,
    BodyField,
    Counter,
    Field,
    body_counter,
    camera_word,
    counter,
)
from noisegen.sensor import (
    BodyFigures,
    BodyParameters,
    Levels,
    NoiseModel,
    NoiseParameters,
    add_noise,
    get,
    names,
    pattern,
    variance,
)
from noisegen.sensor.body import DARK_TERMS, FIGURES, HOT_SIGMA, TERMS

SPAN = 16000
LEVELS = Levels((4000,) * 4, 4000 + SPAN)
UNLIKE = Levels((64, 63.5, 64.25, 65), 1023)
SILENT = NoiseParameters((0,) * 4, (0,) * 4)
NOTHING = NoiseModel("nothing", "none", "none")
SHAPE = (400, 1000)
N = SHAPE[0] * SHAPE[1]
SIGMAS = 5
OURS = body_counter(7, camera_word("test"), 3)
EVERYTHING = BodyParameters(
    prnu=0.01,
    green_imbalance=0.02,
    dsnu=1e-3,
    dark_shading=2e-3,
    column_fpn=1e-3,
    column=5e-4,
    black_level_error=1e-3,
    hot_pixels=2e-3,
    hot_charge=0.05,
    dead_pixels=1e-3,
    dual_gain_level=0.3,
    dual_gain_ratio=3.0,
)


def scene(height=45, width=300, top=1023):
    rng = np.random.default_rng(0)
    mosaic = np.exp(rng.uniform(np.log(50), np.log(top), (height, width)))
    return mosaic.astype(np.uint16)


def exposed(level, body, sample=0, of=OURS, model=NOTHING, parameters=SILENT, shape=SHAPE, **more):
    """Codes above the clean level of a flat frame, float64."""
    flat = np.full(shape, level, np.uint16)
    codes = add_noise(
        *(flat, LEVELS, model, parameters, LEVELS, "RGGB", counter(5, sample)),
        body=body,
        body_counter=of,
        **more,
    )
    return codes.astype(np.float64) - level


# Fast = plain NumPy


def smooth(shape, of, field, y, x):
    """The B-spline field by its definition, pixel by pixel weights, in float64."""

    def axis(first, length):
        node, place = np.divmod(np.arange(first, first + length), CELL)
        t = (place + 0.5) / CELL
        w = np.stack([(1 - t) ** 2 / 2, 0.5 + t * (1 - t), t**2 / 2])
        return node, w / np.sqrt((w**2).sum(axis=0))

    (rows, v), (columns, w) = axis(y, shape[0]), axis(x, shape[1])
    out = np.zeros(shape)
    for i, j in itertools.product(range(3), range(3)):
        size = (rows[-1] + i - rows[0] + 1, columns[-1] + j - columns[0] + 1)
        nodes = normals(size, of, field, int(rows[0]), int(columns[0])).astype(np.float64)
        at = nodes[np.ix_(rows + i - rows[0], columns + j - columns[0])]
        out += v[i][:, None] * w[j] * at
    return out


def plain(mosaic, levels, model, parameters, phase, where, body, of, y, x, dark=None):
    """Real-valued code and stuck code of every pixel, by the formulas; Gaussian shot noise only."""
    shape, here = mosaic.shape, {"y": y, "x": x}
    plane = plane_map(phase, shape)
    black = np.asarray(levels.black)[plane]
    span, unit = levels.white - black, levels.span[1]
    light = (
        1
        + body.prnu * normals(shape, of, BodyField.PRNU, **here)
        + np.array([0, 0.5, 0, -0.5])[plane]
        * body.green_imbalance
        * smooth(shape, of, BodyField.GREEN, y, x)
    )
    signal = (mosaic - black) * light
    word = words(shape, of, BodyField.DEFECT, **here).astype(np.float64) / 2**32
    hot = word >= 1 - body.hot_pixels
    charge = (
        body.hot_charge
        * unit
        * np.exp(HOT_SIGMA * normals(shape, of, BodyField.HOT, **here) - HOT_SIGMA**2 / 2)
    )
    signal = np.where(hot, signal + charge, signal)
    shot = np.asarray(parameters.shot)[plane] * span * (model.shot == "gaussian")
    signal = signal + np.sqrt(shot * np.maximum(signal, 0)) * normals(
        shape, where, Field.SHOT, **here
    )
    read = np.sqrt(np.asarray(parameters.read)[plane]) * span
    bright = signal > (body.dual_gain_level or np.inf) * unit
    read = np.where(bright, read * body.dual_gain_ratio, read)
    offset = (
        parameters.row * unit * model.row * normals((shape[0], 1), where, Field.ROW, y=y)
        + body.column_fpn * unit * normals((1, shape[1]), of, BodyField.COLUMN, x=x)
        + body.column * unit * normals((1, shape[1]), where, Field.COLUMN, x=x)
        + body.black_level_error * unit * normals((1, 1), where, Field.FRAME)
        + body.dsnu * unit * normals(shape, of, BodyField.DSNU, **here)
        + body.dark_shading * unit * smooth(shape, of, BodyField.SHADING, y, x)
    )
    if dark is not None:
        read, offset = 0 * read, offset + dark
    value = black + signal + read * normals(shape, where, Field.READ, **here) + offset + 0.5
    stuck = np.where(word < body.dead_pixels / 2, np.floor(black + 0.5), np.floor(levels.white))
    near = np.abs(signal - (body.dual_gain_level or np.inf) * unit) < 1e-2
    return value, np.where(word < body.dead_pixels, stuck, -1), near


def check_plain(out, levels, value, stuck, near):
    sure = (np.abs(value - np.rint(value)) > 5e-3) & ~near & (stuck < 0)
    assert sure.mean() > 0.97
    np.testing.assert_array_equal(out[sure], np.floor(value).clip(0, levels.white)[sure])
    np.testing.assert_array_equal(out[stuck >= 0], stuck[stuck >= 0])
    assert (stuck >= 0).sum() > 3


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(("y", "x"), [(0, 0), (-3, 5), (1022, 490)])
def test_the_kernel_is_the_formula(phase, y, x):
    mosaic, where = scene(90, 400), counter(1, 2, 3)
    model = NoiseModel("rows", "gaussian", "gaussian", row=True)
    parameters = NoiseParameters((1e-3, 2e-3, 3e-3, 1e-3), (1e-5, 2e-5, 3e-5, 1e-5), row=1e-3)
    out = add_noise(
        *(mosaic, UNLIKE, model, parameters, UNLIKE, phase, where),
        y=y,
        x=x,
        body=EVERYTHING,
        body_counter=OURS,
    )
    expected = plain(mosaic, UNLIKE, model, parameters, phase, where, EVERYTHING, OURS, y, x)
    check_plain(out, UNLIKE, *expected)


def test_a_dark_frame_takes_the_place_of_read_and_row_noise_and_bias():
    mosaic, where = scene(60, 300), counter(1, 2, 3)
    dark = np.random.default_rng(2).normal(0, 9, mosaic.shape).astype(np.float32)
    body = BodyParameters(prnu=0.01, dead_pixels=1e-3)
    parameters = NoiseParameters(
        (1e-3,) * 4, (1e-3,) * 4, row=0.1, bias=(0.1,) * 4, tukey_lambda=0.1, tukey_scale=0.1
    )
    light = NoiseModel("light", "gaussian", "none")
    expected = plain(mosaic, UNLIKE, light, parameters, "GRBG", where, body, OURS, 4, 6, dark)
    for read, row in itertools.product(("gaussian", "tukey-lambda"), (False, True)):
        out = add_noise(
            *(mosaic, UNLIKE, NoiseModel("any", "gaussian", read, row, row), parameters, UNLIKE),
            *("GRBG", where),
            y=4,
            x=6,
            body=body,
            body_counter=OURS,
            dark_frame=dark,
        )
        check_plain(out, UNLIKE, *expected)


def test_the_maps_are_what_the_exposure_uses():
    mosaic = scene(100, 300)
    body = BodyParameters(**{**vars(EVERYTHING), "column": 0.0, "black_level_error": 0.0})
    out = add_noise(
        *(mosaic, UNLIKE, NOTHING, SILENT, UNLIKE, "GBRG", counter(1, 1)),
        y=7,
        x=500,
        body=body,
        body_counter=OURS,
    )
    maps = pattern(mosaic.shape, body, OURS, UNLIKE, "GBRG", y=7, x=500)
    black = np.asarray(UNLIKE.black)[plane_map("GBRG", mosaic.shape)]
    value = black + (mosaic - black) * maps.light.astype(float) + maps.charge + maps.offset + 0.5
    stuck = np.where(maps.stuck < 0, np.floor(black + 0.5), 1023)
    check_plain(out, UNLIKE, value, np.where(maps.stuck == 0, -1, stuck), np.zeros_like(out, bool))


# Crops, counters


@pytest.mark.parametrize("name", names())
@settings(max_examples=25, deadline=None)
@given(
    phase=st.sampled_from(PHASES),
    y=st.integers(-600, 5000),
    x=st.integers(-600, 5000),
    top=st.integers(0, 44),
    left=st.integers(0, 299),
    height=st.integers(1, 45),
    width=st.integers(1, 300),
    has_dark=st.booleans(),
)
def test_a_crop_of_the_exposure_is_the_exposure_of_the_crop(
    name, phase, y, x, top, left, height, width, has_dark
):
    mosaic, where = scene(), counter(42, 7, 1)
    parameters = NoiseParameters(
        (1e-3, 2e-3, 3e-3, 1e-3), (1e-5,) * 4, row=1e-3, tukey_lambda=-0.1, tukey_scale=2e-3
    )
    body, dark = EVERYTHING, None
    if has_dark:
        body = BodyParameters(prnu=0.01, green_imbalance=0.02, dead_pixels=1e-3)
        dark = np.random.default_rng(2).normal(0, 9, mosaic.shape).astype(np.float32)
    arguments = {"body": body, "body_counter": OURS}
    whole = add_noise(
        *(mosaic, UNLIKE, get(name), parameters, UNLIKE, phase, where),
        **{"y": y, "x": x, "dark_frame": dark, **arguments},
    )
    window = np.s_[top : top + height, left : left + width]
    part = add_noise(
        *(mosaic[window], UNLIKE, get(name), parameters, UNLIKE, shift(phase, top, left), where),
        y=y + top,
        x=x + left,
        dark_frame=None if dark is None else dark[window],
        **arguments,
    )
    np.testing.assert_array_equal(part, whole[window])
    maps = pattern(mosaic.shape, body, OURS, UNLIKE, phase, y=y, x=x)
    parts = pattern(part.shape, body, OURS, UNLIKE, shift(phase, top, left), y=y + top, x=x + left)
    for one, other in zip(parts, maps, strict=True):
        assert one.tobytes() == other[window].tobytes()


def test_a_bodys_words_are_never_those_of_a_sample():
    assert not {int(f) for f in Field} & {int(f) for f in BodyField}
    assert max(*Field, *BodyField) < 256
    # The low byte of the third word of a counter is the field, whatever draw or body stand above.
    same = Counter(1, 2, 77, 3), BodyCounter(1, 2, 77, 3)
    drawn = [words((4, 64), same[0], f) for f in Field]
    drawn += [words((4, 64), same[1], f) for f in BodyField]
    for one, other in itertools.combinations(drawn, 2):
        assert not (one == other).any()


@pytest.mark.parametrize(
    ("arguments", "message"), [((1, -1, 0), "camera word"), ((1, 1, 1 << 24), "body")]
)
def test_counters_have_limits(arguments, message):
    with pytest.raises(ValueError, match=message):
        body_counter(*arguments)


# Scopes


@pytest.mark.parametrize("name", [n for n, t in TERMS.items() if t.scope == "sensor"])
def test_scope_sensor_is_the_same_in_all_frames_and_another_in_each_body(name):
    body = only(name)
    first, second = (exposed(9000, body, sample) for sample in (0, 1))
    np.testing.assert_array_equal(first, second)
    for other in (
        body_counter(7, camera_word("test"), 4),
        body_counter(7, camera_word("other"), 3),
        body_counter(8, camera_word("test"), 3),
    ):
        again = exposed(9000, body, of=other)
        assert (again != first).any()
        # Fields of two bodies are independent: correlations of n pairs lie within 5/√n, where n
        # is what varies independently (smooth fields have few nodes: they only must differ).
        n = {"column_fpn": SHAPE[1], "dark_shading": 0, "green_imbalance": 0}.get(name, N)
        if n:
            r = np.corrcoef(first.ravel(), again.ravel())[0, 1]
            assert abs(r) < SIGMAS / np.sqrt(n)


@pytest.mark.parametrize("name", ["column", "black_level_error"])
def test_other_scopes_are_new_in_every_frame_and_need_no_body(name):
    body = only(name)
    frames = [exposed(9000, body, sample, of=None) for sample in range(2)]
    assert (frames[0] != frames[1]).any()
    other = exposed(9000, body, 0, of=OURS)
    np.testing.assert_array_equal(frames[0], other)


def only(name, size=0.02):
    """A body with one term."""
    values = {"hot_pixels": 1e-3, "dead_pixels": 1e-3}
    more = {"hot_charge": 0.1} if name == "hot_pixels" else {}
    return BodyParameters(**{name: values.get(name, size)}, **more)


# Laws


def check_moments(sample, mean, var, n, kurtosis=3.0):
    assert abs(sample.mean() - mean) < SIGMAS * np.sqrt(var / n)
    assert abs(sample.var() - var) < SIGMAS * var * np.sqrt((kurtosis - 1) / n)


@pytest.mark.parametrize("level", [4000, 8000, 14000])
def test_prnu_multiplies_the_light(level):
    body = BodyParameters(prnu=0.02)
    sample = exposed(level, body)
    expected = (0.02 * (level - 4000)) ** 2 + 1 / 12
    assert variance((level - 4000) / SPAN, NOTHING, SILENT, LEVELS, body) == pytest.approx(expected)
    if level == 4000:
        assert (sample == 0).all()  # rounding alone does nothing to whole numbers
    else:
        check_moments(sample, 0, expected, N)


def test_light_that_is_not_collected_has_no_shot_noise():
    """The variance within a pixel follows its own response."""
    body, gain, level = BodyParameters(prnu=0.1), 16, 4000 + 8000
    parameters = NoiseParameters((gain / SPAN,) * 4, (0,) * 4)
    model = NoiseModel("shot", "poisson", "none")
    light = pattern(SHAPE, body, OURS, LEVELS, "RGGB").light.astype(float)
    frames = np.stack(
        [exposed(level, body, s, model=model, parameters=parameters) for s in range(8)]
    )
    mean = frames.mean(axis=0) - 8000 * (light - 1)
    law = gain * 8000 * light
    assert abs((mean / np.sqrt(law / 8)).mean()) < SIGMAS / np.sqrt(N)
    within = frames.var(axis=0, ddof=1)
    for dim, bright in ((0.8, 0.95), (1.05, 1.2)):
        part = (light > dim) & (light < bright)
        # Seven degrees of freedom a pixel.
        ratio = (within[part] / (law[part] + 1 / 12)).mean()
        assert abs(ratio - 1) < SIGMAS * np.sqrt(2 / 7 / part.sum())


def test_dsnu_column_and_frame_offsets_do_not_depend_on_the_light():
    for name, shape in (("dsnu", SHAPE), ("column_fpn", (2, 40000)), ("column", (2, 40000))):
        body = BodyParameters(**{name: 0.01})
        dark, bright = (exposed(level, body, shape=shape) for level in (4000, 12000))
        # Sums of float32 differ in their last bits, which rounding shows of one pixel in 2000.
        assert np.abs(dark - bright).max() <= 1
        assert (dark != bright).mean() < 2e-3
        expected = 160.0**2 + 1 / 12
        assert variance(0.3, NOTHING, SILENT, LEVELS, body) == pytest.approx(expected)
        if name != "dsnu":
            assert (dark == dark[:1]).all()
            dark = dark[0]
        check_moments(dark, 0, expected, dark.size)


def test_black_level_error_is_one_offset_a_frame():
    body = BodyParameters(black_level_error=0.01)
    frames = np.stack([exposed(9000, body, s, None, shape=(3, 5)) for s in range(4000)])
    assert (frames == frames[:, :1, :1]).all()
    check_moments(frames[:, 0, 0], 0, 160.0**2 + 1 / 12, 4000)
    assert variance(0.3, NOTHING, SILENT, LEVELS, body) == pytest.approx(160.0**2 + 1 / 12)


def test_dark_shading_is_smooth_and_of_one_variance_everywhere():
    """One place of 2000 bodies, at a node and between nodes; neighbours hardly differ."""
    body = BodyParameters(dark_shading=0.01)
    for y, x in ((0, 0), (CELL // 2, 40), (CELL - 1, CELL // 2)):
        values = np.array(
            [
                pattern((1, 2), body, body_counter(1, 9, b), LEVELS, "RGGB", y=y, x=x).offset[0]
                for b in range(2000)
            ],
            np.float64,
        )
        check_moments(values[:, 0], 0, 160.0**2, 2000)
        step = (values[:, 1] - values[:, 0]).std()
        # Weights change by at most 1/CELL of a node's value a pixel, before normalisation by ≥ 0.6.
        assert step < 160 * 4 / CELL
    tall = pattern((6 * CELL, 2), body, OURS, LEVELS, "RGGB").offset[:, 0].astype(float)
    assert np.abs(np.diff(tall, 2)).max() < 160 * 30 / CELL**2


def test_green_imbalance_parts_the_two_greens():
    body = BodyParameters(green_imbalance=0.02)
    ratios = []
    for b in range(2000):
        light = pattern((2, 2), body, body_counter(1, 9, b), LEVELS, "RGGB", y=77, x=900).light
        plane = planes("RGGB")
        red, blue = light[plane == 0], light[plane == 2]
        assert (red == 1).all()
        assert (blue == 1).all()
        ratios.append(light[plane == 1] - light[plane == 3])
    check_moments(np.array(ratios, float), 0, 0.02**2, 2000)
    law = variance(0.5, NOTHING, SILENT, LEVELS, body) - 1 / 12
    np.testing.assert_allclose(law, np.array([0, 80.0**2, 0, 80.0**2]), rtol=1e-9, atol=1e-9)


def test_hot_pixels_lie_in_fixed_places_and_have_a_heavy_tail():
    share, mean = 0.01, 0.01
    body = BodyParameters(hot_pixels=share, hot_charge=mean)
    shape = (2000, 2000)
    charge = pattern(shape, body, OURS, LEVELS, "RGGB").charge.astype(float)
    n = charge.size
    hot = charge > 0
    assert abs(hot.mean() - share) < SIGMAS * np.sqrt(share / n)
    law = stats.norm(np.log(mean * SPAN) - HOT_SIGMA**2 / 2, HOT_SIGMA)
    assert stats.kstest(np.log(charge[hot]), law.cdf).pvalue > 1e-6
    # Places are independent: neighbours are hot together as often as chance has it.
    pairs = (hot[:, 1:] & hot[:, :-1]).sum()
    assert abs(pairs - n * share**2) < SIGMAS * np.sqrt(n * share**2)
    # Moments of a log-normal number X of mean m: E X² = m² e, E X⁴ = m⁴ e⁶ at σ = 1.
    expected = variance(0.0, NOTHING, SILENT, LEVELS, body)[0] - 1 / 12
    assert expected == pytest.approx((mean * SPAN) ** 2 * (share * np.e - share**2))
    fourth = share * (mean * SPAN) ** 4 * np.exp(6)
    assert abs((charge**2).mean() - charge.mean() ** 2 - expected) < SIGMAS * np.sqrt(fourth / n)


def test_dark_charge_has_shot_noise_and_is_there_without_light():
    gain = 16
    body = BodyParameters(hot_pixels=0.01, hot_charge=0.1)
    parameters = NoiseParameters((gain / SPAN,) * 4, (0,) * 4)
    model = NoiseModel("shot", "poisson", "none")
    charge = pattern(SHAPE, body, OURS, LEVELS, "RGGB").charge.astype(float)
    hot = (charge > 50) & (charge < 8000)
    frames = np.stack(
        [exposed(4000, body, s, model=model, parameters=parameters)[hot] for s in range(8)]
    )
    z = (frames.mean(axis=0) - charge[hot]) / np.sqrt(gain * charge[hot] / 8)
    assert abs(z.mean()) < SIGMAS / np.sqrt(z.size)
    # The kurtosis of 8 Poisson counts of at least 3 electrons is at most 3 + 1/24.
    assert abs((z**2).mean() - 1) < SIGMAS * np.sqrt(2.1 / z.size)


def test_dead_pixels_are_stuck_at_black_or_white_whatever_the_light():
    share = 0.01
    body = BodyParameters(dead_pixels=share)
    noisy = NoiseParameters((4 / SPAN,) * 4, ((50 / SPAN) ** 2,) * 4)
    dark, bright = (
        exposed(level, body, model=get("heteroscedastic"), parameters=noisy) + level
        for level in (6000, 12000)
    )
    stuck = pattern(SHAPE, body, OURS, LEVELS, "RGGB").stuck
    for codes in (dark, bright):
        assert (codes[stuck < 0] == 4000).all()
        assert (codes[stuck > 0] == 4000 + SPAN).all()
        assert (np.abs(codes[stuck == 0] - codes.mean()) < 4000).all()
    for side in (-1, 1):
        assert abs((stuck == side).mean() - share / 2) < SIGMAS * np.sqrt(share / 2 / N)


def test_hot_pixels_are_not_stuck_and_do_not_move_with_the_dead():
    few = BodyParameters(hot_pixels=0.01, hot_charge=0.1, dead_pixels=0.001)
    many = BodyParameters(hot_pixels=0.01, hot_charge=0.1, dead_pixels=0.1)
    one, other = (pattern(SHAPE, b, OURS, LEVELS, "RGGB") for b in (few, many))
    np.testing.assert_array_equal(one.charge, other.charge)
    assert not ((other.charge > 0) & (other.stuck != 0)).any()
    assert (other.stuck[one.stuck < 0] != 0).all()


@pytest.mark.parametrize("name", ["heteroscedastic", "poisson-gaussian"])
@pytest.mark.parametrize("x", [0.0, 0.28, 0.3, 0.301, 0.32, 0.5])
def test_read_noise_steps_where_the_readout_changes(name, x):
    body = BodyParameters(dual_gain_level=0.3, dual_gain_ratio=5.0)
    parameters = NoiseParameters((8 / SPAN,) * 4, ((20 / SPAN) ** 2,) * 4)
    level = round(4000 + x * SPAN)
    sample = exposed(level, body, model=get(name), parameters=parameters)
    shot = 8 * (level - 4000)
    above = stats.norm.sf(4800 - (level - 4000), scale=max(np.sqrt(shot), 1e-9))
    expected = shot + 400 * (1 + 24 * above) + 1 / 12
    law = variance((level - 4000) / SPAN, get(name), parameters, LEVELS, body)
    np.testing.assert_allclose(law, expected, rtol=1e-6)
    # A mixture of two normals of the same mean; Poisson counts of 600 electrons step by 8 DN, which
    # moves the share above by at most half a count's probability, 0.4/√600/2.
    step = 400 * 24 * 0.2 / np.sqrt(600) if name == "poisson-gaussian" and 0 < above < 1 else 0
    kurtosis = stats.kurtosis(sample.ravel(), fisher=False)
    error = SIGMAS * expected * np.sqrt((kurtosis - 1) / N)
    assert abs(sample.var() - expected) < error + step
    assert abs(sample.mean()) < SIGMAS * np.sqrt(expected / N) + 1e-9


def test_all_terms_add_up_to_the_law():
    """One pixel of 3000 bodies and frames, every term on; stuck pixels are left out."""
    figures = {**vars(EVERYTHING), "hot_charge": 0.01, "dual_gain_level": 0.2}
    body = BodyParameters(**figures)
    parameters = NoiseParameters((8 / SPAN,) * 4, ((20 / SPAN) ** 2,) * 4, row=1e-3)
    model = get("eld-gaussian")
    for level, phase in ((5000, "RGGB"), (9000, "GRBG")):
        flat = np.full((1, 1), level, np.uint16)
        codes = np.array(
            [
                int(
                    add_noise(
                        *(flat, LEVELS, model, parameters, LEVELS, phase, counter(1, i)),
                        body=body,
                        body_counter=body_counter(1, 4, i),
                    )[0, 0]
                )
                for i in range(6000)
            ]
        )
        sound = codes[(codes != 4000) & (codes != 4000 + SPAN)].astype(float) - level
        plane = planes(phase)[0, 0]
        expected = variance((level - 4000) / SPAN, model, parameters, LEVELS, body)[plane]
        kurtosis = stats.kurtosis(sound, fisher=False)
        assert abs(sound.var() - expected) < SIGMAS * expected * np.sqrt((kurtosis - 1) / 6000)
        temporal = variance((level - 4000) / SPAN, model, parameters, LEVELS, body.temporal)
        assert temporal[plane] < expected


# Units and refusals


def test_electrons_become_digital_numbers_with_the_gain():
    figures = BodyFigures(
        prnu=0.01, dsnu=2, dark_shading=3, column_fpn=1, column=0.5, black_level_error=4,
        hot_pixels=1e-4, hot_rate=1000, dead_pixels=1e-5, green_imbalance=0.01,
        dual_gain_level=0.4, dual_gain_ratio=3,
    )  # fmt: skip
    for gain in (0.5, 4.0):
        body = figures.at(gain, LEVELS, exposure_time=0.1)
        for name in ("dsnu", "dark_shading", "column_fpn", "column", "black_level_error"):
            assert getattr(body, name) * SPAN == pytest.approx(getattr(figures, name) * gain)
        assert body.hot_charge * SPAN == pytest.approx(100 * gain)
        for name in ("prnu", "green_imbalance", "hot_pixels", "dead_pixels", "dual_gain_level"):
            assert getattr(body, name) == getattr(figures, name)
    assert set(figures.on) == set(TERMS)
    assert figures.without(*TERMS) == BodyFigures()
    assert "dual_gain" not in figures.without("dual_gain").on
    assert set(FIGURES) == set(vars(figures))
    assert set(DARK_TERMS) < set(TERMS)


def test_a_body_that_adds_nothing_leaves_the_bytes_alone():
    mosaic = scene()
    arguments = (mosaic, UNLIKE, get("awgn"), SILENT, UNLIKE, "RGGB", counter(1, 1))
    without = add_noise(*arguments)
    np.testing.assert_array_equal(add_noise(*arguments, body=BodyParameters()), without)


def test_what_cannot_be_exposed_is_refused():
    with pytest.raises(InputError, match=r"fixed pattern \(prnu, dsnu\).*body_counter"):
        exposed(9000, BodyParameters(prnu=0.01, dsnu=0.01), of=None)
    dark = np.zeros(SHAPE, np.float32)
    for name in (*DARK_TERMS, "dual_gain"):
        body = (
            only(name)
            if name != "dual_gain"
            else BodyParameters(0.01, dual_gain_level=0.1, dual_gain_ratio=2)
        )
        with pytest.raises(InputError, match=f"{name}: dark frames bring"):
            exposed(9000, body, dark_frame=dark)
    with pytest.raises(InputError, match=r"dark_frame has shape \(3, 4\)"):
        exposed(9000, None, dark_frame=np.zeros((3, 4), np.float32))
