"""NeCA's reference outputs: the networks alone, and both ways of making noise of them."""

import numpy as np
import torch

from noisegen.neca import CorrelationNet, GainNet, LevelNet, Neca, Sampler
from noisegen.neca.gain import FastGain
from noisegen.neca.level import FastLevel
from noisegen.neca.model import PARTS, infer

CLASSES = {"gain": GainNet, "level": LevelNet, "correlation": CorrelationNet}
ACTIVATIONS = {"R": "relu", "L": "leaky"}


def net(case, part, number=0):
    """A network of an entry; its sizes are those of its weights."""
    state = {name: torch.tensor(w) for name, w in case.weights(number).items()}
    options = infer(part, state)
    if part == "correlation":
        options["activation"] = ACTIVATIONS[case.options.get("act_mode", "R")]
        options["padding"] = case.options.get("padding_mode", "zeros")
        options["final"] = case.options.get("final_act", "Tanh").lower()
    for ours, theirs in (("width", "nc"), ("depth", "nb"), ("stages", "num_stages")):
        if theirs in case.options and len(case.keys) == 1:
            assert options[ours] == case.options[theirs]
    made = CLASSES[part](**options)
    made.load_state_dict(state)
    return made.eval()


def image(case):
    return torch.tensor(case.image(case.shape(), int(case.fields["seed"])))


def seen(module):
    """Return a list that gets what the module takes and gives."""
    calls = []
    module.register_forward_hook(lambda _, inputs, output: calls.append((inputs[0], output)))
    return calls


def gain(case):
    gain_net = net(case, "gain")
    calls = seen(gain_net.linear)
    output = gain_net(image(case))
    return {"output": output, "pooled": calls[0][0].flatten(1)}


def level(case):
    level_net = net(case, "level")
    calls = [seen(conv) for conv in (level_net.conv2, level_net.conv3, level_net.conv4)]
    output = level_net(image(case), torch.tensor(case.fields["gain"]))
    outputs = [call[0][1].flatten(1) for call in calls]
    statistics = [torch.stack([t.mean(1), t.std(1)], 1) for t in outputs]
    return {"output": output, "stage_mean_std": torch.stack(statistics)}


def correlation(case):
    correlation_net, x = net(case, "correlation"), image(case)
    return {"output": correlation_net(x), "output_scaled": correlation_net(8 * x - 4)}


def whole(case):
    cpu = torch.device("cpu")
    gain_net, level_net, correlation_net = (net(case, p, n) for n, p in enumerate(PARTS))
    read_gain, level_of = FastGain(gain_net, cpu), FastLevel(level_net, cpu)
    clean, noisy = (pictures(case, name) for name in ("seed_clean", "seed_noisy"))
    gains = [read_gain(picture) for picture in noisy]
    levels = [level_of(picture, gain) for picture, gain in zip(clean, gains, strict=True)]
    fields = made_noisy(case, clean, levels, correlation_net)
    uncorrelated = [m * e for m, e in zip(levels, gauss(case), strict=True)]
    return fields | {
        "gain": np.reshape(gains, (-1, 1, 1, 1)).astype(np.float32),
        "level_map": planes(levels),
        "uncorrelated": planes(uncorrelated),
    }


def simplified(case):
    clean = pictures(case, "seed_clean")
    level = float(case.fields["noise_level"]) / 255
    return made_noisy(case, clean, [level] * len(clean), net(case, "correlation"))


def made_noisy(case, clean, levels, correlation_net):
    sampler = Sampler(Neca(correlation_net))
    drawn = list(zip(clean, levels, gauss(case), strict=True))
    correlated = [sampler.noise(m, x.shape[:2], e) for x, m, e in drawn]
    codes = np.array([sampler.add_noise(x, m, e) for x, m, e in drawn])
    values = clean / np.float32(255)
    return {
        "correlated": planes(correlated),
        "fake_noisy": planes(values + correlated),
        "fake_uint8": codes[0] if len(codes) == 1 else codes,
        "quantized_noise": planes(codes / np.float32(255) - values),
    }


def pictures(case, seed):
    """8-bit pictures, (N, H, W, 3)."""
    planes = np.floor(256 * case.image(case.shape(), int(case.fields[seed])))
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).astype(np.uint8)


def gauss(case):
    rng = np.random.Generator(np.random.Philox(int(case.fields["seed_z"])))
    return rng.standard_normal(case.shape(), dtype=np.float32).transpose(0, 2, 3, 1)


def planes(pictures):
    return np.asarray(pictures).transpose(0, 3, 1, 2)


def quiet(run):
    """Return a runner without gradients."""

    def without(case):
        with torch.no_grad():
            return run(case)

    return without


OPTIONS = ("nc", "nb", "out_nc", "num_stages", "act_mode", "padding_mode", "final_act")
KINDS = {
    "neca_gain": (quiet(gain), ("seed", "shape"), ("nc", "nb", "out_nc")),
    "neca_level": (quiet(level), ("seed", "shape", "gain"), ("nc",)),
    "neca_correlation": (quiet(correlation), ("seed", "shape"), OPTIONS),
    "neca_synthesis_w": (quiet(whole), ("seed_*", "shape"), OPTIONS),
    "neca_synthesis_s": (quiet(simplified), ("seed_*", "shape", "noise_level"), OPTIONS),
}
"""Kind: function, patterns of its inputs, settings it knows."""
