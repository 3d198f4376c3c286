"""`napari-unetseg choose`: which model, with which settings, is best for a few annotated images."""

import json
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from napari_unetseg.cli.options import BackendOption, DeviceOption, PrecisionOption
from napari_unetseg.cli.reporting import plain_errors
from napari_unetseg.cli.segment_command import INTERRUPTED
from napari_unetseg.errors import one_line
from napari_unetseg.io.text_columns import in_columns
from napari_unetseg.segment_options import flags

if TYPE_CHECKING:
    from napari_unetseg.training.model_choice import Candidate, ModelChoice, Ranked

_TITLES = ("model", "settings", "score", "interval", "s/MP")
_ROWS = 10  # of the table; JSON has all


def choose_command(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of images.", exists=True, file_okay=False)],
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="Folder of label images named as their images but for the suffix; every object has a number of its "
            "own. Pixels below 0 are not annotated.",
            exists=True,
            file_okay=False,
        ),
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Try this model, by its name or folder; may be repeated. Default: all."),
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0, help="How long it may take. What there is no time for is not tried, and named.")
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all settings that were tried.")] = False,
    device: DeviceOption = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
) -> None:
    """Rank all models, and a few settings of each, on a few annotated images.

    Every model is tried as it is, on as many images as half of the time allows; then, on the same images, with single
    channels, at the size of the annotated objects and, the best of all, with flips and turns, each at a few
    thresholds. The score is AP@0.5, TP / (TP + FP + FN) of objects matched at an IoU of 0.5, or the Dice of the
    foreground where no annotation tells objects apart; a mean over images.

    Exit status: 0 if models were ranked, 1 if none could be or an image or a model failed, 2 if the command was wrong,
    130 after Ctrl-C.
    """
    try:
        with plain_errors():
            from napari_unetseg.training.dataset import pair_files
            from napari_unetseg.training.model_choice import choose_model

            pairs = pair_files(images, labels, labels / "index.csv")
            candidates = _candidates(models, device, backend, precision)
            with tqdm(desc="runs", unit="run", disable=None) as bar:
                choice = choose_model(candidates, pairs, seconds=60 * minutes, report=lambda words: _show(bar, words))
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    for failed in choice.failures:
        typer.echo(f"{failed.stem}: failed: {one_line(failed.error)}", err=True)
    where = _where(device, backend, precision)
    if as_json:
        typer.echo(json.dumps(_as_dict(choice, len(pairs), images, where), indent=2))
    else:
        typer.echo("\n".join(_lines(choice, len(pairs), images, where)))
    raise typer.Exit(1 if choice.failures else 0)


def _candidates(
    models: Sequence[str] | None, device: str | None, backend: str | None, precision: str | None
) -> "list[Candidate]":
    from napari_unetseg.service import SegmentationService
    from napari_unetseg.training.model_choice import Candidate
    from napari_unetseg.zoo.registry import usable_models

    words = models or [package.name for package in usable_models()]
    first: SegmentationService | None = None
    found = []
    for word in words:
        # Services of one device share their memory.
        service = (
            SegmentationService(word, device, backend, precision=precision) if first is None else first.with_model(word)
        )
        first = first or service
        found.append(Candidate(word, service.package.card, service.segment, partial(service.initialize, warm_up=False)))
    return found


def _show(bar: "tqdm[Any]", words: str) -> None:
    bar.set_description(words)
    bar.update()


def _where(device: str | None, backend: str | None, precision: str | None) -> list[str]:
    """Return the options of a command that say on what the models ran."""
    options = {"--device": device, "--backend": backend, "--precision": precision}
    return [word for name, value in options.items() if value is not None for word in (name, value)]


def _command(one: "Ranked", images: Path, where: Sequence[str]) -> str:
    """Return the command line that segments images so."""
    words = ["napari-unetseg", "segment", str(images), "--model", one.candidate.name, *where]
    for name, value in one.setting.options().items():
        words += [flags(name)[0]] if value is True else [flags(name)[0], f"{value:g}"]
    return shlex.join(words)


def _lines(choice: "ModelChoice", total: int, images: Path, where: Sequence[str]) -> list[str]:
    from napari_unetseg.training.model_choice import describe
    from napari_unetseg.training.score_interval import CONFIDENCE

    measure = "AP@0.5" if choice.measure == "ap50" else "Dice of the foreground"
    best = choice.ranking[0]
    # The best ones and, of each model that is not among them, its best.
    best_of = {one.candidate.name: one for one in reversed(choice.ranking)}
    listed = [one for at, one in enumerate(choice.ranking) if at < _ROWS or best_of[one.candidate.name] is one]
    rows = [
        (
            one.candidate.name,
            describe(one.setting),
            f"{one.score:.3f}",
            f"{one.low:.3f} to {one.high:.3f}",
            f"{one.seconds_per_megapixel:.2f}",
        )
        for one in listed
    ]
    rivals = {one.candidate.name for one in choice.ranking if one.high >= best.score} - {best.candidate.name}
    lines = [
        f"{choice.images} of {total} images with {choice.objects} objects. Score: {measure}, mean over images; "
        f"{CONFIDENCE:.0%} intervals by drawing {choice.drawn} anew.",
        *in_columns([_TITLES, *rows], left=2),
        f"{len(choice.ranking)} settings were tried, and the best of many looks better than it is: check it on other "
        "images.",
    ]
    if rivals:
        lines.append(f"On so few images it cannot be told from: {', '.join(sorted(rivals))}.")
    if choice.not_tried:
        left = "; ".join(f"{candidate.name}, {describe(setting)}" for candidate, setting in choice.not_tried)
        lines.append(f"There was no time for: {left}. Give it more with --minutes.")
    lines += ["", _command(best, images, where)]
    plain = next((one for one in choice.ranking if not one.setting.augment), best)
    if plain is not best and plain.high >= best.score:
        times = best.seconds_per_megapixel / max(plain.seconds_per_megapixel, 1e-9)
        lines += [f"As good within the interval, and {times:.0f} times as fast:", _command(plain, images, where)]
    return lines


def _as_dict(choice: "ModelChoice", total: int, images: Path, where: Sequence[str]) -> dict[str, Any]:
    return {
        "measure": choice.measure,
        "images": choice.images,
        "images_given": total,
        "objects": choice.objects,
        "drawn_anew": choice.drawn,
        "ranking": [
            {
                "model": one.candidate.name,
                **one.setting.options(),
                "score": round(one.score, 4),
                "low": round(one.low, 4),
                "high": round(one.high, 4),
                "seconds_per_megapixel": round(one.seconds_per_megapixel, 3),
                "command": _command(one, images, where),
            }
            for one in choice.ranking
        ],
        "not_tried": [{"model": candidate.name, **setting.options()} for candidate, setting in choice.not_tried],
        "failed": {failed.stem: one_line(failed.error) for failed in choice.failures},
    }
