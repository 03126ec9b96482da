"""NeCA's reference outputs: the networks alone, and both ways of making noise of them."""

import numpy as np
import torch

from noisegen.metrics import to_8bit
from noisegen.neca import CorrelationNet, GainNet, LevelNet
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


def image(case, shape="shape", seed="seed"):
    return torch.tensor(case.image(case.shape(shape), int(case.fields[seed])))


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
    clean, noisy = (eight_bit(case, name) for name in ("seed_clean", "seed_noisy"))
    parts = [net(case, part, number) for number, part in enumerate(PARTS)]
    gain_net, level_net, correlation_net = parts
    gain = gain_net(noisy)
    level_map = level_net(clean, gain)
    uncorrelated = level_map * gauss(case)
    fields = {"gain": gain, "level_map": level_map, "uncorrelated": uncorrelated}
    return fields | made_noisy(clean, uncorrelated, correlation_net)


def simplified(case):
    uncorrelated = gauss(case) * (float(case.fields["noise_level"]) / 255.0)
    return made_noisy(eight_bit(case, "seed_clean"), uncorrelated, net(case, "correlation"))


def made_noisy(clean, uncorrelated, correlation_net):
    correlated = correlation_net(uncorrelated) + uncorrelated
    noisy = clean + correlated
    codes = to_8bit(noisy.numpy())
    return {
        "correlated": correlated,
        "fake_noisy": noisy,
        "fake_uint8": codes[0].transpose(1, 2, 0),
        "quantized_noise": codes / np.float32(255) - clean.numpy(),
    }


def eight_bit(case, seed):
    return torch.floor(256 * image(case, seed=seed)) / 255


def gauss(case):
    rng = np.random.Generator(np.random.Philox(int(case.fields["seed_z"])))
    return torch.tensor(rng.standard_normal(case.shape(), dtype=np.float32))


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
