"""A run made again where it was made: on this machine, or on a server."""

from napari_unetseg.client.remote_service import RemoteService
from napari_unetseg.config import Settings
from napari_unetseg.service.protocols import Segmenter
from napari_unetseg.service.run_recipe import RunRecipe


def repeating_service(recipe: RunRecipe, base: Settings | None = None, *, key: str | None = None) -> Segmenter:
    """Make a service that runs as a recipe says, with its server where it names one; the caller closes it.

    Parameters
    ----------
    recipe
        What to do again.
    base
        Settings for all that does not decide the labels. None: those of this machine.
    key
        The key for the server; see `RemoteService`.

    Raises
    ------
    RunRecipeError
        If the model is another one now.
    UnetsegError
        If there is no such model or backend, or the server does not answer.
    """
    server = recipe.run.server
    if server is None:
        return recipe.service(base)
    service = RemoteService(server.address, recipe.model.name, key=key, settings=base)
    try:
        recipe.check_model(service.package)
    except Exception:
        service.close()
        raise
    return service
