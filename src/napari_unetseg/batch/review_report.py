"""A review as one HTML file that needs nothing else: counts, decisions, doubts, and pictures with outlines."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.batch.corrected_results import original_file, read_reviewed_image
from napari_unetseg.batch.folder_journal import Decision
from napari_unetseg.batch.output_files import ENDINGS, ResultKind
from napari_unetseg.batch.places import short_name
from napari_unetseg.batch.result_thumbnail import read_thumbnail
from napari_unetseg.batch.review_page import SCRIPT, STYLE
from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.language import Sentence, grouped, in_use, mark, tr, translated
from napari_unetseg.printable import printable

if TYPE_CHECKING:
    from napari_unetseg.batch.folder_review import Review, ReviewItem

REPORT_FILE = "review.html"

_SIDE = 400  # pixels of a picture: twice what is shown, for screens of fine pixels
_QUALITY = 78  # of JPEG

_WORDS = {
    "accepted": mark("Accepted"),
    "fixed": mark("Fixed"),
    "rejected": mark("Rejected"),
    "waiting": mark("Not reviewed"),
}


def write_report(review: "Review", path: Path, *, progress: Progress, cancel: CancelFlag) -> None:
    """Write a review as an HTML file, in the language in use.

    Parameters
    ----------
    review
        What is reported.
    path
        File to write; one that exists is replaced.
    progress
        Called with the images that are in it and all of them.
    cancel
        Polled before each image.

    Raises
    ------
    UnetsegError
        If the file cannot be written.
    Cancelled
        If `cancel` returned True; then what was at `path` is still there.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for text in _page(review, progress, cancel):
            file.write(printable(text))


def _page(review: "Review", progress: Progress, cancel: CancelFlag) -> Iterator[str]:
    title = tr("Review of {folder}").format(folder=Path(*review.folder.resolve().parts[-2:]).as_posix())
    yield (
        f"<!doctype html>\n<html lang='{in_use().replace('_', '-')}'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; img-src data:; "
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>{escape(title)}</h1>\n<p class='faint'>{escape(_subtitle(review))}</p>\n"
    )
    yield _summary(review)
    yield _table_head()
    for done, item in enumerate(review.items):
        if cancel():
            raise Cancelled(Sentence("The report was not written."))
        progress(done, len(review.items))
        yield _row(item)
    progress(len(review.items), len(review.items))
    yield "</tbody></table>\n"
    if review.left_out:
        yield f"<h2>{escape(tr('Cannot be reviewed'))}</h2>\n<ul>"
        for one in review.left_out:
            yield f"<li>{escape(short_name(one.file))}: {escape(translated(one.reason))}</li>\n"
        yield "</ul>\n"
    yield f"<script>{SCRIPT}</script></body></html>\n"


def _subtitle(review: "Review") -> str:
    models = sorted({str(item.record.decided_by.get("model", "")) for item in review.items} - {""})
    written = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    return tr("Model: {models}. Written {time}.").format(models=", ".join(models), time=written)


def _summary(review: "Review") -> str:
    counts = review.counts
    by_decision = {name: getattr(counts, name) for name in _WORDS}
    changes = [item.decided.changes for item in review.items if item.decided is not None and item.decided.changes]
    figures = [("", tr("Images"), counts.total)]
    figures += [(f"<span class='dot {name}'></span>", tr(_WORDS[name]), count) for name, count in by_decision.items()]
    figures += [("", tr("Objects"), sum(item.count for item in review.items))]
    tiles = "".join(f"<li><strong>{grouped(count)}</strong>{dot}{escape(word)}</li>" for dot, word, count in figures)
    widths = {name: 100 * count / max(counts.total, 1) for name, count in by_decision.items() if name != "waiting"}
    bar = "".join(f"<span class='{name}' style='width:{width:.2f}%'></span>" for name, width in widths.items())
    parts = [f"<ul class='numbers'>{tiles}</ul>\n<div class='bar'>{bar}</div>\n"]
    if changes:
        text = tr("By hand: {added} objects added, {removed} removed, {altered} changed in shape.").format(
            added=grouped(sum(change.added for change in changes)),
            removed=grouped(sum(change.removed for change in changes)),
            altered=grouped(sum(change.altered for change in changes)),
        )
        parts.append(f"<p>{escape(text)}</p>\n")
    if counts.voided:
        text = tr("Decided about results that have been replaced since, and to be looked at again: {count}.")
        parts.append(f"<p>{escape(text.format(count=grouped(counts.voided)))}</p>\n")
    choices = [("all", tr("All"), counts.total), *((name, tr(_WORDS[name]), n) for name, n in by_decision.items())]
    buttons = "".join(
        f"<button type='button' value='{value}' aria-pressed='{str(value == 'all').lower()}'>"
        f"{escape(word)} {grouped(count)}</button>"
        for value, word, count in choices
    )
    return "".join([*parts, f"<div class='choices'>{buttons}</div>\n"])


