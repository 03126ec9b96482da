"""The reference outputs of DnCNN, NeCA's network R."""

import torch

import denoisers


def dncnn(case):
    names = {"nc": "width", "nb": "depth"}
    options = {names[k]: v for k, v in case.options.items() if k in names}
    options["batch_norm"] = {"BR": True, "R": False}[case.options.get("act_mode", "BR")]
    shape = case.shape()
    net = denoisers.create("dncnn", channels=shape[1], **options).eval()
    net.load_state_dict({name: torch.tensor(w) for name, w in case.weights().items()})
    with torch.no_grad():
        return {"output": net(torch.tensor(case.image(shape, int(case.fields["seed"]))))}


KINDS = {"neca_dncnn": (dncnn, ("seed", "shape"), ("nc", "nb", "act_mode"))}
"""Kind: function, patterns of its inputs, settings it knows."""
