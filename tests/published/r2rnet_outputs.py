"""R2RNet's reference outputs: its three networks, their chain, the losses."""

import torch

from denoisers.models.r2rnet import R2RNet
from denoisers.r2rnet import Decom, Denoise, Relight


def decom(case):
    net = filled(Decom(), case)
    seen = {}
    net.conv5.register_forward_hook(lambda m, i, o: seen.update(before=o.clone()))
    net.RM0.register_forward_hook(lambda m, i, o: seen.update(rm0=o))
    with torch.no_grad():
        parts = net(picture(case, "seed", "shape"))
    return {
        "reflectance": parts.reflectance,
        "illumination": parts.illumination,
        "before_last_activation": seen["before"],
        "rm0": seen["rm0"][:, ::32, ::2, ::2],
    }


def denoise(case):
    net = filled(Denoise(), case)
    with torch.no_grad():
        return {"output": net(*parts(case))}


def relight(case):
    published, ours = filled(Relight(batch=True), case), filled(Relight(), case)
    detail, seen = published.EnhanceModule0, {}
    hooks = {
        "before_last_relu": (published.conv1, lambda out: out),
        "detail_module": (detail, every),
        "contrast_module": (published.EnhanceModule1, every),
        "feature_block0": (detail.feature_block0, every),
    }
    for name, (module, cut) in hooks.items():
        module.register_forward_hook(
            lambda m, i, o, name=name, cut=cut: seen.update({name: cut(o).clone()})
        )
    for name, module in {
        "channel_up": detail.channel_up,
        "spectrum": detail.fft_processing,
    }.items():
        module.register_forward_hook(lambda m, i, o, name=name: seen.update(spectrum_of(name, o)))
    with torch.no_grad():
        return {
            "output": published(*parts(case)),
            "output_per_sample": ours(*parts(case)),
            **seen,
        }


def every(feature):
    return feature[:, ::16, ::2, ::2]


def spectrum_of(name, stacked):
    real, imaginary = stacked[:, :].chunk(2, 1)
    return {f"{name}_real": real[:, ::16].clone(), f"{name}_imag": imaginary[:, ::16].clone()}


def chain(case):
    nets = {"output": network(case, True), "output_per_sample": network(case, False)}
    dark = picture(case, "seed", "shape")
    with torch.no_grad():
        made = nets["output"].enhance(dark)
        alone = nets["output_per_sample"](dark)
    eight = (255 * made.picture).clamp(0, 255).byte()
    return {
        "reflectance": made.reflectance,
        "illumination": made.illumination,
        "denoised_reflectance": made.denoised,
        "relit_illumination": made.relit,
        "output": made.picture,
        "output_per_sample": alone,
        "output_uint8": eight.permute(0, 2, 3, 1),
    }


def network(case, batch):
    net = R2RNet(batch_transform=batch)
    for number, part in enumerate((net.DecomNet, net.DenoiseNet, net.RelightNet)):
        filled(part, case, number)
    return net.eval()


def filled(net, case, number=0):
    net.load_state_dict({name: torch.tensor(w) for name, w in case.weights(number).items()})
    return net.eval()


def picture(case, seed, shape):
    return torch.tensor(case.image(case.shape(shape), int(case.fields[seed])))


def parts(case):
    return [
        picture(case, f"{name}_seed", f"{name}_shape") for name in ("illumination", "reflectance")
    ]


KINDS = {
    "r2rnet_decom": (decom, ("seed", "shape")),
    "r2rnet_denoise": (denoise, ("*_seed", "*_shape")),
    "r2rnet_relight": (relight, ("*_seed", "*_shape")),
    "r2rnet_chain": (chain, ("seed", "shape")),
}
"""Kind: function, patterns of its inputs, settings it knows."""
