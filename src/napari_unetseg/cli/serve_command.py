"""`napari-unetseg serve`: let other machines use this one's models over HTTP."""

import errno
import os
import socket
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from pydantic import ValidationError

from napari_unetseg.cli.opening import open_settings
from napari_unetseg.cli.options import DeviceOption, ModelOption
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.errors import ConfigError, UnetsegError

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from napari_unetseg.config import Settings

_LIBRARIES = ("fastapi", "fastapi_offline", "prometheus_client", "python_multipart", "uvicorn")

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
    ray: Annotated[
        bool,
        typer.Option(
            "--ray", help="Start the replicas with Ray Serve, on this machine or its cluster; needs the extra [ray]."
        ),
    ] = False,
    replicas: Annotated[int, typer.Option(min=1, help="With --ray: how many servers.")] = 1,
    cpus: Annotated[float, typer.Option(min=0, help="With --ray: cores for each replica.")] = 1.0,
    gpus: Annotated[
        float, typer.Option(min=0, help="With --ray: GPUs for each replica; 0.5 lets two share one.")
    ] = 0.0,
    log_level: Annotated[
        Level | None, typer.Option(case_sensitive=False, help="Least important records that are written to stderr.")
    ] = None,
) -> None:
    """Answer to other programs and machines over HTTP, until Ctrl-C or SIGTERM; running requests are finished then.

    Options that are left out are those of section 'server' of the settings; see 'napari-unetseg config'.
    """
    if not ray and (replicas, cpus, gpus) != (1, 1.0, 0.0):
        raise typer.BadParameter("only Ray starts replicas; add --ray", param_hint="--replicas, --cpus, --gpus")
    with plain_errors():
        _require_extra(with_ray=ray)
        from napari_unetseg.service.logs import start_logging

        settings = open_settings()
        if log_level is not None:
            start_logging(log_level)
        settings = changed_settings(
            settings,
            server={"host": host, "port": port, "require_keys": False if no_keys else None},
            model={"name": model, "device": device},
        )
        _check_keys(settings)
        # Threads of OpenMP that wait for one another would keep the cores from those that decode and answer.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if ray:
            from napari_unetseg.server.ray_app import RayOptions, run_on_ray

            options = RayOptions(replicas=replicas, cpus=cpus, gpus=gpus)
            run_on_ray(settings, options, _announce, ssl_certfile=ssl_certfile, ssl_keyfile=ssl_keyfile)
        else:
            _serve(settings, ssl_certfile, ssl_keyfile)


def _require_extra(*, with_ray: bool) -> None:
    missing = [name for name in (*_LIBRARIES, *(["ray"] if with_ray else [])) if find_spec(name) is None]
    if missing:
        extra = "ray" if with_ray else "server"
        raise UnetsegError(
            f'The server needs {missing[0]}, which is not installed: pip install "napari-unetseg[{extra}]"'
        )


def changed_settings(settings: "Settings", *, server: dict[str, Any], model: dict[str, Any]) -> "Settings":
    """Return settings with what the command line gives of the sections `server` and `unet.model`; None is left out.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """
    values = settings.model_dump()
    values["server"] |= {name: value for name, value in server.items() if value is not None}
    values["unet"]["model"] |= {name: value for name, value in model.items() if value is not None}
    try:
        return type(settings).model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ConfigError(f"--{fault['loc'][-1]} {fault['input']}: {fault['msg']}.") from error


def _check_keys(settings: "Settings") -> None:
    """Refuse to be heard by others without keys, unless that is said aloud.

    Raises
    ------
    UnetsegError
        The message says how to make a key.
    """
    from napari_unetseg.server.keys import is_loopback, keys_path, keys_required, read_keys

    server = settings.server
    if keys_required(server):
        if any(key.revoked is None for key in read_keys(keys_path(server))):
            return
        raise UnetsegError(
            f"At {server.host} other machines reach this server, and it has no keys yet. Make one for each user with "
            "'napari-unetseg keys add NAME', or say --no-keys to let everybody use it."
        )
    if not is_loopback(server.host):
        typer.echo(
            f"WARNING: whoever reaches {server.host} may use this server without a key (--no-keys, or "
            "server.require_keys in the settings).",
            err=True,
        )


def _serve(settings: "Settings", ssl_certfile: Path | None, ssl_keyfile: Path | None) -> None:
    import uvicorn

    from napari_unetseg.server.app import create_app, quieten_libraries

    with ExitStack() as open_sockets:
        listeners = _bind(settings.server.host, settings.server.port, open_sockets)
        quieten_libraries()
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_certfile=ssl_certfile,
            ssl_keyfile=ssl_keyfile,
            timeout_graceful_shutdown=max(1, round(settings.server.shutdown_s)),
        )
        try:
            config.load()
        except (OSError, ValueError) as error:  # an SSLError is one
            raise UnetsegError(f"The certificate or its key cannot be used: {error}.") from error
        server, startup = _announcing(app, config, settings.server.host), app.state.context.startup

        def leave() -> None:
            server.should_exit = True

        startup.on_failure = leave
        server.run(listeners)
    if startup.failure is not None:
        raise UnetsegError(startup.failure)


def _bind(host: str, port: int, stack: ExitStack) -> list[socket.socket]:
    """Take the port at each address that a host stands for, before anything that takes long.

    Raises
    ------
    UnetsegError
        If it is taken, or no address is this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise UnetsegError(f"{host} is no address of this machine ({error.strerror}).") from error
    listeners: list[socket.socket] = []
    failure: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            listener = stack.enter_context(socket.socket(family, kind, protocol))
            if sys.platform != "win32":  # where it would let two programs have one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # A port that the system chose is the same for all.
            chosen = listeners[0].getsockname()[1] if listeners and not port else port
            listener.bind((address[0], chosen, *address[2:]))
        except OSError as error:
            failure = error
            if error.errno == errno.EADDRINUSE:
                break
        else:
            listeners.append(listener)
    if failure is not None and (not listeners or failure.errno == errno.EADDRINUSE):
        raise UnetsegError(
            f"Port {port} of {host} cannot be had ({failure.strerror}). Stop the program that has it, or choose "
            "another one with --port."
        ) from failure
    return listeners


def _announce(url: str) -> None:
    typer.echo(f"Listening on {url} (docs: {url}/docs)")


def _announcing(app: "FastAPI", config: "uvicorn.Config", host: str) -> "uvicorn.Server":
    """Return a server that says on stdout where it listens, once it does, and to its app that it stops."""
    import uvicorn

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            port = sockets[0].getsockname()[1] if sockets else config.port
            name = f"[{host}]" if ":" in host else host
            url = f"{'https' if config.is_ssl else 'http'}://{name}:{port}"
            _announce(url)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.stopping = True
            await super().shutdown(sockets)

    return Announcing(config)
