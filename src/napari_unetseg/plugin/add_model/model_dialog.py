"""The window that shows what a checkpoint is and asks what it does not say."""

from collections.abc import Set
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_unetseg.language import mark, tr
from napari_unetseg.plugin.add_model import model_words as words
from napari_unetseg.plugin.parts.form import form_grid
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.zoo.user_models import Candidate

_DEFAULT_SIDE = 512
_NAME_TIP = mark("What the list of models shall call it. Its folder gets the same name.")
_NETWORK_TIP = mark("The weights fit several networks. Whoever trained them knows which it was.")
_NORMALISATION_TIP = mark("How the intensities of an image became the network's input when it was trained.")
_SIZE_TIP = mark(
    "Some networks saw every image stretched to one size when they were trained. Images are then stretched to it, "
    "and the result is stretched back."
)
_ADD_TIP = mark("Writes the model into your own models; the file that you chose stays as it is.")


class AddModelDialog(QDialog):
    """What was recognised, and a few questions with the likely answers given.

    Parameters
    ----------
    candidate
        What is to be added.
    taken
        Names that models have already.
    parent
        Owner.
    """

    answered = Signal(dict)

    def __init__(self, candidate: "Candidate", taken: Set[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Add model"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._candidate, self._taken = candidate, taken
        self.heading = QLabel()
        self.heading.setStyleSheet("font-weight: bold;")
        self.heading.setWordWrap(True)
        self.facts = {key: QLabel() for key in words.describe_candidate(candidate, 0)}
        self.name = QLineEdit(words.suggested_name(candidate, taken))
        self.name.setToolTip(tr(_NAME_TIP))
        self.network = QComboBox()
        self.network.setToolTip(tr(_NETWORK_TIP))
        self.network.addItems([words.network(card) for card in candidate.cards])
        self.normalisation = QComboBox()
        self.normalisation.setToolTip(tr(_NORMALISATION_TIP))
        self.stretch = QCheckBox(tr("Stretch to"))
        self.height_, self.width_ = _side(tr("Height in pixels.")), _side(tr("Width in pixels."))
        self.meanings = _meaning_boxes(candidate)
        self.consent = QCheckBox(tr(words.CONSENT))
        self.consent.setToolTip(tr(words.CONSENT_TIP))
        self.advice = QLabel(words.consent_reason(candidate) if candidate.needs_consent else tr(words.ADVICE))
        self.fault = QLabel()
        self.fault.setStyleSheet("font-weight: bold;")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.add = self.buttons.addButton(tr("Add model"), QDialogButtonBox.ButtonRole.AcceptRole)
        # Some styles draw a red cross here, which looks like a fault.
        if (cancel := self.buttons.button(QDialogButtonBox.StandardButton.Cancel)) is not None:
            cancel.setIcon(QIcon())
            cancel.setText(tr("Cancel"))
        self._arrange()
        self._show_card()
        self._check()
        self.name.selectAll()
        self.name.textChanged.connect(self._check)
        self.consent.toggled.connect(self._check)
        for box in self.meanings:
            box.currentIndexChanged.connect(self._check)
        self.network.currentIndexChanged.connect(self._show_card)
        self.stretch.toggled.connect(self.height_.setEnabled)
        self.stretch.toggled.connect(self.width_.setEnabled)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self.accepted.connect(lambda: self.answered.emit(self.changes()))

    def changes(self) -> dict[str, Any]:
        """Return the fields of the model's card that the user filled in."""
        card = self._card()
        title = self.name.text().strip()
        changes: dict[str, Any] = {"name": words.model_name(title, card), "display_name": title}
        if self._candidate.proposal is not None:
            if len(self._candidate.cards) > 1:
                changes["architecture"] = card.architecture
            if self.meanings:
                changes["outputs"] = [box.currentData() for box in self.meanings]
            return changes
        if self._candidate.is_package:
            return changes
        size = (self.height_.value(), self.width_.value()) if self.stretch.isChecked() else None
        return changes | {
            "architecture": card.architecture,
            "normalisation": self.normalisation.currentData(),
            "image_size": size,
        }

    @property
    def consents(self) -> bool:
        """Whether the user trusts who made a network that the file brings along."""
        return self._candidate.needs_consent and self.consent.isChecked()

    def _card(self) -> ModelCard:
        return self._candidate.cards[self.network.currentIndex()]

    def _show_card(self) -> None:
        """Show the network that is chosen, and the answers that it suggests."""
        card = self._card()
        self.heading.setText(words.recognised(self._candidate, card))
        for key, text in words.describe_candidate(self._candidate, self.network.currentIndex()).items():
            self.facts[key].setText(text)
        self.normalisation.clear()
        for text, normalisation in words.normalisations(card).items():
            self.normalisation.addItem(text, normalisation)
            if normalisation == card.normalisation:
                self.normalisation.setCurrentIndex(self.normalisation.count() - 1)
        self.stretch.setChecked(card.image_size is not None)
        self.stretch.setToolTip(tr(_SIZE_TIP))
        for box, side in zip((self.height_, self.width_), card.image_size or 2 * (_DEFAULT_SIDE,), strict=True):
            box.setValue(side)
            box.setEnabled(card.image_size is not None)

    def _check(self) -> None:
        fault = words.name_fault(self.name.text(), self._card(), self._taken)
        if not fault and self.meanings:
            fault = words.meanings_fault([box.currentData() for box in self.meanings])
        self.fault.setText(fault)
        waits = self._candidate.needs_consent and not self.consent.isChecked()
        if self.add is not None:
            self.add.setEnabled(not fault and not waits)
            self.add.setToolTip(fault or tr(words.CONSENT_TIP if waits else _ADD_TIP))

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addWidget(self.heading)
        column.addLayout(self._facts_grid())
        column.addSpacing(8)
        column.addLayout(self._form())
        self.advice.setWordWrap(True)
        asked = self._candidate.proposal is None and not self._candidate.is_package
        self.advice.setVisible(asked or self._candidate.needs_consent)
        column.addWidget(self.advice)
        self.consent.setVisible(self._candidate.needs_consent)
        column.addWidget(self.consent)
        column.addStretch()
        column.addWidget(self.buttons)
        self.setMinimumWidth(460)

    def _facts_grid(self) -> QGridLayout:
        grid = form_grid(None, 6)
        for row, (key, value) in enumerate(self.facts.items()):
            value.setWordWrap(True)
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(QLabel(tr(key)), row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1)
        return grid

    def _form(self) -> QGridLayout:
        grid = form_grid(None, 6)
        size = QHBoxLayout()
        size.setSpacing(8)
        size.addWidget(self.stretch)
        size.addWidget(self.height_)
        size.addWidget(QLabel("x"))
        size.addWidget(self.width_)
        size.addWidget(QLabel("px"))
        size.addStretch()
        # Holds its line open, so that nothing moves while a name is typed.
        self.fault.setFixedHeight(self.fault.fontMetrics().height() + 4)
        rows: list[tuple[str, QWidget | QHBoxLayout]] = [(tr("Name"), self.name), ("", self.fault)]
        if len(self._candidate.cards) > 1:
            rows.append((tr(words.NETWORK), self.network))
        if self._candidate.proposal is not None:
            channels = self._candidate.proposal.names.channels
            text = tr("Output {channel}")
            rows += [
                (text.format(channel=words.shortened(c, 20)), b) for c, b in zip(channels, self.meanings, strict=False)
            ]
        elif not self._candidate.is_package:
            rows += [(tr("Intensities"), self.normalisation), (tr("Image size"), size)]
        for row, (text, content) in enumerate(rows):
            grid.addWidget(QLabel(text), row, 0)
            if isinstance(content, QWidget):
                grid.addWidget(content, row, 1)
            else:
                grid.addLayout(content, row, 1)
        return grid


def _meaning_boxes(candidate: "Candidate") -> list[QComboBox]:
    """Return a list for each channel of an output whose meaning is not known, with a guess."""
    if candidate.proposal is None or not candidate.proposal.names.asks:
        return []
    boxes = []
    for guess in candidate.proposal.names.meanings:
        box = QComboBox()
        box.setToolTip(tr(words.OUTPUTS_TIP))
        for meaning, text in words.MEANINGS.items():
            box.addItem(tr(text), meaning)
        box.setCurrentIndex(box.findData(guess))
        boxes.append(box)
    return boxes


def _side(tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(16, 8192)
    box.setToolTip(tip)
    return box
