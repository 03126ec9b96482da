"""The reference outputs of RFFNet and DVN: networks, losses, the Dark Vision Dataset, metrics."""

import numpy as np
import torch

import denoisers
from denoisers import losses
from denoisers.data.turns import put
from denoisers.inference.grid import Grid
from denoisers.models import dvn, dvn_recons, rffnet
from denoisers.vgg import PERCEPTUAL, VGG16, perceptual
from noisegen import metrics, rgbir

NAMES = {"guid_c": "guide_channels", "n_feat": "width", "scale_unetfeats": "widening"}
"""Published settings, and what they are called here."""

FILLED = (
    "B1", "G21", "R2", "G23", "G11", "R3", "G13", "B3",
    "R1", "G22", "B2", "G24", "G12", "B4", "G14", "R4",
)  # fmt: skip
"""The order of ``planes``: that of the mosaic, what is filled in in the places of infrared."""

AUGMENTATIONS = (
    lambda p: p,
    lambda p: p[:, ::-1],
    lambda p: p[:, ::-1],
    lambda p: np.rot90(p, 1, (1, 2)),
    lambda p: np.rot90(p, 2, (1, 2)),
    lambda p: np.rot90(p, 3, (1, 2)),
    lambda p: np.rot90(p[:, ::-1], 1, (1, 2)),
    lambda p: np.rot90(p[:, :, ::-1], 1, (1, 2)),
    lambda p: p,
)


def net(case, name, **options):
    made = denoisers.create(name, **options).eval()
    made.load_state_dict({n: torch.tensor(w) for n, w in case.weights().items()})
    return made


def pictures(case):
    names = (("shape", "seed"), ("guide_shape", "guide_seed"))
    return [torch.tensor(case.image(case.shape(s), int(case.fields[n]))) for s, n in names]


