"""What a caller may ask of a segmentation: the one place where each option is defined.

Decoder parameters are defined in `napari_unetseg.postprocessing.parameters`; the other options here, as fields of
`ImageOptions` and keys of `SegmentKeywords`.
"""

from typing import TYPE_CHECKING, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from napari_unetseg.channels import ChannelChoice
from napari_unetseg.errors import ParameterError
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.parameters import (
    DecodeChanges,
    DecodeKeywords,
    DecodeParameters,
    ExactModel,
    parameter_error,
)

if TYPE_CHECKING:
    from napari_unetseg.image import Image
    from napari_unetseg.zoo.card import ModelCard

_FLAGS = {"fill_holes": ("--fill-holes", "--keep-holes"), "augment": ("--tta", "")}


class ImageOptions(ExactModel):
    """Which channels are segmented, how the network sees the image, and how the planes of a stack belong together."""

    # Built on first use, which help and lists of models never come to.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    channel: int | None = Field(
        None, ge=0, description="Segment this channel alone, counted from 0; None: all together."
    )
    channels: str | None = Field(
        None,
        description="The channels to segment by name, or number counted from 0: 'DAPI'; 'DAPI,GFP', several in the "
        "order of the model's input; 'max(DAPI,GFP)' or 'sum(DAPI,GFP)', combined into one; or by what the model calls "
        "them, 'nucleus=DAPI,cytoplasm=GFP'. None: all together.",
    )
    diameter: float | None = Field(
        None,
        json_schema_extra={"exclusiveMinimum": 0},  # which `scale_factor` holds, in the user's language
        description="Typical equivalent diameter of the objects in this image, in pixels. The network then sees the "
        "image rescaled, so that its objects are as large as those that the model was trained on (`object_size` of its "
        "card); the result has the image's own size. None: it sees the image as it is and, where it finds objects of a "
        "size that it does not see well (`object_sizes` of its card), again rescaled by what it found.",
    )
    augment: bool = Field(
        False,
        description="Average over eight flips and turns of the image, which takes eight times as long, and tell how "
        "far the answers agree.",
    )
    link: bool = Field(
        False,
        description="In a stack, let objects keep their number along Z (planes of one object) and T (tracks), by "
        "overlap; see `napari_unetseg.postprocessing.linking.number_stack`.",
    )

    @field_validator("channels")
    @classmethod
    def _can_be_read(cls, channels: str | None) -> str | None:
        return channels if channels is None else str(ChannelChoice.parse(channels))

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what earlier versions did not know where it says nothing, so that what they wrote still fits."""
        values: dict[str, Any] = handler(self)
        if values.get("channels", "") is None:
            del values["channels"]
        return values


class SegmentKeywords(DecodeKeywords, total=False):
    """The fields of `SegmentOptions` as keyword arguments, for type checkers and editors."""

    channel: int | None
    channels: str | None
    diameter: float | None
    augment: bool
    link: bool


class SegmentOptions(ImageOptions, DecodeChanges):
    """What a caller wants of an image: the image's options, and the decoder parameters that were given."""

    @classmethod
    def of(cls, **options: Any) -> Self:
        """Check keyword arguments.

        Raises
        ------
        ParameterError
            If there is no such option, or its value cannot be used; the message names both.
        """
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            raise parameter_error(error, cls.model_fields) from error

    def plane_of(self, image: "Image", card: "ModelCard") -> "Image":
        """Return what of an image a model is to see: the channels that were asked for, or the whole image.

        Raises
        ------
        ImageError
            If there is no such channel, or the model takes another number of them.
        ParameterError
            If the channels were said twice.
        """
        from napari_unetseg.channel_selection import choose_channels

        choice = self._choice(card)
        if self.channel is not None:
            image = image.take_channel(self.channel)
        return choose_channels(image, choice, card.input_channels, card.channel_roles)

    def channels_for(self, card: "ModelCard") -> str | None:
        """Return the choice of channels as a model takes them: what was said by role in the order of its input.

        Raises
        ------
        ImageError
            If the model knows no such roles.
        ParameterError
            If the channels were said twice.
        """
        choice = self._choice(card)
        return None if choice is None else str(choice)

    def _choice(self, card: "ModelCard") -> ChannelChoice | None:
        if self.channels is None:
            return None
        if self.channel is not None:
            raise ParameterError(
                Sentence(
                    "channel = {channel} and channels = {channels} both say what to segment. Leave out one of them.",
                    channel=self.channel,
                    channels=repr(self.channels),
                )
            )
        return ChannelChoice.parse(self.channels).in_order(card.channel_roles, "channels")

    def parameters(self, card: "ModelCard") -> DecodeParameters:
        """Return the card's decoder parameters with those that were given.

        Raises
        ------
        ParameterError
            If a value lies outside its range.
        """
        return card.parameters.override(self.model_dump(include=set(DecodeParameters.model_fields)))


def flags(name: str) -> tuple[str, str]:
    """Return what switches an option on and off on the command line; "" for what is not a switch.

    Most are called as in Python.
    """
    field = SegmentOptions.model_fields[name]
    word = f"--{name.replace('_', '-')}"
    is_choice = field.annotation == bool | None
    return _FLAGS.get(name, (word, word.replace("--", "--no-", 1) if is_choice else ""))
