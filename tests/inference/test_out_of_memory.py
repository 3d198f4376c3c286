"""Memory that runs out, by backends that refuse more than so many pixels at once."""

import numpy as np
import pytest
import torch

from napari_unetseg.errors import DeviceError, UnetsegError, is_out_of_memory, one_line, panics_are_errors
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.run_at_once import run_at_once
from napari_unetseg.inference.out_of_memory import Limit, Limits
from napari_unetseg.inference.predict import predict, predict_many
from napari_unetseg.inference.prediction import Prediction, PredictOptions

GPU = Device("mps", "It is pretended.")


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def image(*shape, name="scan"):
    return Image(noise(*shape), name=name)


class Scarce:
    """A backend that works, as long as no batch has more pixels than there is room for."""

    def __init__(self, backend, room, error=None, device=None):
        self._backend = backend
        self._room = room
        self._error = error or MemoryError()
        self.device = device or backend.device
        self.shapes = []

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def run(self, batch, cancel=None, out=None):
        self.shapes.append(batch.shape)
        if batch[:, 0].size > self._room:
            raise self._error
        return self._backend.run(batch, cancel, out)

    def start(self, channels, windows, cancel=None, out=None):
        return run_at_once(self, channels, windows, cancel, out)


def caused_by(cause):
    error = RuntimeError("the export failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((3, 9), np.dtype(np.float32)),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("could not create a primitive"),
        RuntimeError("can't start new thread"),
        Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : BFCArena::Alloc Failed to allocate memory for"),
        Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bad allocation"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
        SystemError("error return without exception set"),
        caused_by(MemoryError()),
    ],
    ids=str,
)
def test_every_librarys_words_are_understood(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape mismatch"),
        DeviceError("GPU memory ran out: not enough memory"),
        caused_by(ValueError("shape")),
        caused_by(DeviceError("GPU memory ran out: not enough memory")),
    ],
)
def test_other_errors_are_none_of_it(error):
    assert not is_out_of_memory(error)


def test_what_is_said_of_it_is_the_words_of_the_cause():
    said = one_line(caused_by(OSError(12, "Cannot allocate memory")))
    assert said.startswith("not enough memory ([Errno 12] Cannot allocate memory);")


def test_a_panic_of_safetensors_is_a_lack_of_memory():
    panic = type("PanicException", (BaseException,), {})
    with pytest.raises(MemoryError, match="null"), panics_are_errors():
        raise panic("PyObject pointer is null")
    with pytest.raises(KeyboardInterrupt), panics_are_errors():
        raise KeyboardInterrupt


def test_pytorch_itself_is_understood():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)


def test_first_the_batch_is_halved_then_the_window(card, counting_backend):
    backend = counting_backend(room=30 * 30)
    steps, limits = [], Limits()
    prediction = predict(
        image(200, 200), card, backend, PredictOptions(window=80, batch_size=5, limits=limits, on_step=steps.append)
    )
    assert [step.text for step in steps] == [
        "Memory ran out; went on with 2 tiles at once.",
        "Memory ran out; went on with 1 tile at once.",
        "Memory ran out; went on with tiles of 40 pixels.",
        "Memory ran out; went on with tiles of 24 pixels.",
    ]
    tried = [(shape[0], shape[2]) for shape in backend.shapes]
    assert tried[:4] == [(5, 80), (2, 80), (1, 80), (1, 40)]
    assert set(tried[4:]) == {(1, 24)}
    assert (prediction.probability == 0.75).all()
    assert prediction.window == 24
    assert prediction.warnings == tuple(step.text for step in steps)
    assert limits.of("cpu") == Limit(1, 24)
    assert backend.released == 4
    assert all(step.time for step in steps)


def test_what_fitted_is_remembered_for_the_next_image(card, counting_backend):
    backend = counting_backend(room=45 * 45)
    limits = Limits()
    options = PredictOptions(window=80, batch_size=4, limits=limits)
    predict(image(200, 200), card, backend, options)
    seen = len(backend.shapes)
    prediction = predict(image(200, 200), card, backend, options)
    assert {shape[:1] + shape[2:] for shape in backend.shapes[seen:]} == {(1, 40, 40)}
    assert prediction.warnings == ()
    predict(image(200, 200), card, backend, PredictOptions(window=80, batch_size=4))
    assert backend.shapes[-1][2] == 40


def test_other_devices_are_not_limited_by_it(card, counting_backend):
    limits = Limits()
    predict(image(200, 200), card, counting_backend(room=45 * 45, device=GPU), PredictOptions(window=80, limits=limits))
    assert (limits.of("mps"), limits.of("cpu")) == (Limit(1, 40), Limit())
    cpu = counting_backend()
    predict(image(200, 200), card, cpu, PredictOptions(window=80, limits=limits))
    assert cpu.shapes[0][2] > 40


