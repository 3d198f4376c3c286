"""`napari-unetseg check`: what is wrong with masks, and mended copies of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_unetseg.cli.reporting import plain_errors, progress_bar
from napari_unetseg.io.text_columns import in_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_unetseg.training.mask_folder import CheckedMask, FileRepair, MendedMask

_TITLES = ("mask", "size", "objects", "diameter", "faults")


def check_command(
    masks: Annotated[Path, typer.Argument(metavar="MASKS", help="Folder of masks, or one of them.")],
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of their images, of the same names; sizes are compared."),
    ] = None,
    fix: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS",
            help="Mend these faults in copies, which go into --output: any of colours, palette, edges, background, "
            "unnumbered, specks, pieces, tiny, holes and numbers, such as specks,holes, or all.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="New folder for the mended copies.", file_okay=False),
    ] = None,
) -> None:
    """Look for faults in masks to train with: specks, several pieces, holes, blended edges and more.

    Prints what is wrong with each mask, and what each fault comes to in all. Nothing is changed in place: with --fix,
    copies of all masks go into a new folder, in which those without the faults named are the same byte for byte.
    Exits with status 1 if there is a fault that is not mended.
    """
    if (fix is None) != (output is None):
        raise typer.BadParameter("--fix KINDS and --output DIR belong together: give both or neither.")
    repairs = () if fix is None else _parse_repairs(fix)
    with plain_errors():
        from napari_unetseg.training.mask_folder import check_masks, find_masks, mend_masks

        with progress_bar("Checking", "mask") as show:
            checked = check_masks(find_masks(masks), images, show)
        if not checked:
            raise typer.BadParameter(f"{masks}: there are no masks in it.")
        _print_checked(checked)
        mended: list[MendedMask] = []
        if output is not None:
            with progress_bar("Mending", "mask") as show:
                mended = mend_masks(checked, repairs, output, show)
            _print_mended(mended, output)
    if any(mask.unreadable or {fault.kind for fault in mask.faults} - set(repairs) for mask in checked):
        raise typer.Exit(1)


def _parse_repairs(words: str) -> "tuple[FileRepair, ...]":
    from napari_unetseg.training.mask_folder import FILE_REPAIRS

    wanted = {word.strip().lower() for word in words.split(",") if word.strip()}
    if "all" in wanted:
        return FILE_REPAIRS
    if unknown := wanted - set(FILE_REPAIRS):
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: not among {', '.join(FILE_REPAIRS)}, all", param_hint="--fix"
        )
    return tuple(repair for repair in FILE_REPAIRS if repair in wanted)


def _print_checked(checked: "Sequence[CheckedMask]") -> None:
    typer.echo("\n".join(in_columns([_TITLES, *map(_row, checked)], left=2)))
    for mask in checked:
        for text in [mask.unreadable, *(fault.text for fault in mask.faults)]:
            if text:
                typer.echo(f"{mask.file.name}: {text}")
    kinds = dict.fromkeys(fault.kind for mask in checked for fault in mask.faults)
    for kind in kinds:
        faults = [fault for mask in checked for fault in mask.faults if fault.kind == kind]
        line = f"{kind}: in {len(faults)} of {len(checked)} masks"
        if any(fault.pixels for fault in faults):
            line += f", {sum(fault.count for fault in faults)} in all, {sum(fault.pixels for fault in faults)} pixels"
        typer.echo(line)
    sound = sum(not mask.faults and not mask.unreadable for mask in checked)
    typer.echo(f"{sound} of {len(checked)} masks have no fault.")


def _row(mask: "CheckedMask") -> tuple[str, ...]:
    return (
        mask.file.name,
        "" if mask.shape is None else f"{mask.shape[0]} x {mask.shape[1]}",
        "" if mask.objects is None else str(mask.objects),
        "" if mask.diameter is None else f"{mask.diameter:.0f}",
        "unreadable" if mask.unreadable else str(len(mask.faults)),
    )


def _print_mended(mended: "Sequence[MendedMask]", output: Path) -> None:
    changed = [mask for mask in mended if mask.pixels]
    for mask in changed:
        done = ", ".join(f"{repair} {pixels} pixels" for repair, pixels in mask.pixels.items())
        before = (
            ""
            if mask.objects_before in (None, mask.objects)
            else f", {mask.objects_before} objects are now {mask.objects}"
        )
        typer.echo(f"{mask.file.name}: mended {done}{before}")
    typer.echo(f"{len(changed)} of {len(mended)} masks mended, the others copied as they are. All are in {output}.")
