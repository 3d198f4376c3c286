"""What the dock says about learning. Pure functions and constants."""

from collections.abc import Mapping

from napari_unetseg.language import grouped, mark, tr, tr_count
from napari_unetseg.plugin.parts.words import duration
from napari_unetseg.training.job_folder import JobFolder
from napari_unetseg.training.progress_events import Failed, Finished, Stepped

IMPROVE, TRAIN = mark("Improve"), mark("Train a new model")

LEARN_FROM_TIP = mark(
    "What is learnt from: labels that you corrected by hand. All that you tick is taken for right, so correct an\n"
    "image, or a part of it, before you tick it. A few objects that are right teach more than many that are nearly so."
)
LABELS_TIP = mark("Labels of images that are open. Tick those in which every object is labelled.")
PART_TIP = mark(
    "Which part of the ticked labels is right. What lies outside teaches nothing; a corrected region without objects\n"
    "teaches what is no object."
)
DRAW_TIP = mark(
    "Draw rectangles around what you corrected. They go into a layer of their own, and only what lies in them\n"
    "is learnt."
)
EXCLUDE_TIP = mark("Draw rectangles around what you did not correct. Nothing in them is learnt.")
MINUTES_TIP = mark(
    "How long to learn. Five minutes are enough for a few regions, on a laptop too. Stop ends earlier and keeps\n"
    "the best."
)
NAME_TIP = mark("What to call the new model. The one that you begin with stays as it is.")
MODEL_TIP = mark("The model that is improved: that of the selected result.")
IMPROVE_TIP = mark(
    "Learn from what is ticked, in the background, and make a new model of it. Some of the regions are held back,\n"
    "to tell how much better it is."
)
COPY_TIP = mark("Copies the command line that does the same in a terminal, or on a cluster.")
NO_RESULT = mark("Run a model on an image first, then correct objects of its labels.")
NO_SERVER = mark("This result is of a server's model. Choose one of this machine to improve.")
NOTHING_TICKED = mark("Tick labels to learn from.")
OUT_OF_VIEW = mark("None of the ticked labels is in view.")
BUSY = mark("Wait until the training that runs has ended, or stop it.")
UNUSABLE = mark("Remove or mend the images that cannot be used first: those with a cross in the table.")
NO_REGION = mark("Draw a corrected region on the ticked images first, or choose another part.")

SOURCE_TIP = mark("Where images and their labels come from.")
FOLDER_TIP = mark(
    "A folder with the sub-folders 'images' and 'masks', whose files have the same names. Masks number their objects\n"
    "from 1, or are 1 where there is something."
)
OBJECTS_TIP = mark(
    "Touching objects: each gets a number, however close they lie. Area: what belongs to it and what does not, such\n"
    "as tissue or wounds; pieces that do not touch still get numbers."
)
SIZE_TIP = mark("Tiny learns fastest and runs fastest. Standard is better with many images, and slower without a GPU.")
TRAIN_TIP = mark(
    "Train a new model on these images, in the background. Some of them are held back, to tell how good it is."
)
CHECK_TIP = mark("What was found in each image. Rows with a remark should be looked at before training.")
CHECK_MASKS_TIP = mark("Looks for specks, holes, several pieces and other faults in masks, and mends copies of them.")
CHECK_COLUMNS = (mark("Picture"), mark("Image"), mark("Remarks"))
CHECKING = mark("Looking at the images...")
NO_FOLDER = mark("Choose a folder with 'images' and 'masks' of the same names.")
NO_LABELS = mark("Open an image and its labels, or choose a folder.")

BEGINNING = mark("Nothing has been learnt here yet. What a model learns makes a new model; the old one stays as it is.")
STOP_TIP = mark("End now and keep the best model so far.")
CURVE_TIP = mark(
    "How it goes. The score, at the left, is that of images that are held back: 1 is perfect. The error is what the\n"
    "network gets wrong on what it learns from; it falls, and jumps."
)
PREPARING = mark("Writing down what to learn from...")
STARTING = mark("Starting to learn...")
STOPPING = mark("Stopping. The best model so far is being written...")
LEFT = mark("Left. It can be taken up again here.")
GO_ON, DELETE = mark("Go on"), mark("Delete")
GO_ON_TIP = mark("Take it up where it ended.")
DELETE_TIP = mark("Forget it, with what it had learnt so far. Your images and models stay.")
INTERRUPTED_TIP = mark("What was interrupted, as when the window was closed.")
RUN_IT = mark("Run it on this image")
RUN_IT_TIP = mark("Segment the chosen image with the new model.")
COPIED = mark("The command line is on the clipboard: paste it into a terminal.")

