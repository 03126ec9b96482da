"""DualDn's reference outputs: backbones, whole networks, colour alignment, metrics, schedules."""

import dataclasses
import json

import numpy as np
import torch

from denoisers import presets
from denoisers.backbones import FAMILIES
from denoisers.models import dualdn
from denoisers.training import recipe
from denoisers.training.schedules import learning_rate
from noisegen import metrics
from noisegen.isp import bilateral

BACKBONES = {"Restormer": "restormer", "SwinIR": "swinir", "MIRNet_v2": "mirnet"}

RENAMED = {
    "c": "width",
    "num_blocks": "blocks",
    "num_refinement_blocks": "refinement",
    "depths": "depths",
    "num_heads": "heads",
    "n_MRB": "mrb",
    "bias": "bias",
    "LayerNorm_type": "norm",
}

VALUES = {"BiasFree": "bias-free", "WithBias": "with-bias", "AHD": "ahd", "Malvar": "malvar"}


def settings(case):
    """Options under our names; those that a backbone does not have say nothing about it."""
    backbone = BACKBONES[case.options["backbone"]]
    known = dualdn.DUAL[backbone]
    given = {RENAMED[k]: v for k, v in case.options.items() if k in RENAMED}
    return backbone, {
        name: VALUES.get(value, value) if isinstance(value, str) else value
        for name, value in given.items()
        if name in known
    }


def backbone(case):
    name, given = settings(case)
    family = FAMILIES[name]
    checked = family.options.model_validate(dualdn.DUAL[name] | given)
    net = filled(family.make(**checked.model_dump()), case)
    x = torch.tensor(case.image(case.shape(), int(case.fields["seed"])))
    with torch.no_grad():
        return {"output": net(x), "output_double": net.double()(x.double())}


def filled(net, case):
    net.load_state_dict({name: torch.tensor(w) for name, w in case.weights().items()})
    return net.eval()


def network(domain):
    """Return the runner of one of the three networks."""

    def run(case):
        net = filled(dualdn.ENTRY.make(options(case, domain)), case)
        net.isp = dataclasses.replace(net.isp, reference=case.options.get("ref", "D65"))
        fields = outputs(case, net, torch.float32)
        if "gt_seed" in case.fields:
            fields |= gradients(case, net)
        if any(name.endswith("_double") for name in case.fields):
            double = outputs(case, net.double(), torch.float64)
            fields |= {f"{name}_double": value for name, value in double.items()}
        return fields

    return run


def options(case, domain):
    name, given = settings(case)
    keys = case.weights()
    given |= {
        "domain": domain,
        "backbone": name,
        "border": "published",
        "demosaic": case.options.get("demosaic_type", "AHD").lower(),
        "gamma": case.options.get("gamma_type", "Rec709").lower(),
        # Which of the small convolutions have biases, the settings do not say.
        "ends_bias": any(n.startswith("conv_out") and n.endswith(".bias") for n in keys),
        "fusion_bias": any(n.startswith("nm_fuse") and n.endswith(".bias") for n in keys),
    }
    if domain != "srgb":
        given["noise_map"] = case.options.get("with_noise_map", True)
    return dualdn.ENTRY.check(given)


def inputs(case, dtype):
    f = case.fields
    mosaic = torch.tensor(case.image(case.shape(), int(f["seed"])), dtype=dtype)
    batch = len(mosaic)
    shapes = {"k": (), "sigma2": (), "wb": (4,), "cam_to_xyz": (3, 3), "alpha": ()}
    given = [
        torch.tensor(f[name], dtype=dtype).reshape(-1, *shape).expand(batch, *shape)
        for name, shape in shapes.items()
    ]
    return mosaic, dualdn.Shot(*given, torch.tensor(f["color_mask"]))


def outputs(case, net, dtype):
    y, shot = inputs(case, dtype)
    stored = torch.tensor(case.fields["out_raw"], dtype=dtype)
    with torch.no_grad():
        picture, mosaic = net.restore(y, shot)
        packed = torch.pixel_unshuffle(y, 2)
        return {
            "out_raw": mosaic,
            "out_srgb": picture,
            "isp_of_out_raw": net.develop(stored, shot),
            "raw_noise_map": shot.noise_map(packed),
            "srgb_noise_map": net.develop(shot.noise_map(y), shot),
        }


