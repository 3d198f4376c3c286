"""What of the viewer a run is on, for scripts that drive the window; the rows read it from `layers.run_areas`."""

from napari_unetseg.plugin.layers.run_areas import RunOn, choose_planes

__all__ = ["RunOn", "choose_planes"]
