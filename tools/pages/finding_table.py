"""What surprised us about libraries of others, from the comments at the head of each script."""

from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from pages.links import REPOSITORY
from pages.markdown import code, prose, table

_HEAD = """\
# What surprised us about other libraries

For those who program with them. Each line is a script that anybody can run: it makes an environment of its own with the
version that it names, shows what happens, and fails once that changes. It needs Python 3.11, a network, and nothing of
this project:

    sh findings/labels-new-data-editable-again.sh

"""


class _Finding(NamedTuple):
    stem: str
    library: str
    surprise: str
    more: list[str]
    seen: str

    @property
    def title(self) -> str:
        words = self.stem.replace("-", " ")
        return words[0].upper() + words[1:]


def finding_page(folder: Path) -> str:
    """Return the page."""
    found = sorted((_read(path) for path in folder.glob("*.sh")), key=lambda each: (each.library.lower(), each.stem))
    rows = [(f"[{each.title}](#{each.stem})", prose(each.library), prose(each.surprise)) for each in found]
    return _HEAD + "\n\n".join([table(("finding", "library", "what happens"), rows), *map(_section, found)])


def _section(found: _Finding) -> str:
    seen = f"Seen: {code(found.seen)}" if found.seen else ""
    script = f"Script: [{found.stem}.sh]({REPOSITORY}findings/{found.stem}.sh)"
    told = [f"{prose(found.library)}: {prose(found.surprise)}", *map(prose, found.more), seen, script]
    return f"## {found.title} {{#{found.stem}}}\n\n" + "\n\n".join(filter(None, told))


def _read(path: Path) -> _Finding:
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    head = "\n".join(line[1:].strip() for line in takewhile(lambda line: line.startswith("#"), lines))
    what, *more = (" ".join(part.split()) for part in head.split("\n\n"))
    library, _, surprise = what.partition(": ")
    seen = next((part.removeprefix("Seen: ") for part in more if part.startswith("Seen: ")), "")
    told = [part for part in more if not part.startswith("Seen: ")]
    return _Finding(path.stem, library, surprise[:1].upper() + surprise[1:], told, seen)
