"""R2RNet's reference outputs: its three networks, their chain, the losses."""

import functools

import numpy as np
import torch

from denoisers.models import r2rnet
from denoisers.models.r2rnet import R2RNet
from denoisers.r2rnet import Decom, Denoise, Relight, losses
from denoisers.vgg import VGG16
from noisegen import metrics


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
        parts, denoised, relit = nets["output"].steps(dark)
        whole = nets["output"](dark)
        alone = nets["output_per_sample"](dark)
    eight = (255 * whole).clamp(0, 255).byte()
    return {
        "reflectance": parts.reflectance,
        "illumination": parts.illumination,
        "denoised_reflectance": denoised,
        "relit_illumination": relit,
        "output": whole,
        "output_per_sample": alone,
        "output_uint8": eight.permute(0, 2, 3, 1),
    }


def training(case):
    """Losses of two pairs in one batch, by the batch-wide transform."""
    first, shape = int(case.fields["first_seed"]), case.shape()
    u, v, low, high = (torch.tensor(case.image(shape, first + k)) for k in range(4))
    low = low * np.float32(case.fields["low_scale"])
    seen = VGG16(losses.SEEN, {n: torch.tensor(w) for n, w in case.weights(3).items()})
    perceptual = functools.partial(losses.perceptual, seen)
    net = network(case, True)
    with torch.no_grad():
        dark, denoised, relit = net.steps(low)
        bright = net.DecomNet(high)
        made = denoised * relit
        fields = {
            "vgg_pair": perceptual(u, v),
            "smooth_unused": losses.smoothness(u[:, :1], v),
            "vgg_loss": perceptual(dark.product, low) + perceptual(bright.product, high),
            "recon_loss_low": losses.absolute(dark.product, low),
            "recon_loss_high": losses.absolute(bright.product, high),
            "recon_loss_mutal_low": losses.absolute(bright.reflectance * dark.illumination, low),
            "recon_loss_mutal_high": losses.absolute(dark.reflectance * bright.illumination, high),
            "denoise_loss": losses.absolute(denoised, bright.reflectance),
            "denoise_vgg": perceptual(denoised, bright.reflectance),
            "Relight_loss": losses.absolute(made, high),
            "Relight_vgg": perceptual(made, high),
        }
        fields = {name: each.mean() for name, each in fields.items()}
        # The published frequency loss is a sum over the samples.
        for name, pair in {"frequency_pair": (u, v), "fre_loss": (made, high)}.items():
            fields[name] = losses.frequency(*pair, batch=True).sum()
        net.vgg, batch = (seen,), {"noisy": low, "clean": high}
        for name, phase in {"Decom": "decom", "Denoise": "denoise"}.items():
            fields[f"loss_{name}"] = r2rnet.loss(net, net.steps(low, phase), batch).mean()
        whole = fields["Relight_loss"] + losses.PERCEPTUAL * fields["Relight_vgg"]
        fields["loss_Relight"] = whole + losses.FREQUENCY * fields["fre_loss"]
    eight = [metrics.to_8bit(x.flatten(0, 2).numpy(), "truncate") for x in (u, v)]
    return fields | {"psnr8": metrics.psnr(*eight)}


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
    "r2rnet_losses": (training, ("first_seed", "shape", "low_scale")),
}
"""Kind: function, patterns of its inputs, settings it knows."""
