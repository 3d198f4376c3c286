"""Options for images that are more than a file of one plane: OME-Zarr, plates, scenes of microscopes' files."""

from pathlib import Path
from typing import Annotated

import typer

LevelOption = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL",
        help="Which level of a pyramid to segment: its number, 0 the largest; the size of its pixels, such as "
        "'0.5 um'; or how many they are at most along each side, such as '4096 px'. Default: 0.",
    ),
]
BesideOption = Annotated[
    bool,
    typer.Option(
        "--beside",
        help="Write the labels of OME-Zarr images beside the other results, as <image>_labels.ome.zarr. Default: into "
        "the image, where it can be written.",
    ),
]
LabelNameOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="What labels within an OME-Zarr image are called. Default: the name of the model."
    ),
]
WellsOption = Annotated[
    str | None,
    typer.Option(metavar="WELLS", help="Of plates, segment these wells alone, such as 'A1,B*,*12'."),
]
FieldsOption = Annotated[
    str | None,
    typer.Option(metavar="FIELDS", help="Of plates, segment these fields of each well alone, such as '0,2'."),
]
ScenesOption = Annotated[
    str | None,
    typer.Option(
        metavar="SCENES",
        help="Of microscopes' files, segment these scenes (series, positions) alone: names, numbers from 0, or "
        "patterns, such as '0,Series*'.",
    ),
]
ConditionsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Table (CSV) with the columns well and condition, which the tables of results then have, too.",
        dir_okay=False,
    ),
]


def checked_label_name(name: str | None) -> str | None:
    """Return a name of labels that every disk takes.

    Raises
    ------
    typer.BadParameter
        If it is no such name.
    """
    from napari_unetseg.io.ome_zarr.label_name import is_label_name

    if name is not None and not is_label_name(name):
        raise typer.BadParameter(
            f"{name} cannot be the name of a folder; use up to 200 letters, digits, - and _, and no __ in front",
            param_hint="--label-name",
        )
    return name
