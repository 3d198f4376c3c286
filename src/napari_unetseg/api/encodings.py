"""Results and reports as what goes into answers: PNG, label images, contours, TIFF, GeoJSON, and the published types.

PNG is written by imagecodecs in its fastest way, runs of equal bytes after subtracting the row above: ten times as fast
as Pillow's default for masks, nine times for labels, at 0.9 and 1.1 times the size (1024 x 1024, 600 objects).
"""

import base64
import re
import zlib
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import napari_unetseg
from napari_unetseg.api.image_headers import SUPPORTED
from napari_unetseg.api.models import (
    BoundingBox,
    ConfidenceScores,
    ContourResponse,
    HealthResponse,
    LabelImage,
    ModelIdentityResponse,
    ModelInfoResponse,
    SegmentationResponse,
    SegmentChoices,
    Visualizations,
)
from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.language import Sentence
from napari_unetseg.service.reports import Health, ModelIdentity, ModelInfo
from napari_unetseg.service.segmentation import Segmentation

_MOST_PNG_LABELS = np.iinfo(np.uint16).max

# zlib's RLE strategy and PNG's filter UP, by which imagecodecs is fastest; colours of photographs have few runs.
_FLAT = {"level": 1, "strategy": 3, "filter": 32}
_PICTURE = {"level": 1}

# Black to yellow over purple and red: even steps of lightness, and readable by the colour-blind; 0, 1/8, ..., 1.
_HEAT = np.array(
    [
        (0, 0, 4),
        (31, 12, 72),
        (85, 15, 109),
        (136, 34, 106),
        (186, 54, 85),
        (227, 89, 51),
        (249, 140, 10),
        (249, 201, 50),
        (252, 255, 164),
    ]
)

# An absolute path, of Windows too, up to its last part; folders may have spaces in their names.
_FOLDERS = re.compile(r"(?<![\w/\\.:-])(?:[A-Za-z]:)?[/\\]{1,2}(?=[^\s/\\])(?:[^/\\\n\"':;(),]+[/\\])*")


def check_one_plane(image: Image) -> None:
    """Refuse a stack, which an answer in JSON cannot hold.

    Raises
    ------
    ImageError
        The message says what to ask for.
    """
    if image.stack_axes:
        raise ImageError(
            Sentence(
                "{image}: is a stack ({axes}), and an answer in JSON holds one plane. Send the header Accept: "
                "image/tiff, or the planes one by one.",
                image=image.name,
                axes=image.axes,
            )
        )


def encode_mask(labels: NDArray[np.integer[Any]]) -> str:
    """Return a mask of all objects.

    Parameters
    ----------
    labels
        (Y, X), 0 is background.

    Returns
    -------
    str
        A PNG of 8-bit grey, 0 and 255, in base64.
    """
    return _base64(_png(np.multiply(labels > 0, 255, dtype=np.uint8), **_FLAT))


def encode_labels(labels: NDArray[np.integer[Any]]) -> LabelImage:
    """Return a label image without loss.

    Parameters
    ----------
    labels
        (Y, X), 0 is background; objects count from 1.
    """
    count = int(labels.max(initial=0))
    height, width = labels.shape
    if count <= _MOST_PNG_LABELS:
        data = _png(labels.astype(np.uint16), **_FLAT)
        return LabelImage(format="png16", data=_base64(data), shape=(height, width), count=count)
    packed = zlib.compress(labels.astype("<i4").tobytes(), 1)
    return LabelImage(format="zlib_int32", data=_base64(packed), shape=(height, width), count=count)


def contours_of(result: Segmentation) -> list[ContourResponse]:
    """Return the outline of each part of each object, from the edges of its pixels; see `ContourResponse`."""
    return [_contour(one.label, one.exterior[:, ::-1] + 0.5, one.area) for one in result.contours]


def _contour(label: int, points: NDArray[np.float64], area: float) -> ContourResponse:
    (left, top), (right, bottom) = points.min(axis=0).astype(int).tolist(), points.max(axis=0).astype(int).tolist()
    box = BoundingBox(x=left, y=top, width=right - left, height=bottom - top)
    return ContourResponse(points=points.tolist(), area=area, bounding_box=box, label=label)


def confidence_of(result: Segmentation) -> ConfidenceScores | None:
    """Return the mean foreground probability; 0 for a part that has no pixel. None if the service measures none."""
    found = result.confidence
    if found is None:
        return None
    return ConfidenceScores(
        overall_mean=found.overall_mean,
        mask_mean=found.mask_mean or 0.0,
        background_mean=found.background_mean or 0.0,
    )


def visualizations_of(result: Segmentation) -> Visualizations:
    """Draw pictures of the image's size: outlines over the image, the foreground probability, and outlines alone."""
    from napari_unetseg.io.overlay import draw_overlay

    nothing = Image(np.zeros(result.labels.shape, np.uint8))
    return Visualizations(
        overlay=_base64(_png(draw_overlay(result.image, result.labels), **_PICTURE)),
        confidence_heatmap=_base64(_png(draw_heatmap(result.foreground), **_PICTURE)),
        contours=_base64(_png(draw_overlay(nothing, result.labels), **_FLAT)),
    )


