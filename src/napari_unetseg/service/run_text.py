"""A run as text to paste: a Python script, or a line for a shell."""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence

from napari_unetseg.service.run_recipe import RunRecipe

_NEGATIVES = {"fill_holes": "--keep-holes"}

PLACEHOLDER = "IMAGE"
"""Stands in a shell line for an image that is in no file, and whoever pastes it replaces it."""

_SCRIPT = """\
# Segments {image!a} as napari-unetseg {version} did{when}.

{imports}
from napari_unetseg.service import tiled_settings

{reading}
settings = tiled_settings(window={window}, batch_size={batch_size})
service = SegmentationService({model!a}, {device!a}, {backend!a}, settings=settings)
if service.package.card.weights.sha256 != {sha256!a}:
    raise SystemExit("This is another model than the one that made the result.")
result = service.segment(
    image,
{wishes}
)
print(result.count, "objects")
# result.labels is the label image, result.measurements the table.
"""

_FILE_IMPORTS = "from napari_unetseg import SegmentationService\nfrom napari_unetseg.io import read_image"
_LAYER_IMPORTS = "import napari\nimport numpy as np\n\nfrom napari_unetseg import Image, SegmentationService"


def as_python(recipe: RunRecipe) -> str:
    """Write a script that gives the same labels.

    An image from a file is read from it. Any other is taken from the layer of its name, so the script is for
    the console of the napari window that has it.
    """
    source, run = recipe.source, recipe.run
    wishes = recipe.wishes().items()
    return _SCRIPT.format(
        image=source.image,
        version=recipe.napari_unetseg,
        when=f" on {source.started[:10]}" if source.started else "",
        imports=_FILE_IMPORTS if source.path else _LAYER_IMPORTS,
        reading=_from_file(recipe) if source.path else _from_layer(recipe),
        window=run.largest_window,
        batch_size=run.batch_size,
        model=recipe.model.source,
        device=run.device,
        backend=run.backend,
        sha256=recipe.model.sha256,
        wishes="\n".join(f"    {name}={value!r}," for name, value in wishes if value is not None),
    )


def as_command(recipe: RunRecipe, *, windows: bool | None = None) -> str:
    """Write a line for a shell that gives the same labels.

    Parameters
    ----------
    recipe
        What to do. Where its image is in no file, `PLACEHOLDER` stands in its place.
    windows
        Whether it is for Windows (cmd and PowerShell) or else for a POSIX shell; None: for this system.
    """
    words = ["napari-unetseg", "segment", recipe.source.path or PLACEHOLDER, *command_options(recipe)]
    return quote_windows(words) if windows or (windows is None and sys.platform == "win32") else shlex.join(words)


def command_options(recipe: RunRecipe) -> list[str]:
    """Return the options of `napari-unetseg segment` that say what the recipe says."""
    run = recipe.run
    options = ["--model", recipe.model.source, "--device", run.device, "--backend", run.backend]
    options += _numbers({"window": run.largest_window, "batch_size": run.batch_size})
    options += _numbers({"channel": recipe.channel, "diameter": recipe.diameter})
    options += ["--tta"] if recipe.augment else []
    return options + _numbers(recipe.parameters.model_dump())


def quote_windows(words: Sequence[str]) -> str:
    r"""Join words so that cmd and PowerShell both pass them on as they are.

    Quoted is by the rules of Microsoft's C runtime, and with anything beyond letters, digits and ``\/:.,_=+-``,
    since both shells give meanings to the rest. Nothing keeps cmd from putting in the value of ``%NAME%``, or
    PowerShell of ``$NAME``, where there is a variable of that name.
    """
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if re.fullmatch(r"[\w\\/:.,=+-]+", word):
        return word
    plain = subprocess.list2cmdline([word])
    # Microsoft's rules alone leave a word without blanks unquoted; a backslash before the end must be doubled.
    return plain if plain.startswith('"') else f'"{re.sub(chr(92) * 2 + "+$", lambda end: 2 * end[0], plain)}"'


def _numbers(values: dict[str, bool | float | None]) -> list[str]:
    """Write values as options."""
    words: list[str] = []
    for name, value in values.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else _NEGATIVES[name])
        elif value is not None:
            words += [f"--{option}", repr(value)]
    return words


def _from_file(recipe: RunRecipe) -> str:
    source = recipe.source
    place = tuple(source.plane.values())
    return f"image = read_image({source.path!a}){f'.plane({place})' if place else ''}"


def _from_layer(recipe: RunRecipe) -> str:
    source = recipe.source
    place = ", ".join(str(source.plane.get(axis, ":")) for axis in range(len(source.axes) + len(source.plane)))
    return (
        "# Paste this into the console of napari.\n"
        f"layer = napari.current_viewer().layers[{source.image!a}]\n"
        "pixels = layer.data[0] if layer.multiscale else layer.data\n"
        f"image = Image(np.asarray(pixels[{place}]), {source.axes!a}, rgb={source.rgb}, name=layer.name)"
    )
