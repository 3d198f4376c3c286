"""`napari-unetseg models`: what --model can name."""

import json
from typing import Annotated, Any

import typer

from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.io.text_columns import in_columns
from napari_unetseg.zoo.card import headline
from napari_unetseg.zoo.published import PublishedModel
from napari_unetseg.zoo.registry import (
    BrokenPackage,
    Listed,
    ModelPackage,
    WeightsNeeded,
    list_models,
    user_model_folder,
)

_TITLES = ("name", "model", "from", "object size", "scores")


def models_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: the whole model cards.")] = False,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="List those of this server instead, such as http://lab:8001."),
    ] = None,
) -> None:
    """List the models that are installed, those that need weights, and those that cannot be used and why."""
    found = list_models() if server is None else _models_of(server)
    if as_json:
        typer.echo(json.dumps([_as_dict(model) for model in found], indent=2))
        return
    rows = [_TITLES, *(_row(model) for model in found if isinstance(model, ModelPackage))]
    typer.echo("\n".join(in_columns(rows, left=len(_TITLES))))
    for model in found:
        if isinstance(model, BrokenPackage):
            typer.echo(f"\nBroken: {model.path.name} ({model.origin}): {model.reason}")
    needing = [model for model in found if isinstance(model, WeightsNeeded)]
    if needing:
        typer.echo("\nWeights needed (put a checkpoint into the folder, or see 'napari-unetseg convert --help'):")
    for model in needing:
        typer.echo(f"{model.name}: {model.model.display_name}, {_count(model.model)} parameters; {model.path}")
    if server is None:
        typer.echo(f"\nModels of your own go into {user_model_folder()}")


def _models_of(server: str) -> list[Listed]:
    with plain_errors():
        from napari_unetseg.cli.opening import open_settings
        from napari_unetseg.client import check_server

        return list(check_server(server, settings=open_settings()).packages)


def _row(model: ModelPackage) -> tuple[str, ...]:
    card = model.card
    size = f"{card.object_size:g} px" if card.object_size else "any"
    return card.name, card.display_name, model.origin, size, headline(card.scores) or "none stated"


def _count(model: PublishedModel) -> str:
    """Return the number of parameters, and of those that do any work where they are fewer."""
    live = "" if model.live_parameters == model.parameters else f" ({model.live_parameters / 1e6:.2f} M live)"
    return f"{model.parameters / 1e6:.2f} M{live}"


def _as_dict(model: Listed) -> dict[str, Any]:
    if isinstance(model, WeightsNeeded):
        published = {key: getattr(model.model, key) for key in ("display_name", "description", "parameters")}
        place = {"path": str(model.path), "origin": "published", "usable": False, "reason": model.reason}
        return {"name": model.name, **published, "live_parameters": model.model.live_parameters, **place}
    common = {"path": str(model.path), "origin": model.origin}
    if isinstance(model, BrokenPackage):
        return {"name": model.path.name, **common, "usable": False, "reason": model.reason}
    return {"name": model.name, **common, "usable": True, "card": model.card.model_dump(mode="json")}
