"""The services that the windows of this process share, and what the settings say to the window."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from napari_unetseg.config import load_settings
from napari_unetseg.errors import ConfigError, UnetsegError
from napari_unetseg.plugin.parts.server_names import is_server
from napari_unetseg.plugin.workers.preload_torch import read_torch_libraries
from napari_unetseg.plugin.workers.servers import Servers

if TYPE_CHECKING:
    from napari_unetseg.service import RunRecipe, Segmenter

ServiceFactory = Callable[[str, str], "Segmenter"]
"""Gives the service for a model and a device; called in worker threads only."""

AUTOMATIC = "auto"
"""The device of a window in which nobody chose one."""


class SharedServices:
    """Services by model and device, each made on first use.

    A second run therefore finds its model in memory, and two widgets hold it once. The services of one device share
    their memory: a model that was used before stays, so that changing back is quick, until others need the room that
    the setting `unet.model.max_models_gb` gives. Importing the service takes a second, and a server has to be asked for
    its models, so ask for one in a worker thread.

    Parameters
    ----------
    servers
        Has the keys for servers.
    """

    def __init__(self, servers: Servers | None = None) -> None:
        self._servers = servers or Servers()
        self._lock = Lock()
        self._by_device: dict[str, Segmenter] = {}
        self._by_model: dict[tuple[str, str], Segmenter] = {}
        self._of_recipe: tuple[str, Segmenter] | None = None

    def shared_service(self, model: str, device: str) -> "Segmenter":
        """Return the one service for this model and device.

        Parameters
        ----------
        model
            Name or path of a model package.
        device
            ``"auto"`` (what the settings say), ``"cuda"``, ``"mps"``, ``"cpu"``, or the address of a server.

        Raises
        ------
        ModelError
            If there is no such model or its card is broken.
        ServerError
            If the server does not answer.
        """
        if is_server(device):
            return self._remote_service(model, device)
        read_torch_libraries()
        from napari_unetseg.service import SegmentationService

        with self._lock:
            if (model, device) not in self._by_model:
                first = self._by_device.get(device)
                service = (
                    SegmentationService(model, requested_device(device)) if first is None else first.with_model(model)
                )
                self._by_device.setdefault(device, service)
                self._by_model[model, device] = service
            return self._by_model[model, device]

    def _remote_service(self, model: str, address: str) -> "Segmenter":
        with self._lock:
            known, first = self._by_model.get((model, address)), self._by_device.get(address)
        if known is None:
            # Without the lock: a server that does not answer keeps nobody else waiting.
            known = self._connect(model, address) if first is None else first.with_model(model)
        with self._lock:
            self._by_device.setdefault(address, known)
            return self._by_model.setdefault((model, address), known)

    def _connect(self, model: str, address: str) -> "Segmenter":
        from napari_unetseg.client.remote_service import RemoteService

        return RemoteService(address, model, key=self._servers.key(address))

    def _repeating_service(self, recipe: "RunRecipe", address: str) -> "Segmenter":
        from napari_unetseg.client.repeated_run import repeating_service

        return repeating_service(recipe, key=self._servers.key(address))

    def forget_service(self, address: str) -> None:
        """Connect to a server anew for the next run, as with another key; what runs there goes on."""
        with self._lock:
            self._by_device.pop(address, None)
            for model, device in list(self._by_model):
                if device == address:
                    del self._by_model[model, device]
            if self._of_recipe is not None:
                self._of_recipe[1].unload()
                self._of_recipe = None

    def known_service(self, model: str, device: str) -> "Segmenter | None":
        """Return the service for this model and device if there is one already."""
        return self._by_model.get((model, device))

    def recipe_service(self, recipe: "RunRecipe") -> "Segmenter":
        """Return a service that runs as a recipe says; that of the recipe before gives its memory back.

        Raises
        ------
        UnetsegError
            If this machine, or the server that it names, cannot do what it says.
        """
        server = recipe.run.server
        if server is None:
            read_torch_libraries()
        requested = recipe.model_dump_json(include={"model", "run"})
        with self._lock:
            if self._of_recipe is not None and self._of_recipe[0] == requested:
                return self._of_recipe[1]
        # Without the lock: a server that does not answer keeps nobody else waiting, least of all the window.
        service = recipe.service() if server is None else self._repeating_service(recipe, server.address)
        with self._lock:
            before, self._of_recipe = self._of_recipe, (requested, service)
        if before is not None:
            before[1].unload()
        return service


shared_servers = Servers()
_services = SharedServices(shared_servers)
shared_service = _services.shared_service
forget_service = _services.forget_service
known_service = _services.known_service
recipe_service = _services.recipe_service


def preferred_model() -> str | None:
    """Return the name of the model that the settings name; None if they name none.

    Where the settings are wrong the window opens all the same: its service, which reads them too, says so.
    """
    try:
        return load_settings().settings.unet.model.name
    except ConfigError:
        return None


def preferred_server() -> str | None:
    """Return the address of the server that the settings name; None if they name none, or what they name is none."""
    try:
        server = load_settings().settings.client.server
        return None if server is None else shared_servers.checked_address(server)
    except UnetsegError:
        return None


def requested_device(choice: str) -> str | None:
    """Return the device to request of a service; None, which leaves it to the settings, where nobody chose one."""
    return None if choice == AUTOMATIC else choice
