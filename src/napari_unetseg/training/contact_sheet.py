"""A picture of the worst, median and best cases: where annotation and answer differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from napari_unetseg.image import Image
from napari_unetseg.io import draw_overlay
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.training.scores import Score

CASES_PER_ROW = 4
CASE_SIDE = 380
"""Pixels of a case's picture, along its longer side."""
GAP = 12
LINE = 20
"""Height of a line of text."""
OBJECTS_ACROSS = 18
"""A part of an image is shown no wider than this many objects, so that outlines can be told apart."""
DIMMED = 0.75
"""Images are shown that much darker, so that outlines show on white backgrounds too."""

ANNOTATED, FOUND, BOTH = (0, 210, 255), (255, 170, 0), (255, 255, 255)
BACKGROUND, TEXT, FAINT = (24, 24, 24), (240, 240, 240), (170, 170, 170)


@dataclass(frozen=True)
class Case:
    """One image of the sheet.

    Attributes
    ----------
    annotated, found
        Label images, int32 (Y, X).
    """

    image: Image
    annotated: NDArray[np.int32]
    found: NDArray[np.int32]
    score: Score


@dataclass(frozen=True)
class CaseSection:
    """Scores of the cases under one heading."""

    heading: str
    scores: tuple[Score, ...]


def choose_cases(scores: Sequence[Score], worst: int, others: int = CASES_PER_ROW) -> list[CaseSection]:
    """Choose the worst, the middle and the best, none of them twice; all where there are no more than that.

    Objects decide by their mean average precision, where they are told apart, else the Dice score.

    Parameters
    ----------
    worst
        Number of worst cases.
    others
        Number of median cases, and of best ones.
    """
    ranked = sorted(scores, key=lambda score: (ranking_score(score), score.stem))
    if len(ranked) <= worst + 2 * others:
        return [CaseSection("From worst to best", tuple(ranked))]
    # The middle of all, but where many worst ones are wanted, right behind these.
    start = max((len(ranked) - others) // 2, worst)
    return [
        CaseSection("Worst", tuple(ranked[:worst])),
        CaseSection("Median", tuple(ranked[start : start + others])),
        CaseSection("Best", tuple(ranked[len(ranked) - others :])),
    ]


def ranking_score(score: Score) -> float:
    """Return the figure by which cases are ranked."""
    return score.objects.ap if score.objects is not None else score.dice


def write_contact_sheet(path: Path, title: str, sections: Sequence[tuple[str, Sequence[Case]]]) -> None:
    """Draw the cases under their headings and write them as PNG.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    """
    sheet = draw_contact_sheet(title, sections)
    with whole_file(path) as temporary:
        sheet.save(temporary, format="PNG")


def draw_contact_sheet(title: str, sections: Sequence[tuple[str, Sequence[Case]]]) -> Pillow.Image:
    """Draw the cases under their headings, four in a row, below a title and a legend."""
    rows = [
        (heading if start == 0 else "", cases[start : start + CASES_PER_ROW])
        for heading, cases in sections
        for start in range(0, len(cases), CASES_PER_ROW)
    ]
    drawn = [(heading, [_Drawn.of(case) for case in cases]) for heading, cases in rows]
    heights = [
        (2 * LINE if heading else 0) + max(one.picture.height for one in row) + 3 * LINE for heading, row in drawn
    ]
    sheet = Pillow.new("RGB", (CASES_PER_ROW * (CASE_SIDE + GAP) + GAP, 4 * LINE + sum(heights)), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (GAP, GAP), title, size=18)
    _write_legend(draw, (GAP, GAP + 28))
    top = 4 * LINE
    for (heading, row), height in zip(drawn, heights, strict=True):
        place = top
        if heading:
            _write(draw, (GAP, top + 8), heading, size=20)
            place += 2 * LINE
        for column, one in enumerate(row):
            left, below = GAP + column * (CASE_SIDE + GAP), place + one.picture.height + 4
            sheet.paste(one.picture, (left, place))
            _write(draw, (left, below), one.name, size=14)
            _write(draw, (left, below + LINE), one.figures, size=14, colour=FAINT)
        top += height
    return sheet


@dataclass(frozen=True)
class _Drawn:
    """A case as it stands on the sheet."""

    picture: Pillow.Image
    name: str
    figures: str

    @classmethod
    def of(cls, case: Case) -> "_Drawn":
        crop = choose_crop(case.annotated, case.found)
        name, figures = caption(case.score)
        height, width = case.image.shape
        whole = crop == (slice(0, height), slice(0, width))
        return cls(draw_case(case, crop), name if whole else f"{name}, part of {height} x {width}", figures)


def caption(score: Score) -> tuple[str, str]:
    """Return two lines: which image it is, and how it scored."""
    name = score.stem if len(score.stem) <= 28 else f"{score.stem[:20]}...{score.stem[-5:]}"
    if score.objects is None:
        return f"{name} ({score.kind})", f"Dice {score.dice:.2f}, IoU {score.iou:.2f}"
    found = score.objects
    counts = f"{found.predicted} found, {found.true} annotated"
    return f"{name} ({score.kind})", f"AP {found.ap:.2f} (0.5: {found.ap50:.2f}), Dice {score.dice:.2f}, {counts}"


def draw_case(case: Case, crop: tuple[slice, slice]) -> Pillow.Image:
    """Draw both outlines over a crop of an image."""
    annotated, found = case.annotated[crop], case.found[crop]
    picture = draw_overlay(case.image, np.zeros(case.image.shape, np.int32))[crop]
    scale = CASE_SIDE / max(annotated.shape)
    size = (max(1, round(annotated.shape[1] * scale)), max(1, round(annotated.shape[0] * scale)))
    enlarged = Pillow.fromarray(picture).resize(size, Pillow.Resampling.BICUBIC)
    pixels = (np.asarray(enlarged) * DIMMED).astype(np.uint8)
    true_lines, found_lines = (_outline(labels, size) for labels in (annotated, found))
    for lines, colour in ((true_lines, ANNOTATED), (found_lines, FOUND), (true_lines & found_lines, BOTH)):
        pixels[lines] = colour
    return Pillow.fromarray(pixels)


def _outline(labels: NDArray[np.int32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Outline objects at another magnification; `size` is width and height."""
    rows = (np.arange(size[1]) * labels.shape[0]) // size[1]
    columns = (np.arange(size[0]) * labels.shape[1]) // size[0]
    lines: NDArray[np.bool_] = find_boundaries(labels[rows][:, columns], mode="inner")
    return lines


def choose_crop(annotated: NDArray[np.int32], found: NDArray[np.int32]) -> tuple[slice, slice]:
    """Return the square, or the whole image if it is no wider, in which the outlines differ most."""
    areas = np.bincount(annotated.ravel())[1:]
    areas = areas[areas > 0]
    diameter = float(np.sqrt(4 / np.pi * np.median(areas))) if areas.size else max(annotated.shape)
    side = max(round(OBJECTS_ACROSS * diameter), 64)
    differ = find_boundaries(annotated, mode="inner") != find_boundaries(found, mode="inner")
    return _busiest(differ, side)


def _busiest(where: NDArray[np.bool_], side: int) -> tuple[slice, slice]:
    """Return the square of that side, cut to the image, that holds the most marked pixels."""
    height, width = (min(side, length) for length in where.shape)
    # sums[y, x] counts the marked pixels above and left of (y, x).
    sums = np.pad(where.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(y), int(y) + height), slice(int(x), int(x) + width)


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, *, size: int, colour: tuple[int, int, int] = TEXT
) -> int:
    """Write a line and return where it ends."""
    font = ImageFont.load_default(size)
    draw.text(place, text, fill=colour, font=font)
    return round(place[0] + draw.textlength(text, font=font))


def _write_legend(draw: ImageDraw.ImageDraw, place: tuple[int, int]) -> None:
    x, y = place
    for colour, meaning in ((ANNOTATED, "annotated"), (FOUND, "found"), (BOTH, "both")):
        draw.line((x, y + 9, x + 28, y + 9), fill=colour, width=3)
        x = _write(draw, (x + 36, y), meaning, size=15) + 24