def test_a_limit_is_only_ever_lowered():
    limits = Limits()
    limits.lower("cpu", batch_size=2, window=64)
    limits.lower("cpu", batch_size=4)
    limits.lower("cpu", window=32)
    assert limits.of("cpu") == Limit(2, 32)


def test_the_answer_of_exact_tiles_stays_the_same(make, runtime, card):
    backend = runtime(make.network())
    expected = predict(image(200, 150), card, backend)
    for room in (2 * 80 * 80, 75 * 75):
        scarce = Scarce(backend, room)
        prediction = predict(image(200, 150), card, scarce, PredictOptions(window=160, batch_size=4))
        assert np.abs(prediction.probability - expected.probability).max() <= 1e-5
        assert len(scarce.shapes) > prediction.tiles  # it did run out


def test_blended_windows_are_a_new_answer_and_the_user_is_told(make, card):
    backend = make.backend(make.network(norm="instance"))
    steps = []
    scarce = Scarce(backend, 300 * 300)
    prediction = predict(image(600, 300), card, scarce, PredictOptions(on_step=steps.append))
    expected = predict(image(600, 300), card, backend, PredictOptions(largest_whole=1, window=300))
    np.testing.assert_array_equal(prediction.probability, expected.probability)
    assert scarce.shapes[:2] == [(1, 3, 600, 300), (1, 3, 300, 300)]
    (step,) = steps
    assert step.text == (
        "Memory ran out; went on with tiles of 300 pixels. "
        "This model looks at the whole of what it sees, so smaller tiles change the answer."
    )
    assert step.text in prediction.warnings
    (blended,) = set(prediction.warnings) - {step.text}
    assert "scan: with 600 x 300 pixels it is too large" in blended
    assert "300 x 300 pixels, blended" in blended


def test_blended_windows_do_not_become_too_small_to_mean_anything(make, card):
    backend = make.backend(make.network(norm="instance"))
    scarce = Scarce(backend, 100)
    with pytest.raises(DeviceError, match="single tile of 256 x 256 pixels"):
        predict(image(600, 300), card, scarce)
    assert [shape[2:] for shape in scarce.shapes] == [(600, 300), (300, 300), (256, 256)]


@pytest.mark.parametrize("on_gpu", [True, False])
def test_where_nothing_fits_the_user_is_told_what_to_do(card, counting_backend, on_gpu):
    backend = counting_backend(room=0, device=GPU) if on_gpu else counting_backend(room=0)
    words = "scan: GPU memory ran out.*choose the device 'cpu'" if on_gpu else "scan: Memory ran out.*more memory"
    with pytest.raises(DeviceError, match=words):
        predict(image(200, 200), card, backend, PredictOptions(window=80, batch_size=4))
    # Never an endless retry: each size once.
    assert [(shape[0], shape[2]) for shape in backend.shapes] == [(4, 80), (2, 80), (1, 80), (1, 40), (1, 24)]


def test_the_cpu_takes_over_with_its_own_sizes(card, counting_backend):
    gpu, cpu = counting_backend(room=0, device=GPU), counting_backend()
    calls, steps = [], []
    prediction = predict(
        image(200, 200),
        card,
        gpu,
        PredictOptions(window=80, batch_size=4, fallback=lambda: calls.append(1) or cpu, on_step=steps.append),
    )
    assert (prediction.probability == 0.75).all()
    assert calls == [1]
    assert [step.text for step in steps[-2:]] == [
        "GPU memory ran out; went on with tiles of 24 pixels.",
        "GPU memory ran out; the CPU took over, which is slower.",
    ]
    assert {shape[:1] + shape[2:] for shape in cpu.shapes} == {(1, 80, 80)}


def test_on_the_cpu_the_steps_begin_anew_and_end(card, counting_backend):
    gpu, cpu = counting_backend(room=0, device=GPU), counting_backend(room=0)
    with pytest.raises(DeviceError, match="Memory ran out even"):
        predict(image(200, 200), card, gpu, PredictOptions(window=80, batch_size=2, fallback=lambda: cpu))
    assert [(shape[0], shape[2]) for shape in cpu.shapes] == [(1, 80), (1, 40), (1, 24)]


def test_a_fallback_that_fails_is_the_result(card, counting_backend):
    def fallback():
        raise UnetsegError("the weights are gone")

    with pytest.raises(UnetsegError, match="weights are gone"):
        predict(image(9, 9), card, counting_backend(room=0, device=GPU), PredictOptions(fallback=fallback))


