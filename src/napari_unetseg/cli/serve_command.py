"""`napari-unetseg serve`: let other machines use this one's models over HTTP."""

import socket
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_unetseg.cli.opening import open_settings
from napari_unetseg.cli.options import DeviceOption, ModelOption
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.errors import UnetsegError

if TYPE_CHECKING:
    import uvicorn

    from napari_unetseg.config import Settings

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def serve_command(
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address to listen at. Default: 127.0.0.1, heard on this machine alone."),
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen at; 0: any free one. Default: 8001.")
    ] = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    no_keys: Annotated[
        bool, typer.Option("--no-keys", help="Let whoever reaches the port use the server, without a key.")
    ] = False,
    ssl_certfile: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Certificate, for https.")
    ] = None,
    ssl_keyfile: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Private key of the certificate.")
    ] = None,
    log_level: Annotated[
        Level | None, typer.Option(case_sensitive=False, help="Least important records that are written to stderr.")
    ] = None,
) -> None:
    """Answer to other programs and machines over HTTP, until Ctrl-C or SIGTERM; running requests are finished then.

    Options that are left out are those of section 'server' of the settings; see 'napari-unetseg config'.
    """
    with plain_errors():
        _require_extra()
        given = {"host": host, "port": port, "require_keys": False if no_keys else None}
        settings = _changed(open_settings(), given, log_level)
        _check_keys(settings)
        _serve(settings, model, device, ssl_certfile, ssl_keyfile)


def _require_extra() -> None:
    missing = [name for name in ("fastapi", "fastapi_offline", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UnetsegError(
            f'The server needs {missing[0]}, which is not installed: pip install "napari-unetseg[server]"'
        )


def _changed(settings: "Settings", given: dict[str, Any], log_level: str | None) -> "Settings":
    from napari_unetseg.service.logs import start_logging

    if log_level is not None:
        start_logging(log_level)
    changes = {name: value for name, value in given.items() if value is not None}
    return settings.model_copy(update={"server": settings.server.model_copy(update=changes)})


def is_loopback(host: str) -> bool:
    """Whether an address, or all that a name stands for, is heard on this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


def _check_keys(settings: "Settings") -> None:
    """Refuse to be heard by others without keys, unless that is said aloud."""
    server = settings.server
    if is_loopback(server.host):
        return
    if not server.require_keys:
        typer.echo(
            f"Warning: whoever reaches {server.host} may use this server, as --no-keys or server.require_keys says.",
            err=True,
        )
        return
    raise UnetsegError(
        f"At {server.host} other machines reach this server, and it has no keys yet. Make one for each user with "
        "'napari-unetseg keys add NAME', or say --no-keys to let everybody use it."
    )


def _serve(
    settings: "Settings", model: str | None, device: str | None, ssl_certfile: Path | None, ssl_keyfile: Path | None
) -> None:
    import uvicorn

    from napari_unetseg.server.app import create_app
    from napari_unetseg.service import SegmentationService

    listener = _bind(settings.server.host, settings.server.port)
    app = create_app(settings, SegmentationService(model, device, settings=settings))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        timeout_graceful_shutdown=round(settings.server.shutdown_s),
    )
    server = _announcing(config, settings.server.host)
    startup = app.state.context.startup

    def leave() -> None:
        server.should_exit = True

    startup.on_failure = leave
    try:
        server.run([listener])
    finally:
        listener.close()
    if startup.failure is not None:
        raise UnetsegError(startup.failure)


def _bind(host: str, port: int) -> socket.socket:
    """Take the port, before anything that takes long.

    Raises
    ------
    UnetsegError
        If it is taken, or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UnetsegError(f"{host} is no address of this machine ({error.strerror}).") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise UnetsegError(
            f"Port {port} of {host} cannot be had ({error.strerror}). Stop the program that has it, or choose "
            "another one with --port."
        ) from error
    return listener


def _announcing(config: "uvicorn.Config", host: str) -> "uvicorn.Server":
    """Return a server that says on stdout where it listens, once it does."""
    import uvicorn

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            port = sockets[0].getsockname()[1] if sockets else config.port
            name = f"[{host}]" if ":" in host else host
            url = f"{'https' if config.is_ssl else 'http'}://{name}:{port}"
            typer.echo(f"Listening on {url} (docs: {url}/docs)")

    return Announcing(config)
