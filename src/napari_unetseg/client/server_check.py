"""Whether a server answers, and what it is: for the Test button, and before a server is chosen."""

from dataclasses import dataclass, field
from time import perf_counter

from napari_unetseg.api.models import ModelInfoResponse
from napari_unetseg.client.connection import Connection
from napari_unetseg.client.key_store import key_for
from napari_unetseg.client.remote_models import ServerModel, server_models
from napari_unetseg.client.server_address import ServerAddress
from napari_unetseg.config import Settings, load_settings


@dataclass(frozen=True)
class ServerReport:
    """What a server says of itself.

    Attributes
    ----------
    address
        Where it is.
    version
        Of napari-unetseg there.
    models
        Names of its models, its own first.
    device
        Where its own model runs: ``"cpu"``, ``"cuda"`` or ``"mps"``; None until that is loaded.
    seconds
        How long a question and its answer took.
    packages
        The models themselves.
    """

    address: str
    version: str
    models: tuple[str, ...]
    device: str | None
    seconds: float
    packages: tuple[ServerModel, ...] = field(default=(), repr=False)


def check_server(address: str, key: str | None = None, settings: Settings | None = None) -> ServerReport:
    """Ask a server what it is; takes as long as the network does.

    Parameters
    ----------
    address
        Such as ``"http://lab:8001"``.
    key
        None: the one that the settings or the keyring have for it.
    settings
        None: those of this machine.

    Raises
    ------
    ServerError
        If it does not answer, is no server of ours, or does not take the key.
    ParameterError
        If this is no address.
    """
    settings = settings or load_settings().settings
    server = ServerAddress.of(address)
    connection = Connection(server, key or key_for(server, settings.client), settings.client)
    try:
        packages, version = server_models(connection)
        clock = perf_counter()
        info = ModelInfoResponse.model_validate_json(connection.get("/model-info"))
        seconds = perf_counter() - clock
    finally:
        connection.close()
    names = tuple(package.name for package in packages)
    return ServerReport(server.url, version, names, info.details.get("device"), seconds, tuple(packages))