def test_a_stretched_image_goes_to_the_cpu_at_once(card, counting_backend):
    card = card.model_copy(update={"image_size": (32, 32)})
    gpu, cpu = counting_backend(room=0, device=GPU), counting_backend()
    predict(image(90, 90), card, gpu, PredictOptions(fallback=lambda: cpu))
    assert (gpu.shapes, cpu.shapes) == ([(1, 3, 32, 32)], [(1, 3, 32, 32)])


def test_what_is_finished_is_kept_where_the_windows_stay_the_same(card, counting_backend):
    gpu, cpu = counting_backend(device=GPU), counting_backend()
    run = gpu.run

    def fail_later(batch, cancel=None, out=None):
        if len(gpu.shapes) >= 5:
            gpu.room = 0
        return run(batch, cancel, out)

    gpu.run = fail_later
    limits = Limits()
    limits.lower("mps", window=20)
    limits.lower("cpu", window=20)
    reported = []
    prediction = predict(
        image(60, 60),
        card,
        gpu,
        PredictOptions(batch_size=1, limits=limits, fallback=lambda: cpu, progress=lambda *done: reported.append(done)),
    )
    assert prediction.tiles == len(reported) == 5 + len(cpu.shapes)
    assert reported == [(index + 1, prediction.tiles) for index in range(prediction.tiles)]
    assert (prediction.probability == 0.75).all()


def test_finished_images_stay_and_only_those_under_way_are_warned(card, counting_backend):
    backend = counting_backend(room=2 * 50 * 50)
    given = [image(40, 40, name=f"small {index}") for index in range(4)] + [image(100, 100, name="large")]
    results = list(predict_many(given, card, backend, PredictOptions(batch_size=2)))
    assert all(isinstance(result, Prediction) for result in results)
    assert [len(result.warnings) for result in results] == [0, 0, 0, 0, 1]
    assert results[4].warnings == ("Memory ran out; went on with tiles of 50 pixels.",)


def test_all_images_under_way_go_on_with_the_smaller_window(card, counting_backend):
    backend = counting_backend(room=80 * 80)
    given = [image(100, 100, name=f"image {index}") for index in range(3)]
    steps = []
    results = list(predict_many(given, card, backend, PredictOptions(batch_size=2, window=100, on_step=steps.append)))
    assert all((result.probability == 0.75).all() for result in results)
    # 100 pixels are tried twice, by two and alone, and never again.
    assert [shape[0] for shape in backend.shapes if shape[2] == 100] == [2, 1]
    assert len(steps) == 2


def test_memory_that_ends_while_a_window_is_read_is_the_same_case(card, counting, monkeypatch):
    from napari_unetseg.inference import image_task

    read = image_task.TileWindow.read

    def scarce(self, out):
        if out[0].size > 45 * 45:
            raise np._core._exceptions._ArrayMemoryError(out.shape, out.dtype)
        read(self, out)

    monkeypatch.setattr(image_task.TileWindow, "read", scarce)
    prediction = predict(image(200, 200), card, counting, PredictOptions(window=80))
    assert prediction.warnings == ("Memory ran out; went on with tiles of 40 pixels.",)
    assert (prediction.probability == 0.75).all()


def test_an_image_whose_result_does_not_fit_gives_an_error_and_the_others_go_on(card, counting, monkeypatch):
    from napari_unetseg.inference import image_task

    zeros = np.zeros

    def scarce(shape, dtype=float):
        if np.prod(shape) > 2 * 100 * 100:
            raise MemoryError
        return zeros(shape, dtype)

    monkeypatch.setattr(image_task.np, "zeros", scarce)
    results = list(predict_many([image(200, 200), image(90, 90)], card, counting))
    assert "scan: memory ran out for the result of its 200 x 200 pixels" in str(results[0])
    assert isinstance(results[0], UnetsegError)
    assert isinstance(results[1], Prediction)


def test_the_tensors_of_a_failed_try_are_gone_before_the_next(card, counting_backend):
    import gc
    import weakref

    backend = counting_backend(room=45 * 45)
    held, alive, run = [], [], backend.run

    def watch(batch, cancel=None, out=None):
        alive.append(sum(one() is not None for one in held))
        activations = np.empty(3)
        held.append(weakref.ref(activations))
        return run(batch, cancel, out)

    backend.run = watch
    gc.disable()
    try:
        predict(image(200, 200), card, backend, PredictOptions(window=80, batch_size=4))
    finally:
        gc.enable()
    assert alive == [0] * len(alive)
    assert len(alive) > 3
