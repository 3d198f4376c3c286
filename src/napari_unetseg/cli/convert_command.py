"""`napari-unetseg convert`: a checkpoint, or a package of the BioImage Model Zoo, becomes a model package."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unetseg.cli.reporting import plain_errors

if TYPE_CHECKING:
    from napari_unetseg.zoo.conversion import Converted


class NormalisationName(StrEnum):
    """Ways to prepare intensities, by the names that --normalisation uses."""

    PERCENTILE = "percentile"
    IMAGENET = "imagenet"
    MIN_MAX = "min-max"


class Dtype(StrEnum):
    """Types in which weights are stored."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


class CardBackend(StrEnum):
    """Runtimes that a card may ask for."""

    TORCH = "torch"
    OPENVINO = "openvino"
    ONNXRUNTIME = "onnxruntime"


_ANY_SIZE = "none"


def convert_command(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A .pth, .pt, .ckpt or .safetensors file; or a package of the BioImage Model Zoo: a .zip, its folder, "
            "or the rdf.yaml or bioimageio.yaml in it; or a model folder, whose network another program wrote.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the model, made if needed.", file_okay=False),
    ],
    name: Annotated[str | None, typer.Option(help="Name of the model. Default: that of the output folder.")] = None,
    display_name: Annotated[str | None, typer.Option(help="Name that windows show. Default: the same.")] = None,
    description: Annotated[str | None, typer.Option(help="What it finds, in which images.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights. Default: unknown.")] = None,
    normalisation: Annotated[
        NormalisationName | None,
        typer.Option(
            help="How intensities were prepared in training. Default: as published where the network is a "
            "published one, else percentile."
        ),
    ] = None,
    image_size: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHT,WIDTH",
            help="Size to which images were stretched in training, such as 1024,1024, or 'none'. Default: as "
            "published where the network is a published one, else none.",
        ),
    ] = None,
    backend: Annotated[
        CardBackend | None,
        typer.Option(help="Runtime that the model is to use wherever none is chosen. Default: torch."),
    ] = None,
    dtype: Annotated[
        Dtype, typer.Option(help="Type of the stored weights; float16 halves the file and rounds.")
    ] = Dtype.FLOAT32,
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="MEANING,...",
            help="Of a package: what the channels of its output mean, in order: foreground, boundary, distance or "
            "unused.",
        ),
    ] = None,
    allow_foreign_network: Annotated[
        bool,
        typer.Option(
            "--allow-foreign-network",
            help="Of a package that brings its own network, as ONNX or TorchScript: run it, as you trust who made it.",
        ),
    ] = False,
    keep_different: Annotated[
        bool,
        typer.Option(
            "--keep-different", help="Of a package: keep the model even if it answers otherwise than the package says."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare the outputs of checkpoint and model on a random image.")
    ] = False,
) -> None:
    """Make a model package from a PyTorch checkpoint, or from a package of the BioImage Model Zoo.

    The network is recognised from the weights; nothing in the file is executed. Optimizer state, settings and weights
    that no output depends on are left out. Python code in a package is never run, and nothing is downloaded. A package
    is checked on its own test image.
    """
    changes: dict[str, Any] = {
        "name": name,
        "display_name": display_name,
        "description": description,
        "licence": licence,
        "normalisation": None if normalisation is None else _normalisation(normalisation),
        "backend": None if backend is None else backend.value,
    }
    changes = {key: value for key, value in changes.items() if value is not None}
    if image_size is not None:
        changes["image_size"] = parse_size(image_size)
    with plain_errors():
        from napari_unetseg.errors import ParameterError
        from napari_unetseg.zoo.bioimageio.package import is_bioimageio
        from napari_unetseg.zoo.card import CARD_FILE

        is_package = is_bioimageio(checkpoint)
        if (is_package or checkpoint.is_dir()) and dtype is not Dtype.FLOAT32:
            raise ParameterError(f"{checkpoint}: --dtype is for checkpoints; models and packages keep theirs.")
        if is_package:
            _convert_package(
                checkpoint, output, changes, outputs, consent=allow_foreign_network, keep_different=keep_different
            )
            return
        if (checkpoint / CARD_FILE).is_file():
            _refuse_ignored(checkpoint, {**changes, **({} if outputs is None else {"outputs": outputs})})
            _copy_model(checkpoint, output, changes, consent=allow_foreign_network)
            return
        import torch

        from napari_unetseg.zoo.conversion import convert_checkpoint

        converted = convert_checkpoint(checkpoint, output, changes, getattr(torch, dtype))
        typer.echo("\n".join(_lines(converted)))
        if check:
            _check(converted, exact=dtype is Dtype.FLOAT32)


