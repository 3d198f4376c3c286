"""Options that several commands share."""

from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from napari_unetseg.postprocessing.parameters import limits
from napari_unetseg.segment_options import flags

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
        help="auto, cuda, mps or cpu; cuda:1 is one of several cards. If it is not there the CPU steps in, with a "
        "warning. "
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
        help="Arithmetic of the network: auto, float32, bfloat16, float16 or int8. Default: what 'napari-unetseg "
        "config' says.",
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Run the network on this server, such as http://lab:8001 ('napari-unetseg serve' there). Default: what "
        "'napari-unetseg config' says, or this machine; this machine, too, where --device, --backend or --precision "
        "is given.",
    ),
]

# Where the command line has words of its own for an option.
_SPECIAL: dict[str, dict[str, Any]] = {
    "smoothing": {"metavar": "PIXELS"},
    "channel": {"help": "Segment this channel alone, counted from 0. Default: all together."},
    "channels": {
        "metavar": "NAMES",
        "help": "Segment these channels, by name or number from 0: DAPI; DAPI,GFP (in the order of the model's input); "
        "'max(DAPI,GFP)' or 'sum(DAPI,GFP)' (combined); nucleus=DAPI,cytoplasm=GFP (as the model calls them). Default: "
        "all together.",
    },
    "diameter": {
        "metavar": "PIXELS",
        "help": "Typical diameter of the objects; images are rescaled to the size the model was trained on, results "
        "keep theirs. Default: images keep their size too, unless the model finds objects it does not see well.",
    },
    "augment": {"help": "Average over flips and turns: 8x slower; the table tells how far they agree."},
}


def segment_option(name: str, field: FieldInfo) -> Any:
    """Annotate a parameter of a command as an option: with the type, limits and description of its definition."""
    least, most = limits(field)
    words = {"min": least, "max": most, "help": f"{field.description} Default: the model's."} | _SPECIAL.get(name, {})
    return Annotated[field.annotation, typer.Option("/".join(filter(None, flags(name))), **words)]
