"""The five verbs that every face of the product speaks: window, notebook, shell and server."""

from napari_unetseg.service.provenance import Provenance
from napari_unetseg.service.recipe_file import read_run_recipe, write_run_recipe
from napari_unetseg.service.reports import Failure, Health, Initialization, ModelInfo
from napari_unetseg.service.run_recipe import RunRecipe, tiled_settings
from napari_unetseg.service.segmentation import Segmentation
from napari_unetseg.service.service import SegmentationService

__all__ = [
    "Failure",
    "Health",
    "Initialization",
    "ModelInfo",
    "Provenance",
    "RunRecipe",
    "Segmentation",
    "SegmentationService",
    "read_run_recipe",
    "tiled_settings",
    "write_run_recipe",
]
