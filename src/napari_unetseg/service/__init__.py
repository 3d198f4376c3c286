"""The verbs that every face of the product speaks: window, notebook and command line.

`SegmentationService` (`service`) is one `Segmenter` (`protocols`); what it has in common with one whose network runs
on a server are the `verbs`. It hands each on to what does it: `packages` finds the model that is meant, `model_cache`
lends it as a `loaded_model`, and `runner` runs images through it: callers stand in a line before each device
(`device_lines`, `device_queue`), batches go through a `pipeline` with its `batch_queue` and `images_under_way` to
`batch_results`, stacks go plane by plane (`stack_prediction`), what is beyond memory block by block
(`block_segmentation`, by a `queued_network`), and a model chosen to run in int8 is calibrated on the way
(`calibrating`). An `object_reading` reads objects off a map; what comes of it is a `segmentation` with its
`provenance`; `viewer_layers` and `rich_display` show it, `result_files` writes it, `debug_outputs` keeps it.
`run_recipe`, `recipe_file` and `recipe_text` let a run be repeated. `trials` shows a piece of an image to every
model.

`forecast` says before a run what it will take, by what `machine_profile` keeps of measurements on this machine.
`describe` says what a model is, `health_check` whether it is well, `counters` how runs went, in the dataclasses of
`reports`. `logs` and `requests` write down who asked for what.
"""

from napari_unetseg.service.protocols import Segmenter
from napari_unetseg.service.provenance import Provenance
from napari_unetseg.service.recipe_file import read_run_recipe, write_run_recipe
from napari_unetseg.service.reports import Failure, Health, Initialization, ModelInfo
from napari_unetseg.service.run_recipe import RunRecipe, tiled_settings
from napari_unetseg.service.segmentation import Segmentation
from napari_unetseg.service.service import SegmentationService
from napari_unetseg.service.trials import ModelTrial, best_first

__all__ = [
    "Failure",
    "Health",
    "Initialization",
    "ModelInfo",
    "ModelTrial",
    "Provenance",
    "RunRecipe",
    "Segmentation",
    "SegmentationService",
    "Segmenter",
    "best_first",
    "read_run_recipe",
    "tiled_settings",
    "write_run_recipe",
]
