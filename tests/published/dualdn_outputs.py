"""DualDn's reference outputs: noise, ISP, metadata, geometry."""

import numpy as np
import torch

from noisegen.cfa import PHASES
from noisegen.isp import color, geometry, masked, pipeline
from noisegen.isp.parameters import DEMOSAICS, STAGES
from noisegen.sensor import formulas, sampling


def noise(case):
    f, options = case.fields, case.options
    gains, first = options["k"], int(f["sampled_first_seed"])
    cameras, draws = f["sampled_f64"].shape[:2]
    x = case.image(case.shape(), int(f["seed"])) * f["scale"]
    fields = {"K": np.float32(gains), "sampled_f64": np.empty((cameras, draws, 2))}

    def add(name, value):
        fields.setdefault(name, []).append(value)

    for K, S, counts in zip(gains, f["sigma2_f64"].tolist(), f["counts"], strict=True):
        gp = formulas.poisson_gaussian(counts, f["z"], K, S)
        hetero = formulas.heteroscedastic(x, f["z"], K, S)
        add("gp", gp)
        add("gp_clip", formulas.published_clip(gp))
        add("hetero", hetero)
        add("hetero_clip", formulas.published_clip(hetero))
        add("var", formulas.noise_variance(formulas.published_clip(gp), K, S))
        add("map", formulas.noise_map(formulas.published_clip(gp), K, S))

        rng = np.random.RandomState(options["random_state"])
        S = sampling.dualdn_read(rng, K, options["camera"])
        counts = rng.poisson(x / K).astype(np.float32)
        z = rng.standard_normal(x.shape).astype(np.float32)
        add("seeded_sigma2_f64", S)
        add("seeded_gp", formulas.poisson_gaussian(counts, z, K, S))
        add("seeded_gp_clip", formulas.published_clip(fields["seeded_gp"][-1]))
        rng = np.random.RandomState(options["random_state"])
        S = sampling.dualdn_read(rng, K, options["camera"])
        z = rng.standard_normal(x.shape).astype(np.float32)
        add("seeded_hetero", formulas.heteroscedastic(x, z, K, S))
    for c, camera in enumerate(list(sampling.DUALDN_CAMERAS)[:cameras]):
        for i in range(draws):
            rng = np.random.RandomState(first + i)
            limits = options["sampled_k_min"], options["sampled_k_max"]
            fields["sampled_f64"][c, i] = sampling.dualdn_prior(rng, camera, *limits)
    return {name: np.asarray(value) for name, value in fields.items()}


def isp(case):
    f, settings = case.fields, isp_settings(case.options)
    fields = run_isp(case, settings, list(f))
    fields |= run_isp(case, settings, [n for n in f if n.endswith("_double")], torch.float64)
    x, cfa, white_balance, matrix, _ = isp_inputs(case, torch.float32)
    masks = masked.color_masks(cfa, x.dtype)
    balanced = pipeline.process(x, cfa, white_balance, matrix, final_stage="white_balance")
    deltas = masked.ahd_directions(masked.bilinear(balanced, masks), matrix)
    fields |= dict(zip(("delta_row", "delta_col"), deltas, strict=True))
    if "raw" in f:
        black, white = torch.tensor(f["black_level"]), float(f["white_level"])
        fields["normal"] = pipeline.normalise(torch.tensor(f["raw"]), cfa, black, white)
    return fields


def isp_options(case):
    base, fields = isp_settings(case.options), {}
    prefixes = {name.split("__")[0] for name in case.fields if "__" in name}
    for prefix in sorted(prefixes):
        names = [n.removeprefix(f"{prefix}__") for n in case.fields if n.startswith(f"{prefix}__")]
        settings = base | one_setting(prefix)
        for dtype in (torch.float32, torch.float64):
            chosen = [n for n in names if n.endswith("_double") == (dtype == torch.float64)]
            made = run_isp(case, settings, chosen, dtype)
            fields |= {f"{prefix}__{name}": value for name, value in made.items()}
    return fields


def one_setting(prefix):
    if prefix.lower() in DEMOSAICS:
        return {"demosaic": prefix.lower()}
    if prefix in ("D65", "D50"):
        return {"reference": prefix}
    return {"gamma": {"gamma22": "2.2", "gamma2.2": "2.2", "Rec709": "rec709"}[prefix]}


