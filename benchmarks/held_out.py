"""Images that training left out: those of a bundled model's list or, where it learnt from all, of an earlier one's.

`nuclei` and `cells` have learnt from the images of ``lists/nuclei.txt`` and ``lists/cells.txt`` since these lists
were drawn. What a benchmark scores on them with the bundled weights compares settings, not models: by themselves the
figures flatter, and a cross-validation says what to expect of other images.
"""

from collections.abc import Sequence
from pathlib import Path

from napari_unetseg.training.dataset import Pair
from napari_unetseg.training.split import read_validation_list
from napari_unetseg.training.train import VALIDATION_FILE
from napari_unetseg.zoo.registry import bundled_model_folder

LISTS = Path(__file__).parent / "lists"


def held_out(model: str, pairs: Sequence[Pair]) -> set[str]:
    """Return the stems of a bundled model's held-out images; all of them are among the pairs."""
    own = bundled_model_folder() / model / VALIDATION_FILE
    return set(read_validation_list(own if own.exists() else LISTS / f"{model}.txt", pairs))
