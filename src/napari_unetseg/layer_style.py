"""How layers of results look in a viewer, whoever makes them: the window, a menu, a reader of files or a notebook."""

METADATA_KEY = "napari_unetseg"
"""Under which the metadata of a layer say how it came about."""

AXES_KEY = "layer_axes"
"""Under which they say what each axis of the layer means."""

OUTLINES_KEY = "napari_unetseg_outlines"
"""Under which they say of which outlines the numbers in the table of a Shapes layer are."""

PREVIEW_KEY = "napari_unetseg_preview"
"""Under which the metadata of a layer say that it is a preview of a model that still learns."""

MAX_CONTOURS = 5000
"""Most outlines of a Shapes layer: 5,000 cost the window 0.4 s, 20,000 seconds and a slow canvas ever after."""

EDGE_COLOUR = "#ff8c1a"
"""Readable on black fluorescence, white brightfield and pink histology, and by colour-blind eyes."""

CONTOURS: dict[str, object] = {"edge_color": EDGE_COLOUR, "face_color": "transparent"}
LABELS: dict[str, object] = {"opacity": 0.5}
OUTLINES_AS_LABELS: dict[str, object] = {"opacity": 1.0}
PROBABILITIES: dict[str, object] = {
    "colormap": "magma",
    "contrast_limits": (0.0, 1.0),
    "blending": "translucent",
    "opacity": 0.6,
}
"""Keyword arguments of the layers, by what they show: contours, labels, contours as pixels, values of 0 to 1."""