def isp_settings(options):
    return {
        "reference": options.get("ref", "D65"),
        "demosaic": options.get("demosaic_type", "AHD").lower(),
        "gamma": {"Rec709": "rec709", "2.2": "2.2"}[options.get("gamma_type", "Rec709")],
        "border": "published",
    }


def isp_inputs(case, dtype):
    f = case.fields
    x = case.image(case.shape(), int(f["seed"])) * f["scale"] + f["offset"]
    batch = len(x)
    return (
        torch.tensor(x, dtype=dtype),
        torch.tensor(f["color_mask"]),
        torch.tensor(f["wb"], dtype=dtype).view(batch, 4),
        torch.tensor(f["cam_to_xyz"], dtype=dtype).view(batch, 3, 3),
        torch.tensor(f["alpha"], dtype=dtype).view(batch),
    )


def run_isp(case, settings, names, dtype=torch.float32):
    """Stages and gradients among ``names``; those that end in ``_double`` need float64."""
    x, *others = isp_inputs(case, dtype)
    x.requires_grad_()
    pictures = pipeline.process_stages(x, *others, **settings)
    batch, _, height, width = x.shape
    cotangent = case.image((batch, 3, height, width), int(case.fields["cotangent_seed"]))
    fields = {}
    for name in names:
        plain = name.removesuffix("_double")
        stage = plain.removeprefix("grad_")
        if stage not in STAGES:
            continue
        picture = pictures[stage]
        if plain != stage:
            weights = torch.tensor(cotangent - np.float32(0.5), dtype=dtype)
            (picture,) = torch.autograd.grad(picture, x, weights, retain_graph=True)
        fields[name] = picture.detach()
    return fields


def metadata(case):
    f = case.fields
    fields = {"fallback_cam_to_xyz": color.camera_to_xyz_from_srgb(f["color_matrix"][:, :3])}
    for name, value in f.items():
        if name.startswith("wb_in_"):
            daylight = case.options["daylight_white_balance"]
            fields[name.replace("_in", "")] = color.white_balance(value, daylight)
        if name.startswith("xyz_to_cam_"):
            output = name.replace("xyz_to_cam", "cam_to_xyz")
            fields[output] = color.camera_matrix(value, f["color_matrix"])
    if dnd := case.options.get("dnd"):
        matrices = [np.reshape(m, (3, 3)) for m in dnd["color_matrix2"]]
        fields["dnd_wb"] = [color.gains_from_neutral(n) for n in dnd["as_shot_neutral"]]
        fields["dnd_cam_to_xyz"] = [color.camera_to_xyz(m) for m in matrices]
        fields["dnd_cfa"] = np.array(dnd["pattern"]) - 1
    return fields


def shapes_and_windows(case):
    picture, rows = case.fields["augment_0"], case.fields["fixed_crop"]
    fields = {f"augment_{m}": geometry.augment(picture, m) for m in range(8)}
    fields |= {f"flip_{c}": geometry.published_upright(picture, c) for c in (0, 3, 5, 6)}
    windows = []
    for phase, height, width, patch, border, central in rows[:, :6].tolist():
        window = geometry.central_window if central else geometry.tiled_window
        windows.append(window(PHASES[phase], (height, width), patch, border))
    fields["fixed_crop"] = np.concatenate((rows[:, :6], np.array(windows)), 1)
    return fields


ISP_INPUTS = (
    "seed", "shape", "scale", "offset", "color_mask", "wb", "cam_to_xyz", "alpha",
    "cotangent_seed", "raw", "black_level", "white_level",
)  # fmt: skip
ISP_OPTIONS = ("ref", "gamma_type", "demosaic_type")

KINDS = {
    "dualdn_noise": (
        noise,
        ("seed", "shape", "scale", "z", "z_seed", "counts", "sigma2_f64", "sampled_first_seed"),
        ("k", "camera", "random_state", "sampled_k_min", "sampled_k_max"),
    ),
    "dualdn_isp": (isp, ISP_INPUTS, ISP_OPTIONS),
    "dualdn_isp_options": (isp_options, ISP_INPUTS, ISP_OPTIONS),
    "dualdn_metadata": (
        metadata,
        ("wb_in_*", "xyz_to_cam_*", "color_matrix", "dnd_image", "dnd_a_b_f64", "dnd_boxes"),
        ("daylight_white_balance", "dnd"),
    ),
    "dualdn_geometry": (shapes_and_windows, ()),
}
"""Kind: function, patterns of its inputs, settings it knows."""
