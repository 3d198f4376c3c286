"""The cards of the bundled models: a page for each, and one that lists them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_unetseg.zoo.card import NETWORK_TITLES, ModelCard, read_card
from napari_unetseg.zoo.cross_validated import CrossValidated, main_scores, read_cross_validated
from pages.links import REPOSITORY
from pages.markdown import code, fenced, prose, sentence, table

_MEASURES = {
    "images": "images",
    "dice": "Dice",
    "iou": "IoU",
    "ap50": "AP 0.5",
    "ap75": "AP 0.75",
    "ap90": "AP 0.9",
    "ap": "AP 0.5 to 0.9",
    "precision": "precision",
    "recall": "recall",
    "count_error": "count error",
    "count_bias": "count bias",
}
# What cards call their splits and looks in a word.
_WORDS = {
    "cross_validation": "cross-validated",
    "validation": "held-out images",
    "otsu_watershed": "the same by Otsu's threshold and watershed",
    "foreground_only": "the same by a network that knows the foreground alone",
    "averaging": "the same, averaged over flips and turns",
    "off_domain": "images by others",
    "fluo": "fluorescence",
    "stained": "stained tissue",
    "graybright": "grey bright-field",
}
_TELLS_WHAT = ("what", "measure")
"""Keys of a card's scores that say what the figures beside them are."""

_HEAD = """\
# The bundled models

They are in the package: nothing is downloaded. [Which model fits](choosing-a-model.md) helps to choose, **Try all...**
in the window shows what each finds in your image, and [your own](bring-your-own-model.md) takes its place beside them.
Scores are of images that the network which is scored did not learn from; the page of each model says which, and what
they are worth.

"""
_FOOT = """

Dice says how well the area fits, AP how well the single objects do: true positives / (true positives + false positives
+ false negatives) of objects that overlap a true one by half or more (IoU 0.5), the mean over images. Both go from 0 to
1.
"""


