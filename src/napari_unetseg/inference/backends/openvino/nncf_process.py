"""Quantises a model with NNCF, in a process of its own.

NNCF takes seconds to import, prints, sets up logging for the whole process and cannot be stopped; so it is never
loaded where a user works. The process is given a folder with ``recipe.json``, the model in float32 that it names and
``windows``, a folder of arrays (1, C, H, W); it saves the model in int8 beside them.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from napari_unetseg.inference.backends.openvino.library import load_nncf
from napari_unetseg.inference.backends.openvino.network_conversion import read, save

RECIPE_FILE = "recipe.json"
WINDOWS_FOLDER = "windows"


def quantise_folder(folder: Path) -> None:
    """Do what the recipe in a folder says."""
    recipe: dict[str, Any] = json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))
    nncf = load_nncf()
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    windows = sorted((folder / WINDOWS_FOLDER).glob("*.npy"))
    quantised = nncf.quantize(
        read(Path(recipe["model"])),
        nncf.Dataset(windows, np.load),
        subset_size=len(windows),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=recipe["kept"]),
        # By default the ends of several windows are averaged, which cuts off the brighter half of them; and biases are
        # corrected by what rounding shifts on average, which made masks agree less (nuclei 0.9987, without it 0.9993).
        advanced_parameters=AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX, disable_bias_correction=True
        ),
    )
    save(quantised, folder)


if __name__ == "__main__":
    quantise_folder(Path(sys.argv[1]))
