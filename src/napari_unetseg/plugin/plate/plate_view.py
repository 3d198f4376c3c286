"""The wells with their legend, and what they are coloured by."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_unetseg.language import tr
from napari_unetseg.plugin.plate import plate_words
from napari_unetseg.plugin.plate.plate_facts import WellFacts
from napari_unetseg.plugin.plate.well_grid import WellGrid
from napari_unetseg.plugin.plate.well_legend import WellLegend

if TYPE_CHECKING:
    from napari.utils.theme import Theme


class PlateView(QWidget):
    """Keeps grid and legend in line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.colours, self.legend, self.grid = QComboBox(), WellLegend(), WellGrid()
        self.colours.addItem(tr("Status"), "status")
        self.colours.addItem(tr("Objects"), "objects")
        self.colours.setToolTip(tr(plate_words.COLOURS_TIP))
        self.colours.currentIndexChanged.connect(self._colour)
        top = QHBoxLayout()
        top.addWidget(QLabel(tr("Colour by")))
        top.addWidget(self.colours)
        top.addSpacing(8)
        top.addWidget(self.legend, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        column.addWidget(self.grid, 1)

    def show_wells(self, wells: Sequence[WellFacts]) -> None:
        """Show how all wells stand now."""
        self.grid.show_wells(wells)
        self._explain()

    def show_well(self, number: int, facts: WellFacts) -> None:
        """Show how one well stands now."""
        self.grid.show_well(number, facts)
        self._explain()

    def use_theme(self, theme: "Theme") -> None:
        """Take the colours of a napari theme."""
        self.grid.use_theme(theme)
        self.legend.use_theme(theme)

    def _colour(self) -> None:
        self.grid.colour(self.colours.currentData())
        self._explain()

    def _explain(self) -> None:
        self.legend.explain(self.grid.colour_by, self.grid.scale)
