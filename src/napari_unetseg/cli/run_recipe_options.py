"""`--recipe`, `--window` and `--batch-size`: a run as an earlier one was made."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unetseg.cli.opening import open_settings

if TYPE_CHECKING:
    from napari_unetseg.config import Settings
    from napari_unetseg.service import RunRecipe, Segmenter

_log = logging.getLogger(__name__)

RecipeOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Do all as this file says, which the window saved ('Save recipe...'): model, parameters, device, tiles, "
        "and, in one image, what was fixed by clicks.",
        dir_okay=False,
    ),
]
WindowOption = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        min=32,
        help="Largest side of a tile. Default: what 'napari-unetseg config' says, or what was measured here.",
    ),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        metavar="TILES",
        min=1,
        help="Tiles that the network sees at once. Default: what 'napari-unetseg config' says, or what was measured "
        "here.",
    ),
]


def tiled(window: int | None, batch_size: int | None) -> "Settings":
    """Read the settings of this machine, with these in their place where they are given."""
    from napari_unetseg.service import tiled_settings

    return tiled_settings(window, batch_size, open_settings())


def open_recipe(path: Path, given: Mapping[str, Any]) -> tuple["Segmenter", "RunRecipe"]:
    """Read a recipe, and make the service that it asks for.

    Parameters
    ----------
    path
        The recipe.
    given
        What the recipe decides, as options gave it; None or False where they were left out.

    Raises
    ------
    typer.BadParameter
        If one was given all the same.
    UnetsegError
        If it is no recipe, or this machine cannot do what it says.
    """
    from napari_unetseg.client import repeating_service
    from napari_unetseg.service import read_run_recipe

    twice = [name.replace("_", " ") for name, value in given.items() if value is not None and value is not False]
    if twice:
        raise typer.BadParameter(f"decides {', '.join(twice)} already; leave one out", param_hint="--recipe")
    recipe = read_run_recipe(path)
    service = repeating_service(recipe, open_settings())
    service.initialize(warm_up=False)
    for remark in (*recipe.remarks, *recipe.differences(service.model_info())):
        _log.warning(remark)
    return service, recipe


def fixing_recipe(recipe: "RunRecipe", images: int) -> "RunRecipe | None":
    """Return a recipe if what was fixed by clicks is to be fixed again: in one image, not in each of many."""
    if not recipe.fixes:
        return None
    if images == 1:
        return recipe
    _log.warning(
        "What was fixed by clicks in %s is left out: these are %d images, and it is for that one alone.",
        recipe.source.image,
        images,
    )
    return None