def _table_head() -> str:
    columns = [
        ("name", tr("Image"), ""),
        ("decision", tr("Decision"), ""),
        ("doubt", tr("Doubt"), "number"),
        ("objects", tr("Objects"), "number"),
    ]
    heads = "".join(
        f"<th scope='col' data-key='{key}' class='{kind}'{_SORTED if key == 'doubt' else ''}>"
        f"<button type='button'>{escape(word)}</button></th>"
        for key, word, kind in columns
    )
    return (
        f"<table><thead><tr><th scope='col'>{escape(tr('Outlines'))}</th>{heads}"
        f"<th scope='col'>{escape(tr('Why'))}</th></tr></thead><tbody>\n"
    )


_SORTED = " aria-sort='descending'"


def _row(item: "ReviewItem") -> str:
    decision = item.decision or "waiting"
    reasons = "".join(f"<li>{escape(translated(reason))}</li>" for reason in item.reasons)
    return (
        f"<tr data-name='{escape(short_name(item.file))}' data-decision='{decision}' data-doubt='{item.doubt:.4f}' "
        f"data-objects='{item.count}'><td>{_pictures(item)}</td><td class='name'>{escape(short_name(item.file))}</td>"
        f"<td><span class='dot {decision}'></span>{escape(tr(_WORDS[decision]))}{_by_whom(item)}</td>"
        f"<td class='number'>{item.doubt:.2f}</td><td class='number'>{escape(_objects(item))}</td>"
        f"<td><ul>{reasons}</ul></td></tr>\n"
    )


def _by_whom(item: "ReviewItem") -> str:
    if item.decided is not None:
        return f"<br><span class='faint'>{escape(_signature(item.decided))}</span>"
    if item.voided is not None:
        text = tr("{decision} before, but the result has been replaced since ({signature}).").format(
            decision=tr(_WORDS[item.voided.decision or "waiting"]), signature=_signature(item.voided)
        )
        return f"<br><span class='faint'>{escape(text)}</span>"
    return ""


def _signature(decision: Decision) -> str:
    when = decision.decided[:16].replace("T", " ")
    return ", ".join(filter(None, (decision.by, when)))


def _objects(item: "ReviewItem") -> str:
    changes = item.decided.changes if item.decided is not None else None
    if changes is None:
        return grouped(item.count)
    return tr("{before} to {after}").format(before=grouped(changes.before), after=grouped(changes.after))


def _pictures(item: "ReviewItem") -> str:
    """Show the image with its outlines; of one that was corrected also as it was before."""
    is_corrected = item.decided is not None and item.decided.changes is not None
    before = original_file(item.target, ResultKind.LABELS, item.record) if is_corrected else None
    now = item.target.path(ENDINGS[ResultKind.LABELS])
    shown = [(now, "")] if before is None else [(before, tr("Before")), (now, tr("After"))]
    try:
        image = read_reviewed_image(item.file, item.record)
        pictures = [(_as_url(read_thumbnail(image, path, _SIDE)), caption) for path, caption in shown]
    except UnetsegError as error:
        return f"<span class='faint'>{escape(translated(error))}</span>"
    return "".join(
        f"<figure><img tabindex='0' alt='{escape(short_name(item.file))}' decoding='async' src='{url}'>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for url, caption in pictures
    )


def _as_url(picture: NDArray[np.uint8]) -> str:
    """Return a picture as the address of an image that holds it."""
    from PIL import Image as Pillow

    file = BytesIO()
    # Outlines are thin and coloured, so colours keep all their pixels.
    Pillow.fromarray(picture).save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
