"""The command line: every command with its arguments, options and defaults, as `--help` has them."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from napari_unetseg.cli.main import app
from pages.markdown import code, fenced, paragraphs, prose, table

_HEAD = """\
# Commands

Everything that `napari-unetseg` can be told in a shell. `napari-unetseg COMMAND --help` shows the same.

"""


def command_page() -> str:
    """Return the page."""
    return _HEAD + "\n\n".join(_described(typer.main.get_command(app), ""))


def _described(command: Any, above: str) -> Iterator[str]:
    context = command.context_class(command, info_name=f"{above} {command.name}".strip())
    words = context.info_name
    inner = list(getattr(command, "commands", {}).values())
    if above:
        yield f"{'##' if above.count(' ') == 0 else '###'} {words}"
        # Without the line breaks of the source.
        yield paragraphs(re.sub(r"\n(?!\n)", "\n", inspect.cleandoc(command.help or "")))
    if not inner:
        usage = " ".join(piece.strip("{}").replace("}...", "") for piece in command.collect_usage_pieces(context))
        yield fenced(f"{words} {usage}")
        for kind, title in (("argument", "argument"), ("option", "option")):
            rows = list(_rows(command, context, kind))
            if rows:
                yield table((title, "meaning"), rows)
    for each in inner:
        yield from _described(each, words)


def _rows(command: Any, context: Any, kind: str) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        if parameter.param_type_name == kind and (record := parameter.get_help_record(context)):
            name, meaning = record
            yield code(re.sub(r" <[^>]*>$", "", name) if kind == "argument" else name), _meaning(meaning)


def _meaning(text: str) -> str:
    """Return the help of a parameter; what typer adds in brackets at its end comes as a sentence."""
    words, found, added = f"  {text}".partition("  [")
    return " ".join(filter(None, [prose(words), f"({prose(added.removesuffix(']'))})" if found else ""]))
