"""The sizes that suit this user's devices, as `napari-unetseg benchmark --save` measured them.

One JSON file in the user's data folder, keyed by the name of the device, the SHA-256 of the model's
weights, and the runtime with its precision. What was measured on one of them says nothing about another.
"""

import json
import logging
import platform
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from napari_unetseg.inference.backends import device_kind
from napari_unetseg.inference.backends.processor import cpu_name
from napari_unetseg.io.atomic import whole_file

_log = logging.getLogger(__name__)

Side = Annotated[int, Field(ge=1)]


class TunedBatch(BaseModel):
    """How much the network should see at once, on one device.

    Attributes
    ----------
    batch_size
        Tiles in a batch that cost the least memory for (nearly) the best throughput.
    max_batch_size
        Most tiles in a batch that were found to fit.
    window
        Side of a tile in pixels, halo included; None where the model does not leave the choice.
    max_window
        Largest side that was found to fit; None where the model does not leave the choice.
    megapixels_per_s
        Millions of pixels of an image that it does in a second; None where it was not kept.
    peak_memory_mb
        Most memory that a batch takes in addition to the loaded model, in MiB; None where it is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int = Field(ge=1)
    max_batch_size: int = Field(ge=1)
    window: Side | None = None
    max_window: Side | None = None
    megapixels_per_s: float | None = Field(None, gt=0)
    peak_memory_mb: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "TunedBatch":
        if self.batch_size > self.max_batch_size:
            raise ValueError("batch_size must not be above max_batch_size")
        return self


class _Profile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    # By device name, then by the model's SHA-256, then by `_plan`.
    sizes: dict[str, dict[str, dict[str, TunedBatch]]] = Field(default_factory=dict)


def profile_path() -> Path:
    """Return where the profile is kept; the file need not exist."""
    return user_data_path("napari-unetseg", appauthor=False) / "tuning.json"


def read_profile(
    device_name: str, model_sha256: str, backend: str = "torch", precision: str = "float32"
) -> TunedBatch | None:
    """Return what was measured for this device, model, runtime and precision.

    A file that cannot be read is ignored, with a warning in the log: the published defaults apply.

    Parameters
    ----------
    device_name
        As `napari_unetseg.service.machine_profile.device_name` gives it.
    model_sha256
        SHA-256 of the model's weights.
    backend, precision
        As `napari_unetseg.inference.backends.selection.ExecutionPlan` has them.

    Returns
    -------
    TunedBatch or None
        None if nothing was saved.
    """
    return _read(profile_path()).sizes.get(device_name, {}).get(model_sha256, {}).get(_plan(backend, precision))


def write_profile(
    device_name: str, model_sha256: str, size: TunedBatch, backend: str = "torch", precision: str = "float32"
) -> Path:
    """Keep what was measured; what is known of other devices, models, runtimes and precisions stays.

    A file that cannot be read is replaced, with a warning in the log.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    path = profile_path()
    sizes = {device: {model: dict(by) for model, by in models.items()} for device, models in _read(path).sizes.items()}
    sizes.setdefault(device_name, {}).setdefault(model_sha256, {})[_plan(backend, precision)] = size
    content = _Profile(sizes=sizes).model_dump_json(indent=2)
    with whole_file(path) as temporary:
        temporary.write_text(content + "\n", encoding="utf-8")
    return path


def _plan(backend: str, precision: str) -> str:
    # Files from before there was a choice have the runtime alone.
    return backend if precision == "float32" else f"{backend} {precision}"


def _read(path: Path) -> _Profile:
    try:
        return _Profile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return _Profile()
    except (OSError, ValueError) as error:
        _log.warning(
            "%s: the sizes measured on this machine cannot be read (%s). They are ignored; "
            "delete the file and run 'napari-unetseg benchmark --save' again.",
            path,
            _reason(error),
        )
        return _Profile()


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'file'}: {first['msg']}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


def device_name(device: str) -> str:
    """Return the name of a device, for people and as a key for what was measured on it; two cards of a make share it.

    Parameters
    ----------
    device
        ``"cpu"``, ``"cuda"``, a card such as ``"cuda:1"``, or ``"mps"``; torch is loaded for cards alone.
    """
    if device_kind(device) == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    # On a Mac the graphics card is a part of the processor.
    return cpu_name() if device == "cpu" else f"{platform.system()} {device.upper()} device of {cpu_name()}"
