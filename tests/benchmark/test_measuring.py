"""A tiny model, really measured on the CPU."""

import pytest
import torch

from napari_unetseg.benchmark import benchmarked_model, measuring
from napari_unetseg.benchmark.batch_tuning import TileShape, TrialBatch
from napari_unetseg.benchmark.benchmarked_model import load_benchmarked_model
from napari_unetseg.benchmark.measuring import DeviceBench, plan_for, tile_shapes
from napari_unetseg.benchmark.memory_process import MemoryProbe
from napari_unetseg.errors import OutOfMemory, UnetsegError
from napari_unetseg.inference.backends import make_backend
from napari_unetseg.inference.backends.selection import BackendRequest, ExecutionPlan
from napari_unetseg.service.machine_profile import cpu_name
from napari_unetseg.zoo.registry import find_model

TORCH = ExecutionPlan("torch", "float32", "Tests know it.")
TILE = TileShape(64, 64, 1024)


@pytest.fixture
def benchmarked(bright_model):
    return load_benchmarked_model(find_model(bright_model), "cpu", BackendRequest("torch", "float32"))


def test_the_memory_of_a_batch_grows_with_it(bright_model):
    with MemoryProbe(bright_model, TORCH) as probe:
        seconds, small = probe.measure(1, 256, 256)
        _, large = probe.measure(8, 512, 512)
    # The input alone takes 8 x 3 x 512 x 512 x 4 bytes, and the network's first map a third more.
    assert large > 8 * (3 + 4) * 512**2 * 4
    assert small < large
    assert seconds > 0


def test_a_process_that_fails_is_an_error_with_its_status(tmp_path, capfd):
    with MemoryProbe(tmp_path / "nothing", TORCH) as probe, pytest.raises(UnetsegError, match="status 1"):
        probe.measure(1, 64, 64)
    assert "There is no model" in capfd.readouterr().err


def test_a_process_that_is_killed_ran_out_of_memory_and_another_takes_its_place(bright_model):
    with MemoryProbe(bright_model, TORCH) as probe:
        probe.measure(1, 64, 64)
        probe._process.kill()
        with pytest.raises(MemoryError):
            probe.measure(1, 64, 64)
        assert probe.measure(1, 64, 64)[0] > 0


def test_a_trial_and_a_run_on_the_cpu(benchmarked):
    with DeviceBench(benchmarked) as bench:
        trial = bench.trial(TrialBatch(2, TILE))
        assert trial.seconds > 0
        # However short the run: its batch of two images of three channels was there.
        assert trial.peak_bytes >= 2 * 3 * 64**2 * 4
        assert bench.seconds(TrialBatch(2, TILE)) > 0


@pytest.mark.parametrize("keeps_memory", [True, False])
def test_memory_is_kept_only_as_the_settings_say(bright_model, monkeypatch, keeps_memory):
    kept = []
    monkeypatch.setattr(make_backend, "keep_freed_memory", lambda: kept.append(True))
    benchmarked = load_benchmarked_model(
        find_model(bright_model), "cpu", BackendRequest("torch", "float32"), keeps_memory=keeps_memory
    )
    assert kept == [True] * keeps_memory
    with DeviceBench(benchmarked) as bench:
        assert bench._probe._line[-1] == ("keep" if keeps_memory else "return")


def test_out_of_memory_is_told_from_other_errors(benchmarked, monkeypatch):
    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(benchmarked.backend, "run", fail)
    with pytest.raises(MemoryError):
        DeviceBench(benchmarked).seconds(TrialBatch(1, TILE))


@pytest.mark.parametrize(
    ("step", "words"),
    [("make_backend", "bright: memory ran out while the model was loaded"), ("time_run", "Memory ran out while the")],
)
def test_a_model_without_room_is_said(bright_model, monkeypatch, step, words):
    def full(*_arguments, **_options):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(benchmarked_model, step, full)

    def load_and_warm_up():
        model = load_benchmarked_model(find_model(bright_model), "cpu", BackendRequest("torch", "float32"))
        benchmarked_model.warm_up(model.backend, model.package.card)

    with pytest.raises(OutOfMemory, match=f"^{words}"):
        load_and_warm_up()


def test_another_error_stays_what_it_is(benchmarked, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(benchmarked.backend, "run", fail)
    with pytest.raises(RuntimeError, match="mat1"):
        DeviceBench(benchmarked).seconds(TrialBatch(1, TILE))


def test_windows_lie_on_the_grid_and_keep_what_is_between_their_halos(benchmarked):
    # One pooling: the receptive radius of this network is 8 pixels, on a grid of 2.
    halo = benchmarked.backend.receptive_radius + benchmarked.backend.receptive_radius % 2
    shapes = tile_shapes(benchmarked.backend, benchmarked.package.card, (2, 101, 512))
    assert [(shape.height, shape.width, shape.kept) for shape in shapes] == [
        (100, 100, (100 - 2 * halo) ** 2),
        (512, 512, (512 - 2 * halo) ** 2),
    ]
    (smallest,) = tile_shapes(benchmarked.backend, benchmarked.package.card, (2,))
    assert smallest.side == 4 * halo


def test_a_model_that_wants_one_size_is_measured_at_that(benchmarked):
    card = benchmarked.package.card.model_copy(update={"image_size": (96, 128)})
    assert tile_shapes(benchmarked.backend, card, (512,)) == (TileShape(96, 128, 96 * 128),)


def test_a_model_that_looks_at_the_whole_image_keeps_its_window(benchmarked, monkeypatch):
    monkeypatch.setattr(benchmarked.backend, "receptive_radius", None)
    (shape,) = tile_shapes(benchmarked.backend, benchmarked.package.card, (512,))
    # Windows of 1024 pixels that overlap by a quarter.
    assert shape == TileShape(1024, 1024, 768**2)
    assert not plan_for(benchmarked).window_is_free


def test_the_plan_fits_the_device(benchmarked, monkeypatch):
    monkeypatch.setattr(measuring, "total_memory", lambda _: 1000)
    plan = plan_for(benchmarked)
    assert plan.batch_sizes == (1, 2, 4)
    assert [tile.side for tile in plan.tiles] == [512, 768, 1152, 1536, 2560]
    monkeypatch.setattr(benchmarked.backend, "in_bands", False)
    assert [tile.side for tile in plan_for(benchmarked).tiles] == [512, 768, 1152, 1536]
    assert (plan.safe_bytes, plan.window_is_free) == (500, True)
    quick = plan_for(benchmarked, quick=True)
    assert quick.repeats < plan.repeats
    assert len(quick.tiles) < len(plan.tiles)
    assert benchmarked.device_name == cpu_name()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_trial_on_a_gpu(bright_model):
    benchmarked = load_benchmarked_model(find_model(bright_model), "cuda", BackendRequest("torch"))
    with DeviceBench(benchmarked) as bench:
        small, large = (bench.trial(TrialBatch(n, TileShape(256, 256, 1))) for n in (1, 8))
    assert 3 * 256**2 * 4 <= small.peak_bytes < large.peak_bytes
    assert benchmarked.device_name == torch.cuda.get_device_name()