def gradients(case, net):
    y, shot = inputs(case, torch.float32)
    clean = torch.tensor(case.image(case.shape(), int(case.fields["gt_seed"])))
    restored = net.restore(y, shot)
    found = dualdn.differences(restored, dualdn.Restored(net.develop(clean, shot), clean))
    (found.mosaic.mean() + found.picture.mean()).backward()
    named = dict(net.named_parameters())
    without = sorted(name for name, p in named.items() if p.grad is None)
    if "no_grad_params" in case.fields:
        assert without == sorted(json.loads(str(case.fields["no_grad_params"])))
    fields = {
        "loss_raw": found.mosaic.mean().detach(),
        "loss_srgb": found.picture.mean().detach(),
        "grad_norm": torch.nn.utils.get_total_norm(
            [p.grad for p in named.values() if p.grad is not None]
        ),
    }
    for name, reference in case.fields.items():
        if name.startswith("grad__"):
            gradient = named[name.removeprefix("grad__")].grad
            fields[name] = gradient[tuple(slice(0, n) for n in reference.shape)]
    net.zero_grad()
    return fields


def bgu(case):
    f = case.fields
    grid = bilateral.fit(f["input"], f["reference"], int(f["ratio"]), published=True)
    return {"output": grid.apply(f["input"]), "grid": grid.cells}


def published_metrics(case):
    one, other = case.fields["img1"], case.fields["img2"]
    y1, y2 = luma(one), luma(other)
    return {
        "psnr": metrics.psnr(one, other),
        "ssim": metrics.ssim(one, other),
        "ssim_y": metrics.ssim(y1, y2, peak=255),
    }


def luma(bgr):
    return 16 + bgr.astype(np.float64) @ np.array([24.966, 128.553, 65.481]) / 255


def schedule(case):
    iterations, options = case.fields["iteration"], case.options
    steps, wave = options["multistep"], options["cosine"]
    whole = wave["constant_iterations"] + wave["cosine_iterations"]
    own = {
        "multistep": (
            steps["lr"],
            {"name": "milestones", "milestones": steps["milestones"], "factor": steps["gamma"]},
        ),
        "cosine": (
            wave["lr"],
            {"name": "cosine", "start": wave["constant_iterations"], "minimum": wave["lr_end"]},
        ),
    }
    fields = {}
    for name, (lr, table) in own.items():
        data = {"model": "dualdn", "iterations": whole, "optimiser": {"lr": lr}, "schedule": table}
        trained = recipe.parse(data)
        # Published iterations are counted from 1.
        fields[f"{name}_f64"] = [learning_rate(trained, int(i) - 1) for i in iterations]
    for name, preset in (("multistep", "dualdn"), ("cosine", "dualdn-big")):
        decay = presets.read(preset)["optimiser"]["weight_decay"]
        fields[f"{name}_weight_decay"] = np.float32(decay)
    return fields


NETWORK = (
    ("seed", "shape", "color_mask", "wb", "cam_to_xyz", "k", "sigma2", "alpha", "gt_seed", "ref",
     "gamma_type", "demosaic_type", "no_grad_params"),
    ("backbone", "with_noise_map", "ref", "gamma_type", "demosaic_type", *RENAMED),
)  # fmt: skip

KINDS = {
    "dualdn_backbone": (backbone, ("seed", "shape"), ("backbone", *RENAMED)),
    "dualdn": (network("dual"), *NETWORK),
    "dualdn_raw": (network("raw"), *NETWORK),
    "dualdn_srgb": (network("srgb"), *NETWORK),
    "dualdn_bgu": (bgu, ("input", "reference", "ratio")),
    "dualdn_metrics": (published_metrics, ("img1", "img2")),
    "dualdn_schedule": (schedule, ("iteration",), ("multistep", "cosine")),
}
"""Kind: function, patterns of its inputs, settings it knows."""
