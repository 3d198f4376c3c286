"""Plain text as Markdown: nothing in it is taken for markup, and what is typed stands out."""

import re
from collections.abc import Iterable, Sequence

TYPED = re.compile(r"(`[^`]+`|'napari-unetseg[^'\n]*'|(?<![\w-])--[a-z][\w-]*|\b[A-Z]+_[A-Z_]+\b(?:=\w+)?)")


def prose(text: str) -> str:
    """Return a text on one line; commands in quotes, options and variables become code."""
    parts = TYPED.split(" ".join(text.split()))
    return "".join(code(part.strip("`'")) if at % 2 else escaped(part) for at, part in enumerate(parts))


def sentence(text: str) -> str:
    """Return a text on one line as `prose`, with a capital letter and an end."""
    words = prose(text)
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", ":")) else ".")


def paragraphs(text: str) -> str:
    """Return a text whose paragraphs stand apart by empty lines."""
    return "\n\n".join(prose(part) for part in text.split("\n\n"))


def escaped(text: str) -> str:
    """Return a text in which no character means anything to Markdown or HTML."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text)


def code(text: str) -> str:
    """Return a text as code that may stand in a table."""
    return f"`{text}`" if "|" not in text else f"<code>{escaped(text).replace(chr(92) + '|', '&#124;')}</code>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> str:
    """Return a table; `align` has an ``r`` for each column of figures, and anything else for the others."""
    marks = ["---:" if side == "r" else "---" for side in align.ljust(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, marks, *rows])


def fenced(text: str, language: str = "text") -> str:
    """Return a text as a block of code, whatever it holds."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
