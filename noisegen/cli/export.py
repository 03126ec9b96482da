"""``noisegen export``: a network as an ONNX file."""

from pathlib import Path

import click


@click.command(short_help="Write a network as ONNX.")
@click.argument("model", metavar="RUN|FILE")
@click.option("--out", required=True, metavar="FILE.onnx", help="File to write.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def command(model: str, out: str, overwrite: bool) -> None:
    """Write a network as ONNX, and check it: onnxruntime's result against torch's.

    RUN is the folder of a training run, FILE one of weights, published ones too. Takes
    `pip install 'noisegen[onnx]'`.

    \b
    noisegen export runs/adfnet --out adfnet.onnx
    """
    from denoisers.export import export
    from denoisers.inference.weights import open_weights
    from noisegen.errors import InputError

    path = Path(out)
    if path.suffix != ".onnx":
        raise InputError(f"--out {out}: name a file that ends in .onnx")
    if path.exists() and not overwrite:
        raise InputError(f"{out} is there already; give another --out, or --overwrite")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}; make it, or give another --out")
    network, card = open_weights(model)
    result = export(network, card, path)
    sides = f", sides multiples of {network.multiple}" if network.multiple > 1 else ""
    click.echo(
        f"{out}: {card.model}{sides}; onnxruntime and torch differ by {result.difference:.1e} at "
        f"most, of {result.pixels} pixels"
    )
