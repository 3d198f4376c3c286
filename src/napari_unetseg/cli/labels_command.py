"""`napari-unetseg labels`: label files of one program as those of another."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.errors import UnetsegError, one_line

if TYPE_CHECKING:
    from napari_unetseg.io.exchange.labelled_image import LabelledImage


class To(StrEnum):
    """What label files can be written as."""

    TIFF = "tiff"
    COCO = "coco"
    YOLO = "yolo"
    CELLPOSE = "cellpose"
    GEOJSON = "geojson"
    ROIS = "rois"


def labels_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Label files, or folders of them: label images (TIFF, PNG), COCO (.json), YOLO (.txt), Cellpose "
            "(_seg.npy), QuPath (.geojson), ImageJ ROIs (.zip, .roi). Of a folder of results its label images.",
            exists=True,
        ),
    ],
    to: Annotated[
        To,
        typer.Option(
            "--to",
            help="tiff (a label image each), coco (one annotations.json), yolo (a text file each, with data.yaml), "
            "cellpose (_seg.npy each), geojson (QuPath) or rois (ImageJ).",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the files, made if needed.", file_okay=False),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the images, by which files of YOLO, QuPath and ImageJ get their size, and all their names.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    class_name: Annotated[
        str, typer.Option("--class", metavar="NAME", help="What objects are that have no class.")
    ] = "object",
) -> None:
    """Write label files of one program as those of another: any of the formats below as any other.

    Pixels of objects, and the numbers where a format has numbers, stay what they are. YOLO knows neither holes nor
    pieces of an object, and joins them by slits of no width. Of objects that overlap, which a label image cannot
    hold, a pixel goes to the smallest. What is lost is told.

    Exit status: 0 if all files were converted, 1 if any was not.
    """
    with plain_errors():
        from napari_unetseg.io.exchange.label_files import LabelFormat, write_labels_as

        reading = _Reading(_files(files), images, class_name)
        written = write_labels_as(LabelFormat(to), reading, output)
        if not reading.images:
            raise UnetsegError("No label file could be converted.")
    count = len(written)
    objects = f"{reading.objects} object{'s' * (reading.objects != 1)}"
    of_images = f"{reading.images} image{'s' * (reading.images != 1)}"
    typer.echo(f"Wrote {objects} of {of_images}: {count} file{'s' * (count != 1)} in {output}.")
    raise typer.Exit(1 if reading.failed else 0)


class _Reading:
    """Reads one file after the other, tells what is lost, and goes on after a bad one."""

    def __init__(self, files: Sequence[Path], folder: Path | None, class_name: str) -> None:
        self.images = self.objects = self.failed = 0
        self._files, self._folder, self._class_name = files, folder, class_name

    def __iter__(self) -> Iterator["LabelledImage"]:
        import numpy as np

        from napari_unetseg.io.exchange.label_files import read_labels, with_class

        for file in self._files:
            try:
                for image in read_labels(file, self._find_image):
                    for remark in image.remarks:
                        typer.echo(remark, err=True)
                    self.images += 1
                    self.objects += int(np.count_nonzero(np.unique(image.labels)))
                    yield with_class(image, self._class_name)
            except UnetsegError as error:
                self.failed += 1
                typer.echo(f"Error: {one_line(error)}", err=True)

    def _find_image(self, name: str) -> Path | None:
        from napari_unetseg.io.exchange.label_files import image_called

        return None if self._folder is None else image_called(name, self._folder)


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return label files, those of folders sorted: of a folder of results the label images."""
    from napari_unetseg.io.exchange.label_files import format_of, image_name

    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
        plain = [one for one in inside if one.name.lower().endswith("_labels.tif")]
        names = {image_name(one) for one in plain}
        # Those that a result has in this form alone.
        ome = [one for one in inside if one.name.lower().endswith("_labels.ome.tif") and image_name(one) not in names]
        ours = sorted([*plain, *ome])
        known = ours or [one for one in inside if format_of(one)] or sorted((path / "labels").glob("*.txt"))
        if not known:
            raise UnetsegError(f"{path}: holds no label files. Name the files, or the folder that they are in.")
        found += known
    return found
