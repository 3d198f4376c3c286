"""What a package of the BioImage Model Zoo says of itself, the same for every version of its specification."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

WeightsKind = Literal["pytorch_state_dict", "onnx", "torchscript"]
"""The forms of weights that can be used; a package may have others."""

USED_WEIGHTS: tuple[WeightsKind, ...] = ("pytorch_state_dict", "onnx", "torchscript")


@dataclass(frozen=True)
class FileOf:
    """A file that a package names.

    Attributes
    ----------
    source
        Path within the package, or an address on the web.
    sha256
        Its hash in lower case; empty where the package states none.
    """

    source: str
    sha256: str = ""


@dataclass(frozen=True)
class Operation:
    """A step of the preprocessing or of the postprocessing.

    Attributes
    ----------
    name
        As the specification calls it, such as ``"scale_range"``.
    arguments
        All that the package states of it, but for axes.
    axes
        Letters (``b c z y x``) of the axes that are reduced together, or along which values are listed; None where
        none are stated, which means all of them.
    over_data_set
        Whether its figures are those of a whole data set rather than of each image.
    """

    name: str
    arguments: Mapping[str, Any]
    axes: frozenset[str] | None = None
    over_data_set: bool = False


@dataclass(frozen=True)
class Extent:
    """Sizes that an axis may have: `smallest` + n times `step`; `step` is 0 where there is one size only."""

    smallest: int
    step: int = 0


@dataclass(frozen=True)
class InputTensor:
    """What the network takes.

    Attributes
    ----------
    name
        How the package calls it.
    axes
        Letters in order, such as ``"bcyx"``.
    extents
        Sizes of each axis but ``b``.
    channel_names
        Empty where the package has none.
    operations
        The preprocessing, in order.
    test
        An image before it is prepared; None where there is none.
    pixel_size
        Size of a pixel in micrometres, where it is stated.
    one_at_a_time
        Whether the network takes one image at a time only.
    """

    name: str
    axes: str
    extents: Mapping[str, Extent]
    channel_names: tuple[str, ...]
    operations: tuple[Operation, ...]
    test: FileOf | None
    pixel_size: float | None = None
    one_at_a_time: bool = False


@dataclass(frozen=True)
class OutputTensor:
    """What the network gives.

    Attributes
    ----------
    channels
        Number of channels; 1 where there is no such axis, None where it follows from nothing that is stated.
    halo
        Pixels at each side, by axis, that are not to be trusted.
    growth
        By axis, how often a pixel of the input stands in the output, and how many pixels are added in all.
    data_range
        Least and greatest value as the package states it, after the postprocessing.
    operations
        The postprocessing, in order.
    test
        The answer to the input's test image, after the postprocessing.
    """

    name: str
    axes: str
    channels: int | None
    channel_names: tuple[str, ...]
    halo: Mapping[str, int]
    growth: Mapping[str, tuple[float, float]]
    data_range: tuple[float | None, float | None] | None
    operations: tuple[Operation, ...]
    test: FileOf | None


@dataclass(frozen=True)
class WeightsEntry:
    """One form of the weights: `kind` as the specification calls it, and its file."""

    kind: str
    file: FileOf


@dataclass(frozen=True)
class Description:
    """A model of the BioImage Model Zoo.

    Attributes
    ----------
    format_version
        As ``"0.5.4"``.
    authors
        Names.
    citations
        Each with its DOI or address.
    licence
        SPDX identifier; ``"unknown"`` where there is none.
    training_data
        What the package calls the data that it learned from; empty where it says nothing.
    config
        What programs wrote there for themselves.
    """

    format_version: str
    name: str
    description: str
    authors: tuple[str, ...]
    citations: tuple[str, ...]
    licence: str
    training_data: str
    cover: FileOf | None
    documentation: FileOf | None
    inputs: tuple[InputTensor, ...]
    outputs: tuple[OutputTensor, ...]
    weights: tuple[WeightsEntry, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
