"""What a run of several layers says."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_unetseg.language import tr, tr_count
from napari_unetseg.plugin.parts import words

if TYPE_CHECKING:
    from napari_unetseg.plugin.work.segment_job import CurrentLayer


def segmenting(current_layer: "CurrentLayer | None") -> str:
    """Say that the network runs, and on which of several layers."""
    if current_layer is None:
        return tr("Segmenting. You can go on looking at your images.")
    told = tr("Segmenting {number} of {count}: {name}. You can go on looking at your images.")
    return told.format(number=current_layer.number, count=current_layer.count, name=current_layer.name)


def cancelled(percent: int | None, kept: int) -> str:
    """Say how far a cancelled run had come, and what of it is kept."""
    if not kept:
        return words.cancelled(percent)
    told = tr_count(
        "Cancelled at {percent} %. {n} layer was finished and is kept.",
        "Cancelled at {percent} %. {n} layers were finished and are kept.",
        kept,
    )
    return told.format(percent=percent or 0, n=kept)


def not_segmented(name: str, error: Exception) -> str:
    """Say which layer could not be segmented and why."""
    return tr("'{name}' was not segmented: {reason}").format(name=name, reason=words.describe_error(error).sentence)


def all_failed(faults: Sequence[str]) -> str:
    """Say that no layer could be segmented."""
    return " ".join([tr("No layer was segmented."), *faults])


def summary(done: int) -> tuple[str, ...]:
    """Say how many layers were segmented, and what the sliders are for."""
    told = tr_count("{n} layer was segmented.", "{n} layers were segmented.", done).format(n=done)
    return (told, tr("The sliders act on the last of them."))
