"""Version 0.5 of the specification: each axis is a section of its own."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from napari_unetseg.zoo.bioimageio.common import MOST_TENSORS, AnyFile, General, Name, Stated, Step
from napari_unetseg.zoo.bioimageio.description import Description, Extent, InputTensor, Operation, OutputTensor

_Count = Annotated[int, Field(ge=0, le=2**31)]
_MICROMETRES = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3}
_LETTERS = {"batch": "b", "channel": "c", "index": "i", "time": "t"}


class _Parameterised(Stated):
    min: _Count
    step: Annotated[int, Field(ge=1, le=2**31)]


class _Reference(Stated):
    tensor_id: Name
    axis_id: Name
    offset: int = 0


class _Dependent(Stated):
    min: _Count = 1
    max: _Count | None = None


def _sort_of_size(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "step" in value:
        return _Parameterised.model_validate(value)
    return _Reference.model_validate(value) if "tensor_id" in value else _Dependent.model_validate(value)


class _Axis(Stated):
    type: Literal["batch", "channel", "space", "time", "index"]
    id: Name | None = None
    size: Annotated[_Count | _Parameterised | _Reference | _Dependent | None, BeforeValidator(_sort_of_size)] = None
    channel_names: list[Name] = Field(default_factory=list, max_length=8192)
    halo: _Count = 0
    scale: Annotated[float, Field(gt=0)] = 1.0
    unit: Name | None = None

    @property
    def word(self) -> str:
        """Its id, or the one that the specification gives to an axis without any."""
        return self.id or ("x" if self.type == "space" else self.type)

    @property
    def letter(self) -> str:
        return _LETTERS.get(self.type, self.word)

    @model_validator(mode="after")
    def _is_known(self) -> "_Axis":
        if self.type == "space" and self.word not in ("x", "y", "z"):
            raise ValueError("the id of an axis of space must be x, y or z")
        return self


class _Op(Step):
    id: Name

    def operation(self, axes: Sequence[_Axis]) -> Operation:
        arguments = dict(self.stated or {})
        letters = {axis.word: axis.letter for axis in axes}
        jointly = arguments.pop("axes", None)
        along = arguments.pop("axis", None)
        named = jointly if jointly is not None else [along] if along is not None else None
        words = None if named is None else frozenset(letters.get(str(word), str(word)) for word in named)
        # Without a word on axes all of them are meant, images of a batch among them.
        together = self.id in ("zero_mean_unit_variance", "scale_range") and (words is None or "b" in words)
        return Operation(self.id, arguments, None if words is None else words - {"b"}, together)


class _Data(Stated):
    range: tuple[float | str | None, float | str | None] | None = None


class _Tensor(Stated):
    id: Name
    axes: list[_Axis] = Field(min_length=1, max_length=7)
    test_tensor: AnyFile | None = None
    data: Any = None

    @model_validator(mode="after")
    def _each_axis_once(self) -> "_Tensor":
        if len({axis.letter for axis in self.axes}) != len(self.axes):
            raise ValueError("axes name one twice")
        return self

    @property
    def letters(self) -> str:
        return "".join(axis.letter for axis in self.axes)

    @property
    def names(self) -> tuple[str, ...]:
        return next((tuple(axis.channel_names) for axis in self.axes if axis.type == "channel"), ())

    @property
    def test(self) -> Any:
        return self.test_tensor.file() if self.test_tensor else None


class _Input(_Tensor):
    preprocessing: list[_Op] | None = Field(None, max_length=20)

    def tensor(self, extents: Mapping[str, Extent]) -> InputTensor:
        sizes = [axis.scale * _MICROMETRES[axis.unit] for axis in self.axes if axis.unit in _MICROMETRES]
        return InputTensor(
            self.id,
            self.letters,
            extents,
            self.names,
            tuple(op.operation(self.axes) for op in self.preprocessing or ()),
            self.test,
            sizes[-1] if sizes else None,
            any(axis.type == "batch" and axis.size == 1 for axis in self.axes),
        )


class _Output(_Tensor):
    postprocessing: list[_Op] | None = Field(None, max_length=20)

    def tensor(self, sizes: Mapping[tuple[str, str], Extent], scales: Mapping[tuple[str, str], float]) -> OutputTensor:
        growth: dict[str, tuple[float, float]] = {}
        channels: int | None = 1
        for axis in self.axes:
            size = axis.size
            if axis.type == "channel":
                channels = len(axis.channel_names) or None
            elif isinstance(size, _Reference):
                origin = scales.get((size.tensor_id, size.axis_id), 1.0)
                growth[axis.letter] = (origin / axis.scale, float(size.offset))
            elif isinstance(size, int):
                fixed = next((extent for (_, word), extent in sizes.items() if word == axis.word), None)
                growth[axis.letter] = (1.0, float(size - fixed.smallest)) if fixed else (1.0, 0.0)
        halo = {axis.letter: axis.halo for axis in self.axes}
        operations = tuple(op.operation(self.axes) for op in self.postprocessing or ())
        return OutputTensor(
            self.id, self.letters, channels, self.names, halo, growth, _range(self.data), operations, self.test
        )


class Model05(General):
    """A description of version 0.5."""

    type: Literal["model"] = "model"
    inputs: list[_Input] = Field(min_length=1, max_length=MOST_TENSORS)
    outputs: list[_Output] = Field(min_length=1, max_length=MOST_TENSORS)

    def describe(self) -> Description:
        """Return it in the form of every version."""
        axes = {(tensor.id, axis.word): axis for tensor in self.inputs for axis in tensor.axes}
        sizes = {key: extent for key, axis in axes.items() if (extent := _extent(axis, axes)) is not None}
        scales = {key: axis.scale for key, axis in axes.items()}
        inputs = tuple(
            tensor.tensor({axis.letter: sizes[tensor.id, axis.word] for axis in tensor.axes if axis.type != "batch"})
            for tensor in self.inputs
        )
        outputs = tuple(tensor.tensor(sizes, scales) for tensor in self.outputs)
        return Description(**self.general(), inputs=inputs, outputs=outputs)


def _extent(axis: _Axis, axes: Mapping[tuple[str, str], _Axis]) -> Extent | None:
    if axis.type == "batch":
        return None
    if axis.type == "channel":
        return Extent(max(len(axis.channel_names), 1))
    size, offset, origin = axis.size, 0, axis
    if isinstance(size, _Reference):
        offset, origin = size.offset, axes.get((size.tensor_id, size.axis_id), axis)
        size = origin.size
    scale = origin.scale / axis.scale
    if isinstance(size, _Parameterised):
        return Extent(int(size.min * scale) + offset, int(size.step * scale))
    if isinstance(size, int):
        return Extent(int(size * scale) + offset)
    raise ValueError(f"the size of the axis {axis.word} of an input is not stated")


def _range(data: Any) -> tuple[float | None, float | None] | None:
    stated = data.get("range") if isinstance(data, Mapping) else None
    if not isinstance(stated, list | tuple) or len(stated) != 2:
        return None
    low, high = (float(end) if isinstance(end, int | float) else None for end in stated)
    return low, high
