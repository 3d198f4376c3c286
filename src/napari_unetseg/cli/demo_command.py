"""`napari-unetseg demo`: see it work before reading anything."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.errors import UnetsegError


def demo_command(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.", file_okay=False)
    ] = Path("demo"),
    screenshot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Open the window, segment in it, save a picture of it and close.", dir_okay=False
        ),
    ] = None,
) -> None:
    """Segment a sample image, write the results, and show it in napari where there is a display."""
    with plain_errors():
        _segment_sample(output)
        if screenshot is not None:
            _open_window(screenshot)
            typer.echo(f"Window: {screenshot}")
        elif has_display():
            typer.echo("Opening napari. Close its window to end.")
            _open_window(None)
        else:
            typer.echo("There is no display here, so the napari window was not opened.")


def has_display() -> bool:
    """Tell whether a window can be shown: always on macOS and Windows, elsewhere if X or Wayland is there."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _segment_sample(output: Path) -> None:
    from napari_unetseg.batch.output_files import ResultKind, Target
    from napari_unetseg.batch.saving import save_results
    from napari_unetseg.samples import SAMPLES
    from napari_unetseg.service import SegmentationService

    image = SAMPLES["nuclei"]()
    segmentation = SegmentationService().segment(image)
    for warning in segmentation.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    kept = (ResultKind.OVERLAY, ResultKind.LABELS, ResultKind.TABLE)
    paths = save_results(segmentation, Target(output, image.name), kept)
    typer.echo(f"{segmentation.count} nuclei found in {segmentation.provenance.seconds:.2f} s.")
    for path in paths:
        typer.echo(f"Wrote {path}")


def _open_window(screenshot: Path | None) -> None:
    if not has_display():
        raise UnetsegError("There is no display for the window; on a server, run the command under xvfb-run.")
    try:
        from napari_unetseg.plugin.demo_window import open_demo

        open_demo(screenshot)
    except ImportError as error:
        raise UnetsegError(
            f"The window cannot be opened ({error}). Install napari with its window toolkit: pip install 'napari[all]'."
        ) from error
