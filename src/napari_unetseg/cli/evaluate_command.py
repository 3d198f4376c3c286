"""`napari-unetseg evaluate`: how well a model does on images whose objects are known."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from tqdm import tqdm

from napari_unetseg.cli.cross_validation_run import FOLDS, run_cross_validation
from napari_unetseg.cli.options import BackendOption, DeviceOption, PrecisionOption
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.cli.segment_command import INTERRUPTED
from napari_unetseg.errors import one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_unetseg.image import Image
    from napari_unetseg.service import SegmentationService
    from napari_unetseg.training.dataset import Pair
    from napari_unetseg.training.evaluate import Failed, Method


def evaluate_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Name of a model, its folder, or a checkpoint; with --cross-validate also a recipe file.",
        ),
    ],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of images.", exists=True, file_okay=False)],
    masks: Annotated[
        Path,
        typer.Argument(
            metavar="MASKS",
            help="Folder of masks named as their images but for the suffix. In label images every object has a "
            "number of its own; masks of one value are compared part by part, or as a whole.",
            exists=True,
            file_okay=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder, made if needed, for scores.csv (a row for each image), summary.json, robustness.csv and "
            "contact_sheet.png (worst, median and best cases); with --cross-validate for cross_validation.json, "
            "scores.csv and what is needed to go on.",
            file_okay=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    only: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Names without suffix of the images to take, one a line, such as those a model was not trained on.",
        ),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV file with the columns 'stem' and 'kind'; each kind is summarised on its own. "
            "Default: index.csv beside the folder of images.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    compare: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Another model for the same table; may be repeated.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Add what needs no training: Otsu's threshold and a watershed.")
    ] = False,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness", help="Score MODEL on corrupted images too: inverted, blurred, rescaled and so on."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of what is random in the corruptions.")] = 0,
    worst: Annotated[int, typer.Option(min=1, help="Number of worst cases on the contact sheet.")] = 8,
    cross_validate: Annotated[
        bool,
        typer.Option(
            "--cross-validate",
            help="Score the recipe of MODEL rather than its weights: train it anew for each part of the images, on "
            "the others alone, and score it on that part. Writes cross_validation.json and scores.csv; the same "
            "command goes on after a break.",
        ),
    ] = False,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Parts of a cross-validation, each of whole groups; fewer if there are fewer groups. "
            f"Default: {FOLDS}.",
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV file with the columns 'stem' and 'group' that says which images stay in one part, such as those "
            "of an experiment. Default: groups of images that look alike.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    start_from: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WEIGHTS",
            help="With --cross-validate: a model or checkpoint that never saw these images, with which the training of "
            "each part begins.",
        ),
    ] = None,
    device: DeviceOption = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
) -> None:
    """Compare what a model finds with what people annotated.

    Dice and IoU are those of the foreground. AP is TP / (TP + FP + FN), objects being matched from that IoU on;
    precision and recall are at an IoU of 0.5. All figures are means over images.

    Exit status: 0 if all images were scored, 1 if any failed, 2 if the command was wrong, 130 after Ctrl-C.
    """
    if cross_validate:
        if output is None:
            raise typer.BadParameter("say where the results of --cross-validate go", param_hint="--output")
        if compare or baselines or robustness or backend or precision:
            raise typer.BadParameter(
                "it goes without --compare, --baselines, --robustness, --backend and --precision",
                param_hint="--cross-validate",
            )
        with plain_errors():
            pairs = _choose_pairs(images, masks, index, only)
            run_cross_validation(model, pairs, folds or FOLDS, groups, start_from or [], output, device, as_json)
        return
    for name, value in {"--folds": folds, "--groups": groups, "--start-from": start_from}.items():
        if value:
            raise typer.BadParameter("it goes with --cross-validate", param_hint=name)
    from napari_unetseg.training.comparison import Comparison
    from napari_unetseg.training.evaluate import OTSU, are_masks
    from napari_unetseg.training.report import comparison_as_dict, comparison_lines, write_files

    try:
        with plain_errors():
            pairs = _choose_pairs(images, masks, index, only)
            methods = [
                *_load_models([model, *(compare or [])], device, backend, precision),
                *([OTSU] if baselines else []),
            ]
            comparison = Comparison(methods, pairs, are_masks(pairs), _print_failure)
            comparison.score()
            if robustness:
                comparison.score_corruptions(seed)
            if output is not None:
                write_files(comparison, worst, output)
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(
        json.dumps(comparison_as_dict(comparison), indent=2) if as_json else "\n".join(comparison_lines(comparison))
    )
    if output is not None:
        typer.echo(f"Results in {output}.", err=True)
    raise typer.Exit(1 if comparison.failures else 0)


def _choose_pairs(images: Path, masks: Path, index: Path | None, only: Path | None) -> "list[Pair]":
    from napari_unetseg.training.dataset import INDEX_FILE, pair_files
    from napari_unetseg.training.split import read_validation_list

    pairs = pair_files(images, masks, index or images.absolute().parent / INDEX_FILE)
    if only is None:
        return pairs
    chosen = set(read_validation_list(only, pairs))
    return [pair for pair in pairs if pair.stem in chosen]


def _load_models(
    models: Sequence[str], device: str | None, backend: str | None, precision: str | None
) -> "list[Method]":
    """Load models as `napari-unetseg segment` does.

    A model goes by the name on its card, with what the user calls it behind where names are the same.
    """
    from napari_unetseg.service import SegmentationService
    from napari_unetseg.training.evaluate import Method

    services = [SegmentationService(model, device, backend, precision=precision) for model in models]
    names = Counter(service.package.name for service in services)
    methods = []
    for word, service in zip(models, services, strict=True):
        service.initialize(warm_up=False)
        card = service.package.card
        name = card.name if names[card.name] == 1 else f"{card.name} ({word})"
        methods.append(Method(name, _Segment(service), divides=card.decoder != "threshold"))
    return methods


class _Segment:
    """Label images by a service; each of its warnings is printed once."""

    def __init__(self, service: "SegmentationService") -> None:
        self._service = service
        self._printed: set[str] = set()

    def __call__(self, image: "Image") -> "NDArray[np.int32]":
        result = self._service.segment(image)
        for text in result.warnings:
            if text not in self._printed:
                tqdm.write(f"warning: {text}", file=sys.stderr)
                self._printed.add(text)
        return result.labels


def _print_failure(failed: "Failed") -> None:
    tqdm.write(f"{failed.stem}: failed: {one_line(failed.error)}", file=sys.stderr)
