"""What is kept of a model's quantisation: the model in int8, and how well its masks agree with float32."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_unetseg.errors import NotCalibrated, UnetsegError
from napari_unetseg.inference.backends.openvino.network_conversion import MODEL_FILE, folder_for
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.card import ModelCard

CALIBRATION_FILE = "calibration.json"

MIN_DICE = 0.995
"""A model is used in int8 only if its masks agree with those in float32 at least so well."""


class Calibration(BaseModel):
    """How a model was brought into int8, and how well its masks agree with those in float32.

    Attributes
    ----------
    model, weights_sha256
        Name of the model and SHA-256 of its weights.
    dice
        2 |A and B| / (|A| + |B|) of the foreground's pixels in float32 (A) and int8 (B), over all images together; 1
        where neither has any.
    worst_image, worst_dice
        The image on which it is lowest.
    images
        Names of the images.
    windows
        Number of windows that the ranges of the activations were read off.
    in_int8, layers
        How many convolutions are computed in int8, of how many.
    versions
        Of this package, OpenVINO and NNCF.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str
    weights_sha256: str
    dice: float = Field(ge=0, le=1)
    worst_image: str
    worst_dice: float = Field(ge=0, le=1)
    images: tuple[str, ...]
    windows: int
    in_int8: int
    layers: int
    versions: dict[str, str]

    @property
    def accepted(self) -> bool:
        """Whether the masks agree well enough for the model to be used in int8."""
        return self.dice >= MIN_DICE

    @property
    def outcome(self) -> Sentence:
        """What came of it, in a sentence for people."""
        images = Sentence("{n} images", n=len(self.images)) if len(self.images) > 1 else self.images[0]
        if self.accepted:
            return Sentence(
                "In int8 the masks of {model} agree with float32 to a Dice of {dice:.4f} ({images}).",
                model=self.model,
                dice=self.dice,
                images=images,
            )
        return Sentence(
            "{model} is not used in int8: its masks agree with float32 only to a Dice of {dice:.4f} ({images}), and "
            "{least} is needed.",
            model=self.model,
            dice=self.dice,
            images=images,
            least=MIN_DICE,
        )


def find_calibration(card: ModelCard) -> Calibration | None:
    """Return how the model was last calibrated with these versions; None if it was not."""
    try:
        text = (folder_for(card, "int8") / CALIBRATION_FILE).read_text(encoding="utf-8")
        return Calibration.model_validate_json(text)
    except (OSError, ValidationError):
        return None


def calibration_of(card: ModelCard) -> Calibration:
    """Return how the model was last calibrated with these versions, well or badly.

    Raises
    ------
    NotCalibrated
        If it was not; the message says how it is done.
    """
    calibration = find_calibration(card)
    if calibration is None:
        raise NotCalibrated(
            Sentence(
                "{model} was not calibrated for int8 on this machine. Run 'napari-unetseg export {model} --int8 "
                "--calibrate FOLDER' with a folder of typical images, or choose another precision.",
                model=card.name,
            )
        )
    return calibration


def quantised_model(card: ModelCard) -> Path:
    """Return the file of a model in int8.

    Raises
    ------
    NotCalibrated
        If it was not calibrated with these versions.
    UnetsegError
        If it was, but its masks did not agree with those in float32.
    """
    calibration = calibration_of(card)
    if not calibration.accepted:
        raise UnetsegError(calibration.outcome)
    return folder_for(card, "int8") / MODEL_FILE


def write_calibration(calibration: Calibration, folder: Path) -> None:
    """Write it beside the model in that folder, which `write_folder` makes whole."""
    (folder / CALIBRATION_FILE).write_text(calibration.model_dump_json(indent=2) + "\n", encoding="utf-8")
