"""``python -m noisegen``: the command."""

from noisegen.cli import main

main(prog_name="noisegen")
