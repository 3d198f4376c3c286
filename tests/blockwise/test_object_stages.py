"""From maps to labels and their table in blocks, against the same read off the undivided maps."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unetseg.blockwise import basins_stage, table_stage
from napari_unetseg.blockwise.job import BlockJob, JobSpec
from napari_unetseg.blockwise.job_folder import JobFolder
from napari_unetseg.blockwise.linking_stage import object_count
from napari_unetseg.blockwise.object_stages import mean_confidence, object_stages
from napari_unetseg.blockwise.table_stage import table_file, table_parts
from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.io import atomic, write_table
from napari_unetseg.postprocessing.confidence import measure_confidence
from napari_unetseg.postprocessing.measurements import measure
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.postprocessing.stacks import decode_stack, stack_tables

HEADS = [("foreground", "distance"), ("foreground", "boundary"), ("foreground",)]


@pytest.fixture(autouse=True, scope="module")
def fast_files():
    """Leave files to the operating system: thousands of small ones would wait for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic, "sync", lambda path: None)
        yield


@dataclass
class ArrayTarget:
    """Labels in memory, of which every block is written once."""

    array: np.ndarray
    written: list = field(default_factory=list)

    def write_block(self, plane, block, labels):
        assert labels.dtype == np.int32
        self.written.append((plane, block))
        self.array[*plane, *block] = labels

    def read(self, plane, region):
        return self.array[*plane, *region]


@dataclass(frozen=True)
class MapsJob(BlockJob):
    """A job whose network has answered already: probability (heads, ..., Y, X)."""

    probability: np.ndarray = None
    agreement: np.ndarray | None = None

    def maps(self, plane):
        place = self.planes[plane]
        maps = {head: self.probability[at, *place] for at, head in enumerate(self.card.heads)}
        return maps if self.agreement is None else maps | {"agreement": self.agreement[place]}


def make_job(folder, image, heads, parameters, side, probability, *, agreement=None, **options):
    spec = JobSpec(source=None, image={}, model="m", sha256="", card_sha256="", options=options, block_side=side)
    labels = np.full(probability.shape[1:], -1, np.int32)
    return MapsJob(
        folder=JobFolder(Path(folder)),
        spec=spec,
        image=image,
        card=SimpleNamespace(heads=heads),
        parameters=parameters,
        target=ArrayTarget(labels),
        borrow_network=None,
        probability=probability,
        agreement=agreement,
    )


def run(job, stages=None):
    """Do all that is not done, as `run_job` does; return the number of units that were done."""
    done = 0
    for stage in stages or object_stages():
        for unit in stage.units(job):
            if not stage.is_done(job, unit):
                stage.do(job, unit)
                assert stage.is_done(job, unit)
                done += 1
        stage.conclude(job)
    return done


def undivided_table(job, labels, path):
    image, foreground = job.image, job.probability[0]
    tables = {
        index: measure(
            labels[index],
            foreground=foreground[index],
            agreement=None if job.agreement is None else job.agreement[index],
            intensity=image.plane(index).channels_first,
            scale=image.scale,
            unit=image.unit,
            origin=image.origin,
        )
        for index in job.planes
    }
    table = stack_tables(tables, image.stack_axes)
    write_table(path, table)
    return table


def check(job):
    """Compare a job that is done with the undivided image."""
    labels = decode_stack(
        job.probability, job.card.heads, job.parameters, axes=job.image.stack_axes, link=job.options.link
    )
    np.testing.assert_array_equal(job.target.array, labels)
    assert object_count(job) == labels.max()
    confidence = measure_confidence(labels, job.probability[0])
    np.testing.assert_array_equal(
        np.array(mean_confidence(job), float), np.array([confidence.overall_mean, confidence.mask_mean], float)
    )
    table = undivided_table(job, labels, job.folder.path / "undivided.csv")
    parts = list(table_parts(job))
    assert [list(part) for part in parts] == [list(table)] * len(parts)
    for name, column in table.items():
        joined = np.concatenate([part[name] for part in parts])
        assert joined.dtype == column.dtype, name
        np.testing.assert_array_equal(joined, column, err_msg=name)
    assert table_file(job).read_bytes() == (job.folder.path / "undivided.csv").read_bytes()


parameter_sets = st.builds(
    DecodeParameters,
    threshold=st.sampled_from([0, 0.3, 0.5, 0.8]),
    min_size=st.sampled_from([0, 5, 30]),
    split=st.sampled_from([0, 0.2, 0.5, 1]),
    fill_holes=st.booleans(),
    smoothing=st.sampled_from([0, 0, 1, 3]),
    min_confidence=st.sampled_from([0, 0.55, 0.7]),
)


