"""The rows of the dock widget that others read and set."""

from dataclasses import dataclass
from typing import Any

from napari_unetseg.plugin.dock.adjustments import Adjustments
from napari_unetseg.plugin.dock.input_rows import Inputs
from napari_unetseg.plugin.dock.object_size_row import ObjectSize
from napari_unetseg.plugin.dock.run_row import RunRow
from napari_unetseg.plugin.parts.messages import MessageArea


@dataclass(frozen=True)
class Rows:
    """The rows from top to bottom: what to segment, object size, Run, messages, and what acts on the result."""

    inputs: Inputs
    object_size: ObjectSize
    runner: RunRow
    message: MessageArea
    adjustments: Adjustments

    def segment_options(self) -> dict[str, Any]:
        """Keyword arguments of the next run for `SegmentationService.segment`, but for those of a stack."""
        return self.adjustments.next_parameters() | self.object_size.segment_options()
