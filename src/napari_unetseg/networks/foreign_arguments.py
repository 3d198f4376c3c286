"""What a card says of a network that another program wrote: how its file is fed, and which sizes it takes.

Such a network is a file that is computed as it is, an ONNX graph or a TorchScript program, and nothing about it can be
worked out from layers; so the card states it, as in this part of one:

    architecture:
      name: onnx_graph            # or torchscript
      arguments: {in_channels: 1, out_channels: 2, channels: [0, 1], halo: 32, step: 16, smallest: 64}
    input_channels: 1
    outputs: [{name: foreground, activation: sigmoid}, {name: boundary, activation: sigmoid}]
    weights: {file: weights.onnx, sha256: ...}     # or weights.pt

An activation of ``sigmoid`` says that the answer is a probability already. Imports no torch.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

ForeignName = Literal["onnx_graph", "torchscript"]

FOREIGN_SUFFIXES: Mapping[str, str] = {"onnx_graph": ".onnx", "torchscript": ".pt"}
"""How the file of each kind of foreign network must end."""

_LONGEST = 16384
"""Pixels of a side; a larger one would need more memory than there is."""

Side = Annotated[int, Field(ge=1, le=_LONGEST)]


class ForeignArguments(BaseModel):
    """`architecture.arguments` of a card whose network is ``onnx_graph`` or ``torchscript``.

    Sides of what the network sees are `smallest` + n * `step` pixels, up to `largest`; where `largest` is `smallest`
    there is only that one. Its answer has the same height and width.

    Attributes
    ----------
    in_channels
        Channels of its input.
    out_channels
        Channels of its answer that are used: one a head of the card.
    channels
        Which channels of the answer these are, in the order of the heads; empty: the first ones.
    input, output
        Names of the tensors, where an ONNX graph has several; of a TorchScript program, `output` may be the number of
        one among several answers. None: the first.
    input_axes, output_axes
        Order of the axes of its input and of its answer: ``y`` and ``x`` each once, and at most once ``b`` (batch),
        ``c`` (channels), and ``z`` and ``t``, whose length is then 1. Without ``c`` there is one channel.
    halo
        Pixels along each side of what it sees in which its answer is not to be trusted. Above 0, an image is divided
        into windows that overlap by twice as much; 0: into windows that are blended.
    step, smallest, largest
        Which sides it takes, in pixels. `largest` None: any.
    batch
        Whether it takes several windows at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    in_channels: int = Field(ge=1, le=16)
    out_channels: int = Field(ge=1, le=16)
    channels: Annotated[tuple[Annotated[int, Field(ge=0, lt=8192)], ...], Field(strict=False)] = ()
    input: str | None = None
    output: str | int | None = None
    input_axes: str = "bcyx"
    output_axes: str = "bcyx"
    halo: int = Field(0, ge=0, le=_LONGEST // 4)
    step: Side = 1
    smallest: Side = 1
    largest: Side | None = None
    batch: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> "ForeignArguments":
        for name, axes, count in (
            ("input_axes", self.input_axes, self.in_channels),
            ("output_axes", self.output_axes, self.out_channels),
        ):
            if len(set(axes)) != len(axes) or not {"y", "x"} <= set(axes) <= set("bcztyx"):
                raise ValueError(f"{name} must have y and x, and may have b, c, z and t, each once, not {axes!r}")
            if "c" not in axes and count > 1:
                raise ValueError(f"{name} {axes!r} has no c, but there are {count} channels")
        if self.channels and len(self.channels) != self.out_channels:
            raise ValueError(
                f"channels names {len(self.channels)} of the answer, but out_channels is {self.out_channels}"
            )
        if self.largest is not None and self.largest < self.smallest:
            raise ValueError("largest must not be below smallest")
        if self.largest is not None and 2 * self.halo >= self.largest_side:
            raise ValueError(f"a window of {self.largest} pixels leaves nothing between halos of {self.halo}")
        return self

    @property
    def largest_side(self) -> int:
        """The longest side that it takes."""
        largest = _LONGEST if self.largest is None else self.largest
        return largest - (largest - self.smallest) % self.step


def is_foreign(architecture: str) -> bool:
    """Whether networks of that name on a card are files that another program wrote."""
    return architecture in FOREIGN_SUFFIXES


def foreign_arguments(arguments: Mapping[str, Any]) -> ForeignArguments:
    """Read the arguments of a card.

    Raises
    ------
    ValueError
        If they do not say how a network is fed; the message says which is wrong.
    """
    try:
        return ForeignArguments.model_validate(dict(arguments))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))} {fault['msg']}".strip() for fault in error.errors())
        raise ValueError("; ".join(faults)) from error
