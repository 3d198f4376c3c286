"""The tools of click to fix: what each is called, what one does with it, and its key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetseg.language import mark, tr

if TYPE_CHECKING:
    from napari_unetseg.postprocessing.fixes import FixKind


@dataclass(frozen=True)
class Tool:
    """One of the tools.

    Attributes
    ----------
    kind
        Of its fixes.
    title, tip, hint
        Its name, what it is for, and what to do with it now.
    done
        How many of its fixes there are, with ``{n}``.
    key
        A letter, which is none of those that napari has for labels.
    draws
        Whether one draws a line with it rather than clicks.
    """

    kind: "FixKind"
    title: str
    tip: str
    hint: str
    done: str
    key: str
    draws: bool = False


TOOLS = (
    Tool(
        "add",
        mark("Add"),
        mark("Adds the object that the model saw where you click, however unsure it was of it."),
        mark("Click where an object is missing."),
        mark("{n} added"),
        "N",
    ),
    Tool(
        "remove",
        mark("Remove"),
        mark("Takes away the object that you click on."),
        mark("Click on an object that is none."),
        mark("{n} removed"),
        "D",
    ),
    Tool(
        "split",
        mark("Split"),
        mark("Divides an object along the line that you draw across it."),
        mark("Draw a line across an object: press, move, let go."),
        mark("{n} split"),
        "S",
        draws=True,
    ),
    Tool(
        "merge",
        mark("Merge"),
        mark("Makes one object of all that you draw a line over."),
        mark("Draw a line from one part to the other: press, move, let go."),
        mark("{n} merged"),
        "J",
        draws=True,
    ),
    Tool(
        "grow",
        mark("Grow"),
        mark("Moves the outline of the object that you click on outwards, as far as the model was a little less sure."),
        mark("Click on an object that is too small; again for more."),
        mark("{n} grown"),
        "G",
    ),
    Tool(
        "shrink",
        mark("Shrink"),
        mark("Moves the outline of the object that you click on inwards, to where the model was a little surer."),
        mark("Click on an object that is too large; again for more."),
        mark("{n} shrunk"),
        "K",
    ),
)

BY_KIND: dict[str, Tool] = {tool.kind: tool for tool in TOOLS}


def sum_up(counts: Mapping[str, int]) -> str:
    """Return ``"3 added, 1 removed"``; empty if nothing was fixed."""
    return ", ".join(tr(tool.done).format(n=counts[tool.kind]) for tool in TOOLS if counts.get(tool.kind))
