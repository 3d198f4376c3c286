import numpy as np
import pytest
import torch

from napari_unetseg import SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.errors import DeviceError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.run_at_once import run_at_once
from napari_unetseg.inference.backends.selection import BackendRequest, ExecutionPlan
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.inference.out_of_memory import Limit
from napari_unetseg.inference.prediction import Prediction
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.service.loaded_model import BatchShape, LoadedModel, load_model
from napari_unetseg.service.machine_profile import TunedBatch, device_name, profile_path, write_profile
from napari_unetseg.service.recipe_text import as_command, as_python
from napari_unetseg.service.run_recipe import RunRecipe
from napari_unetseg.zoo.registry import find_model

TORCH = ExecutionPlan("torch", "float32", "Tests know its numbers.")
SQUARE = Image(np.pad(np.full((20, 20), 200, np.uint8), 40), name="square")


def settings(**sections):
    return Settings.model_validate({"unet": {"model": {"device": "cpu"}} | sections})


@pytest.fixture
def package(bright_model):
    return find_model(bright_model)


@pytest.fixture
def loaded_model(package):
    return load_model(package, settings())


@pytest.fixture
def seen(monkeypatch):
    """Shapes of the batches that networks saw."""
    shapes, run = [], TorchBackend.run

    def watch(self, batch, cancel=None, out=None):
        shapes.append(batch.shape)
        return run(self, batch, cancel, out)

    monkeypatch.setattr(TorchBackend, "run", watch)
    return shapes


class PretendedGpu:
    """A backend that says it is on a GPU, and computes on the CPU as long as it has memory."""

    device = Device("mps", "It is pretended.")

    def __init__(self, backend):
        self._backend = backend
        self.has_memory = True

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def run(self, batch, cancel=None, out=None):
        if not self.has_memory:
            raise torch.OutOfMemoryError("out of memory")
        return self._backend.run(batch, cancel, out)

    def start(self, channels, windows, cancel=None, out=None):
        return run_at_once(self, channels, windows, cancel, out)


@pytest.fixture
def gpu(loaded_model):
    return PretendedGpu(loaded_model.backend)


def test_it_knows_its_size(loaded_model):
    weights = 3 * 4 * 9 + 4 * 4 * 9 + 4 * 8 * 9 + 8 * 8 * 9 + 8 * 4 * 4 + 4 + 8 * 4 * 9 + 4 * 4 * 9 + 8 + 2
    channels, norms = 2 * 4 + 2 * 8 + 2 * 4, 6
    assert loaded_model.parameters_count == weights + 2 * channels
    # Of each norm also running means and variances, and a count of batches.
    assert loaded_model.bytes_held == 4 * (weights + 4 * channels) + 8 * norms


def test_one_and_many_images_give_the_same(loaded_model):
    alone = loaded_model.predict(SQUARE)
    together = list(loaded_model.predict_many([SQUARE, ValueError("bad"), SQUARE]))
    assert [type(result) for result in together] == [Prediction, ValueError, Prediction]
    for result in (together[0], together[2]):
        np.testing.assert_array_equal(result.probability, alone.probability)


def test_labels_of_images_that_share_batches_are_those_of_single_runs():
    nuclei = find_model("nuclei")
    shared = load_model(nuclei, settings(inference={"batch_size": 4}))
    single = load_model(nuclei, settings())
    y, x = np.mgrid[:96, :128]
    lattice = (np.sin(x / 6) * np.sin(y / 6)) ** 2 + np.random.default_rng(0).normal(0, 0.05, x.shape)
    images = [Image(lattice[: 96 - 7 * (n % 2), n:]) for n in (0, 0, 1, 2, 3, 16)]
    together = list(shared.predict_many(images))
    for image, result in zip(images, together, strict=True):
        labels = [
            decode(one.probability, nuclei.card.heads, nuclei.card.parameters)
            for one in (result, single.predict(image))
        ]
        np.testing.assert_array_equal(*labels)
        assert labels[0].max() > 10


def test_settings_set_the_batch_size_and_the_window(package, seen):
    loaded_model = load_model(package, settings(inference={"batch_size": 3, "window": 64}))
    loaded_model.predict(Image(np.ones((200, 200))))
    assert seen[0][0] == 3
    assert max(seen[0][2:]) <= 64
    assert load_model(package, settings()).predict(Image(np.ones((200, 200)))).tiles == 1


def test_what_was_measured_holds_where_no_setting_does(package, seen):
    sha256 = package.card.weights.sha256
    write_profile(device_name("cpu"), sha256, TunedBatch(batch_size=2, max_batch_size=4, window=96, max_window=128))
    try:
        load_model(package, settings()).predict(Image(np.ones((200, 200))))
        load_model(package, settings(inference={"window": 64})).predict(Image(np.ones((200, 200))))
    finally:
        profile_path().unlink()
    first = seen[0]
    assert (first[0], max(first[2:]) <= 96) == (2, True)
    assert max(seen[-1][2:]) <= 64 < max(first[2:])


def test_settings_limit_the_pools(package):
    loaded_model = load_model(package, settings(memory={"max_pool_size_gb": 0}))
    loaded_model.predict(SQUARE)
    assert loaded_model.pools.input.report().held_bytes == 0
    loaded_model = load_model(package, settings(memory={"pool_size_multiplier": 1}))
    with loaded_model.backend.buffers((1, 3, 8, 8)), loaded_model.backend.buffers((1, 3, 8, 8)):
        pass
    assert loaded_model.pools.input.report().held_bytes == 3 * 8 * 8 * 4
    loaded_model = load_model(package, settings(memory={"enable_gpu_pools": False}))
    with loaded_model.pools.input.lease((8,), device="meta"):
        assert loaded_model.pools.input.report().leased_bytes == 0


