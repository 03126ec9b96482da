"""The ``noisegen`` command.

One module a group of commands; each exports ``click`` commands and imports what is heavy inside
them, so that ``noisegen --help`` starts at once.
"""

import importlib
import traceback
from typing import Any

import click

from noisegen import __version__
from noisegen.errors import NoisegenError, UnknownNameError

COMMANDS = {
    "synthesize": "noisegen.cli.synthesize:command",
    "ingest": "noisegen.cli.ingest:command",
    "status": "noisegen.cli.corpus:status",
    "verify": "noisegen.cli.corpus:verify",
    "digest": "noisegen.cli.corpus:digest",
    "inspect": "noisegen.cli.inspect:command",
    "realism": "noisegen.cli.realism:command",
    "recipe": "noisegen.cli.corpus:recipe",
    "materialize": "noisegen.cli.corpus:materialize",
    "fit": "noisegen.cli.fit:command",
    "train": "noisegen.cli.train:command",
    "evaluate": "noisegen.cli.evaluate:command",
    "bench": "noisegen.cli.bench:command",
    "denoise": "noisegen.cli.denoise:command",
    "enhance": "noisegen.cli.enhance:command",
    "export": "noisegen.cli.export:command",
    "models": "noisegen.cli.models:command",
    "cameras": "noisegen.cli.cameras:command",
    "sources": "noisegen.cli.sources:command",
}
"""Where each command lives, in the order of ``--help``."""


class Commands(click.Group):
    """A group that imports a command when it is named, and turns errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command called ``cmd_name``."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; name the nearest one where there is none."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise UnknownNameError("command", args[0], COMMANDS, "noisegen --help lists them")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; print the one line of an error, or its traceback with ``--debug``."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "noisegen"
            raise UsageFailure(f"{error.format_message()} ({command} --help)") from None
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            click.echo("noisegen: stopped; the same command again goes on from here", err=True)
            ctx.exit(130)
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            raise Failure(error) from None


class OneLine(click.ClickException):
    """An error that is shown as one line."""

    def show(self, file: Any = None) -> None:
        """Print the line."""
        line = " ".join(self.message.split()).encode("utf-8", "backslashreplace").decode()
        click.echo(f"noisegen: {line}", file=file, err=file is None)


class UsageFailure(OneLine):
    """A wrong option or argument."""

    exit_code = 2


class Failure(OneLine):
    """An error of the work itself."""

    def __init__(self, error: Exception) -> None:
        if isinstance(error, NoisegenError):
            super().__init__(str(error))
        else:
            kind = type(error).__name__
            super().__init__(f"{kind}: {error} (noisegen --debug … shows where)")
        self.exit_code = getattr(error, "exit_code", 1)  # type: ignore[misc]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="noisegen")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Training data with the noise of real cameras.

    Clean raws or pictures go in; the noise of a named camera is put on them; paired samples with
    everything that was drawn come out, in a chunked Zarr store.
    """