def _convert_package(
    path: Path, output: Path, changes: dict[str, Any], outputs: str | None, *, consent: bool, keep_different: bool
) -> None:
    from napari_unetseg.service.package_check import answer_of
    from napari_unetseg.zoo.bioimageio.package_conversion import convert_bioimageio

    converted = convert_bioimageio(
        path,
        output,
        changes,
        consent=consent,
        outputs=outputs,
        answer=answer_of,
        take_anyway=keep_different,
    )
    card, proposal = converted.model.card, converted.proposal
    description = proposal.description
    names = proposal.names
    meanings = (f"{channel} = {meant}" for channel, meant in zip(names.channels, names.meanings, strict=True))
    lines = [
        f"{path}: {description.name} (BioImage Model Zoo, format {description.format_version})",
        f"made by   {', '.join(description.authors) or 'nobody named'}; licence {description.licence}",
        f"network   {card.architecture.name}, prepared by {card.normalisation.kind}",
        f"outputs   {', '.join(meanings)}",
        *(f"note      {remark}" for remark in proposal.remarks),
        f"check     {converted.comparison.sentence if converted.comparison else 'the package has no test image'}",
        f"model     {card.name} in {converted.model.path}",
    ]
    typer.echo("\n".join(lines))


def _refuse_ignored(model: Path, given: dict[str, Any]) -> None:
    from napari_unetseg.errors import ParameterError

    ignored = [f"--{key.replace('_', '-')}" for key in given if key not in ("name", "display_name")]
    if ignored:
        raise ParameterError(
            f"{model}: it has a card of its own, and a copy keeps it but for --name and --display-name. Leave out "
            f"{', '.join(ignored)}, or change 'model.yaml' in the copy."
        )


def _copy_model(source: Path, output: Path, changes: dict[str, Any], *, consent: bool) -> None:
    from napari_unetseg.errors import ModelError
    from napari_unetseg.zoo.card import as_name
    from napari_unetseg.zoo.user_models import copy_package

    if output.exists() and any(output.iterdir()):
        raise ModelError(f"{output}: this folder is not empty. Choose another one.")
    model = copy_package(source, output, {"name": as_name(output.absolute().name)} | changes, consent=consent)
    typer.echo(f"model     {model.card.name} in {model.path}")


def parse_size(words: str) -> tuple[int, int] | None:
    """Read ``1024,1024``, height first; None for ``none``.

    Raises
    ------
    typer.BadParameter
        If it is neither.
    """
    if words.strip().lower() == _ANY_SIZE:
        return None
    try:
        height, width = (int(word) for word in words.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{words!r} is not HEIGHT,WIDTH or none", param_hint="--image-size") from error
    return height, width


def _normalisation(name: NormalisationName) -> dict[str, Any]:
    from napari_unetseg.zoo.card import IMAGENET, MinMax, Percentile

    models = {
        NormalisationName.PERCENTILE: Percentile(),
        NormalisationName.IMAGENET: IMAGENET,
        NormalisationName.MIN_MAX: MinMax(),
    }
    return models[name].model_dump()


def _lines(converted: "Converted") -> list[str]:
    from napari_unetseg.zoo.compatibility import unused_entries

    card = converted.card
    arguments = ", ".join(f"{key} {value}" for key, value in card.architecture.arguments.items())
    size = f"stretched to {card.image_size[0]} x {card.image_size[1]}" if card.image_size else "in their own size"
    return [
        f"{converted.source}: {card.architecture.name} ({arguments})",
        f"prepared  intensities by {card.normalisation.kind}, images {size}",
        *([f"weights   of {converted.entry!r}"] if converted.entry else []),
        f"left out  {', '.join(unused_entries(converted.dropped, converted.extras)) or 'nothing'}",
        f"size      {converted.bytes_before / 1e6:.1f} MB, now {converted.bytes_after / 1e6:.1f} MB",
        f"model     {card.name} in {converted.folder}",
    ]


def _check(converted: "Converted", *, exact: bool) -> None:
    from napari_unetseg.errors import ModelError
    from napari_unetseg.zoo.conversion import largest_difference

    difference = largest_difference(converted)
    if exact and difference:
        raise ModelError(
            f"{converted.folder}: the model's probabilities differ from those of the checkpoint by up to "
            f"{difference:.3g}. Do not use it, and report this."
        )
    words = "equal outputs" if difference == 0 else f"probabilities differ by at most {difference:.2g}"
    typer.echo(f"check     {words} on a random image")
