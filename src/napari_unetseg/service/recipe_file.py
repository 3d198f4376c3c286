"""A run as a file: YAML that people can read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

import napari_unetseg
from napari_unetseg.bounded_text import read_yaml, short_text
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable
from napari_unetseg.service.run_recipe import RunRecipe, RunRecipeError, release

_HEAD = """\
# How napari-unetseg made a result. To do the same with an image:
#   napari-unetseg segment --recipe THIS_FILE IMAGE
"""


def write_run_recipe(path: str | Path, recipe: RunRecipe) -> None:
    """Write a recipe as YAML that people can read; a file that exists is replaced.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    # An earlier version reads a recipe without fixes.
    content = recipe.model_dump(mode="json", exclude=None if recipe.fixes else {"fixes"})
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    with whole_file(Path(path)) as temporary:
        temporary.write_text(printable(_HEAD + text), encoding="utf-8")


def read_run_recipe(path: str | Path) -> RunRecipe:
    """Read a recipe that `write_run_recipe` wrote.

    Raises
    ------
    RunRecipeError
        If the file cannot be read, is no recipe, or a newer version wrote what this one does not know.
    """
    try:
        content = read_yaml(short_text(Path(path)))
    except OSError as error:
        raise RunRecipeError(
            Sentence("{path}: the recipe cannot be read ({reason}).", path=path, reason=error.strerror)
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunRecipeError(
            Sentence("{path}: the recipe is not valid YAML: {reason}", path=path, reason=error)
        ) from error
    try:
        return RunRecipe.model_validate(content)
    except ValidationError as error:
        newer = _newer_version(content)
        if newer is not None:
            raise RunRecipeError(
                Sentence(
                    "{path}: napari-unetseg {newer} made this recipe and this version ({version}) does not "
                    "understand all of it. Update: pip install -U napari-unetseg.",
                    path=path,
                    newer=newer,
                    version=napari_unetseg.__version__,
                )
            ) from error
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise RunRecipeError(
            Sentence("{path}: this is not the recipe of a run: {faults}.", path=path, faults=faults)
        ) from error


def _newer_version(content: Any) -> str | None:
    version = content.get("napari_unetseg") if isinstance(content, Mapping) else None
    newer = isinstance(version, str) and release(version) > release(napari_unetseg.__version__)
    return str(version) if newer else None
