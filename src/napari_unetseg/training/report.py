"""A comparison as text, as JSON and as files."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from napari_unetseg.io import write_table
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.io.text_columns import in_columns
from napari_unetseg.training.comparison import Comparison
from napari_unetseg.training.contact_sheet import Case, choose_cases, write_contact_sheet
from napari_unetseg.training.dataset import read_pair
from napari_unetseg.training.evaluate import Truth, annotated_objects
from napari_unetseg.training.robustness import tabulate
from napari_unetseg.training.scores import OBJECT_MEASURES, Score, measures, summarise_scores

SCORES_FILE, SUMMARY_FILE, ROBUSTNESS_FILE = "scores.csv", "summary.json", "robustness.csv"
SHEET_FILE = "contact_sheet.png"

MEASURE_TITLES = {
    "dice": "Dice",
    "iou": "IoU",
    "ap50": "AP@0.5",
    "ap75": "AP@0.75",
    "ap90": "AP@0.9",
    "ap": "AP 0.5-0.9",
    "precision": "precision",
    "recall": "recall",
    "count_error": "count error",
    "count_bias": "signed",
}
_TRUTHS: dict[Truth, str] = {
    "labels": "objects are those that the label images number",
    "parts": "the masks have one value, so connected parts count as objects",
    "foreground": "the masks have one value and the model divides what touches, so only foregrounds are compared",
}


def comparison_lines(comparison: Comparison) -> list[str]:
    """Return what is printed: what was compared, the scores, and what corruptions leave of them."""
    text = [
        f"{method.name}: {len(comparison.scores[method.name])} of {len(comparison.pairs)} images scored; "
        f"{_TRUTHS[comparison.truth(method)]}."
        for method in comparison.methods
    ]
    text += ["", *in_columns([("", "kind", "images", *MEASURE_TITLES.values()), *_score_rows(comparison)], left=2)]
    if comparison.trials:
        text += ["", f"{comparison.model.name} on corrupted images:", "", *_robustness_lines(comparison)]
    return text


def _score_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    for name, scores in comparison.scores.items():
        if scores:
            summary = summarise_scores(scores)
            kinds = summary["per_kind"] if len(summary["per_kind"]) > 1 else {}
            for kind, means in (("all", summary), *kinds.items()):
                yield (
                    name,
                    kind,
                    str(means["images"]),
                    *(_figure(measure, means.get(measure)) for measure in MEASURE_TITLES),
                )


def _robustness_lines(comparison: Comparison) -> list[str]:
    table = tabulate(comparison.trials or [])
    shown = [name for name in ("dice", "ap50", "ap") if name in next(iter(table.values()))]
    titles = [title for name in shown for title in (MEASURE_TITLES[name], "of clean")]
    rows = []
    for corruption, row in table.items():
        cells = [cell for name in shown for cell in (f"{row[name]:.3f}", _figure(name, row["of_clean"][name]))]
        rows.append((corruption, str(row["images"]), *cells))
    return in_columns([("corruption", "images", *titles), *rows], left=1)


def _figure(measure: str, value: float | None) -> str:
    if value is None:
        return "-"
    if measure.startswith("count"):
        return f"{value:+.1f}" if measure == "count_bias" else f"{value:.1f}"
    return f"{value:.3f}"


def comparison_as_dict(comparison: Comparison) -> dict[str, Any]:
    """Return everything but the single images: ``methods``, ``robustness`` and ``failures``."""
    content: dict[str, Any] = {
        "images": len(comparison.pairs),
        "contenders": {
            method.name: {"compared": comparison.truth(method), **summarise_scores(scores)}
            for method in comparison.methods
            if (scores := comparison.scores[method.name])
        },
        "failures": [
            {"stem": failure.stem, "reason": str(failure.error) or type(failure.error).__name__}
            for failure in comparison.failures
        ],
    }
    if comparison.trials is not None:
        content["robustness"] = {"model": comparison.model.name, "corruptions": tabulate(comparison.trials)}
    return content


def write_files(comparison: Comparison, worst: int, folder: Path) -> None:
    """Write a row for each image, the summary, and the model's contact sheet.

    Parameters
    ----------
    worst
        Number of worst cases on the contact sheet.

    Raises
    ------
    UnetsegError
        If a file cannot be written.
    """
    write_table(folder / SCORES_FILE, _score_columns(comparison))
    with whole_file(folder / SUMMARY_FILE) as path:
        path.write_text(json.dumps(comparison_as_dict(comparison), indent=2) + "\n", encoding="utf-8")
    if comparison.trials:
        write_table(folder / ROBUSTNESS_FILE, _robustness_columns(comparison))
    scores = comparison.scores[comparison.model.name]
    if scores:
        sections = [
            (choice.heading, [_case(comparison, score) for score in choice.scores])
            for choice in choose_cases(scores, worst)
        ]
        title = f"{comparison.model.name} on {len(scores)} images"
        write_contact_sheet(folder / SHEET_FILE, title, sections)


def _score_columns(comparison: Comparison) -> dict[str, list[Any]]:
    rows = [(name, score) for name, scores in comparison.scores.items() for score in scores]
    return {"contender": [name for name, _ in rows], **score_columns([score for _, score in rows])}


def score_columns(scores: Sequence[Score]) -> dict[str, list[Any]]:
    """Return the columns of a table with a row for each image; figures that it does not have are None."""
    figures = [measures(score) for score in scores]
    return {
        "stem": [score.stem for score in scores],
        "kind": [score.kind for score in scores],
        **{name: [row.get(name) for row in figures] for name in ("dice", "iou", *OBJECT_MEASURES)},
        "found": [None if score.objects is None else score.objects.predicted for score in scores],
        "annotated": [None if score.objects is None else score.objects.true for score in scores],
    }


def _robustness_columns(comparison: Comparison) -> dict[str, list[Any]]:
    table = tabulate(comparison.trials or [])
    first = next(iter(table.values()))
    return {
        "corruption": list(table),
        "images": [row["images"] for row in table.values()],
        **{name: [row[name] for row in table.values()] for name in MEASURE_TITLES if name in first},
        **{f"{name}_of_clean": [row["of_clean"][name] for row in table.values()] for name in first["of_clean"]},
    }


def _case(comparison: Comparison, score: Score) -> Case:
    """Segment an image again, so that the labels of all need not be kept."""
    model = comparison.model
    pair = next(pair for pair in comparison.pairs if pair.stem == score.stem)
    image, annotation = read_pair(pair)
    return Case(image, annotated_objects(annotation, comparison.truth(model)), model.segment(image), score)
