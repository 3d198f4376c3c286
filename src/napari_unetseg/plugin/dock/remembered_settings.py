"""What the user chose last, kept by napari from one session to the next (Preferences > napari-unetseg).

napari 0.9 is the first that keeps settings of plugins; with an earlier one nothing is remembered.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from napari.layers import Layer

from napari_unetseg.channels import is_choice
from napari_unetseg.plugin.dock.rows import Rows
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.plugin.parts.server_names import is_server
from napari_unetseg.plugin.workers.services import preferred_model, preferred_server
from napari_unetseg.postprocessing.layer_data import Output

PLUGIN = "napari-unetseg"
_REMEMBERED: tuple[Output, ...] = ("labels", "contours", "confidence")


@dataclass(frozen=True)
class RememberedSettings:
    """The settings `configurations.panel` of the manifest, with their defaults.

    Attributes
    ----------
    model
        Name of a model; empty where none was chosen yet.
    device
        ``"auto"``, ``"cuda"``, ``"mps"``, ``"cpu"``, or the address of a server; empty where none was chosen yet.
    server
        Address of the server that the Device box offers, whatever is chosen; empty for none.
    channels, role_channels
        Which channels were chosen by name, for models that see one picture and for those that want several; empty for
        what is shown.
    labels, contours, confidence
        Which outputs are made.
    hide_older
        Whether a run hides the older results that lie where its own lies.
    labels_opacity, contours_opacity, confidence_opacity
        How their layers look, 0 to 1.
    """

    model: str = ""
    device: str = ""
    server: str = ""
    channels: str = ""
    role_channels: str = ""
    labels: bool = True
    contours: bool = True
    confidence: bool = False
    hide_older: bool = True
    labels_opacity: float = 0.5
    contours_opacity: float = 0.7
    confidence_opacity: float = 0.6

    def opacity(self, output: Output) -> float:
        """Return how a layer looks; the agreement looks as the confidence does."""
        name = "confidence" if output == "agreement" else output
        return float(getattr(self, f"{name}_opacity"))


def restore_rows(rows: Rows) -> None:
    """Let the rows show what the user chose last."""
    settings = _read_settings()
    device = rows.inputs.device
    rows.inputs.choose_model(settings.model or preferred_model() or "")
    preferred = preferred_server() or ""
    for address in (preferred, settings.server, settings.device):
        if is_server(address):
            device.add_server(address)
    device.choose(settings.device or preferred)
    for by_role, text in ((False, settings.channels), (True, settings.role_channels)):
        if is_choice(text):
            rows.inputs.channels.want(text, by_role=by_role)
    for output, box in rows.adjustments.outputs.items():
        box.setChecked(bool(getattr(settings, output)))


def remember(rows: Rows, result: ShownResult | None) -> None:
    """Keep what is chosen, and how the layers of a result look; napari writes what differs from before into a file."""
    panel = _napari_settings()
    if panel is None:
        return
    package = rows.inputs.package()
    changes: dict[str, Any] = {"model": "" if package is None else package.name, "device": rows.inputs.device_key()}
    channels = rows.inputs.channels
    changes |= {"channels": channels.wanted(by_role=False), "role_channels": channels.wanted(by_role=True)}
    changes |= {output: box.isChecked() for output, box in rows.adjustments.outputs.items()}
    for output in _REMEMBERED:
        layer = None if result is None else result.layer(output)
        if layer is not None:
            changes[f"{output}_opacity"] = round(float(layer.opacity), 3)
    for name, value in changes.items():
        if getattr(panel, name) != value:
            setattr(panel, name, value)


def remember_server(address: str) -> None:
    """Keep the address of a server; its key is kept elsewhere."""
    panel = _napari_settings()
    if panel is not None and panel.server != address:
        panel.server = address


def forget_server(address: str) -> None:
    """Keep the address of a server no longer."""
    panel = _napari_settings()
    if panel is None:
        return
    for name in ("server", "device"):
        if getattr(panel, name) == address:
            setattr(panel, name, "")


def apply_opacities(layers: Mapping[Output, Layer]) -> None:
    """Let new layers look as those of the last result did."""
    settings = _read_settings()
    for output, layer in layers.items():
        layer.opacity = settings.opacity(output)


def hides_older_results() -> bool:
    """Whether a run hides the older results that lie where its own lies."""
    return _read_settings().hide_older


def _read_settings() -> RememberedSettings:
    """Return what the user chose last; the defaults where napari keeps nothing."""
    panel = _napari_settings()
    if panel is None:
        return RememberedSettings()
    return RememberedSettings(**{name: getattr(panel, name) for name in asdict(RememberedSettings())})


def _napari_settings() -> Any:
    """Return napari's model of the settings, which writes each change to a file; None if it keeps none."""
    try:
        from napari.settings import get_plugin_settings

        return get_plugin_settings(PLUGIN).panel
    except (ImportError, KeyError):
        # An earlier napari; or one in which the plugin is switched off and used as a library.
        return None