def cut(field, reference):
    """Cut an intermediate as the reference is: leading channels, every k-th pixel."""
    step = -(-field.shape[-1] // reference.shape[-1])
    return field[:, : reference.shape[1], ::step, ::step]


def seen(network, **modules):
    """Keep the outputs of submodules: field, and the module's name."""
    kept = {}
    for field, name in modules.items():

        def keep(module, inputs, output, field=field):
            kept[field] = output

        network.get_submodule(name).register_forward_hook(keep)
    return kept


def rff(case):
    options = {NAMES[k]: v for k, v in case.options.items()}
    network = net(case, "rffnet", **options)
    block = "stage2_encoder.image_event_transformer"
    kept = seen(
        network,
        sam="sam12",
        calibrated="calibrate",
        spatial="calibrate.attns.0",
        guide="guid_encoder",
        first="stage1_encoder",
        second="stage2_encoder",
        attention_level1=f"{block}1.attn",
        attention_level2=f"{block}2.attn",
        frequency_ffn_level1=f"{block}1.ffn",
        fusion_level1=f"{block}1",
    )
    with torch.no_grad():
        restored = network.stages(*pictures(case))
    kept |= {
        "output": restored.final,
        "stage1": restored.denoised,
        "sam_features": kept["sam"][0],
        "calibrated_image": kept["calibrated"][0],
        "calibrated_guide": kept["calibrated"][1],
        "spatial_attention_coarse_image": kept["spatial"][0],
        "guide_level3": kept["guide"][2],
        "stage1_encoder_level3": kept["first"][2],
        "stage2_encoder_level3": kept["second"][2],
    }
    return {n: cut(kept[n], f) for n, f in case.fields.items() if n in kept}


def rff_losses(case):
    names = ("pred_seed", "intermediate_seed", "target_seed")
    x, m, y = (torch.tensor(case.image(case.shape(), int(case.fields[n]))) for n in names)
    terms = means(rffnet.terms(rffnet.Restored(x, m), y))
    trunk = VGG16(PERCEPTUAL, {n: torch.tensor(w) for n, w in case.weights().items()})
    return {
        "final": terms["final"],
        "intermediate": terms["denoised"],
        "frequency": terms["frequency"] / rffnet.FREQUENCY,
        "total": sum(terms.values()),
        "psnr_loss": losses.decibels(x, y).mean(),
        "edge": losses.edge(x, y).mean(),
        "dice": losses.dice(x, y),
        "perceptual": perceptual(trunk, x, y),
    }


def means(terms):
    return {name: term.mean() for name, term in terms.items()}


def fusion(case):
    network = net(case, "dvn")
    kept = seen(network, decoder="rgb_decoder")  # the second pass is kept
    with torch.no_grad():
        fused = network.fuse(*pictures(case))
    levels = {
        "structure_rgb": fused.structures,
        "structure_nir": fused.nir_structures,
        "dip": fused.agreement,
        "weighted_nir": [p * n for p, n in zip(fused.agreement, fused.nir_structures, strict=True)],
        "decoder": kept["decoder"],
    }
    found = {"output": fused.final, "denoised": fused.denoised, "nir": fused.nir}
    found |= {f"{n}_{i}": t for n, maps in levels.items() for i, t in enumerate(maps, 1)}
    return {n: cut(found[n], f) for n, f in case.fields.items() if n in found}


def autoencoder(case):
    with torch.no_grad():
        drawn = net(case, "dvn-recons").reconstruct(*pictures(case))
    fields = {"rgb": drawn.picture, "nir": drawn.nir}
    sides = {"rgb": (drawn.edges, drawn.structures), "nir": (drawn.nir_edges, drawn.nir_structures)}
    for side, (edges, structures) in sides.items():
        for i, (edge, structure) in enumerate(zip(edges, structures, strict=True), 1):
            reference = case.fields[f"structure_{side}_{i}"]
            fields[f"edge_{side}_{i}"] = cut(edge, reference)
            near = cut((edge - edge.mean((2, 3), keepdim=True)).abs() <= 1e-5, reference)
            ours = cut(structure, reference)
            fields[f"structure_{side}_{i}"] = np.where(near, reference, ours)
            fields[f"structure_mean_{side}_{i}"] = structure.mean((2, 3))
    return fields


def dvn_losses(case):
    seeds = iter(range(int(case.fields["first_seed"]), 1 << 62))
    batch, height, width = (int(case.fields[n]) for n in ("batch", "height", "width"))

    def draw(channels, level=0):
        shape = (batch, channels, height >> level, width >> level)
        return torch.tensor(case.image(shape, next(seeds)))

    def levels():
        return tuple(draw(channels, level) for level, channels in enumerate((80, 128, 176)))

    final, denoised, nir = (1.4 * draw(channels) - 0.2 for channels in (3, 3, 1))
    clean, guide = draw(3), draw(1)
    R, N = levels(), levels()
    targets, nir_targets = (tuple((t > 0.5).float() for t in levels()) for _ in range(2))
    fused = dvn.Fused(final, denoised, nir, R, N, ())
    terms = means(dvn.terms(fused, clean, guide, targets, nir_targets))
    drawn = means(dvn_recons.terms(dvn_recons.Reconstructed(final, nir, *[()] * 4), clean, guide))
    fields = {
        "fused": terms["final"],
        "coarse": terms["denoised"],
        "nir": terms["nir"],
        "structure_rgb": terms["structures"],
        "structure_nir": terms["nir structures"],
        "fusion_total": sum(terms.values()),
        "reconstruction_total": sum(drawn.values()),
    }
    for i in range(3):
        fields[f"dice_rgb_{i + 1}"] = losses.dice(R[i], targets[i])
        fields[f"dice_nir_{i + 1}"] = losses.dice(N[i], nir_targets[i])
    return fields


def dvd_pipeline(case):
    f = case.fields
    raw, nir = (
        1023 * case.image(case.shape(), int(f[n])).astype(np.float64) for n in ("seed", "nir_seed")
    )
    seed = int(f["random_seed"])
    bayer = rgbir.to_bayer(raw)
    test = rgbir.test_factor(raw) * raw
    # The published code draws from numpy's own generator of old.
    level = [float(f["sigma"])] * len(rgbir.PLANES)
    test_noisy = rgbir.with_noise(test, level, level, np.random.RandomState(seed))
    scale = rgbir.train_factor(raw, np.random.RandomState(seed))
    k = [case.options["noise_k"][name] for name in rgbir.PLANES]
    draws = np.random.RandomState(seed + 1)
    train_noisy = rgbir.with_noise(scale * raw, *rgbir.constants(k), draws)
    fields = {
        "green_mean": np.array(rgbir.green_mean(raw)),
        "planes": np.stack([bayer[..., rgbir.BAYER.index(name)] for name in FILLED], -1),
        "bgr_full_range": bgr(raw),
        "nir": rgbir.develop_nir(nir),
        "test_bgr": bgr(test),
        "test_noisy_planes": test_noisy,
        "test_noisy_bgr": bgr(test_noisy),
        "train_scale": np.array(scale),
        "train_bgr": bgr(scale * raw),
        "train_noisy_planes": train_noisy,
        "train_noisy_bgr": bgr(train_noisy),
        "crop_box": crop_box(case),
    }
    plain = np.arange(18, dtype=np.int16).reshape(2, 3, 3)
    fields |= {f"augment_{i}": turn(plain) for i, turn in enumerate(AUGMENTATIONS)}
    assert all(is_a_turn(fields[f"augment_{i}"], plain) for i in range(len(AUGMENTATIONS)))
    return fields


def bgr(planes):
    return rgbir.develop(planes)[..., ::-1]


def crop_box(case, side=16):
    height, width = (4 * n for n in case.shape()[:2])
    draws = np.random.RandomState(int(case.fields["random_seed"]))
    x, y = int(draws.rand() * (width - side)), int(draws.rand() * (height - side))
    return np.array([x, y, x + side, y + side])


def is_a_turn(picture, of):
    """Whether the loader's eight turns hold what the published code does to a picture."""
    last = np.ascontiguousarray(np.moveaxis(of, 0, -1))
    out = np.empty_like(last)
    for turn in range(8):
        put(last, turn, out)
        if np.array_equal(np.moveaxis(out, -1, 0), picture):
            return True
    return False


def nir_metrics(case):
    f = case.fields
    shape, last = case.shape(), lambda t: np.moveaxis(np.asarray(t, np.float32)[0], 0, -1)
    one_channel = (shape[0], 1, *shape[2:])
    noisy, clean, guide = (
        torch.tensor(case.image(s, int(f[n])))
        for n, s in (("seed", shape), ("target_seed", shape), ("guide_seed", one_channel))
    )
    clean = clean * np.float32(f["target_scale"])
    output = (0.6 * noisy + 0.5 * guide - 0.1).clamp(0, 1)
    boxes = Grid(256, 256).boxes(*shape[-2:])

    def mean(metric, picture):
        found = []
        for box in boxes:
            peak = box.of(clean).max()
            found.append(metric(last(box.of(picture) / peak), last(box.of(clean) / peak)))
        return np.mean(found)

    def similarity(x, y):
        return metrics.ssim_uniform(x, y, 2)

    saturated = last(clean), last(clean + case.options["saturated_offset"])
    fields = {
        "psnr_input": mean(metrics.saturating_psnr, noisy),
        "psnr_output": mean(metrics.saturating_psnr, output),
        "ssim_input": mean(similarity, noisy),
        "ssim_output": mean(similarity, output),
        "psnr_plain": metrics.saturating_psnr(last(noisy), last(clean)),
        "ssim_plain": similarity(last(noisy), last(clean)),
        "psnr_saturated": metrics.saturating_psnr(*saturated),
        "boxes": corners(boxes),
    }
    grid = Grid(512, 768, 128, 192)
    shape = case.shape("tile_shape")
    a, g = (
        torch.tensor(case.image(s, int(f[n])))
        for n, s in (("tile_seed", shape), ("tile_guide_seed", (shape[0], 1, *shape[2:])))
    )
    whole = {
        "tile_output": grid(lambda a, g: a - a.mean() + g.mean())(a, g),
        "tile_intermediate": grid(lambda a, g: 2 * a - g.max() + a.max())(a, g),
    }
    fields |= {n: cut(t, f[n]) for n, t in whole.items()}
    return fields | {"tile_boxes": corners(grid.boxes(*a.shape[-2:]))}


def corners(boxes):
    return np.array([(box.left, box.top, box.right, box.bottom) for box in boxes])


PAIR = ("seed", "shape", "guide_seed", "guide_shape")

KINDS = {
    "rffnet": (rff, PAIR, ("guid_c", "n_feat", "scale_unetfeats")),
    "rffnet_losses": (rff_losses, ("pred_seed", "intermediate_seed", "target_seed", "shape")),
    "dvn_fusion": (fusion, PAIR),
    "dvn_ae": (autoencoder, PAIR),
    "dvn_losses": (dvn_losses, ("first_seed", "batch", "height", "width")),
    "dvd_pipeline": (
        dvd_pipeline,
        ("seed", "nir_seed", "shape", "random_seed", "sigma", "again"),
        ("noise_k",),
    ),
    "nir_metrics": (
        nir_metrics,
        ("*seed", "shape", "tile_shape", "target_scale"),
        ("saturated_offset",),
    ),
}
"""Kind: function, patterns of its inputs, settings it knows."""
