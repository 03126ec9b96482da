"""ADFNet's reference outputs: operators, blocks, whole nets, ways of testing, metrics."""

import numpy as np
import torch

import denoisers
from denoisers.inference.chop import chop
from denoisers.inference.ensemble import self_ensemble
from denoisers.inference.padding import padded
from denoisers.layers.deformable import modulated_deform_conv2d
from denoisers.models import adfnet
from denoisers.protocols import awgn
from noisegen import metrics


def deformable_convolution(case):
    fields = {}
    for name in ("a", "b", "c"):
        inputs = [
            torch.tensor(case.fields[f"{name}_{part}"], dtype=torch.float64)
            for part in ("x", "offset", "mask", "weight", "bias")
        ]
        fields[f"output_{name}"] = convolved(name, case, [i.float() for i in inputs])
        if f"{name}_grad_out" in case.fields:
            fields |= deformable_gradients(name, case, inputs)
    return fields


def convolved(name, case, inputs):
    stride, padding, dilation, groups, deformable_groups = case.fields[f"{name}_config"].tolist()
    x, offset, mask, weight, _ = inputs
    # The operator reads both numbers of groups off the shapes.
    assert weight.shape[1] * groups == x.shape[1]
    assert offset.shape[1] == 2 * mask.shape[1] == 2 * deformable_groups * weight[0, 0].numel()
    assert mask.shape[2:] == offset.shape[2:]
    return modulated_deform_conv2d(*inputs, stride=stride, padding=padding, dilation=dilation)


