"""A run as text to paste: a Python script, or a line for a shell."""

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence

from napari_unetseg.segment_options import flags
from napari_unetseg.service.run_recipe import RunRecipe

PLACEHOLDER = "IMAGE"
"""Stands in a shell line for an image that is in no file, and whoever pastes it replaces it."""

RECIPE_PLACEHOLDER = "RECIPE"
"""Stands in a shell line for a recipe file, without which it cannot say what was fixed by clicks."""

_SCRIPT = """\
# Segments {image!a} as napari-unetseg {version} did{when}.

{imports}

{reading}
{service}
if service.package.card.weights.sha256 != {sha256!a}:
    raise SystemExit("This is another model than the one that made the result.")
result = service.segment(
    image,
{options}
)
{fixing}print(result.count, "objects")
# result.labels is the label image, result.measurements the table.
"""

_HERE = """\
settings = tiled_settings(window={window}, batch_size={batch_size})
service = SegmentationService({model!a}, {device!a}, {backend!a}, precision={precision!a}, settings=settings)"""

_ON_A_SERVER = "service = RemoteService({address!a}, {model!a})"

_CUT_IMPORT = "from dataclasses import replace\n\n"
_LAYER_IMPORTS = "import napari\nimport numpy as np\n\n"


def as_python(recipe: RunRecipe) -> str:
    """Write a script that gives the same labels.

    An image from a file is read from it. Any other is taken from the layer of its name, so the script is for
    the console of the napari window that has it.
    """
    source = recipe.source
    options = recipe.segment_options().items()
    return _SCRIPT.format(
        image=source.image,
        version=recipe.napari_unetseg,
        when=f" on {source.started[:10]}" if source.started else "",
        imports=_imports(recipe),
        reading=_from_file(recipe) if _is_in_file(recipe) else _from_layer(recipe),
        service=_service(recipe),
        sha256=recipe.model.sha256,
        options="\n".join(f"    {name}={value!r}," for name, value in options if value is not None),
        fixing=_fixing(recipe),
    )


def _fixing(recipe: RunRecipe) -> str:
    """Write what was fixed by clicks, in the order in which it was."""
    if not recipe.fixes:
        return ""
    lines = []
    for fix in recipe.fixes:
        same = fix.parameters == recipe.parameters
        parameters = "result.parameters" if same else repr(fix.parameters.model_dump())
        lines.append(f"    Fix(kind={fix.kind!r}, points={fix.points!r}, parameters={parameters}),\n")
    return f"result = result.fixed([\n{''.join(lines)}])\n"


def _imports(recipe: RunRecipe) -> str:
    source, is_here = recipe.source, recipe.run.server is None
    names = [] if _is_in_file(recipe) else ["Image"]
    names += ["SegmentationService"] if is_here else []
    lines = [f"from napari_unetseg import {', '.join(names)}"] if names else []
    lines += [] if is_here else ["from napari_unetseg.client import RemoteService"]
    lines += ["from napari_unetseg.io import read_image"] if _is_in_file(recipe) else []
    lines += ["from napari_unetseg.postprocessing.fixes import Fix"] if recipe.fixes else []
    lines += ["from napari_unetseg.service import tiled_settings"] if is_here else []
    before = (_CUT_IMPORT if source.region is not None else "") if _is_in_file(recipe) else _LAYER_IMPORTS
    return before + "\n".join(lines)


def _service(recipe: RunRecipe) -> str:
    run, model = recipe.run, recipe.model
    if run.server is not None:
        return _ON_A_SERVER.format(address=run.server.address, model=model.name)
    return _HERE.format(
        window=run.largest_window,
        batch_size=run.batch_size,
        model=model.source,
        device=run.device,
        backend=run.backend,
        precision=run.wanted_precision,
    )


def as_command(recipe: RunRecipe, *, windows: bool | None = None) -> str:
    """Write a line for a shell that gives the same labels.

    Clicks that fixed something can be said by a recipe file alone, so that the line names one then:
    `RECIPE_PLACEHOLDER` stands in the place of its path.

    Parameters
    ----------
    recipe
        What to do. Where its image is in no file, or is a part of what is in one, `PLACEHOLDER` stands in its place.
    windows
        Whether it is for Windows (cmd and PowerShell) or else for a POSIX shell; None: for this system.
    """
    axes, channel, place = _file_axes(recipe)
    is_part = bool(place or recipe.source.region) or not _is_in_file(recipe)
    image = PLACEHOLDER if is_part else recipe.source.path or PLACEHOLDER
    if channel is not None and not place:
        recipe = recipe.model_copy(update={"channel": channel})
    reading = ["--axes", axes] if axes and not place else []
    options = ["--recipe", RECIPE_PLACEHOLDER] if recipe.fixes else command_options(recipe)
    words = ["napari-unetseg", "segment", image, *reading, *options]
    return quote_windows(words) if windows or (windows is None and sys.platform == "win32") else shlex.join(words)


def command_options(recipe: RunRecipe) -> list[str]:
    """Return the options of `napari-unetseg segment` that say what the recipe says."""
    run = recipe.run
    if run.server is not None:
        words = ["--server", run.server.address, "--model", recipe.model.name]
        return words + [word for name, value in recipe.segment_options().items() for word in _option(name, value)]
    options = ["--model", recipe.model.source, "--device", run.device, "--backend", run.backend]
    options += ["--precision", run.wanted_precision]
    options += [] if run.largest_window is None else ["--window", repr(run.largest_window)]
    options += ["--batch-size", repr(run.batch_size)]
    return options + [word for name, value in recipe.segment_options().items() for word in _option(name, value)]


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