def card_pages(folder: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield name and content of the pages, and of the pictures that they show."""
    cards = [read_card(path) for path in sorted(folder.glob("*/model.yaml"))]
    yield (
        "bundled-models.md",
        _HEAD + table(("model", "what it finds", "images", "Dice", "AP 0.5"), map(_line, cards)) + _FOOT,
    )
    for card in cards:
        curves = folder / card.name / "curves.png"  # which weights from elsewhere do not have
        yield f"model-{card.name}.md", "\n\n".join(_page(card, curves.is_file())) + "\n"
        if curves.is_file():
            yield f"images/model-{card.name}-curves.png", curves.read_bytes()


def _line(card: ModelCard) -> tuple[str, ...]:
    figures = main_scores(card.scores)
    found = (_figure(figures.get(each)) for each in ("images", "dice", "ap50"))
    return (f"[{card.name}](model-{card.name}.md)", prose(card.description), *found)


def _page(card: ModelCard, curves: bool) -> Iterator[str]:
    also = "" if card.display_name.lower() == card.name else f": {card.display_name.lower()}"
    yield f"# Model {card.name}{also}"
    yield prose(card.description)
    yield f"![A drawn sample image, and in it what the model finds](images/model-{card.name}.png)"
    yield fenced(f"napari-unetseg segment my_images --model {card.name}")
    yield f"## Limits\n\n{sentence(card.scores['limits'])}"
    yield "## Scores"
    yield from _scores(card.scores)
    yield "## How it learned"
    yield "\n".join(
        f"- {prose(data.name)}: {data.images} images. Licence: {prose(data.licence)}. {prose(data.citation)}."
        for data in card.training_data
    )
    if curves:
        yield f"![Loss and score in the course of the training](images/model-{card.name}-curves.png)"
    yield "## What it is"
    yield table(("", ""), _facts(card))
    yield "## Cite it"
    cited = "; ".join(map(prose, filter(None, [*card.citations, *(data.citation for data in card.training_data)])))
    yield f"[How to cite](cite.md) says what to name with any result. For this model name its data, too: {cited}."
    where = f"{REPOSITORY}src/napari_unetseg/models/{card.name}/model.yaml"
    yield f"The whole card is [model.yaml]({where}) in the package."


def _scores(scores: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was measured: figures of images in one table, what was compared in its own, words as they are."""
    nested = {name: value for name, value in scores.items() if isinstance(value, Mapping)}
    measured = {name: value for name, value in nested.items() if {"dice", "ap50"} & set(value)}
    figures = [each for value in measured.values() for each, figure in value.items() if isinstance(figure, int | float)]
    columns = sorted({*figures} - {"folds"}, key=[*_MEASURES, *figures].index)
    rows = [row for name, value in measured.items() for row in _rows(name, value, columns)]
    yield table(("", *(_MEASURES.get(each, _called(each)) for each in columns)), rows, " " + "r" * len(columns))
    if (validated := read_cross_validated(scores)) is not None:
        yield from _found_by_size(validated)
    said = {name: value for name, value in scores.items() if name not in nested and name != "limits"}
    for name, value in measured.items():
        if words := value.get("what", value.get("data")):
            said[name] = words
    yield "\n".join(f"- {sentence(f'{_in_words(name)}: {value}')}" for name, value in said.items())
    for name in (each for each in nested if each not in measured):
        yield f"### {_called(name).capitalize()}"
        told = [value for each, value in nested[name].items() if each in _TELLS_WHAT]
        rest = {each: value for each, value in nested[name].items() if each not in _TELLS_WHAT}
        yield from map(sentence, told)
        compared = ((_called(each), value if isinstance(value, str) else f"{value:g}") for each, value in rest.items())
        yield table(("", "figure"), compared, " r")


def _rows(name: str, value: Mapping[str, Any], columns: list[str]) -> Iterator[tuple[str, ...]]:
    yield (f"**{_called(name)}**", *(_figure(value.get(each)) for each in columns))
    if "spread" in value:
        spread = (_figure(value["spread"].get(each)) for each in columns)
        yield (f"standard deviation over {value['folds']} parts", *spread)
    kinds = value.get("per_kind", {})
    if len(kinds) > 1:
        for kind, figures in kinds.items():
            yield (_called(kind), *(_figure(figures.get(each)) for each in columns))


def _found_by_size(validated: CrossValidated) -> Iterator[str]:
    if validated.by_size:
        yield "Which part of the annotated objects is found (IoU 0.5), by their diameter:"
        rows = [(size, str(one.objects), f"{one.found:.2f}") for size, one in validated.by_size.items()]
        yield table(("diameter", "objects", "found"), rows, " rr")


def _figure(value: float | None) -> str:
    return "" if value is None else str(value) if isinstance(value, int) else f"{value:.2f}"


def _called(name: str) -> str:
    return prose(_in_words(name))


def _in_words(name: str) -> str:
    return _WORDS.get(name, name.replace("_", " "))


def _facts(card: ModelCard) -> Iterator[tuple[str, str]]:
    yield "network", NETWORK_TITLES[card.architecture.name]
    yield "input", f"{card.input_channels} channels, normalised: {_listed(card.normalisation.model_dump())}"
    if card.channel_roles:
        yield "channels", prose(", ".join(card.channel_roles))
    if card.pixel_size:
        yield "pixels of the training images", f"{card.pixel_size:g} µm"
    if card.image_size:
        yield "size to which images are stretched", " x ".join(map(str, card.image_size))
    yield "output", ", ".join(card.heads)
    yield "decoder", f"{_called(card.decoder)}: {_listed(card.parameters.model_dump())}"
    if card.object_size:
        yield "typical object", f"{card.object_size:g} pixels wide"
    if card.object_sizes:
        least, most = card.object_sizes
        yield "objects seen well", f"{least:g} to {most:g} pixels wide; images of others are looked at again, rescaled"
    if card.backend or card.precision:
        yield "meant for", " ".join(filter(None, [card.backend, card.precision]))
    if card.authors:
        yield "made by", prose(", ".join(card.authors))
    yield "licence of the weights", card.licence
    yield "weights (SHA-256)", code(card.weights.sha256)


def _listed(values: Mapping[str, Any]) -> str:
    said = {_called(name): value for name, value in values.items() if value is not None and value is not False}
    return ", ".join(name if value is True else f"{name} {_called(str(value))}" for name, value in said.items())
