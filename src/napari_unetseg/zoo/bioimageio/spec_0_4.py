"""Version 0.4 of the specification: axes are letters, and shapes are lists."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AllowInfNan, Field, model_validator

from napari_unetseg.zoo.bioimageio.common import MOST_TENSORS, AnyFile, General, Name, Stated, Step
from napari_unetseg.zoo.bioimageio.description import Description, Extent, InputTensor, Operation, OutputTensor

_Axes = Annotated[str, Field(pattern=r"^[bitczyx]+$", max_length=7)]
_Size = Annotated[int, Field(ge=0, le=2**31)]


class _Op(Step):
    name: Name

    def operation(self) -> Operation:
        arguments = dict(self.stated or {})
        axes = arguments.pop("axes", None)
        mode = arguments.pop("mode", None)
        if mode == "fixed":
            arguments["fixed"] = True
        elif mode not in (None, "per_sample", "per_dataset"):
            arguments["mode"] = mode
        letters = None if axes is None else frozenset(str(axes))
        return Operation(self.name, arguments, letters, mode == "per_dataset")


class _Shape(Stated):
    min: list[_Size] = Field(max_length=7)
    step: list[_Size] = Field(max_length=7)


class _OutputShape(Stated):
    reference_tensor: Name
    scale: list[float | None] = Field(max_length=7)
    offset: list[float] = Field(max_length=7)


class _Tensor(Stated):
    name: Name
    axes: _Axes
    data_range: tuple[Annotated[float, AllowInfNan(True)], Annotated[float, AllowInfNan(True)]] | None = None

    @model_validator(mode="after")
    def _each_axis_once(self) -> "_Tensor":
        if len(set(self.axes)) != len(self.axes):
            raise ValueError("axes name a letter twice")
        return self


class _Input(_Tensor):
    shape: list[_Size] | _Shape
    preprocessing: list[_Op] | None = Field(None, max_length=20)

    @model_validator(mode="after")
    def _sizes_fit_axes(self) -> "_Input":
        shape = self.shape
        given = {len(shape)} if isinstance(shape, list) else {len(shape.min), len(shape.step)}
        if given != {len(self.axes)}:
            raise ValueError("shape names other axes than 'axes'")
        return self

    def tensor(self, test: Any) -> InputTensor:
        shape = self.shape
        smallest, step = (shape, [0] * len(shape)) if isinstance(shape, list) else (shape.min, shape.step)
        extents = {axis: Extent(*sizes) for axis, *sizes in zip(self.axes, smallest, step, strict=True) if axis != "b"}
        operations = tuple(op.operation() for op in self.preprocessing or ())
        return InputTensor(self.name, self.axes, extents, (), operations, test)


class _Output(_Tensor):
    shape: list[_Size] | _OutputShape
    halo: list[_Size] | None = None
    postprocessing: list[_Op] | None = Field(None, max_length=20)

    @model_validator(mode="after")
    def _sizes_fit_axes(self) -> "_Output":
        shape, axes = self.shape, len(self.axes)
        given = {len(shape)} if isinstance(shape, list) else {len(shape.scale), len(shape.offset)}
        if given != {axes} or (self.halo is not None and len(self.halo) != axes):
            raise ValueError("shape or halo names other axes than 'axes'")
        return self

    def tensor(self, test: Any, inputs: Mapping[str, InputTensor]) -> OutputTensor:
        shape = self.shape
        growth: dict[str, tuple[float, float]] = {}
        sizes: dict[str, float] = {}
        if isinstance(shape, _OutputShape):
            reference = inputs.get(shape.reference_tensor)
            for axis, scale, offset in zip(self.axes, shape.scale, shape.offset, strict=True):
                growth[axis] = (scale or 0.0, 2 * offset)
                extent = reference.extents.get(axis) if reference else None
                sizes[axis] = (extent.smallest if extent else 0) * (scale or 0.0) + 2 * offset
        else:
            sizes = dict(zip(self.axes, map(float, shape), strict=True))
            # Sizes are stated for the input's own size, which is then fixed, too.
            for tensor in inputs.values():
                growth = {a: (1.0, sizes[a] - e.smallest) for a, e in tensor.extents.items() if a in sizes}
        channels = int(sizes.get("c", 0)) if "c" in self.axes else 1
        halo = dict(zip(self.axes, self.halo or [0] * len(self.axes), strict=True))
        operations = tuple(op.operation() for op in self.postprocessing or ())
        return OutputTensor(self.name, self.axes, channels or None, (), halo, growth, self.data_range, operations, test)


class Model04(General):
    """A description of version 0.4."""

    type: Literal["model"] = "model"
    inputs: list[_Input] = Field(min_length=1, max_length=MOST_TENSORS)
    outputs: list[_Output] = Field(min_length=1, max_length=MOST_TENSORS)
    test_inputs: list[AnyFile] = Field(default_factory=list, max_length=MOST_TENSORS)
    test_outputs: list[AnyFile] = Field(default_factory=list, max_length=MOST_TENSORS)

    def describe(self) -> Description:
        """Return it in the form of every version."""
        inputs = tuple(one.tensor(_at(self.test_inputs, place)) for place, one in enumerate(self.inputs))
        named = {one.name: one for one in inputs}
        outputs = tuple(one.tensor(_at(self.test_outputs, place), named) for place, one in enumerate(self.outputs))
        return Description(**self.general(), inputs=inputs, outputs=outputs)


def _at(files: list[Any], place: int) -> Any:
    return files[place].file() if place < len(files) else None