def _option(name: str, value: bool | float | str | None) -> list[str]:
    """Write an option of a segmentation; nothing where it was not given, or is a switch that need not be named."""
    on, off = flags(name)
    if isinstance(value, bool):
        return [word for word in [on if value else off] if word]
    return [] if value is None else [on, value if isinstance(value, str) else repr(value)]


def _from_file(recipe: RunRecipe) -> str:
    source = recipe.source
    axes, channel, place = _file_axes(recipe)
    text = f"image = read_image({source.path!a}{f', {axes!a}' if axes else ''})"
    text += "" if channel is None else f".take_channel({channel})"
    text += f".plane({place})" if place else ""
    if source.region is not None:
        text += f"\nimage = replace(image, array=image.array[{_key(recipe, {})}]{_origin(recipe)})"
    return text


def _file_axes(recipe: RunRecipe) -> tuple[str, int | None, tuple[int, ...]]:
    """Name the axes of a file of several planes; and say which channel, and which plane, was segmented.

    Beside those of a stack there is only the axis of its channels. Which letters the others have makes no difference.
    """
    source = recipe.source
    axes = source.axes.removesuffix("C") if source.rgb else source.axes
    is_chosen = recipe.channels is not None
    # Which are segmented is said by name then, wherever the slider stands.
    axes = axes.replace("C", "") if is_chosen else axes
    is_stack = len(axes) > 2
    # Of a file, the axis of the channels is not known any more where some were chosen; the file states it.
    if not source.plane and (is_chosen or recipe.channel is not None or not is_stack):
        return "", None, ()
    is_named = source.channel_axis is not None
    others = "ZT" if is_named else "ZTC"
    spare = iter("C" if is_stack and not is_named else [letter for letter in others if letter not in axes])
    inside = iter(axes)
    count = len(axes) + len(source.plane)
    letters = {
        axis: "C" if axis == source.channel_axis else next(spare, "?") if axis in source.plane else next(inside)
        for axis in range(count)
    }
    channel = next((at for axis, at in source.plane.items() if letters[axis] == "C" and not is_chosen), None)
    place = tuple(at for axis, at in sorted(source.plane.items()) if letters[axis] != "C")
    return "".join(letters.values()), channel, place


def _is_in_file(recipe: RunRecipe) -> bool:
    """Whether the image can be read from its file alone, and not from several layers only, whose names it has."""
    return bool(recipe.source.path) and not recipe.source.channel_layers


def _from_layer(recipe: RunRecipe) -> str:
    source = recipe.source
    if source.channel_names:
        return _from_channels(recipe)
    return (
        "# Paste this into the console of napari.\n"
        f"layer = napari.current_viewer().layers[{source.image!a}]\n"
        "pixels = layer.data[0] if layer.multiscale else layer.data\n"
        f"image = Image(np.asarray(pixels[{_key(recipe, source.plane)}]), {source.axes!a}, "
        f"rgb={source.rgb}, name=layer.name{_origin(recipe)})"
    )


def _from_channels(recipe: RunRecipe) -> str:
    """Read all channels, which lie along an axis of a layer or in a layer each, along an axis before Y."""
    source = recipe.source
    axes = source.axes.replace("C", "")
    at = axes.index("Y")
    named = [f"layers[{name!a}]" for name in source.channel_layers] or [f"layers[{source.image!a}]"]
    fixed: dict[int, int | str] = dict(source.plane)
    if source.channel_axis is not None:
        fixed[source.channel_axis] = "number"
    numbers = f" for number in range({len(source.channel_names)})" if source.channel_axis is not None else ""
    return (
        "# Paste this into the console of napari.\n"
        "layers = napari.current_viewer().layers\n"
        f"arrays = [one.data[0] if one.multiscale else one.data for one in ({', '.join(named)},)]\n"
        f"planes = [np.asarray(pixels[{_key(recipe, fixed, axes)}]) for pixels in arrays{numbers}]\n"
        f"image = Image(np.stack(planes, {at}), {f'{axes[:at]}C{axes[at:]}'!a}, name={source.image!a}, "
        f"channels={source.channel_names!a}{_origin(recipe)})"
    )


def _origin(recipe: RunRecipe) -> str:
    """Write the argument that says where a part lies in its image; nothing where it is no part."""
    region = recipe.source.region
    return "" if region is None else f", origin={tuple(first for first, _ in region)!r}"


def _key(recipe: RunRecipe, fixed: Mapping[int, int | str], axes: str | None = None) -> str:
    """Write what indexes an array for its plane and window; `fixed` are axes that it has beside those segmented."""
    source = recipe.source
    spans = dict(zip("YX", source.region or (), strict=False))
    letters = iter(axes or source.axes)
    words = []
    for axis in range(len(axes or source.axes) + len(fixed)):
        span = spans.get(next(letters)) if axis not in fixed else None
        words.append(str(fixed[axis]) if axis in fixed else ":" if span is None else f"{span[0]}:{span[1]}")
    return ", ".join(words)