def test_arguments_go_before_settings(package):
    with pytest.raises(DeviceError, match="no device 'tpu'"):
        load_model(package, settings(), device="tpu")


def test_closing_frees_the_buffers(loaded_model):
    loaded_model.predict(SQUARE)
    assert loaded_model.pools.input.report().held_bytes > 0
    loaded_model.close()
    assert loaded_model.pools.input.report().held_bytes == loaded_model.pools.output.report().held_bytes == 0


def test_steps_are_kept_and_the_working_size_too(package, monkeypatch):
    loaded_model = load_model(package, settings(inference={"batch_size": 4, "window": 64}))
    run = TorchBackend.run

    def fail(self, batch, cancel=None, out=None):
        if len(batch) > 1:
            raise MemoryError
        return run(self, batch, cancel, out)

    monkeypatch.setattr(TorchBackend, "run", fail)
    image = Image(np.ones((200, 200)))
    first, second = loaded_model.predict(image), loaded_model.predict(image)
    assert [step.text for step in loaded_model.memory_steps] == [
        "Memory ran out; went on with 2 tiles at once.",
        "Memory ran out; went on with 1 tile at once.",
    ]
    assert first.warnings == tuple(step.text for step in loaded_model.memory_steps)
    assert second.warnings == ()
    assert loaded_model.limits.of("cpu") == Limit(batch_size=1)


@pytest.fixture
def unasked(monkeypatch, processor_with_bfloat16):
    """Nobody asks for a precision, and the processor has instructions for bfloat16."""
    monkeypatch.delenv("UNET_MODEL_PRECISION")


def test_unasked_a_processor_with_bfloat16_computes_in_it(package, unasked):
    exact = load_model(package, settings(), backend_request=BackendRequest(precision="float32"))
    loaded_model = load_model(package, settings())
    assert (loaded_model.plan.backend, loaded_model.plan.precision) == ("torch", "bfloat16")
    assert loaded_model.backend.precision == "bfloat16"
    assert exact.plan.reason != loaded_model.plan.reason
    chosen, expected = (one.predict(SQUARE).probability for one in (loaded_model, exact))
    assert np.abs(chosen - expected).max() <= 0.02
    np.testing.assert_array_equal(chosen >= 0.5, expected >= 0.5)


def test_a_size_measured_in_one_precision_is_not_that_of_another(package, unasked, seen):
    sha256 = package.card.weights.sha256
    write_profile(device_name("cpu"), sha256, TunedBatch(batch_size=2, max_batch_size=4, window=96, max_window=128))
    load_model(package, settings()).predict(Image(np.ones((200, 200))))
    assert seen[-1][2:] == (200, 200)
    size = TunedBatch(batch_size=1, max_batch_size=1, window=64, max_window=64)
    write_profile(device_name("cpu"), sha256, size, "torch", "bfloat16")
    load_model(package, settings()).predict(Image(np.ones((200, 200))))
    assert max(seen[-1][2:]) <= 64
    profile_path().unlink()


def test_a_result_says_its_precision_and_a_recipe_repeats_it(bright_model, unasked):
    with SegmentationService(bright_model, settings=settings()) as service:
        first = service.segment(SQUARE)
        health = service.health()
    assert first.provenance.precision == health.precision == "bfloat16"
    assert health.service_healthy
    assert health.backend_reason.startswith("bfloat16")
    recipe = RunRecipe.of(first.provenance)
    assert "--precision bfloat16" in as_command(recipe)
    assert "precision='bfloat16'" in as_python(recipe)
    with recipe.service(settings(model={"device": "cpu", "precision": "float32"})) as service:
        again = service.segment(SQUARE, **recipe.segment_options())
    assert again.provenance.precision == "bfloat16"
    np.testing.assert_array_equal(again.labels, first.labels)


def test_after_the_gpu_the_cpu_goes_on_for_good(package, gpu, seen):
    cpu, calls = load_model(package, settings()).backend, []
    loaded_model = LoadedModel(
        package.card,
        TORCH,
        gpu,
        batch_shape_on=lambda kind, _way: BatchShape(window=40 if kind == "cpu" else 96),
        fallback=lambda: calls.append(1) or (TORCH, cpu),
    )
    expected = loaded_model.predict(SQUARE).probability
    gpu.has_memory = False
    prediction = loaded_model.predict(SQUARE)
    np.testing.assert_allclose(prediction.probability, expected, atol=1e-6)
    assert "the CPU took over" in prediction.warnings[-1]
    assert (loaded_model.backend, loaded_model.device.kind) == (cpu, "cpu")
    again = loaded_model.predict(SQUARE)
    assert (again.warnings, again.window <= 40 < prediction.window) == ((), True)
    assert calls == [1]


def test_without_the_fallback_the_user_is_told(package, gpu):
    gpu.has_memory = False
    loaded_model = LoadedModel(package.card, TORCH, gpu)
    with pytest.raises(DeviceError, match=r"square: GPU memory ran out .* choose the device 'cpu'"):
        loaded_model.predict(SQUARE)
    assert loaded_model.device.kind == "mps"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_a_gpus_memory_is_given_back(package):
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    loaded_model = load_model(package, settings(model={"device": "cuda"}))
    first = loaded_model.predict(SQUARE)
    np.testing.assert_array_equal(loaded_model.predict(SQUARE).probability, first.probability)
    report = loaded_model.pools.input.report()
    assert (report.misses, report.hits) == (2, 2)  # pinned staging and device input, found again
    loaded_model.close()
    del loaded_model
    assert torch.cuda.memory_reserved() <= before