def deformable_gradients(name, case, inputs):
    """In float64; at whole offsets the derivative jumps, and is not compared."""
    for tensor in inputs:
        tensor.requires_grad_()
    cotangent = torch.tensor(case.fields[f"{name}_grad_out"], dtype=torch.float64)
    gradients = torch.autograd.grad(convolved(name, case, inputs), inputs, cotangent)
    names = ("x", "offset", "mask", "weight", "bias")
    fields = {f"grad_{name}_{n}": g.numpy() for n, g in zip(names, gradients, strict=True)}
    offset = case.fields[f"{name}_offset"]
    batch, channels, height, width = offset.shape
    whole = (offset == np.rint(offset)).reshape(batch, channels // 2, 2, height, width)
    kinks = np.broadcast_to(whole.any(2, keepdims=True), whole.shape).reshape(offset.shape)
    reference = case.fields[f"grad_{name}_offset"]
    fields[f"grad_{name}_offset"] = np.where(kinks, reference, fields[f"grad_{name}_offset"])
    return fields


def block(make):
    """Return the runner of a block that ``make`` builds of the entry's settings."""

    def run(case):
        net, x = filled(make(**case.options), case), picture(case)
        with torch.no_grad():
            return {"output": net(x)} | {
                name: field(net, x, case.fields[name].shape)
                for name, field in EXTRAS.items()
                if name in case.fields
            }

    return run


def filters(dconv, x, shape):
    kernels = dconv.afg(x)
    return cut(kernels.view(x.shape[0], x.shape[1], 9, *x.shape[2:]), shape)


EXTRAS = {
    "filters": filters,
    "dcn_out_corner": lambda mcb, x, shape: cut(mcb.dcn((x, mcb.offset(x))), shape),
    "kernel_corner": lambda mdcb, x, s: cut(mdcb.generate_kernel((x, mdcb.offset(x))), s),
    "offset_feature_corner": lambda mdcb, x, shape: cut(mdcb.offset(x), shape),
}
"""Fields beside the output that some blocks have."""


def cut(field, shape):
    return field[tuple(slice(0, n) for n in shape)]


def picture(case, shape=None):
    return torch.tensor(case.image(shape or case.shape(), int(case.fields["seed"])))


def filled(net, case):
    state = {}
    for name, weight in case.weights().items():
        if weight.ndim >= 2 and weight[0].size > 1:
            weight = weight * np.float32(case.fields["weight_scale"])
            if name.endswith("conv_offset_mask.weight"):
                weight = weight * np.float32(case.fields["offset_scale"])
        state[name] = torch.tensor(weight)
    net.load_state_dict(state)
    return net.eval()


def net_of(case):
    width = 64 if case.options.get("large", False) else 32
    net = denoisers.create("adfnet", channels=case.options.get("channels", 3), width=width)
    return filled(net, case)


def whole_net(case):
    net, seen = net_of(case), {}
    for name in ("fe1", "fe2", "fe3", "cfe", "dfe3", "dfe2", "dfe1"):
        keep = lambda module, inputs, output, name=name: seen.update({name: output})  # noqa: E731
        net.get_submodule(name).register_forward_hook(keep)
    with torch.no_grad():
        fields = {"output": net(picture(case))}
    for name, feature in seen.items():
        if name in case.fields:
            fields[name] = cut(feature, case.fields[name].shape)
        fields[f"{name}_mean"] = feature.mean((0, 2, 3))
    return fields


def ways_of_testing(case):
    net, options, x = net_of(case), case.options, picture(case)
    ways = {
        "output_plain": lambda: net,
        "output_x8": lambda: self_ensemble(net),
        "output_chop": lambda: chop(net, options["chop_min_size"]),
        "output_chop_x8": lambda: chop(self_ensemble(net), options["chop_min_size"]),
        "output_chop_recursive": lambda: chop(net, int(case.fields["recursive_min_size"])),
    }
    multiple = options.get("pad_multiple", 1)
    if "padded_shape" in case.fields:
        height, width = x.shape[-2:]
        expected = (height + -height % multiple, width + -width % multiple)
        assert case.shape("padded_shape")[2:] == expected
    with torch.no_grad():
        return {
            name: padded(way(), multiple)(x) for name, way in ways.items() if name in case.fields
        }


def published_metrics(case):
    def mean(metric, channels, convert=lambda picture: picture):
        """Of the batch's pictures, tested against clean."""
        batches = (case.fields[f"{name}{channels}"] for name in ("test", "clean"))
        pairs = zip(*(np.moveaxis(batch, 1, -1) for batch in batches), strict=True)
        return np.mean([metric(*map(convert, pair)) for pair in pairs])

    fields = {}
    for channels in (1, 3):
        fields[f"output_batch_v1_psnr{channels}"] = mean(metrics.psnr, channels, metrics.to_8bit)
        fields[f"output_batch_v1_ssim{channels}"] = mean(metrics.ssim, channels, metrics.to_8bit)
    fields["output_real_psnr"] = fields["output_real_train_psnr"] = mean(metrics.psnr, 3)
    fields["output_real_ssim"] = mean(
        metrics.ssim, 3, lambda picture: metrics.to_8bit(picture, "truncate")
    )
    for kind in ("rgb", "gray"):
        seed = case.options[f"{kind}_noise_seed"]
        name = f"noise_{kind}_seed{seed}"
        shape = case.fields[name].shape
        fields[name] = awgn.noise(shape, case.options["sigma"], seed)
    return fields


SCALED = ("seed", "shape", "weight_scale", "offset_scale")

KINDS = {
    "adfnet_mdcn": (deformable_convolution, ("seed", "[abc]_*")),
    "adfnet_sekg": (block(adfnet.SEKG), SCALED, ("channels",)),
    "adfnet_dyconv": (block(adfnet.DConv), SCALED, ("channels",)),
    "adfnet_cb": (block(adfnet.CB), SCALED, ("channels",)),
    "adfnet_dcb": (block(adfnet.DCB), SCALED, ("channels",)),
    "adfnet_mfi": (block(adfnet.MFI), SCALED),
    "adfnet_mcb": (block(adfnet.MCB), SCALED, ("channels", "mid_channels")),
    "adfnet_mdcb": (block(adfnet.MDCB), SCALED, ("channels", "mid_channels")),
    "adfnet": (whole_net, SCALED, ("channels", "large")),
    "adfnet_eval": (
        ways_of_testing,
        (*SCALED, "padded_shape", "recursive_min_size"),
        ("channels", "large", "pad_multiple", "chop_min_size"),
    ),
    "adfnet_metrics": (
        published_metrics,
        ("seed", "clean[13]", "test[13]"),
        ("sigma", "rgb_noise_seed", "gray_noise_seed"),
    ),
}
"""Kind: function, patterns of its inputs, settings it knows."""
