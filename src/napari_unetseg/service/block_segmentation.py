"""Images beyond memory: a job that leaves labels, block by block, where its caller wants them."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import product
from math import prod
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.blockwise.job import NETWORK, PLAN, BlockJob, BlockSource, JobSpec, LabelTarget
from napari_unetseg.blockwise.job_folder import JobFolder, load_json, save_json
from napari_unetseg.blockwise.local_executor import LocalExecutor, OnBlock
from napari_unetseg.blockwise.network_stage import batch_size, remarks_of
from napari_unetseg.blockwise.run import BlockProgress, Executor, OnProgress, run_job
from napari_unetseg.blockwise.tile_answers import TiledMap
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.config.settings import InferenceSettings
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.io.claims import Claims, claim_path
from napari_unetseg.io.file_owner import owner_of_temporary
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray
from napari_unetseg.postprocessing.blocks import MIDDLE_SIDE, Block, middle_span
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.postprocessing.stacks import middle_plane
from napari_unetseg.segment_options import SegmentKeywords, SegmentOptions
from napari_unetseg.service.logs import Stopwatch
from napari_unetseg.service.provenance import Provenance, card_fingerprint, record
from napari_unetseg.service.segmentation import check_options
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.postprocessing.fit import Fit
    from napari_unetseg.service.runner import Runner

LABELS = "labels"
"""Name of the stage that writes what is final."""

_SAMPLE = 32

SPEC = "job.json"
"""File of a job's folder that says what was asked for; it is the first that is written."""

_REMOVED = "removed.json"
"""What that file is called once the folder is to go; it goes last, so that what is left is known as ours."""


@dataclass(frozen=True)
class BlockResult:
    """What became of an image that was segmented block by block; its labels are where the caller wanted them.

    Attributes
    ----------
    image
        What was segmented.
    count
        Number of objects.
    overall_mean, mask_mean
        Mean foreground probability over all pixels, and over those of objects; None where there are none, or it is not
        wanted.
    parameters
        Decoder parameters that gave the labels.
    provenance
        How they came about.
    warnings
        Sentences the user should read.
    table
        One row for each object of each plane, as CSV; in the folder of the job, which is removed at the end.
    folder
        Of the job.
    seconds
        From the call to the last block; of a run that went on with blocks of an earlier one, of that alone.
    fit
        How well the image fits the model; None where it sees nothing at all.
    maps
        Gives what the network says of a plane, by its place along the axes of the stack: maps by head, each read by
        rows and columns, ``maps(())["foreground"][0:100, 50:60]``; as long as the folder is there.
    """

    image: Image
    count: int
    parameters: DecodeParameters
    provenance: Provenance
    warnings: tuple[str, ...]
    table: Path
    folder: Path
    seconds: float
    fit: "Fit | None"
    overall_mean: float | None
    mask_mean: float | None
    maps: Callable[[tuple[int, ...]], Mapping[str, TiledMap]] = field(repr=False, compare=False)


def run_blocks(
    runner: "Runner",
    package: ModelPackage,
    image: Image | NDArray[Any],
    folder: Path,
    target: LabelTarget,
    keywords: SegmentKeywords,
    *,
    how: InferenceSettings,
    executor: Executor | None,
    progress: OnProgress | None,
    cancel: CancelFlag | None,
    source: BlockSource | None,
    focus: Block | None,
    on_block: OnBlock | None,
    conclude: Callable[[BlockResult], None] | None,
) -> BlockResult:
    """Segment an image block by block; `SegmentationService.segment_blocks` explains the rest."""
    from napari_unetseg.blockwise.all_stages import stage_beside_the_network, stages_in_order

    clock, started = perf_counter(), datetime.now(UTC).astimezone()
    options = SegmentOptions.of(**keywords)
    plane = options.plane_of(_unread(image), package.card)
    check_options(options, package.card)
    spec = JobSpec(
        source=source,
        image=_identity(plane),
        model=str(package.source) if package.origin == "path" else package.name,
        sha256=package.card.weights.sha256,
        card_sha256=card_fingerprint(package.card),
        options=options.model_dump(mode="json"),
        window=how.window,
        with_confidence=how.enable_confidence,
    )
    stops = cancel or (lambda: False)
    with runner.call_for_blocks(package, plane.name) as borrow_network, _claimed(folder):
        files = JobFolder(folder)
        job = BlockJob(
            folder=files,
            spec=spec,
            image=plane,
            card=package.card,
            parameters=options.parameters(package.card),
            target=target,
            borrow_network=borrow_network,
            is_cancelled=lambda: stops() or files.stop_requested,
        )
        _begin(job)
        watch = _Watch(job, progress, on_block)
        workers = executor or LocalExecutor(stage_beside_the_network(), on_block)
        run_job(job, stages_in_order(focus), workers, watch, stops)
        result = _result(job, started, watch.times.stages.get("network", 0) / 1000, perf_counter() - clock)
        runner.blocks_succeeded(result.provenance, (*plane.stack_shape, *plane.shape), result.count, watch.times)
        if conclude is not None:
            conclude(result)
            _remove(folder)
        return result


