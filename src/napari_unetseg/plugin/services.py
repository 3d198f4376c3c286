"""The services that the windows of this process share."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from napari_unetseg.plugin.preferences import requested_device
from napari_unetseg.plugin.read_ahead import read_torch_libraries

if TYPE_CHECKING:
    from napari_unetseg.service import SegmentationService

_lock = Lock()
_shared: dict[tuple[str, str], "SegmentationService"] = {}


# Gives the service for a model and a device; called in worker threads only.
ServiceFactory = Callable[[str, str], "SegmentationService"]


def shared_service(model: str, device: str) -> "SegmentationService":
    """Return the one service for this model and device; the model used before is unloaded.

    A second run therefore finds its model in memory, and two widgets hold it once; what still runs with
    the model before ends well. Importing the service takes a second, so call this in a worker thread.

    Parameters
    ----------
    model
        Name or path of a model package.
    device
        ``"auto"`` (what the settings say), ``"cuda"``, ``"mps"`` or ``"cpu"``.

    Raises
    ------
    ModelError
        If there is no such model or its card is broken; the model used before then stays.
    """
    read_torch_libraries()
    from napari_unetseg.service import SegmentationService

    with _lock:
        if (model, device) not in _shared:
            service = SegmentationService(model, requested_device(device))
            for unused in _shared.values():
                unused.unload()
            _shared.clear()
            _shared[model, device] = service
        return _shared[model, device]
