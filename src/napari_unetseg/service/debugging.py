"""Help for finding faults: what each run leaves behind, and what a process is doing."""

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
from napari_unetseg.io import write_confidence, write_labels
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.service.segmentation import Segmentation

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
    told = result.provenance
    started = re.sub(r"[^0-9T]", "", told.started[:19])
    name = re.sub(r"[^\w\-.]+", "_", told.image)[:60]
    folder = settings.development.debug_output_dir.expanduser() / f"{started}_{name}_{request_id[:12]}"
    image = {"scale": result.image.scale, "unit": result.image.unit}
    run = {
        "request_id": request_id,
        "settings": settings.model_dump(mode="json"),
        "provenance": told.as_dict(),
        "warnings": result.warnings,
    }
    try:
        for head, plane in zip(result.heads, result.probability, strict=True):
            write_confidence(folder / f"probability_{head}.tif", plane, **image)
        write_labels(folder / "labels.tif", result.labels, **image)
        with whole_file(folder / "run.json") as file:
            file.write_text(json.dumps(run, indent=2, ensure_ascii=False), encoding="utf-8")
    except UnetsegError as error:
        raise UnetsegError(f"The debug outputs of {told.image}: {error} {_HINT}") from error
    return folder


def debug_dump(settings: Settings) -> dict[str, Any]:
    """Return plain values: the settings, the environment variables that look like ours, and what each thread does."""
    frames = sys._current_frames()
    threads = {
        thread.name: traceback.format_stack(frames[thread.ident])
        for thread in threading.enumerate()
        if thread.ident in frames
    }
    return {
        "settings": settings.model_dump(mode="json"),
        "variables": {name: value for name, value in os.environ.items() if name.startswith(PREFIX)},
        "threads": threads,
    }