def draw_heatmap(probability: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Colour probabilities, 0 to 1 in 256 steps, from black over purple and red to yellow.

    Parameters
    ----------
    probability
        (Y, X).

    Returns
    -------
    uint8 (Y, X, 3), red, green and blue.
    """
    steps = np.linspace(0, len(_HEAT) - 1, 256)
    colours = np.stack([np.interp(steps, range(len(_HEAT)), channel) for channel in _HEAT.T], axis=-1)
    shades = np.rint(np.nan_to_num(probability).clip(0, 1) * 255).astype(np.uint8)
    heat: NDArray[np.uint8] = np.rint(colours).astype(np.uint8)[shades]
    return heat


def segmentation_response(
    result: Segmentation,
    choices: SegmentChoices,
    request_id: str,
    milliseconds: float,
    *,
    variant: str = "standard",
) -> SegmentationResponse:
    """Put the answer to POST /segment together.

    Parameters
    ----------
    result
        Of one plane.
    choices
        What is to be in the answer.
    milliseconds
        How long the request took so far.
    variant
        `ModelInfo.model_variant` of the model.

    Raises
    ------
    ImageError
        If the result is a stack.
    """
    check_one_plane(result.image)
    provenance = result.provenance
    return SegmentationResponse(
        mask_data=encode_mask(result.labels),
        confidence_scores=confidence_of(result) if choices.return_confidence else None,
        contours=contours_of(result) if choices.return_contours else None,
        visualizations=visualizations_of(result) if choices.return_visualizations else None,
        labels=encode_labels(result.labels) if choices.return_labels else None,
        object_count=result.count,
        processing_time_ms=round(milliseconds),
        model_info=ModelIdentityResponse(model_name=provenance.model, model_variant=variant, device=provenance.device),
        warnings=[without_folders(str(warning)) for warning in result.warnings],
        request_id=request_id,
    )


def to_tiff(result: Segmentation) -> bytes:
    """Return the label image as a TIFF file, with its provenance, but for folders of the server."""
    from napari_unetseg.service.result_files import write_label_file

    file = BytesIO()
    write_label_file(file, _for_strangers(result))
    return file.getvalue()


def to_geojson(result: Segmentation) -> bytes:
    """Return contours and measurements as a GeoJSON file, as QuPath reads it."""
    from napari_unetseg.service.result_files import write_contour_file

    file = BytesIO()
    write_contour_file(file, result)
    return file.getvalue()


def _for_strangers(result: Segmentation) -> Segmentation:
    plain = {name: without_folders(value) for name, value in vars(result.provenance).items()}
    return replace(result, provenance=replace(result.provenance, **plain))


def model_info_response(info: ModelInfo, window: int) -> ModelInfoResponse:
    """Return the answer to GET /model-info, of the published types whatever the model.

    Parameters
    ----------
    info
        Of the model.
    window
        Side in pixels of the largest window that the network sees: it stands where a side may have any length.
    """
    batch, channels, height, width = (window if side is None else side for side in info.input_shape)
    _, heads, *_ = info.output_shape
    preprocessing = dict(info.preprocessing_config)
    preprocessing["image_size"] = [height, width]
    # Where the normalisation has neither, nothing is subtracted, and nothing is divided by.
    preprocessing["mean"] = [float(value) for value in preprocessing.get("mean") or [0.0] * channels]
    preprocessing["std"] = [float(value) for value in preprocessing.get("std") or [1.0] * channels]
    architecture = dict(info.architecture_details)
    for name in ("base_channels", "depth"):
        architecture[name] = int(architecture.get(name) or 0)
    details = info.as_dict()
    card = details.pop("card")
    return ModelInfoResponse(
        model_name=info.model_name,
        model_variant=info.model_variant,
        checkpoint_path=Path(info.checkpoint_path).name,
        model_parameters=info.model_parameters or 0,
        input_shape=[batch, channels, height, width],
        output_shape=[batch, heads or 0, height, width],
        device=info.device or "not loaded",
        architecture_details=architecture,
        preprocessing_config=preprocessing,
        supported_formats=list(SUPPORTED),
        details=without_folders(details) | {"card": card},
    )


def health_response(health: Health) -> HealthResponse:
    """Return the answer to GET /health, of the published types."""
    report = health.as_dict()
    return HealthResponse(
        service_healthy=health.service_healthy,
        model_loaded=health.model_loaded,
        memory_pools_ready=health.memory_pools_ready,
        gpu_available=bool(health.gpu_available),
        last_health_check=_published_time(health.last_health_check),
        model_info=identity_response(health.model_info),
        memory_usage=report["memory_usage"],
        capabilities=list(health.capabilities),
        details=without_folders(report),
        version=napari_unetseg.__version__,
    )


def _published_time(moment: str | None) -> str | None:
    """Return a moment as the published service has it, in the server's time and without its zone."""
    return moment and datetime.fromisoformat(moment).astimezone().replace(tzinfo=None).isoformat(timespec="seconds")


def identity_response(identity: ModelIdentity) -> ModelIdentityResponse:
    """Return what answers say of the model that they came from."""
    return ModelIdentityResponse(
        model_name=identity.model_name, model_variant=identity.model_variant, device=identity.device
    )


def without_folders(value: Any) -> Any:
    """Return plain values in which no text names a folder of this machine: of each path the last part is left."""
    if isinstance(value, str):
        return _FOLDERS.sub("", value)
    if isinstance(value, dict):
        return {key: without_folders(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(one) for one in value]
    return value


def _png(array: NDArray[Any], **options: int) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.png_encode(np.ascontiguousarray(array), **options))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
