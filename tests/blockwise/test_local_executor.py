import numpy as np
import pytest

from napari_unetseg.blockwise.job_folder import load_arrays, save_arrays
from napari_unetseg.blockwise.local_executor import LocalExecutor
from napari_unetseg.blockwise.run import run_job
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.errors import Cancelled, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.postprocessing.blocks import grow_block

MARGIN = 5


class Sums:
    """A stage of blocks: each sums what the network says of it and of a margin around it."""

    name = "sums"

    def __init__(self, waits=()):
        self.waits = waits
        self.concluded = 0

    def units(self, job):
        return [Unit(plane, block) for plane in range(len(job.planes)) for block in range(len(job.grid))]

    def is_done(self, job, unit):
        return job.folder.unit_file(self.name, unit).exists()

    def reads(self, job, unit):
        block = job.grid.block(unit.number)
        return None if unit.number in self.waits else grow_block(block, MARGIN, job.grid.shape)

    def do(self, job, unit):
        region = grow_block(job.grid.block(unit.number), MARGIN, job.grid.shape)
        found = np.array(job.maps(unit.plane)["foreground"][region].sum(dtype=np.float64))
        save_arrays(job.folder.unit_file(self.name, unit), found=found)

    def conclude(self, job):
        self.concluded += 1


class Failing(Sums):
    def do(self, job, unit):
        if unit.number == 3:
            raise UnetsegError("Block 3 is wrong.")
        super().do(job, unit)


@pytest.fixture(scope="module")
def model(make):
    return make.model(make.card(), 48)


@pytest.fixture
def image():
    return Image((np.random.default_rng(3).random((2, 90, 70)) * 255).astype(np.uint8), "ZYX")


@pytest.mark.parametrize("waits", [(), (0, 4)])
def test_blocks_are_done_beside_the_network_once_all_that_they_read_is_there(jobs, make, model, image, waits):
    job, stage = jobs(image, model), Sums(waits)
    make.run_network(job, LocalExecutor(stage))
    units = stage.units(job)
    assert [unit.number in waits for unit in units] == [not stage.is_done(job, unit) for unit in units]

    told = []
    run_job(job, [*make.network_stages(), stage], LocalExecutor(stage), told.append, lambda: False)
    assert all(stage.is_done(job, unit) for unit in units)
    assert len([now for now in told if now.finished is not None]) == 2 * len(waits)
    assert stage.concluded == 1
    for unit in units:
        maps = model.predict(image.plane((unit.plane,))).probability[0]
        expected = maps[grow_block(job.grid.block(unit.number), MARGIN, job.grid.shape)].sum(dtype=np.float64)
        assert load_arrays(job.folder.unit_file("sums", unit))["found"] == expected


def test_each_block_is_shown_once_with_numbers_of_its_own(jobs, make, model, image):
    job, shown = jobs(image, model, min_size=1, threshold=0.6), []
    executor = LocalExecutor(None, lambda *block: shown.append(block))
    make.run_network(job, executor)
    places = [(plane, tuple((part.start, part.stop) for part in block)) for plane, block, _ in shown]
    assert len(set(places)) == len(shown) == 2 * len(job.grid)
    numbers = np.concatenate([np.unique(labels[labels > 0]) for _, _, labels in shown])
    assert len(np.unique(numbers)) == len(numbers) > 20
    for plane, block, labels in shown:
        foreground = job.maps(job.planes.index(plane))["foreground"][block]
        assert labels.shape == foreground.shape
        assert not labels[foreground < 0.6].all()


def test_a_block_is_shown_once_the_network_has_seen_its_own_pixels_whatever_its_margin_touches(
    jobs, make, model, image
):
    job, shown = jobs(image, model), []
    for stage in make.network_stages()[:2]:
        run_job(job, [stage], LocalExecutor(), lambda _: None, lambda: False)
    own = job.answers(0).tiles_of(job.grid.block(0))
    stage = Sums()
    assert set(job.answers(0).tiles_of(stage.reads(job, Unit(0, 0)))) > set(own)
    executor = LocalExecutor(stage, lambda *block: shown.append(block))
    executor.run(job, make.network_stages()[2], [Unit(0, tile) for tile in own], lambda _: None, lambda: False)
    assert job.grid.block(0) in [block for _, block, _ in shown]
    assert not stage.is_done(job, Unit(0, 0))


def test_the_first_error_of_a_block_is_raised_and_a_rerun_does_the_rest(jobs, make, model, image):
    job = make.run_network(jobs(image, model))
    with pytest.raises(UnetsegError, match="Block 3 is wrong"):
        run_job(job, [Failing()], LocalExecutor(), lambda _: None, lambda: False)
    stage = Sums()
    done = [unit for unit in stage.units(job) if stage.is_done(job, unit)]
    assert 0 < len(done) < 2 * len(job.grid)
    finished = []
    run_job(job, [stage], LocalExecutor(), lambda now: finished.append(now.finished), lambda: False)
    assert len([unit for unit in finished if unit is not None]) == 2 * len(job.grid) - len(done)


def test_an_error_beside_the_network_is_raised(jobs, make, model, image):
    with pytest.raises(UnetsegError, match="Block 3 is wrong"):
        make.run_network(jobs(image, model), LocalExecutor(Failing()))


def test_a_job_that_is_asked_to_stop_stops_and_goes_on(jobs, make, model, image):
    job = make.run_network(jobs(image, model))
    stage, done = Sums(), []

    def stop(now):
        if now.finished is not None:
            done.append(now.finished)
            job.folder.request_stop()

    stopping = jobs(image, model, folder=job.folder.path, is_cancelled=lambda: job.folder.stop_requested)
    with pytest.raises(Cancelled):
        run_job(stopping, [stage], LocalExecutor(), stop, lambda: False)
    assert 0 < len(done) < 2 * len(job.grid)
    assert stage.concluded == 0
    job.folder.withdraw_stop()
    run_job(stopping, [stage], LocalExecutor(), lambda _: None, lambda: False)
    assert stage.concluded == 1


class RunsShort:
    """A backend whose memory ends after some windows: from then on no large one fits."""

    def __init__(self, backend, fitting):
        self._backend = backend
        self._fitting = fitting

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def start(self, channels, windows, cancel=None, out=None):
        self._fitting -= 1
        if self._fitting < 0 and len(windows[0].rows) > 350:
            raise MemoryError("nothing is left")
        return self._backend.start(channels, windows, cancel, out)


def test_blocks_are_done_again_where_windows_become_smaller(jobs, make):
    model = make.model(make.card("instance"), 600)
    model.limits.lower("cpu", window=600)
    model._backend = RunsShort(model._backend, 3)
    image = Image((np.random.default_rng(3).random((800, 820)) * 255).astype(np.uint8))
    job, stage = jobs(image, model, block_side=128), Sums()
    run_job(job, [*make.network_stages(), stage], LocalExecutor(stage), lambda _: None, lambda: False)
    assert job.tiling.tiles.window == 300
    for unit in stage.units(job):
        region = grow_block(job.grid.block(unit.number), MARGIN, job.grid.shape)
        expected = job.maps(0)["foreground"][region].sum(dtype=np.float64)
        assert load_arrays(job.folder.unit_file("sums", unit))["found"] == expected
