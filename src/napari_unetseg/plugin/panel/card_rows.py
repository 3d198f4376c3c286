"""The model's card in the panel: what it is for, what it takes, what it learned from, how good it is."""

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_unetseg.language import grouped, mark, tr, translated
from napari_unetseg.plugin.panel.health_texts import NOTHING
from napari_unetseg.plugin.parts.card_text import model_purpose, title_and_origin
from napari_unetseg.plugin.parts.form import form_grid
from napari_unetseg.zoo.card import Linear, MeanStd, ModelCard, Percentile, ZScore, headline
from napari_unetseg.zoo.cross_validated import read_cross_validated
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service import ModelInfo

_ROWS = {
    "parameters": (
        mark("Parameters"),
        mark("Numbers that were fitted to images; live are those an output depends on."),
    ),
    "network": (mark("Network"), mark("The architecture, and the runtime that computes it.")),
    "input": (mark("Input"), mark("What the network gets: channels, size, and how intensities are scaled.")),
    "objects": (
        mark("Objects"),
        mark("How wide the objects are that the model knows, and whether it divides touching ones."),
    ),
    "training": (mark("Trained on"), mark("The data the weights come from, and its licence.")),
    "scores": (mark("Scores"), mark("How well the model did on images with known objects; (i) tells which.")),
    "licence": (mark("Licence"), mark("Under which terms the weights may be used.")),
    "weights": (mark("Weights"), mark("The start of the SHA-256 of the weights, which every result records.")),
}


class CardView(QWidget):
    """A model's card, complete but for the parameters before the model is loaded."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.description = QLabel(), QLabel()
        self.title.setStyleSheet("font-weight: bold;")
        self.values = {key: QLabel() for key in _ROWS}
        self._arrange()
        self.show_model(None)

    def show_model(self, package: ModelPackage | None) -> None:
        """Show what the card says."""
        if package is None:
            self.title.setText(tr("No model"))
            self.description.setText("")
            rows = dict.fromkeys(_ROWS, NOTHING)
        else:
            self.title.setText(title_and_origin(package))
            self.description.setText(model_purpose(package.card))
            rows = card_rows(package.card)
        for key, text in rows.items():
            self.values[key].setText(text)

    def show_info(self, info: "ModelInfo") -> None:
        """Add what only the service knows."""
        self.values["parameters"].setText(parameters(info))
        if info.weights_sha256:
            self.values["weights"].setText(_short_hash(info.weights_sha256))

    def _arrange(self) -> None:
        grid = form_grid(self, 2)
        self.description.setWordWrap(True)
        grid.addWidget(self.title, 0, 0, 1, 2)
        grid.addWidget(self.description, 1, 0, 1, 2)
        for row, (key, (words, tip)) in enumerate(_ROWS.items(), start=2):
            label, value = QLabel(tr(words)), self.values[key]
            for widget in (label, value):
                widget.setToolTip(tr(tip))
            value.setWordWrap(True)
            grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(value, row, 1, Qt.AlignmentFlag.AlignTop)
        for text in (self.title, self.description, *self.values.values()):
            text.setTextFormat(Qt.TextFormat.PlainText)
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)


def card_rows(card: ModelCard) -> dict[str, str]:
    """Say what a card says, a short text a row."""
    divided = card.decoder == "seeded_watershed"
    objects = tr("about {pixels:g} px wide").format(pixels=card.object_size) if card.object_size else tr("of any size")
    touching = tr("divided where they touch") if divided else tr("not divided where they touch")
    text = tr("{images} images of {data}, {licence}")
    training = (
        text.format(images=grouped(one.images), data=one.name, licence=one.licence) for one in card.training_data
    )
    return {
        "parameters": tr("known once it is loaded"),
        "network": card.architecture.name,
        "input": ", ".join([_channels(card), _sides(card), _scaling(card)]),
        "objects": f"{objects}, {touching}",
        "training": "; ".join(training) or tr("not stated"),
        "scores": _scores(card),
        "licence": card.licence,
        "weights": _short_hash(card.weights.sha256),
    }


def parameters(info: "ModelInfo") -> str:
    """Return ``"1.94 M"``, or ``"31.04 M, 7.85 M live"`` where some have no effect."""
    if info.model_parameters is None:
        return tr("known once it is loaded")
    live = info.live_parameters
    total = _count(info.model_parameters)
    if live is None or live == info.model_parameters:
        return total
    return tr("{total}, {live} live").format(total=total, live=_count(live))


def _scores(card: ModelCard) -> str:
    """Say the main figures; of a cross-validation also those of each kind of image and of each size of object."""
    lines = [translated(headline(card.scores)) or tr("none stated")]
    validated = read_cross_validated(card.scores)
    if validated is not None and len(validated.per_kind) > 1:
        kinds = (f"{kind} {one.dice if one.ap50 is None else one.ap50:.2f}" for kind, one in validated.per_kind.items())
        measure = "dice" if validated.ap50 is None else "ap50"
        lines.append(tr("{measure} by kind: {figures}").format(measure=measure, figures=", ".join(kinds)))
    if validated is not None and validated.by_size:
        sizes = (f"{size} {one.found:.0%}" for size, one in validated.by_size.items())
        lines.append(tr("found, by diameter: {figures}").format(figures=", ".join(sizes)))
    return "\n".join(lines)


def _channels(card: ModelCard) -> str:
    return tr("RGB (grey is repeated)" if card.input_channels == 3 else "grey (colours are averaged)")


def _sides(card: ModelCard) -> str:
    if card.image_size is None:
        return tr("any size")
    return tr("stretched to {height} x {width} px").format(height=card.image_size[0], width=card.image_size[1])


def _scaling(card: ModelCard) -> str:
    normalisation = card.normalisation
    if isinstance(normalisation, Percentile):
        text = tr("percentiles {low:g} to {high:g} scaled to 0..1")
        return text.format(low=normalisation.low, high=normalisation.high)
    if isinstance(normalisation, ZScore):
        return tr("mean of the image taken off, divided by its spread")
    if isinstance(normalisation, Linear):
        return tr("stored values times a fixed factor")
    if isinstance(normalisation, MeanStd):
        return tr("a fixed mean and spread taken off")
    return tr("smallest to largest value scaled to 0..1")


def _short_hash(sha256: str) -> str:
    return f"SHA-256 {sha256[:12]}" if sha256 else tr("not read yet")


def _count(number: int) -> str:
    return f"{number / 1e6:.2f} M" if number >= 100_000 else grouped(number)