@st.composite
def scenes(draw):
    """Maps of noise of some size, with rings, equal squares, pixels without a value, or large objects."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 100)), draw(st.integers(1, 100))
    sigma = draw(st.sampled_from([0, 1, 3, 8]))

    def noise():
        values = ndimage.gaussian_filter(rng.normal(size=(height, width)), sigma)
        values = (values - values.mean()) / (values.std() + 1e-9)
        return (0.5 + 0.3 * values).clip(0, 1)

    maps = np.stack([noise(), noise()]).astype(np.float32)
    if draw(st.booleans()):
        maps = (maps * 4).round() / np.float32(4)
    if draw(st.booleans()):
        y, x = np.mgrid[:height, :width]
        for _ in range(4):
            at, radius = rng.integers(0, (height, width)), rng.integers(2, 30)
            away = np.hypot(y - at[0], x - at[1])
            maps[0] = np.where(np.abs(away - radius) < 1.6, 0.9, np.where(away < radius, 0.1, maps[0]))
    if draw(st.booleans()):
        maps[0][rng.random(maps[0].shape) < 0.02] = np.nan
    return maps


def check_scene(maps, heads, parameters, side):
    rng = np.random.default_rng(1)
    image = Image(
        rng.integers(0, 999, (2, *maps.shape[1:])).astype(np.uint16), "CYX", scale=(0.5, 0.25), unit="micrometer"
    )
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(basins_stage, "BLOCK_SIDE", 20)
        patch.setattr(table_stage, "NEAR", 10)
        patch.setattr(table_stage, "ROWS_AT_ONCE", 7)
        patch.setattr(table_stage, "LARGE", 1000)
        patch.setattr(table_stage, "STRIP", 300)
        job = make_job(folder, image, heads, parameters, side, maps[: len(heads)])
        run(job)
        check(job)


wanted = (scenes(), st.sampled_from(HEADS), parameter_sets, st.integers(8, 64))


@given(*wanted)
@settings(deadline=None, max_examples=20)
def test_labels_and_table_equal_those_of_the_undivided_plane(maps, heads, parameters, side):
    check_scene(maps, heads, parameters, side)


@pytest.mark.nightly
@given(*wanted)
@settings(deadline=None, max_examples=500)
def test_they_do_so_for_many_more(maps, heads, parameters, side):
    check_scene(maps, heads, parameters, side)


@pytest.mark.parametrize("stack", [(), (2,)])
def test_thousands_of_dense_objects_over_many_blocks(tmp_path, stack):
    y, x = np.mgrid[:800, :800].astype(np.float32)
    waves = (np.sin(y / 2.2) * np.sin(x / 2.2) + 1) / 2
    noise = np.random.default_rng(0).normal(0, 0.04, (2, *stack, 800, 800)).astype(np.float32)
    maps = (waves * np.array([1.1, 1], np.float32).reshape(2, *[1] * (len(stack) + 2)) + noise).clip(0, 1)
    image = Image(np.zeros((*stack, 800, 800), np.uint8), "ZYX"[-2 - len(stack) :])
    job = make_job(tmp_path, image, HEADS[0], DecodeParameters(min_size=5), 100, maps, link=bool(stack))
    run(job, object_stages()[:-1])
    labels = decode_stack(maps, HEADS[0], job.parameters, axes=image.stack_axes, link=bool(stack))
    assert labels.max() == object_count(job) > 6000
    np.testing.assert_array_equal(job.target.array, labels)


@pytest.mark.parametrize(("axes", "shape"), [("T", (4,)), ("TZ", (3, 2)), ("ZT", (2, 3)), ("RZ", (2, 2))])
@pytest.mark.parametrize("link", [True, False])
def test_stacks_are_linked_by_overlaps_of_blocks(tmp_path, axes, shape, link):
    rng = np.random.default_rng(3)
    noise = ndimage.gaussian_filter(rng.normal(size=(2, *shape, 40, 50)), (0, *[0.7] * len(shape), 3, 3))
    maps = (0.5 + noise / noise.std() / 4).clip(0, 1).astype(np.float32)
    image = Image(rng.random((*shape, 40, 50)).astype(np.float32), f"{axes}YX")
    agreement = rng.random((*shape, 40, 50)).astype(np.float32)
    parameters = DecodeParameters(min_size=5)
    job = make_job(tmp_path, image, HEADS[0], parameters, 24, maps, agreement=agreement, link=link, augment=True)
    run(job)
    check(job)


def test_what_is_done_is_not_done_again_and_a_stop_writes_nothing(tmp_path):
    maps = np.random.default_rng(0).random((2, 40, 60)).astype(np.float32)
    image = Image(np.zeros((40, 60), np.uint8), "YX")
    job = make_job(tmp_path, image, HEADS[1], DecodeParameters(min_size=2), 16, maps)
    stopped = make_job(tmp_path, image, HEADS[1], job.parameters, 16, maps)
    object.__setattr__(stopped, "is_cancelled", lambda: True)
    with pytest.raises(Cancelled):
        run(stopped)
    assert stopped.target.written == []
    expected = math.prod((3, 4))
    assert run(job) == 2 * expected
    assert len(job.target.written) == expected
    assert run(job) == 0
    check(job)
    with table_file(job).open() as file:
        assert [int(row["label"]) for row in csv.DictReader(file)] == list(range(1, job.target.array.max() + 1))
