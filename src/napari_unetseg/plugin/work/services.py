"""The services that the windows of this process share."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from napari_unetseg.plugin.work.preferences import requested_device
from napari_unetseg.plugin.work.preload_torch import read_torch_libraries

if TYPE_CHECKING:
    from napari_unetseg.service import RunRecipe, SegmentationService

_lock = Lock()
# By device, and by model and device.
_devices: dict[str, "SegmentationService"] = {}
_shared: dict[tuple[str, str], "SegmentationService"] = {}
# The last one, by what its recipe asks for.
_of_recipes: dict[str, "SegmentationService"] = {}


# Gives the service for a model and a device; called in worker threads only.
ServiceFactory = Callable[[str, str], "SegmentationService"]


def shared_service(model: str, device: str) -> "SegmentationService":
    """Return the one service for this model and device.

    A second run therefore finds its model in memory, and two widgets hold it once. The services of one device share
    their memory: a model that was used before stays, so that changing back is quick, until others need the room that
    the setting `unet.model.max_models_gb` gives. Importing the service takes a second, so call this in a worker
    thread.

    Parameters
    ----------
    model
        Name or path of a model package.
    device
        ``"auto"`` (what the settings say), ``"cuda"``, ``"mps"`` or ``"cpu"``.

    Raises
    ------
    ModelError
        If there is no such model or its card is broken.
    """
    read_torch_libraries()
    from napari_unetseg.service import SegmentationService

    with _lock:
        if (model, device) not in _shared:
            first = _devices.get(device)
            service = SegmentationService(model, requested_device(device)) if first is None else first.with_model(model)
            _devices.setdefault(device, service)
            _shared[model, device] = service
        return _shared[model, device]


def known_service(model: str, device: str) -> "SegmentationService | None":
    """Return the service for this model and device if there is one already."""
    return _shared.get((model, device))


def recipe_service(recipe: "RunRecipe") -> "SegmentationService":
    """Return a service that runs as a recipe says; the one of the recipe before is freed once nothing uses it.

    Raises
    ------
    UnetsegError
        If this machine cannot do what it says.
    """
    read_torch_libraries()
    wanted = recipe.model_dump_json(include={"model", "run"})
    with _lock:
        if wanted not in _of_recipes:
            service = recipe.service()
            for before in _of_recipes.values():
                before.unload()
            _of_recipes.clear()
            _of_recipes[wanted] = service
        return _of_recipes[wanted]
