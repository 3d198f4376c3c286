"""What is said of a run before it starts."""

from typing import TYPE_CHECKING

from napari_unetseg.language import local, mark, tr
from napari_unetseg.plugin.parts import words

if TYPE_CHECKING:
    from napari_unetseg.service.forecast import Forecast

DEVICES = {"cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (MPS)"}

_BASIS = {
    "runs": mark("The time is that of this session's runs with this model."),
    "benchmark": mark("The time is what 'napari-unetseg benchmark --save' measured on this machine."),
    "guess": mark("The time is a rough guess from the size of the network, until a first run was timed."),
}
_UNKNOWN = mark("The time is not known before a first run.")
_MEMORY = mark("Memory for tiles and results, beside the image and the model: about {needed} of {free} that are free.")
_LONG = mark("That is long. Try a small part first ('Run on'), to see whether the settings fit.")
_LARGE = mark("That may be more than is free. Close other programs, or run on a part of the image.")


def line(forecast: "Forecast | None") -> str:
    """Return ``"CPU · about 4 s · 180 MB"``; nothing if nothing is known."""
    if forecast is None:
        return ""
    device = DEVICES[forecast.device]
    parts = [device if forecast.precision in (None, "float32") else f"{device} {forecast.precision}"]
    if forecast.seconds is not None:
        parts.append(tr("about {time}").format(time=about(forecast.seconds)))
    if forecast.memory_mb is not None:
        parts.append(memory(forecast.memory_mb))
    return " · ".join(parts)


def explanation(forecast: "Forecast | None") -> str:
    """Say why this device, and where the figures come from."""
    if forecast is None:
        return ""
    said = [local(forecast.reason), tr(_UNKNOWN if forecast.basis is None else _BASIS[forecast.basis])]
    if forecast.memory_mb is not None:
        said.append(tr(_MEMORY).format(needed=memory(forecast.memory_mb), free=memory(forecast.free_mb)))
    said += [tr(_LONG)] * forecast.is_long + [tr(_LARGE)] * forecast.is_large
    return "\n".join(said)


def about(seconds: float) -> str:
    """Return a duration without more digits than a forecast has: ``"4 s"``, ``"3 min"``, ``"2.5 h"``."""
    if seconds >= 5400:
        return f"{seconds / 3600:.2g} h"
    return words.duration(max(10, seconds)) if seconds >= 9.5 else f"{max(1, round(seconds))} s"


def memory(megabytes: float) -> str:
    """Return two digits of an amount of memory: ``"180 MB"``, ``"6.1 GB"``."""
    if megabytes >= 1000:
        return f"{megabytes / 1024:.2g} GB" if megabytes < 99 * 1024 else f"{megabytes / 1024:.0f} GB"
    return f"{float(f'{max(megabytes, 1):.2g}'):.0f} MB"
