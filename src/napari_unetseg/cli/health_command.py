"""`napari-unetseg health`: can this machine segment, and on what."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from napari_unetseg.cli.opening import open_service
from napari_unetseg.cli.options import BackendOption, DeviceOption, ModelOption, PrecisionOption, ServerOption
from napari_unetseg.errors import UnetsegError, one_line
from napari_unetseg.zoo.registry import DEFAULT_MODEL

if TYPE_CHECKING:
    from napari_unetseg.service import Health


def health_command(
    model: ModelOption = None,
    device: DeviceOption = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
    server: ServerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Load the model, run it on a small image, and report; of a server, what it says of itself.

    Exit status: 0 if healthy, 1 if not.
    """
    from napari_unetseg.service.debug_outputs import debug_dump

    try:
        service = open_service(model, device, backend, precision, server=server)
        report = service.health()
    except UnetsegError as error:  # no such model, or wrong settings: there is nothing to report on
        _print_hopeless(model, one_line(error), as_json)
        raise typer.Exit(1) from error
    if as_json:
        debug = service.settings.development.enable_debug_endpoints
        content = report.as_dict() | ({"debug": debug_dump(service.settings)} if debug else {})
        typer.echo(json.dumps(content, indent=2))
    else:
        typer.echo("\n".join(_lines(report)))
        for problem in report.problems:
            typer.echo(f"Problem: {problem}", err=True)
        for warning in report.warnings:
            typer.echo(f"Warning: {warning}", err=True)
    raise typer.Exit(0 if report.service_healthy else 1)


def _print_hopeless(model: str | None, problem: str, as_json: bool) -> None:
    if as_json:
        from napari_unetseg.service.reports import Health, ModelIdentity

        nothing = Health(
            service_healthy=False,
            model_loaded=False,
            memory_pools_ready=False,
            gpu_available=None,
            last_health_check=None,
            model_info=ModelIdentity(model or DEFAULT_MODEL, "standard", None),
            problems=(problem,),
        )
        typer.echo(json.dumps(nothing.as_dict(), indent=2))
    else:
        typer.echo("Not healthy")
        typer.echo(f"Problem: {problem}", err=True)


def _lines(report: "Health") -> list[str]:
    lines = ["Healthy" if report.service_healthy else "Not healthy", f"model   {report.model_info.model_name}"]
    if report.model_info.device is not None:
        lines.append(f"device  {report.model_info.device}: {report.device_reason}")
    if report.backend_reason is not None:
        # The reason may begin with the precision, which is said already.
        reason = report.backend_reason.removeprefix(f"{report.precision}: ")
        lines.append(f"runs    {report.precision} with {report.backend}: {reason}")
    if report.compilation is not None:
        lines.append(f"        {report.compilation}")
    if report.dummy_inference_ms is not None:
        answer = report.known_answer
        met = "" if answer is None else f", off its known answer by up to {answer.max_difference:.1g}"
        lines.append(f"test    {report.dummy_inference_ms:.0f} ms for a small image{met}")
    memory = report.memory_usage
    if memory.process_mb is not None:
        lines.append(f"memory  {memory.process_mb:.0f} MiB in this process")
    if memory.device_mb is not None:
        lines.append(f"        {memory.device_mb:.0f} MiB on the device")
    return lines
