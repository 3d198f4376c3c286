"""Results and reports as what goes into answers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.api.models import (
    ConfidenceScores,
    ContourResponse,
    HealthResponse,
    LabelImage,
    ModelInfoResponse,
    SegmentationResponse,
    SegmentChoices,
    Visualizations,
)
from napari_unetseg.service.reports import Health, ModelInfo
from napari_unetseg.service.segmentation import Segmentation


def encode_mask(labels: NDArray[np.integer[Any]]) -> str:
    """Return the mask as a base64 PNG of 0 and 255."""
    raise NotImplementedError


def encode_labels(labels: NDArray[np.integer[Any]]) -> LabelImage:
    """Return the label image without loss."""
    raise NotImplementedError


def contours_of(result: Segmentation) -> list[ContourResponse]:
    """Return the outlines."""
    raise NotImplementedError


def confidence_of(result: Segmentation) -> ConfidenceScores | None:
    """Return the mean probabilities; None where the service measures none."""
    raise NotImplementedError


def visualizations_of(result: Segmentation) -> Visualizations:
    """Draw the pictures to look at."""
    raise NotImplementedError


def segmentation_response(
    result: Segmentation, choices: SegmentChoices, request_id: str, milliseconds: float
) -> SegmentationResponse:
    """Put the answer to POST /segment together."""
    raise NotImplementedError


def to_tiff(result: Segmentation) -> bytes:
    """Return the label image as a TIFF file."""
    raise NotImplementedError


def to_geojson(result: Segmentation) -> bytes:
    """Return the contours as a GeoJSON file."""
    raise NotImplementedError


def model_info_response(info: ModelInfo, window: int) -> ModelInfoResponse:
    """Return GET /model-info with the published types; `window` stands in for a side that may have any length."""
    raise NotImplementedError


def health_response(health: Health) -> HealthResponse:
    """Return GET /health with the published types."""
    raise NotImplementedError
