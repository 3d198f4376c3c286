"""A result of the window with what acts on it, and the line that says whose values the sliders show."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.dock.adjustments import Adjustments
from napari_unetseg.plugin.dock.headline import ResultReport
from napari_unetseg.plugin.dock.relabelling import RelabelController
from napari_unetseg.plugin.layers.result_layers import ShownResult
from napari_unetseg.postprocessing.parameters import DecodeParameters

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_unetseg.zoo.card import ModelCard

_NEXT_RUN = mark("For the next run")
_NEXT_RUN_TIP = mark("The next run uses these values; after it they belong to its result.")
_OWNED_TIP = mark(
    "These values are those of '{result}'. Move them to change it at once; the next run with its model uses them,\n"
    "too. To change an older result, select one of its layers."
)
_OTHER_MODEL = mark("{result} · next run: {model} defaults")
_OTHER_MODEL_TIP = mark(
    "These values are those of '{result}', which another model made. The next run uses what {model} itself suggests:"
)
_LET_GO = mark("{result} · no longer adjustable")
LET_GO_TIP = mark(
    "To save memory, the probabilities of '{result}' were let go after later runs. "
    "Press Run again to get a result with these values that can be adjusted."
)
_STORED = mark("For the next run · '{result}' is on disk")
STORED_TIP = mark(
    "'{result}' is on disk, without the probabilities that sliders, Fix objects, Improve and Compare need. Run on a\n"
    "part of the image for a result that can be adjusted."
)


@dataclass(eq=False)
class KeptResult:
    """A result with what acts on it.

    Attributes
    ----------
    shown
        Its layers.
    relabelling
        Reads its labels again, in workers.
    parameters
        What its labels were read with, also after the probabilities were let go.
    model
        Name and SHA-256 of the weights of its model.
    defaults
        Parameters that its model suggests.
    report
        What the rows say of it.
    found_nothing
        Whether its run found no object.
    adjustable
        Whether its probabilities are kept.
    """

    shown: ShownResult
    relabelling: RelabelController
    parameters: DecodeParameters
    model: tuple[str, str]
    defaults: DecodeParameters
    report: ResultReport
    found_nothing: bool
    adjustable: bool = True

    @property
    def kept_bytes(self) -> int:
        """Bytes that its maps take."""
        segmentation = self.relabelling.segmentation
        if segmentation is None:
            return 0
        arrays = (segmentation.probability, segmentation.agreement, segmentation.labels)
        return sum(array.nbytes for array in arrays if array is not None)


def is_made_by(result: KeptResult, card: "ModelCard") -> bool:
    """Whether a model made a result; the weights of a published one are not known before they were read."""
    name, sha256 = result.model
    known = card.weights.sha256
    return card.name == name and (not known or known == sha256)


def show_owner(adjustments: Adjustments, result: KeptResult | None, card: "ModelCard | None", afresh: bool) -> None:
    """Say above the sliders whose values they show, and with which ones the next run is.

    Parameters
    ----------
    adjustments
        Has the sliders.
    result
        The selected result; None if there is none.
    card
        Of the chosen model; None if there is none.
    afresh
        Whether the next run uses what its model suggests even where the same model made the result.
    """
    if result is None:
        adjustments.show_owner(tr(_NEXT_RUN), tr(_NEXT_RUN_TIP))
        return
    name = result.shown.name
    if card is not None and is_made_by(result, card) and not afresh:
        card = None
    next_run = None if card is None else card.parameters
    if not result.adjustable:
        adjustments.show_owner(tr(_LET_GO).format(result=name), tr(LET_GO_TIP).format(result=name), next_run, True)
    elif card is None:
        adjustments.show_owner(name, tr(_OWNED_TIP).format(result=name))
    else:
        model = tr(card.display_name)
        tip = tr(_OTHER_MODEL_TIP).format(result=name, model=model)
        line = tr(_OTHER_MODEL).format(result=name, model=model)
        adjustments.show_owner(line, f"{tip}\n{adjustments.describe(card.parameters)}", next_run)


def show_stored(adjustments: Adjustments, layer: "Layer") -> None:
    """Say above the sliders that they do not act on the selected labels, which are on disk."""
    name = str(layer.name)
    adjustments.show_owner(tr(_STORED).format(result=name), tr(STORED_TIP).format(result=name))