def remove_job(folder: Path) -> None:
    """Remove the folder of a job, done or not; nothing happens if there is none.

    Raises
    ------
    UnetsegError
        If a run works on it, or it is no folder of a job.
    """
    if folder.exists():
        with _claimed(folder):
            _check_ours(folder)
            _remove(folder)


def _check_ours(folder: Path) -> None:
    """Refuse to remove a folder that holds something else than a job."""
    is_job = any((folder / name).exists() for name in (SPEC, _REMOVED))
    if not is_job and not all(map(owner_of_temporary, folder.iterdir())):
        raise UnetsegError(
            Sentence("{path}: there is something else already. Choose another name or folder.", path=folder)
        )


def _remove(folder: Path) -> None:
    """Remove the folder of a job; what is left where that is interrupted belongs to no job."""
    try:
        if (folder / SPEC).exists():
            (folder / SPEC).replace(folder / _REMOVED)
        for path in list(folder.iterdir()):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _REMOVED:
                path.unlink()
        shutil.rmtree(folder)
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "{folder}: what was kept of the run cannot be removed ({reason}). Nobody needs it any more: remove it "
                "by hand.",
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Have the folder alone until the block ends."""
    with Claims() as claims:
        if not claims.claim(claim_path(folder.parent, folder.name)):
            raise UnetsegError(
                Sentence(
                    "{folder}: another run works on these labels. Wait until it has ended, or give the labels another "
                    "name.",
                    folder=folder,
                )
            )
        yield


def _begin(job: BlockJob) -> None:
    """Write down what is asked for, or see that it is what was asked for before; and that the disk has room for it."""
    path, asked = job.folder.path / SPEC, job.spec.model_dump(mode="json")
    if path.exists():
        before = load_json(path)
        changed = [name for name, value in asked.items() if before.get(name) != value]
        if changed:
            raise UnetsegError(
                Sentence(
                    "{folder}: holds the blocks of another run ({what} differ). Give the labels another name, or "
                    "remove this folder to begin anew.",
                    folder=job.folder.path,
                    what=", ".join(changed),
                )
            )
    else:
        if job.folder.path.exists():
            _check_ours(job.folder.path)
            _remove(job.folder.path)
        _see_that_there_is_room(job)
        save_json(path, asked)
    job.folder.withdraw_stop()


def _see_that_there_is_room(job: BlockJob) -> None:
    """Refuse what the disk cannot hold, before the network runs in vain."""
    maps = len(job.card.heads) + job.options.augment
    numbers = 1 + bool(job.parameters.smoothing)  # of objects, as they are before and after outlines are evened out
    needed = 4 * (maps + numbers) * prod(job.image.shape) * len(job.planes)
    job.folder.path.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(job.folder.path).free
    if free < needed:
        raise UnetsegError(
            Sentence(
                "{folder}: what the network says of {image} takes {needed:.1f} GB until the labels are done, but "
                "{free:.1f} GB are free. Make room on the disk, or choose another folder.",
                folder=job.folder.path,
                image=job.image.name,
                needed=needed / 1e9,
                free=free / 1e9,
            )
        )


class _Watch:
    """Follows a job: what its stages take, and which blocks are final."""

    def __init__(self, job: BlockJob, progress: OnProgress | None, on_block: OnBlock | None) -> None:
        self._job = job
        self._progress = progress
        self._on_block = on_block
        self._clock = perf_counter()
        self._stage = ""
        self.times = Stopwatch()

    def __call__(self, now: BlockProgress) -> None:
        clock = perf_counter()
        # What the network is asked to plan by belongs to it.
        self.times.add(NETWORK if self._stage == PLAN else self._stage or now.stage, clock - self._clock)
        self._stage, self._clock = now.stage, clock
        if now.stage == LABELS and now.finished is not None and self._on_block is not None:
            plane, block = self._job.planes[now.finished.plane], self._job.grid.block(now.finished.number)
            self._on_block(plane, block, self._job.target.read(plane, block))
        if self._progress is not None:
            self._progress(now)


def _unread(image: Image | NDArray[Any]) -> Image:
    """Take an image for one that is read where a pixel is needed, unless it is in memory."""
    if isinstance(image, Image):
        return replace(image, array=_lazy(image.array))
    return Image.of(_lazy(image) if hasattr(image, "shape") and hasattr(image, "dtype") else image)


def _lazy(array: Any) -> Any:
    if isinstance(array, LazyArray) or type(array) is np.ndarray:
        return array
    chunks = getattr(array, "chunks", None)
    # Of dask there is one length for each chunk along an axis.
    lengths = chunks and tuple(int(part[0] if isinstance(part, tuple) else part) for part in chunks)
    return LazyArray(lambda box: np.asarray(array[box]), tuple(map(int, array.shape)), array.dtype, lengths)


def _identity(image: Image) -> dict[str, Any]:
    """Return what tells an image from others, without reading it whole: some of its pixels among it."""
    array = image.array
    digest = hashlib.sha256()
    plane = image.plane(middle_plane(image.stack_shape)).channels_first
    for rows, columns in product(*(_places(length) for length in image.shape)):
        digest.update(np.ascontiguousarray(plane[:, rows, columns]).tobytes())
    return {
        "name": image.name,
        "axes": image.axes,
        "shape": list(map(int, array.shape)),
        "dtype": str(array.dtype),
        # What the table tells depends on them.
        "scale": image.scale and list(map(float, image.scale)),
        "unit": image.unit,
        "origin": list(map(int, image.origin)),
        "sample": digest.hexdigest(),
    }


def _places(length: int) -> list[slice]:
    """Return some pixels at both ends of an axis and in its middle."""
    starts = {0, (length - _SAMPLE) // 2, length - _SAMPLE}
    return [slice(start, start + _SAMPLE) for start in sorted(starts) if start >= 0] or [slice(0, length)]


@dataclass(frozen=True)
class _Computed:
    """The model as a process of the job ran it, for the record."""

    card: ModelCard
    source: str
    facts: RunFacts
    server: dict[str, Any] | None = None


def _result(job: BlockJob, started: datetime, network_seconds: float, seconds: float) -> BlockResult:
    from napari_unetseg.blockwise.linking_stage import object_count
    from napari_unetseg.blockwise.object_stages import mean_confidence
    from napari_unetseg.blockwise.table_stage import table_file
    from napari_unetseg.postprocessing.fit import measure_fit, unlike_warning

    plan, tiles = job.tiling.plan, job.tiling.tiles
    card, options = job.card, job.options.model_copy(update={"diameter": job.tiling.plan.diameter})
    middle = job.planes.index(middle_plane(job.image.stack_shape))
    seen = job.maps(middle)["foreground"][*(middle_span(length, MIDDLE_SIDE) for length in job.image.shape)]
    fit = measure_fit(seen, card.parameters)
    ranges = [job.ranges(plane) for plane in range(len(job.planes))]
    said = [
        *plan.facts.warnings,
        *job.image.remarks,
        *plan.remarks,
        # As each plane of an undivided stack says them, and the first one what is said of the windows.
        *ranges[0].warnings,
        *plan.warnings,
        *remarks_of(job),
        *(remark for found in ranges for remark in found.warnings),
        *((unlike_warning(card.display_name),) if fit is not None and fit.is_unlike else ()),
    ]
    prediction = Prediction(
        probability=np.empty((len(card.heads), 0, 0), np.float32),
        warnings=(),
        window=tiles.window,
        halo=tiles.halo,
        tiles=len(tiles.tiles) * len(job.planes),
        resized_to=plan.resized_to,
        largest_window=plan.largest_window,
        batch_size=batch_size(job),
        sampled=ranges[-1].sampled,
    )
    provenance = record(
        _Computed(card, plan.source, plan.facts),
        prediction,
        plane=job.image,
        options=options,
        parameters=job.parameters,
        started=started,
        seconds=network_seconds,
    )
    overall_mean, mask_mean = mean_confidence(job) if job.spec.with_confidence else (None, None)
    return BlockResult(
        image=job.image,
        count=object_count(job),
        parameters=job.parameters,
        provenance=provenance,
        warnings=tuple(dict.fromkeys(said)),
        table=table_file(job),
        folder=job.folder.path,
        seconds=seconds,
        fit=fit,
        overall_mean=overall_mean,
        mask_mean=mask_mean,
        maps=lambda place: job.maps(job.planes.index(place)),
    )
