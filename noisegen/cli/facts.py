"""What is known of one thing, as labelled lines."""

import textwrap
from collections.abc import Iterable

import click


def show(facts: Iterable[tuple[str, str]]) -> None:
    """Print labels and texts, long texts over several lines."""
    facts = list(facts)
    room = max(12, *(len(label) + 2 for label, _ in facts))
    for label, text in facts:
        click.echo(
            textwrap.fill(
                text,
                width=100,
                initial_indent=f"  {label:{room}}",
                subsequent_indent=" " * (room + 2),
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
