"""A segmentation as layers of a napari viewer that a notebook or script has made."""

from typing import TYPE_CHECKING, Any

from napari_unetseg.layer_style import AXES_KEY
from napari_unetseg.postprocessing.layer_data import Output, Placement, make_layer_data

if TYPE_CHECKING:
    from napari_unetseg.service.segmentation import Segmentation


def add_to_viewer(segmentation: "Segmentation", viewer: Any, *, contours: bool, confidence: bool) -> list[Any]:
    """Add the layers of a segmentation, those of the window; `Segmentation.add_to` explains it.

    napari is not imported: whoever has a viewer has it.
    """
    requested: dict[Output, bool] = {"labels": True, "contours": contours}
    requested |= {"confidence": confidence, "agreement": confidence}
    outputs = [output for output, shown in requested.items() if shown]
    add = {"image": viewer.add_image, "labels": viewer.add_labels, "shapes": viewer.add_shapes}
    made = make_layer_data(segmentation, outputs, _placement(segmentation), _record(segmentation))
    return [
        add[kind](data, name=f"{segmentation.image.name} {output}", **arguments)
        for output, (data, arguments, kind) in made.items()
    ]


def _placement(segmentation: "Segmentation") -> Placement:
    image, ndim = segmentation.image, segmentation.labels.ndim
    axes = f"{image.stack_axes}YX"
    steps, units = image.steps_along(axes)
    first = (0,) * (ndim - 2) + image.origin
    transform: dict[str, Any] = {"translate": tuple(at * step for at, step in zip(first, steps, strict=True))}
    if set(units) != {"pixel"}:
        transform |= {"scale": steps, "units": units}
    return Placement(ndim, (ndim - 2, ndim - 1), transform, tuple(range(ndim - 2)))


def _record(segmentation: "Segmentation") -> dict[str, Any]:
    roles = [axis if axis in "TZ" else "" for axis in segmentation.image.stack_axes]
    record = segmentation.provenance.as_dict() | {"plane": {}, AXES_KEY: [*roles, "Y", "X"]}
    image = segmentation.image
    spans = [[first, first + size] for first, size in zip(image.origin, image.shape, strict=True)]
    return record | ({"region": spans} if any(image.origin) else {})
