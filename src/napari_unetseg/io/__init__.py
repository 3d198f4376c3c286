"""Images in, results out: files and nothing else.

* `read` opens any image file as an `Image`; `read_tiff` does TIFF: its axes, with `tiff_sizes` its sizes, with
  `tiff_colours` what its numbers mean, with `tiff_tiles` and `mapped_pixels` no more of it than is asked for.
  `physical_size` knows units under all their names, `levels` which level of a pyramid is meant, `axis_order` which axis
  of a file is which of an `Image`, and `readable` what to say of a file that cannot be read; `ome_zarr` does OME-Zarr,
  `microscope` the files of microscopes, and `exchange` label images of other programs.
* `tiff` and `ome_tiff` write label images and maps, `overlay` a picture to judge a segmentation by, `table` a CSV
  file.
* `geojson` (QuPath) and `rois` (ImageJ) write contours and read them back; `contour_file` is what both have in
  common: contours, the plane of each, and what a file holds besides. `geojson_features` reads whatever legal form a
  GeoJSON document has; `object_properties` is what QuPath knows of an object.
* `atomic` makes every file whole or not there, `file_owner` says whose half-written ones are and sweeps those of
  killed processes, and `claims` say which process does which piece of the work of a folder.
* `json_text` writes JSON that others can read; `hashing` names a file by its content; `suffixes`, `text_columns` and
  `plotting` are small helps.

The names below load the libraries that they need on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unetseg.io.contour_file import ContourFile as ContourFile
    from napari_unetseg.io.contour_file import Position as Position
    from napari_unetseg.io.geojson import read_geojson as read_geojson
    from napari_unetseg.io.geojson import write_geojson as write_geojson
    from napari_unetseg.io.ome_tiff import write_ome_labels as write_ome_labels
    from napari_unetseg.io.overlay import draw_overlay as draw_overlay
    from napari_unetseg.io.overlay import write_overlay as write_overlay
    from napari_unetseg.io.read import read_image as read_image
    from napari_unetseg.io.read import read_label_image as read_label_image
    from napari_unetseg.io.rois import read_rois as read_rois
    from napari_unetseg.io.rois import write_rois as write_rois
    from napari_unetseg.io.table import write_table as write_table
    from napari_unetseg.io.tiff import write_confidence as write_confidence
    from napari_unetseg.io.tiff import write_labels as write_labels

_HOMES = {
    "ContourFile": "contour_file",
    "Position": "contour_file",
    "draw_overlay": "overlay",
    "read_geojson": "geojson",
    "read_image": "read",
    "read_label_image": "read",
    "read_rois": "rois",
    "write_confidence": "tiff",
    "write_geojson": "geojson",
    "write_labels": "tiff",
    "write_ome_labels": "ome_tiff",
    "write_overlay": "overlay",
    "write_rois": "rois",
    "write_table": "table",
}

__all__ = [
    "ContourFile",
    "Position",
    "draw_overlay",
    "read_geojson",
    "read_image",
    "read_label_image",
    "read_rois",
    "write_confidence",
    "write_geojson",
    "write_labels",
    "write_ome_labels",
    "write_overlay",
    "write_rois",
    "write_table",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
