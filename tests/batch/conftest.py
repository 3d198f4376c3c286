"""A service without a network: bright pixels are objects."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from napari_unetseg.batch.events import Event
from napari_unetseg.batch.output_files import ResultKind
from napari_unetseg.batch.segment_files import BatchJob, segment_files
from napari_unetseg.errors import Cancelled, ComputerGone, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service import Failure, Segmentation
from napari_unetseg.service.provenance import Provenance
from napari_unetseg.zoo.card import Head, ModelCard, WeightsFile


def make_card(**changes: Any) -> ModelCard:
    fields: dict[str, Any] = {
        "name": "fake",
        "display_name": "Fake",
        "description": "Bright pixels.",
        "architecture": {"name": "unet", "arguments": {}},
        "object_size": 12,
        "outputs": (Head(name="foreground"),),
        "decoder": "threshold",
        "parameters": DecodeParameters(threshold=0.5, min_size=4, split=0.0),
        "weights": WeightsFile(sha256="0" * 64),
        "licence": "CC0-1.0",
    }
    return ModelCard(**(fields | changes))


@dataclass
class FakeService:
    """Stands for `SegmentationService` as far as a batch needs one.

    Attributes
    ----------
    seen
        Names of the images that were segmented, in their order.
    before
        Called with the name of each image once it was drawn; what it raises is why the image fails.
    """

    card: ModelCard = field(default_factory=make_card)
    seen: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda name: None

    @property
    def package(self) -> "FakeService":
        return self

    def iter_batch(
        self, images: Iterable[Image], *, progress: Any = None, cancel: Any = None, also: Any = (), **options: Any
    ) -> Iterator[Segmentation | Failure]:
        wanted = SegmentOptions.of(**options)
        for number, image in enumerate(image for image in images if image is not None):
            self.seen.append(image.name)
            try:
                self.before(image.name)
            except ComputerGone as error:
                yield Failure(image.name, error)
                continue
            if cancel is not None and cancel():
                yield Failure(image.name, Cancelled("cancelled"))
                continue
            if progress is not None:
                progress(2 * number + 1, 2 * number + 2)
                progress(2 * number + 2, 2 * number + 2)
            if "sick" in image.name:
                yield Failure(image.name, UnetsegError(f"{image.name}: the network fell ill."))
                continue
            yield self._segment(image, wanted)

    def _segment(self, image: Image, options: SegmentOptions) -> Segmentation:
        parameters = options.parameters(self.card)
        grey = np.asarray(image.channels_first).mean(axis=0)
        probability = (grey / 1000).astype(np.float32)
        labels, _ = ndimage.label(probability >= parameters.threshold)
        fields = dict.fromkeys(Provenance.__dataclass_fields__)
        provenance = Provenance(**(fields | {"image": image.name, "model": "fake", "parameters": {}, "versions": {}}))
        return Segmentation(
            image=image,
            probability=probability[np.newaxis],
            heads=("foreground",),
            parameters=parameters,
            labels=labels.astype(np.int32),
            provenance=provenance,
            warnings=("a remark",) if image.name.startswith("odd") else (),
        )


@dataclass
class BlockService(FakeService):
    """Writes the left half of the labels, and the right one in a further call where `stops` is set.

    Attributes
    ----------
    stops
        Whether the first call is cancelled after its first block.
    blocks
        Columns of all blocks that were written.
    """

    stops: bool = False
    blocks: list[int] = field(default_factory=list)

    def segment_blocks(self, image: Any, folder: Path, target: Any, *, conclude: Any, **told: Any) -> None:
        whole = self._segment(replace(image, array=np.asarray(image.array)), SegmentOptions.of())
        folder.mkdir(exist_ok=True)
        for start in (0, 32):
            mark = folder / str(start)
            if not mark.exists():
                target.write_block((), (slice(0, 32), slice(start, start + 32)), whole.labels[:, start : start + 32])
                mark.touch()
                self.blocks.append(start)
            told["progress"](SimpleNamespace(done=start + 32.0, total=64.0))
            if self.stops:
                self.stops = False
                raise Cancelled("stopped")
        table = folder / "table.csv"
        table.write_text("label,area_px,solidity\n" + "".join(f"{n},16,\n" for n in range(1, whole.count + 1)))
        fields: dict[str, Any] = dict.fromkeys(Provenance.__dataclass_fields__)
        provenance = Provenance(**(fields | {"model": "fake", "parameters": {}, "versions": {}}))
        conclude(SimpleNamespace(count=whole.count, table=table, warnings=("a word",), provenance=provenance))
        for path in [*folder.iterdir()]:
            path.unlink()
        folder.rmdir()


@pytest.fixture
def block_service() -> type[BlockService]:
    return BlockService


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "plate"
    path.mkdir()
    return path


@pytest.fixture
def save(folder: Path) -> Callable[..., Path]:
    """Write an image with this many bright squares of 4 x 4 pixels."""

    def write(name: str, objects: int, brightness: int = 900) -> Path:
        array = np.full((32, 32), 100, np.uint16)
        for number in range(objects):
            y, x = 8 * (number // 4), 8 * (number % 4)
            array[y + 1 : y + 5, x + 1 : x + 5] = brightness
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, array)
        else:
            tifffile.imwrite(path, array)
        return path

    return write


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def results(service: FakeService, folder: Path) -> Callable[..., Path]:
    """Segment all images of the folder as a batch does, into its folder ``segmented``, which is returned."""

    def segment(*kinds: ResultKind, **options: Any) -> Path:
        files = tuple(sorted(path for path in folder.iterdir() if path.is_file()))
        job = BatchJob(files, folder / "segmented", kinds, **options)
        segment_files(service, job, report=lambda event, counts: None)
        return folder / "segmented"

    return segment
