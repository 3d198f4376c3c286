"""Help for finding faults: what each run leaves behind, and what a process is doing."""

import itertools
import json
import os
import re
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from napari_unetseg.config import Settings
from napari_unetseg.config.keys import PREFIX
from napari_unetseg.errors import UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable
from napari_unetseg.service.provenance import Provenance
from napari_unetseg.service.segmentation import Segmentation

_HIDDEN = "(hidden)"
_HINT = "Correct development.debug_output_dir, or set development.save_debug_outputs to false."


def save_debug_outputs(result: Segmentation, settings: Settings, request_id: str) -> Path:
    """Write what a run gave to a new folder in `development.debug_output_dir`.

    The folder is named after the run's start, its image and its request. In it are one TIFF for each plane of
    the probability map (``probability_foreground.tif``...), ``labels.tif``, and ``run.json`` with the
    settings, how the result came about, and its warnings.

    Raises
    ------
    UnetsegError
        If they cannot be written; the message names the file and the setting.
    """
    from napari_unetseg.io import write_confidence, write_labels

    provenance, scale, unit = result.provenance, result.image.scale, result.image.unit
    run = {
        "request_id": request_id,
        "settings": settings.model_dump(mode="json"),
        "provenance": provenance.as_dict(),
        "warnings": result.warnings,
    }
    try:
        folder = _make_folder(settings.development.debug_output_dir.expanduser(), provenance, request_id)
        for head, plane in zip(result.heads, result.probability, strict=True):
            write_confidence(folder / f"probability_{head}.tif", plane, scale=scale, unit=unit)
        write_labels(folder / "labels.tif", result.labels, scale=scale, unit=unit)
        with whole_file(folder / "run.json") as file:
            file.write_text(printable(json.dumps(run, indent=2, ensure_ascii=False)), encoding="utf-8")
    except UnetsegError as error:
        raise UnetsegError(
            Sentence("The debug outputs of {image}: {reason} {hint}", image=provenance.image, reason=error, hint=_HINT)
        ) from error
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "The debug outputs of {image} cannot be written ({file}: {reason}). {hint}",
                image=provenance.image,
                file=error.filename,
                reason=error.strerror,
                hint=_HINT,
            )
        ) from error
    return folder


def _make_folder(parent: Path, provenance: Provenance, request_id: str) -> Path:
    """Make a new folder; images of one batch have its request id, and may have the same name."""
    started = re.sub(r"[^0-9T]", "", provenance.started[:19])
    image = re.sub(r"[^\w\-.]+", "_", provenance.image)[:60]
    name = f"{started}_{image}_{request_id[:12]}"
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.is_dir():  # a file is in the way, of the folder or of one above it
                raise
        else:
            break
    return folder


def debug_dump(settings: Settings) -> dict[str, Any]:
    """Return plain values: the settings, the environment variables that look like ours, and what each thread does.

    The key for a server is hidden.
    """
    frames = sys._current_frames()  # what the standard library has for this
    threads = {
        thread.name: traceback.format_stack(frames[thread.ident])
        for thread in threading.enumerate()
        if thread.ident in frames
    }
    shown = settings.model_dump(mode="json")
    secret = shown["client"]["key"]
    shown["client"]["key"] = secret and _HIDDEN
    variables = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return {
        "settings": shown,
        "variables": {name: _HIDDEN if value == secret else value for name, value in variables.items()},
        "threads": threads,
    }
