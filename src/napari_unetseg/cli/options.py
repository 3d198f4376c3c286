"""Options that several commands share."""

from typing import Annotated

import typer

from napari_unetseg.postprocessing.parameters import MAX_SMOOTHING

ModelOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of a model ('napari-unetseg models' lists them), or its folder. "
        "Default: what 'napari-unetseg config' says, or nuclei.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="auto, cuda, mps or cpu. If it is not there the CPU steps in, with a warning. "
        "Default: what 'napari-unetseg config' says.",
    ),
]
BackendOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help='Runtime: auto, torch, openvino (pip install "napari-unetseg[openvino]"), or onnxruntime ([onnx]). '
        "Default: what 'napari-unetseg config' says.",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Arithmetic of the network: auto, float32, bfloat16 or int8. Default: what 'napari-unetseg config' says.",
    ),
]
FillHolesOption = Annotated[
    bool | None,
    typer.Option("--fill-holes/--keep-holes", help="Whether holes become part of their object. Default: the model's."),
]
SmoothingOption = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        min=0,
        max=MAX_SMOOTHING,
        help="Radius below which spikes and notches of outlines are evened out; 0 leaves them. Default: the model's.",
    ),
]
MinConfidenceOption = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Drop objects of a lower mean confidence, as the table has it. Default: the model's."
    ),
]
