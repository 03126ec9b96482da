"""NeCA's reference outputs of training: the critics, and the losses of one step."""

import re

import torch

import denoisers
from denoisers.models import dncnn
from denoisers.neca import losses, objective
from denoisers.neca.critics import Critic
from denoisers.neca.nets import Nets
from denoisers.neca.recipe import Weights
from noisegen.neca import CorrelationNet, GainNet, LevelNet
from noisegen.neca.model import infer


def filled(net, weights):
    net.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
    return net


def critic(size, halvings):
    def run(case):
        net = critic_of(case.weights(), size, halvings)
        assert net.features[0][0].out_channels == case.options.get("nc", 64)
        assert case.options.get("act_mode", "L") == ("IL" if instance_norm(net) else "L")
        image = torch.tensor(case.image(case.shape(), int(case.fields["seed"])))
        with torch.no_grad():
            return {"output": net.eval()(image)}

    return run


def critic_of(weights, size, halvings):
    width = len(weights["features.0.0.weight"])
    norm = "features.1.1.weight" in weights
    return filled(Critic(size, halvings, width, norm), weights)


def instance_norm(net):
    return len(net.features[1]) == 3


def nets_of(case):
    gain, level, correlation, whole, thinned, denoiser = map(case.weights, range(6))
    act = {"L": "leaky"}.get(case.options.get("act_mode"), "relu")  # others are not of C
    mixing = {
        "activation": act,
        "padding": case.options.get("padding_mode", "zeros"),
        "final": case.options.get("final_act", "Tanh").lower(),
    }
    sizes = dncnn.infer({name: w.shape for name, w in denoiser.items()})
    return Nets(
        filled(GainNet(**infer("gain", gain)), gain),
        filled(LevelNet(**infer("level", level)), level),
        filled(CorrelationNet(**infer("correlation", correlation), **mixing), correlation),
        critic_of(whole, 96, 5),
        critic_of(thinned, 32, 3),
        filled(denoisers.create("dncnn", **sizes), denoiser),
    )


ORDER = {
    "E": "gain",
    "G1": "level",
    "G2": "correlation",
    "G3": "denoiser",
    "D1": "whole",
    "D2": "thinned",
}


def one_step(case):
    seed, shape = int(case.fields["seed"]), case.shape()
    u = [torch.tensor(case.image(shape, seed + k)) for k in range(2)]
    clean, noisy = u[0], torch.clamp(u[0] + 0.2 * (u[1] - 0.5), 0, 1)
    white = torch.tensor(gauss(shape, seed + 2))
    shares = torch.tensor(case.image((2, shape[0], 1, 1, 1), seed + 3))
    noise = noisy - clean
    offset = tuple(int(k) for k in case.fields["offset"])
    real = objective.Real(clean, noise, noise, offset)
    nets = nets_of(case)
    made = nets.make(clean, noisy, white)
    fields = {
        "global_level": losses.global_level(noise),
        "local_level_head": losses.local_level(noise, "zeros")[..., :12, :12],
        "sub_noise_head": losses.subsample(noise, offset)[..., :4, :4],
    }
    plain = objective.maker_terms(made, real, "zeros")
    plain |= objective.denoiser_term(nets.denoiser, made, real, apart=True)
    for name, ours in (
        ("reg_loss", "level"),
        ("std1_loss", "gain"),
        ("std2_loss", "local"),
        ("rec_loss", "denoiser"),
    ):
        fields[name] = plain[ours]
    for gan in losses.GANS:
        short = re.sub("-", "", gan)
        told = objective.adversarial_terms(nets, made, real, gan)
        for number, name in ((1, "whole"), (2, "thinned")):
            fields[f"adv{number}_{short}"] = told[f"adversarial_{name}"]
        judges = objective.judged(nets, real)
        seen = {
            "whole": (noise, made.correlated),
            "thinned": tuple(losses.subsample(t, offset) for t in (noise, made.independent)),
        }
        scores = {name: [judges[name](t) for t in two] for name, two in seen.items()}
        fields[f"d_real_{short}"] = sum(losses.real_loss(s[0], gan) for s in scores.values())
        fields[f"d_fake_{short}"] = sum(losses.fake_loss(s[1], gan) for s in scores.values())
    full = plain | objective.adversarial_terms(nets, made, real, "wgan-gp")
    critics = objective.critic_terms(nets, made, real, "wgan-gp", shares)
    fields["gp1"], fields["gp2"] = critics["penalty_whole"], critics["penalty_thinned"]
    order = [ORDER[str(name)] for name in case.fields["grad_nets"]]
    for name, terms in (("g_plain", plain), ("g_full", full), ("d_total", critics)):
        value = objective.total(terms, Weights())
        fields[name] = value
        fields[f"grad_{name}"] = [norm(value, nets.named[net]) for net in order]
    return {name: torch.as_tensor(value).detach() for name, value in fields.items()}


def norm(value, net):
    """L2 norm of all gradients of a network, 0 where it gets none."""
    weights = list(net.parameters())
    found = torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True)
    squares = [g.double().square().sum() for g in found if g is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def gauss(shape, seed):
    import numpy as np

    return np.random.Generator(np.random.Philox(seed)).standard_normal(shape, dtype=np.float32)


KINDS = {
    "neca_critic_96": (critic(96, 5), ("seed", "shape"), ("nc", "act_mode")),
    "neca_critic_32": (critic(32, 3), ("seed", "shape"), ("nc", "act_mode")),
    "neca_losses": (
        one_step,
        ("seed", "shape", "offset", "grad_nets"),
        ("nc", "nb", "num_stages", "act_mode", "padding_mode", "final_act"),
    ),
}
"""Kind: function, patterns of its inputs, settings it knows."""
