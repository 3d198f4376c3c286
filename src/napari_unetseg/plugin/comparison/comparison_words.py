"""What a comparison of two models says, and the colours of its differences."""

from dataclasses import dataclass

from napari_unetseg.language import mark
from napari_unetseg.postprocessing.label_differences import Difference


@dataclass(frozen=True)
class Kind:
    """How a kind of difference is shown.

    Attributes
    ----------
    words, tip
        In a few words, and in a sentence.
    colour
        Told apart by colour-blind eyes (Okabe and Ito 2008).
    """

    words: str
    tip: str
    colour: str


KINDS: dict[Difference, Kind] = {
    Difference.ONLY_FIRST: Kind(
        mark("Only in the first"), mark("Objects of the first result that the second one has not."), "#E69F00"
    ),
    Difference.ONLY_SECOND: Kind(
        mark("Only in the second"), mark("Objects of the second result that the first one has not."), "#56B4E9"
    ),
    Difference.SPLIT: Kind(
        mark("Split in the second"), mark("One object of the first result that is several in the second."), "#CC79A7"
    ),
    Difference.MERGED: Kind(
        mark("Merged in the second"), mark("Several objects of the first result that are one in the second."), "#009E73"
    ),
    Difference.DIVIDED: Kind(
        mark("Divided otherwise"), mark("Several objects of both results, divided along other lines."), "#F0E442"
    ),
    Difference.OUTLINE: Kind(
        mark("Other outline"),
        mark("One object in both whose outlines share less than 3/4 of their area. Pixels that one of them has."),
        "#D55E00",
    ),
}

TITLE = mark("Compare two models")
EXPLANATION = mark("Runs a second model on the image of the selected result, and shows where the two differ.")
MODEL_TIP = mark("The model to hold against the one of the selected result.")
OWN_SETTINGS = mark("What it suggests")
FIRST_SETTINGS = mark("Those of the first")
SETTINGS_TIP = mark(
    "With which threshold, minimum size and so on the second model runs: those that its card suggests, or those of the "
    "selected result."
)
NO_TRUTH = mark("None")
TRUTH_TIP = mark(
    "A Labels layer with the true objects of this image. Both models are scored against it where there is one."
)
COMPARE_TIP = mark("Runs the second model. The first result stays as it is.")
CANCEL_TIP = mark("Stop. Nothing is added.")
BESIDE = mark("Side by side")
BESIDE_TIP = mark(
    "Shows the second result, and the differences, each on a copy of the image to the right of it. Without it they lie "
    "on the image itself, the second result as outlines. The copies share the pixels of the image."
)
NEXT = mark("Next")
NEXT_TIP = mark("Goes to the next place of this kind.")
AGREEMENT = mark("Agreement")
AGREEMENT_TIP = mark(
    "AP@0.5 of one result against the other: the objects that both have, over all objects of either. Two outlines are "
    "the same object where they share more than half of the area that they cover together."
)
AP_TIP = mark(
    "Objects that match a true one, over all found and all true objects: 1 is perfect. They match where they share "
    "more than half of the area that they cover together."
)
DICE_TIP = mark("How well object and background pixels agree with the true ones: 1 is perfect.")
ONE_VALUE = mark("'{layer}' has one value only, so it does not tell objects apart: of AP@0.5 it says nothing.")

NO_RESULT = mark("Run a model and select its result first.")
NO_MODEL = mark("There is no other model.")
READY = mark("Choose a model, then press Compare.")
RUNNING = mark("Running {model}...")
CANCELLED = mark("Cancelled. Nothing was added.")
SAME = mark("The two results are the same but for details of their outlines.")
DONE = mark("Select the layer '{layer}', and the status bar says what differs where you point.")
GONE = mark("The first result was removed meanwhile. Nothing was added.")
