"""`napari-unetseg review`: which results of a folder to look at first, what was decided, and what comes of it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unetseg.batch.places import short_name
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.cli.segment_command import INTERRUPTED
from napari_unetseg.io.text_columns import in_columns

if TYPE_CHECKING:
    from napari_unetseg.batch.folder_review import Review, ReviewItem

_TITLES = ("image", "decision", "doubt", "objects")


def review_command(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Folder of results, or of images whose results lie in its folder 'segmented'.",
            exists=True,
            file_okay=False,
        ),
    ],
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Write review.html into the folder of results: pictures, decisions, doubts and counts."
        ),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Copy the images that are accepted or fixed, and their label images, into this folder, made if "
            "needed, as 'improve' and 'train' take them. Again into the same folder brings it up to date.",
            file_okay=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with the doubtful objects of each image.")
    ] = False,
) -> None:
    """List the results of a folder, the most doubtful first, and what was decided about them.

    The doubt is about the part of an image's objects that are wrong or missing, as far as confidence, size and shape
    tell it; more where the whole image is unlike the others. No network runs. Accept, mend or reject images in the
    window: 'Review...' in the window of a folder.

    Exit status: 0, or 1 if there is nothing to review or export, 130 after Ctrl-C.
    """
    try:
        with plain_errors():
            from napari_unetseg.batch.folder_review import open_review

            review = open_review(folder)
            typer.echo(json.dumps(_as_dict(review), indent=2) if as_json else "\n".join(_lines(review)))
            for one in review.left_out:
                typer.echo(f"{short_name(one.file)}: cannot be reviewed: {one.reason}", err=True)
            if report:
                typer.echo(f"Report in {review.report()}.", err=True)
            if export is not None:
                _export(review, export)
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _export(review: "Review", folder: Path) -> None:
    exported = review.export(folder)
    for one in exported.left_out:
        typer.echo(f"{short_name(one.file)}: not exported: {one.reason}", err=True)
    count = exported.images
    what = "1 image and its label image" if count == 1 else f"{count} images and their label images"
    typer.echo(f"{what} in {folder}.", err=True)
    if not count:
        raise typer.Exit(1)


def _lines(review: "Review") -> list[str]:
    counts = review.counts
    voided = f" ({counts.voided} decided about earlier results)" if counts.voided else ""
    rows = in_columns([_TITLES, *(_row(item) for item in review.items)], left=2)
    whys = ["why", *(item.reasons[0] if item.reasons else "" for item in review.items)]
    return [
        *(f"{row}  {why}".rstrip() for row, why in zip(rows, whys, strict=True)),
        f"{counts.total} images: {counts.accepted} accepted, {counts.fixed} fixed, {counts.rejected} rejected, "
        f"{counts.waiting} not reviewed{voided}.",
    ]


def _row(item: "ReviewItem") -> tuple[str, ...]:
    return short_name(item.file), item.decision or "", f"{item.doubt:.2f}", str(item.count)


def _as_dict(review: "Review") -> dict[str, Any]:
    return {
        "folder": str(review.folder),
        "counts": asdict(review.counts),
        "images": [_item_as_dict(item) for item in review.items],
        "left_out": [{"file": str(one.file), "reason": one.reason} for one in review.left_out],
    }


def _item_as_dict(item: "ReviewItem") -> dict[str, Any]:
    decided = item.decided
    return {
        "file": str(item.file),
        "labels": str(item.labels_path),
        "doubt": round(item.doubt, 4),
        "reasons": list(item.reasons),
        "objects": item.count,
        "decision": item.decision,
        "by": decided.by if decided else None,
        "decided": decided.decided if decided else None,
        "changes": decided.changes.model_dump() if decided and decided.changes else None,
        "is_void": item.voided is not None,
        "doubtful": [
            {
                "label": one.label or None,
                "plane": list(one.plane),
                "bbox": list(one.bbox),
                "doubt": round(one.doubt, 4),
                "reasons": list(one.reasons),
            }
            for one in item.objects
        ],
    }
