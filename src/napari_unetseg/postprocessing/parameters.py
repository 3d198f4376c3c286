"""The numbers a user turns to get from probabilities to objects: the one place where each is defined.

Every decoder parameter is a field of `DecodeParameters`, with its type, default, limits and description, and a key of
`DecodeKeywords`, which says the same to type checkers. Verbs, functions, command line, recipes and window derive theirs
from these two.
"""

from collections.abc import Iterable, Mapping
from copy import copy
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Self, TypedDict

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, create_model, field_validator
from pydantic.fields import FieldInfo

from napari_unetseg.errors import ParameterError

MAX_SMOOTHING = 20
"""Largest radius of smoothing in pixels: beyond it, what is left has little to do with the object."""


_SHOWN = 60  # most characters of a wrong value that a message repeats


class ExactModel(BaseModel):
    """A base of parameters: numbers are numbers and choices are choices, which pydantic alone sees less narrowly.

    It would take True for 1, ``"0.5"`` for 0.5 and ``b"1"`` for a yes. NumPy's scalars, and arrays of no axis, are
    taken as what they hold.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _is_of_its_kind(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        kind = next((kind for kind in (bool, int, float) if annotation in (kind, kind | None)), None)
        if kind is None or value is None:
            return value
        if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
            value = value.item()
        if kind is bool and not isinstance(value, bool):
            raise ValueError("write True or False")
        if kind is not bool and (isinstance(value, bool) or not isinstance(value, Real | Decimal)):
            raise ValueError("write a number")
        return value


class DecodeParameters(ExactModel):
    """How a probability map becomes objects; every model card carries its own defaults.

    Touching objects stay one at a `split` of 0 and are divided at the slightest hint at 1; the decoder's documentation
    says what the number means to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(0.5, ge=0, le=1, description="Confidence from which a pixel belongs to an object.")
    min_size: int = Field(20, ge=0, description="Drop objects of fewer pixels.")
    split: float = Field(0.5, ge=0, le=1, description="How readily touching objects are divided.")
    fill_holes: bool = Field(True, description="Whether holes become part of their object.")
    smoothing: int = Field(
        0,
        ge=0,
        le=MAX_SMOOTHING,
        description="Radius below which spikes and notches of outlines are evened out; 0 leaves them.",
    )
    min_confidence: float = Field(
        0.0, ge=0, le=1, description="Drop objects of a lower mean confidence, as the table has it."
    )

    def override(self, changes: Mapping[str, Any]) -> Self:
        """Return these parameters with every change that is not None.

        Raises
        ------
        ParameterError
            If there is no such parameter, or a value lies outside its range; the message names both.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        try:
            return type(self).model_validate(self.model_dump() | given)
        except ValidationError as error:
            raise parameter_error(error, type(self).model_fields) from error


class DecodeKeywords(TypedDict, total=False):
    """The fields of `DecodeParameters` as keyword arguments, for type checkers and editors; None changes nothing."""

    threshold: float | None
    min_size: int | None
    split: float | None
    fill_holes: bool | None
    smoothing: int | None
    min_confidence: float | None


def _optional(field: FieldInfo) -> tuple[Any, FieldInfo]:
    """Make of a field one that may be left out."""
    changed = copy(field)
    changed.default = None
    return field.annotation | None, changed  # type: ignore[operator]


class _OptionalModel(ExactModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


if TYPE_CHECKING:
    DecodeChanges = BaseModel
else:
    DecodeChanges = create_model(
        "DecodeChanges",
        __base__=_OptionalModel,
        __doc__="Decoder parameters that were given; None for those that were not.",
        **{name: _optional(field) for name, field in DecodeParameters.model_fields.items()},
    )


def limits(field: FieldInfo) -> tuple[float | None, float | None]:
    """Return the smallest and the largest value that a field takes; None where there is none."""
    least = (rule.ge for rule in field.metadata if hasattr(rule, "ge"))
    most = (rule.le for rule in field.metadata if hasattr(rule, "le"))
    return next(least, None), next(most, None)


def describe_field(field: FieldInfo) -> str:
    """Say what a field means, and between which limits."""
    least, most = limits(field)
    if least is None and most is None:
        return str(field.description)
    spans = {(True, True): f"{least} to {most}", (True, False): f"{least} or more", (False, True): f"up to {most}"}
    return f"{field.description} {spans[least is not None, most is not None].capitalize()}."


def parameter_error(error: ValidationError, known: Iterable[str]) -> ParameterError:
    """Say which parameters are wrong, with their values, and which there are where one is unknown."""
    faults = []
    for fault in error.errors():
        name = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            faults.append(f"{name}: there is no such parameter; there are {', '.join(known)}")
        else:
            faults.append(f"{name} = {_shown(fault['input'])}: {fault['msg'].removeprefix('Value error, ')}")
    return ParameterError("; ".join(faults))


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes out no number of more than 4,300 digits
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


DecodeParameters.__doc__ = "\n".join(
    [
        f"{DecodeParameters.__doc__}\n    Attributes\n    ----------",
        *(f"    {name}\n        {describe_field(field)}" for name, field in DecodeParameters.model_fields.items()),
    ]
)
