"""What the user chose last, kept by napari from one session to the next (Preferences > napari-unetseg).

napari 0.9 is the first that keeps settings of plugins; with an earlier one nothing is remembered.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from napari.layers import Layer

from napari_unetseg.postprocessing.layer_data import Output

PLUGIN = "napari-unetseg"


@dataclass(frozen=True)
class RememberedSettings:
    """The settings `configurations.panel` of the manifest, with their defaults.

    Attributes
    ----------
    model
        Name of a model; empty where none was chosen yet.
    device
        ``"auto"``, ``"cuda"``, ``"mps"`` or ``"cpu"``.
    labels, contours, confidence
        Which outputs are made.
    labels_opacity, contours_opacity, confidence_opacity
        How their layers look, 0 to 1.
    """

    model: str = ""
    device: str = "auto"
    labels: bool = True
    contours: bool = True
    confidence: bool = False
    labels_opacity: float = 0.5
    contours_opacity: float = 0.7
    confidence_opacity: float = 0.6

    def opacity(self, output: Output) -> float:
        """Return how a layer looks; the agreement looks as the confidence does."""
        name = "confidence" if output == "agreement" else output
        return float(getattr(self, f"{name}_opacity"))


def recall() -> RememberedSettings:
    """Return what the user chose last; the defaults where napari keeps nothing."""
    kept = _kept()
    return (
        RememberedSettings()
        if kept is None
        else RememberedSettings(**{name: getattr(kept, name) for name in asdict(RememberedSettings())})
    )


def remember(**changes: Any) -> None:
    """Keep what the user chose; napari writes it into a file where it differs from before."""
    kept = _kept()
    if kept is None:
        return
    for name, value in changes.items():
        if getattr(kept, name) != value:
            setattr(kept, name, value)


def opacities(layers: Mapping[Output, Layer]) -> dict[str, float]:
    """Return how layers look, as `remember` takes it."""
    return {f"{output}_opacity": round(float(layer.opacity), 3) for output, layer in layers.items()}


def _kept() -> Any:
    """Return napari's model of the settings, which writes each change to a file; None if it keeps none."""
    try:
        from napari.settings import get_plugin_settings

        return get_plugin_settings(PLUGIN).panel
    except (ImportError, KeyError):
        # An earlier napari; or one in which the plugin is switched off and used as a library.
        return None
