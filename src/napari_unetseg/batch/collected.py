"""What other programs keep of all images of a folder together."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_unetseg.batch.folder_journal import Record
from napari_unetseg.batch.output_files import YOLO_FOLDER, ResultKind, Target
from napari_unetseg.io.exchange.coco import merge_coco
from napari_unetseg.io.exchange.label_files import COCO_FILE
from napari_unetseg.io.exchange.labelled_image import OBJECT
from napari_unetseg.io.exchange.yolo import write_yolo_classes


def write_collected(folder: Path, records: Sequence[Record]) -> None:
    """Write one COCO file of all images that have one each, and what YOLO's data set says of itself.

    Parameters
    ----------
    folder
        Of the results.
    records
        Of its images, in the order in which they come.

    Raises
    ------
    UnetsegError
        If a file cannot be read or written.
    """
    if files := [target.result(ResultKind.COCO) for target, _ in _holding(folder, records, ResultKind.COCO)]:
        merge_coco(folder / COCO_FILE, files)
    if outlined := list(_holding(folder, records, ResultKind.YOLO)):
        models = {str(record.decided_by.get("model") or OBJECT) for _, record in outlined}
        write_yolo_classes(folder / YOLO_FOLDER, [models.pop() if len(models) == 1 else OBJECT])


def _holding(folder: Path, records: Sequence[Record], kind: ResultKind) -> Iterable[tuple[Target, Record]]:
    """Yield where the results of images lie of which a kind is there."""
    for record in records:
        target = Target(folder, record.stem)
        if kind in record.results and target.holds(kind):
            yield target, record
