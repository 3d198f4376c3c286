import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_unetseg.blockwise.local_executor import LocalExecutor
from napari_unetseg.blockwise.network_stage import NetworkStage, batch_size, remarks_of
from napari_unetseg.blockwise.run import run_job
from napari_unetseg.blockwise.stages import Unit
from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.lazy_array import LazyArray

WINDOW = 48


def noise(*shape, dtype=np.uint16, seed=0):
    return (np.random.default_rng(seed).random(shape) * 1000).astype(dtype)


def lazy(array):
    return LazyArray(lambda box: array[box], array.shape, array.dtype, (1,) * (array.ndim - 2) + (16, 16))


@pytest.fixture(scope="module")
def exact(make):
    return make.model(make.card(object_size=20), WINDOW)


@pytest.fixture(scope="module")
def blended(make):
    model = make.model(make.card("instance", object_size=20), WINDOW)
    model.limits.lower("cpu", window=WINDOW)  # too little memory to see an image whole
    return model


@pytest.fixture(scope="module")
def whole(make):
    return make.model(make.card("instance"))


def assert_same_maps(job, model, **how):
    """The maps of each plane are those of the undivided plane, bit for bit, read whole or in parts."""
    for number, (_, plane) in enumerate(job.image.planes()):
        undivided = model.predict(plane, PredictOptions(**how))
        maps = job.maps(number)
        for name, expected in zip(job.card.heads, undivided.probability, strict=True):
            np.testing.assert_array_equal(maps[name], expected)
            rows, columns = (slice(length // 3, length // 3 + length // 2 + 1) for length in plane.shape)
            np.testing.assert_array_equal(maps[name][rows, columns], expected[rows, columns])
        if undivided.agreement is not None:
            np.testing.assert_array_equal(maps["agreement"], undivided.agreement)
        assert job.tiling.tiles.window == undivided.window
        assert len(job.tiling.tiles.tiles) == undivided.tiles


@pytest.mark.parametrize("kind", ["exact", "blended", "whole"])
@pytest.mark.parametrize(
    ("array", "axes", "rgb"),
    [
        (noise(130, 97), "YX", False),
        (noise(70, 101, 3, dtype=np.uint8), "YXC", True),
        (noise(3, 66, 58), "ZYX", False),
        (noise(2, 2, 40, 61, dtype=np.float32), "TCYX", False),
    ],
)
def test_maps_are_those_of_the_undivided_image(jobs, make, request, kind, array, axes, rgb):
    model = request.getfixturevalue(kind)
    job = make.run_network(jobs(Image(lazy(array), axes, rgb), model))
    assert_same_maps(job, model)
    assert (len(job.tiling.tiles.tiles) > 1) == (kind != "whole")


@pytest.mark.parametrize("kind", ["exact", "blended"])
@pytest.mark.parametrize("diameter", [11.3, 20.4, 67])
def test_rescaled_maps_are_those_of_the_undivided_image(jobs, make, request, kind, diameter):
    model = request.getfixturevalue(kind)
    job = make.run_network(jobs(Image(lazy(noise(113, 90))), model, diameter=diameter))
    assert job.tiling.plan.resized_to is not None
    assert_same_maps(job, model, diameter=diameter)


def test_answers_to_flips_and_turns_are_averaged_and_their_agreement_is_kept(jobs, make, exact):
    job = make.run_network(jobs(Image(noise(90, 61)), exact, augment=True, diameter=17))
    assert_same_maps(job, exact, augment=True, diameter=17)


@pytest.mark.parametrize("how", [{}, {"diameter": 13}])
def test_pixels_without_a_value_are_background(jobs, make, exact, how):
    array = noise(2, 90, 70, dtype=np.float32)
    array[0, 30:40, 5:60] = np.nan
    job = make.run_network(jobs(Image(lazy(array), "ZYX"), exact, **how))
    assert_same_maps(job, exact, **how)
    assert not job.maps(0)["foreground"][30:40, 5:60].any()
    assert job.maps(1)["foreground"][30:40, 5:60].all()


@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    diameter=st.one_of(st.none(), st.floats(8, 38)),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape_and_size(jobs, make, exact, blended, height, width, diameter, seed):
    model = (exact, blended)[seed % 2]
    job = make.run_network(jobs(Image(noise(height, width, seed=seed)), model, diameter=diameter))
    assert_same_maps(job, model, diameter=diameter)


def test_what_is_done_is_not_done_again(jobs, make, exact, tmp_path):
    image, folder = Image(noise(100, 100)), tmp_path / "job"
    stopped = jobs(image, exact, folder=folder, is_cancelled=lambda: len([*folder.glob("network-*/*/*.npy")]) > 1)
    with pytest.raises(Cancelled):
        make.run_network(stopped)
    stage = NetworkStage()
    units = list(stage.units(stopped))
    done = [unit for unit in units if stage.is_done(stopped, unit)]
    assert 0 < len(done) < len(units)
    kept = {unit: stopped.answers(0).file(unit.number).stat().st_mtime_ns for unit in done}

    told = []
    job = jobs(image, exact, folder=folder)
    run_job(job, make.network_stages(), LocalExecutor(), told.append, lambda: False)
    finished = [now.finished for now in told if now.stage == "network" and now.finished is not None]
    assert sorted(finished) == sorted(set(units) - set(done))
    assert {unit: job.answers(0).file(unit.number).stat().st_mtime_ns for unit in done} == kept
    assert told[-1].done == pytest.approx(told[-1].total)
    assert_same_maps(job, exact)


def test_what_somebody_looks_at_comes_first(jobs, make, exact):
    job = make.run_network(jobs(Image(noise(100, 100)), exact), focus=(slice(80, 100), slice(80, 100)))
    order = [unit.number for unit in NetworkStage((slice(80, 100), slice(80, 100))).units(job)]
    assert order[0] == order[-1] + max(order) == max(order)


class Sized:
    """A model that asks to see its objects at another size."""

    def __init__(self, model):
        self._model = model
        self.asked = 0

    def __getattr__(self, name):
        return getattr(self._model, name)

    def predict_many(self, requests, options=None):
        self.asked += 1
        return self._model.predict_many(requests, options)


def discs(side, radius, step):
    y, x = np.mgrid[:side, :side]
    inside = (y % step - step // 2) ** 2 + (x % step - step // 2) ** 2 <= radius**2
    return np.where(inside, 200, 10).astype(np.uint8)


def test_the_size_of_the_first_answer_decides_as_it_does_undivided(jobs, make, bright_model):
    from napari_unetseg.service import SegmentationService

    with SegmentationService(bright_model) as service:
        package = service.package
        card = package.card.model_copy(update={"object_size": 12.0, "object_sizes": (8.0, 16.0)})
        sees_large = Image(discs(160, 15, 40))
        with service._models.borrow(package) as model:
            model.card = card
            sized = Sized(model)
            job = make.run_network(jobs(sees_large, sized))
            plan = job.tiling.plan
            assert plan.diameter == pytest.approx(30, abs=1.5)
            assert "was rescaled for the model" in plan.remarks[0]
            assert sized.asked == 2
            assert_same_maps(job, model, diameter=plan.diameter)
            # A run that goes on has that decision already.
            make.run_network(jobs(sees_large, sized, folder=job.folder.path))
            assert sized.asked == 2

            fits = make.run_network(jobs(Image(discs(160, 6, 20)), sized))
            assert fits.tiling.plan.resized_to is None


class ShortOfMemory:
    """A backend that has no room for more than so many pixels at once."""

    def __init__(self, backend, room):
        self._backend = backend
        self._room = room

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def start(self, channels, windows, cancel=None, out=None):
        if len(windows) * len(windows[0].rows) * len(windows[0].columns) > self._room:
            raise MemoryError("nothing is left")
        return self._backend.start(channels, windows, cancel, out)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_windows_become_smaller_where_memory_runs_out(jobs, make, norm):
    model = make.model(make.card(norm))
    model._backend = ShortOfMemory(model._backend, 300**2)
    image = Image(noise(600, 400))
    job = make.run_network(jobs(image, model))
    tiling = job.tiling
    assert tiling.tiles.window <= 300
    assert remarks_of(job)[0].startswith("Memory ran out; went on with tiles of")
    assert batch_size(job) == 1
    assert [path.name for path in job.folder.path.glob("network-*")] == [f"network-{tiling.plan.key}"]
    assert_same_maps(job, model)


def test_a_unit_is_a_tile(jobs, make, exact):
    job = make.run_network(jobs(Image(noise(100, 60)), exact))
    stage = NetworkStage()
    before = np.array(job.maps(0)["distance"])
    job.answers(0).file(1).unlink()
    assert not stage.is_done(job, Unit(0, 1))
    stage.do(job, Unit(0, 1))
    assert stage.is_done(job, Unit(0, 1))
    np.testing.assert_array_equal(job.maps(0)["distance"], before)