METRICS = {"ap": mark("mean AP"), "ap50": mark("AP@0.5"), "dice": mark("Dice")}


def metric_title(metric: str) -> str:
    """Return what people call a score."""
    return tr(METRICS[metric]) if metric in METRICS else metric


def default_title(model: str, names: list[str]) -> str:
    """Suggest what to call an improved model."""
    if not names:
        return tr("{model}, improved").format(model=model)
    images = names[0] if len(names) == 1 else tr("{n} images").format(n=len(names))
    return tr("{model}, improved on {images}").format(model=model, images=images)


def labels_line(name: str, changed: int) -> str:
    """Say of labels how many objects were corrected."""
    if not changed:
        return name
    return f"{name} · {tr_count('{n} corrected', '{n} corrected', changed).format(n=grouped(changed))}"


def pair_line(name: str, shape: tuple[int, int] | None, objects: int | None, diameter: float | None) -> str:
    """Sum up an image of a data set on up to three lines."""
    lines = [name]
    if shape is not None:
        lines.append(f"{shape[1]} x {shape[0]} px")
    if objects is not None:
        found = tr_count("{n} object", "{n} objects", objects).format(n=grouped(objects))
        lines.append(
            found if diameter is None else tr("{objects} of {size:.0f} px").format(objects=found, size=diameter)
        )
    return "\n".join(lines)


def regions_line(count: int) -> str:
    """Say how many regions there are."""
    return tr_count("{n} region", "{n} regions", count).format(n=count)


def progress(event: Stepped) -> str:
    """Return ``"62 % · 2 min left"``."""
    percent = f"{100 * event.progress:.0f} %"
    if event.remaining is None:
        return percent
    seconds = max(1, round(event.remaining))
    left = f"{seconds} s" if seconds < 100 else duration(max(seconds, 120))
    return tr("{percent} · {time} left").format(percent=percent, time=left)


def scores_line(metric: str, before: float | None, now: float | None, best: float | None) -> str:
    """Compare scores: of the model as it was, of the last validation, and of the best."""
    words = []
    if before is not None:
        words.append(tr("before {score:.2f}").format(score=before))
    if now is not None:
        words.append(tr("now {score:.2f}").format(score=now))
    if best is not None:
        words.append(tr("best {score:.2f}").format(score=best))
    return f"{metric}: {' · '.join(words)}" if words else ""


def held_out_line(images: int, held_out: int) -> str:
    """Say how many are learned from and how many only scored."""
    learnt = tr_count("Learning from {n} image", "Learning from {n} images", images).format(n=images)
    return learnt if not held_out else tr("{learnt}, {n} held back").format(learnt=learnt, n=held_out)


def finished(event: Finished) -> str:
    """Say what came of it."""
    parts = [tr("'{model}' is among your models.").format(model=event.display_name)]
    shared = [name for name in METRICS if name in event.after]
    name = next((name for name in ("ap50", *shared) if name in event.after), None)
    if name is not None and name in event.before:
        compared = tr("{metric} on what was held back: {before:.2f} before, {after:.2f} now.")
        parts.append(compared.format(metric=metric_title(name), before=event.before[name], after=event.after[name]))
    elif name is not None:
        parts.append(
            tr("{metric} on what was held back: {after:.2f}.").format(
                metric=metric_title(name), after=event.after[name]
            )
        )
    return " ".join(parts)


def is_worse(before: Mapping[str, float], after: Mapping[str, float]) -> bool:
    """Whether no score has risen."""
    shared = before.keys() & after.keys() & METRICS.keys()
    return bool(shared) and not any(after[name] > before[name] for name in shared)


def interrupted(folder: JobFolder, title: str) -> str:
    """Say how far an interrupted job had come."""
    events = folder.events()
    last = next((event for event in reversed(events) if isinstance(event, Stepped)), None)
    if events and isinstance(events[-1], Failed):
        return tr("{title} · failed").format(title=title)
    return (
        title if last is None else tr("{title} · {percent:.0f} % done").format(title=title, percent=100 * last.progress)
    )


def report_line(pairs: int, findings: list[str]) -> str:
    """Sum up a data set."""
    counted = tr_count("{n} image with its mask.", "{n} images with their masks.", pairs).format(n=grouped(pairs))
    return " ".join([counted, *findings])
