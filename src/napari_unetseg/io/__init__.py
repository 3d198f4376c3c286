"""Images in, results out: files and nothing else."""

from napari_unetseg.io.contour_file import ContourFile, Position
from napari_unetseg.io.geojson import read_geojson, write_geojson
from napari_unetseg.io.ome_tiff import write_ome_labels
from napari_unetseg.io.overlay import draw_overlay, write_overlay
from napari_unetseg.io.read import read_image
from napari_unetseg.io.rois import read_rois, write_rois
from napari_unetseg.io.table import write_table
from napari_unetseg.io.tiff import write_confidence, write_labels

__all__ = [
    "ContourFile",
    "Position",
    "draw_overlay",
    "read_geojson",
    "read_image",
    "read_rois",
    "write_confidence",
    "write_geojson",
    "write_labels",
    "write_ome_labels",
    "write_overlay",
    "write_rois",
    "write_table",
]
