"""Images in, results out: files and nothing else."""

from napari_unetseg.io.geojson import write_geojson
from napari_unetseg.io.overlay import draw_overlay, write_overlay
from napari_unetseg.io.read import read_image
from napari_unetseg.io.table import write_table
from napari_unetseg.io.tiff import write_confidence, write_labels

__all__ = [
    "draw_overlay",
    "read_image",
    "write_confidence",
    "write_geojson",
    "write_labels",
    "write_overlay",
    "write_table",
]
