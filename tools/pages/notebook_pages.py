"""Notebooks as pages: their words, their code, and the outputs that are kept with them. Nothing is run."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pages.links import REPOSITORY, linked_on_site
from pages.markdown import fenced


def notebook_pages(folder: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield name and content of each notebook's page, and of its pictures."""
    for path in sorted(folder.glob("*.ipynb")):
        pictures: dict[str, bytes] = {}
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        parts = [part for cell in cells for part in _cell(cell, path.stem, pictures)]
        # After the title, where a reader who wants to run it looks.
        parts.insert(1, f"[Open the notebook itself]({REPOSITORY}notebooks/{path.name}), to run it.")
        yield f"notebook-{path.stem}.md", "\n\n".join(parts) + "\n"
        yield from pictures.items()


def _cell(cell: Mapping[str, Any], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        # Jupyter's anchors are a heading's words with hyphens; the site's are in small letters, too.
        source = re.sub(r"\]\(#[^)]+\)", lambda found: found[0].lower(), source)
        title, found, rest = linked_on_site(source).partition("\n\n") if source.startswith("# ") else (source, "", "")
        yield title if found else linked_on_site(source)
        if rest:
            yield rest
    elif source.strip():
        yield fenced(source, "python")
        for output in cell.get("outputs", []):
            yield from _output(output, stem, pictures)


def _output(output: Mapping[str, Any], stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    data = output.get("data", {})
    if "image/png" in data:
        name = f"images/notebook-{stem}-{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode("".join(data["image/png"]))
        yield f"![What the cell draws]({name})"
    elif "text/html" in data:
        html = re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.DOTALL)
        # In one line, so that nothing of it is taken for Markdown.
        yield f'<div class="notebook-output">{" ".join(html.split())}</div>'
    elif text := "".join(data.get("text/plain", output.get("text", []))):
        yield fenced(text)
