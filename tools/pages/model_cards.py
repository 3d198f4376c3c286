"""The cards of the bundled models: a page for each, and one that lists them."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from napari_unetseg.zoo.card import NETWORK_TITLES, ModelCard, headline, read_card
from pages.links import REPOSITORY
from pages.markdown import code, prose, table

_MEASURES = {
    "images": "images",
    "dice": "Dice",
    "iou": "IoU",
    "ap50": "AP 0.5",
    "ap75": "AP 0.75",
    "ap90": "AP 0.9",
    "ap": "AP",
    "precision": "precision",
    "recall": "recall",
    "count_error": "count error",
    "count_bias": "count bias",
}
_HEAD = """\
# The bundled models

They are in the package: nothing is downloaded. [Which model fits](choosing-a-model.md) helps to choose, **Try all...** in
the window shows what each finds in your image, and [your own](bring-your-own-model.md) takes its place beside them.

"""


def card_pages(folder: Path) -> Iterator[tuple[str, str | bytes]]:
    """Yield name and content of the pages, and of the pictures that they show."""
    cards = [read_card(path) for path in sorted(folder.glob("*/model.yaml"))]
    rows = [
        (
            f"[{each.display_name}](model-{each.name}.md)",
            code(each.name),
            prose(each.description),
            prose(headline(each.scores)),
        )
        for each in cards
    ]
    yield "bundled-models.md", _HEAD + table(("model", "name", "what it finds", "scores on images it never saw"), rows)
    for card in cards:
        yield f"model-{card.name}.md", "\n\n".join(_page(card)) + "\n"
        yield f"images/model-{card.name}-curves.png", (folder / card.name / "curves.png").read_bytes()


def _page(card: ModelCard) -> Iterator[str]:
    yield f"# Model {card.name}: {card.display_name[0].lower()}{card.display_name[1:]}"
    yield prose(card.description)
    yield f"![A sample image, and in it what the model finds](images/model-{card.name}.png)"
    yield "\n".join(f"    {line}" for line in (f"napari-unetseg segment my_images --model {card.name}",))
    if "limits" in card.scores:
        yield f"## Limits\n\n{_sentence(card.scores['limits'])}"
    yield f"## Scores\n\n{headline(card.scores)}".rstrip()
    yield from _scores(card.scores)
    yield "## How it learned\n\n" + "\n".join(
        f"- {prose(data.name)}: {data.images} images. Licence: {prose(data.licence)}. {prose(data.citation)}."
        for data in card.training_data
    )
    yield f"![Loss and score over the course of the training](images/model-{card.name}-curves.png)"
    yield "## What it is\n\n" + table(("", ""), _facts(card))
    yield f"## Cite it\n\n[How to cite](cite.md) says what to name with every result. For this model, name the data, too: {_cited(card)}"
    yield f"[The whole card]({REPOSITORY}src/napari_unetseg/models/{card.name}/model.yaml) is in the package."


def _sentence(text: str) -> str:
    words = prose(text)
    return words[0].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _cited(card: ModelCard) -> str:
    return "; ".join(prose(data.citation) for data in card.training_data) + "."


def _scores(scores: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was measured: figures of images as one table, comparisons as tables of their own, words as they are."""
    words = {name: value for name, value in scores.items() if isinstance(value, str) and name != "limits"}
    nested = {name: value for name, value in scores.items() if isinstance(value, Mapping)}
    measured = {name: value for name, value in nested.items() if {"dice", "ap50"} & set(value)}
    columns = [each for each in _MEASURES if any(each in value for value in measured.values())]
    rows = [row for name, value in measured.items() for row in _rows(_called(name), value, columns)]
    if rows:
        yield table(("", *(_MEASURES[each] for each in columns)), rows, " " + "r" * len(columns))
    yield "\n".join(f"- {_called(name)}: {prose(value)}." for name, value in words.items())
    said = {
        name: next((value[word] for word in ("what", "data") if word in value), "") for name, value in measured.items()
    }
    yield "\n".join(f"- {_called(name)}: {prose(value)}." for name, value in said.items() if value)
    for name, value in nested.items():
        if name not in measured:
            yield f"### {_called(name)}"
            told = [text for text in value.values() if isinstance(text, str)]
            yield from (_sentence(text) for text in told)
            figures = [
                (prose(_called(each)), f"{figure:g}") for each, figure in value.items() if not isinstance(figure, str)
            ]
            yield table(("", "figure"), figures, " r")


def _rows(name: str, value: Mapping[str, Any], columns: list[str]) -> Iterator[tuple[str, ...]]:
    yield (name, *(_figure(value.get(each)) for each in columns))
    kinds = value.get("per_kind", {})
    if len(kinds) > 1:
        for kind, figures in kinds.items():
            yield (f"&emsp;{prose(kind)}", *(_figure(figures.get(each)) for each in columns))


def _figure(value: float | None) -> str:
    return "" if value is None else str(value) if isinstance(value, int) else f"{value:.2f}"


def _called(name: str) -> str:
    words = name.replace("_", " ")
    return words[0].upper() + words[1:]


def _facts(card: ModelCard) -> Iterator[tuple[str, str]]:
    normalisation = card.normalisation.model_dump()
    said = ", ".join(
        f"{name} {value}" for name, value in normalisation.items() if name != "kind" and value not in (None, False)
    )
    yield "network", f"{NETWORK_TITLES[card.architecture.name]}, {code(card.architecture.name)}"
    yield (
        "input",
        f"{card.input_channels} channels, brought into range by {prose(card.normalisation.kind.replace('_', ' '))} ({prose(said)})",
    )
    yield "output", ", ".join(card.heads)
    yield (
        "decoder",
        f"{card.decoder.replace('_', ' ')}: "
        + ", ".join(
            f"{name.replace('_', ' ')} {value:g}"
            if not isinstance(value, bool)
            else f"{name.replace('_', ' ')} {'yes' if value else 'no'}"
            for name, value in card.parameters.model_dump().items()
        ),
    )
    if card.object_size:
        yield "typical object", f"{card.object_size:g} pixels wide"
    if card.object_sizes:
        yield (
            "objects seen well",
            "{:g} to {:g} pixels wide; images of others are looked at again, rescaled".format(*card.object_sizes),
        )
    yield "licence of the weights", card.licence
    yield "weights (SHA-256)", code(card.weights.sha256)
