"""A server in place of this machine: `RemoteService` has the verbs of `SegmentationService`, and needs no torch.

`connection` speaks with the server, and says with the `errors` what goes wrong between both; `server_address` reads
where it is, `key_store` keeps the key, `server_check` asks what it is. `remote_models` are the models that it has, and
`remote_model` is one that runs; over them `remote_service` has the verbs, which the rest of this package shares.
`repeated_run` makes the service of a recipe.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetseg.client.remote_service import RemoteService as RemoteService
    from napari_unetseg.client.repeated_run import repeating_service as repeating_service
    from napari_unetseg.client.server_check import ServerReport as ServerReport
    from napari_unetseg.client.server_check import check_server as check_server

_HOMES = {
    "RemoteService": "remote_service",
    "ServerReport": "server_check",
    "check_server": "server_check",
    "repeating_service": "repeated_run",
}

__all__ = ["RemoteService", "ServerReport", "check_server", "repeating_service"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use: the service takes a second, of which the window needs nothing to open."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
