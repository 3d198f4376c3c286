"""What windows say of a batch and its files."""

from napari_unetseg.batch.events import FINISHED_STATUSES, BatchCounts, Event, Status
from napari_unetseg.language import grouped, mark, tr, tr_count
from napari_unetseg.plugin.parts.badge import GLYPHS, BadgeKind
from napari_unetseg.plugin.parts.words import count, describe_error, duration

STATUS_WORDS: dict[Status, str] = {
    "waiting": mark("waiting"),
    "running": mark("running"),
    "done": mark("done"),
    "skipped": mark("done before"),
    "failed": mark("failed"),
}
SIGNS: dict[Status, BadgeKind] = {
    "waiting": "idle",
    "running": "busy",
    "done": "good",
    "skipped": "good",
    "failed": "error",
}


def matches(number: int) -> str:
    """Say how many images will be segmented."""
    return tr_count("{n} image", "{n} images", number).format(n=grouped(number))


def status(event: Event) -> str:
    """Say where a file stands."""
    if event.status == "running" and event.fraction:
        return f"{GLYPHS['busy']} {100 * event.fraction:.0f} %"
    return f"{GLYPHS[SIGNS[event.status]]} {tr(STATUS_WORDS[event.status])}"


def time(event: Event) -> str:
    """Say how long a file took; nothing while that is not known."""
    return "" if event.seconds is None or event.status not in FINISHED_STATUSES else duration(event.seconds)


def message(event: Event) -> str:
    """Say why a file failed, or warn, in one line."""
    if event.error is None:
        return event.message
    text = " ".join(describe_error(event.error).sentence.split())
    return text.removeprefix(f"{event.file}: ").removeprefix(f"{event.file.name}: ")


def batch_progress(counts: BatchCounts) -> str:
    """Return ``"62 % · 3 min left"``, and before the first image is done ``"0 %"``."""
    percent = f"{100 * counts.progress / max(counts.total, 1):.0f} %"
    left = counts.seconds_left
    if left is None:
        return percent
    time = duration(max(1, round(left))).replace(".0 s", " s")
    return tr("{percent} · {time} left").format(percent=percent, time=time)


def summary(counts: BatchCounts, *, cancelled: bool) -> str:
    """Say what a batch did, in a few sentences."""
    done, skipped, failed, waiting = (counts.count(name) for name in ("done", "skipped", "failed", "waiting"))
    parts = [tr("Cancelled.")] if cancelled else []
    parts.append(tr("{images} segmented in {time}.").format(images=matches(done), time=duration(counts.seconds)))
    if skipped:
        parts.append(tr_count("{n} was done before.", "{n} were done before.", skipped).format(n=grouped(skipped)))
    if failed:
        parts.append(tr_count("{n} failed.", "{n} failed.", failed).format(n=grouped(failed)))
    if waiting:
        parts.append(tr_count("{n} is left: Run goes on.", "{n} are left: Run goes on.", waiting).format(n=waiting))
    parts.append(tr("{objects} in all.").format(objects=count(counts.objects)))
    return " ".join(parts)
