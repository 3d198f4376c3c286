"""Compiling in the background, with compilers that are told when to be done and how to fail."""

import gc
import logging
import threading
import weakref

import pytest
import torch

from napari_unetseg.inference.backends.gpu import compilation
from napari_unetseg.inference.backends.gpu.compilation import MOST_SHAPES, CompiledNetwork

SECONDS = 60  # so long a test waits before it fails


class Compiler:
    """Stands for Inductor: it returns `answer`, once it is released."""

    def __init__(self, answer=None, error=None):
        self.released, self.began = threading.Event(), threading.Event()
        self.released.set()
        self.shapes, self.calls = [], 0
        self._answer, self._error = answer, error

    def __call__(self, network, example):
        self.shapes.append(tuple(example.shape))
        self.began.set()
        assert self.released.wait(SECONDS)
        if self._error is not None:
            raise self._error

        def run(x):
            self.calls += 1
            return network(x) if self._answer is None else self._answer(network, x)

        return run


class Later:
    """Compiled code that works when it is tried and fails when it is used."""

    def __init__(self, error):
        self._error, self._tried = error, False

    def __call__(self, network, x):
        if self._tried:
            raise self._error
        self._tried = True
        return network(x)


def batch(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)


@pytest.fixture
def network(make):
    return make.network()


@pytest.fixture
def made(network):
    return lambda compiler, **options: CompiledNetwork(network, "cpu", compiler=compiler, **options)


@pytest.fixture
def x(network):
    return batch(2, network.in_channels, 32, 48)


@torch.inference_mode()
def call(compiled, x, times=1):
    for _ in range(times):
        found = compiled(x)
    assert compiled.wait(SECONDS)
    return found


def test_the_network_answers_while_it_is_compiled(made, network, x):
    compiler = Compiler()
    compiler.released.clear()
    compiled = made(compiler)
    assert compiled.compilation == "The network is compiled once batches of one size come again."
    with torch.inference_mode():
        expected = network(x)
        assert torch.equal(compiled(x), expected)
        assert not compiler.began.is_set()
        assert torch.equal(compiled(x), expected)
        assert compiler.began.wait(SECONDS)
        assert torch.equal(compiled(x), expected)
        assert (compiled.compilation, compiler.calls) == (
            "The network is being compiled and answers meanwhile, more slowly.",
            0,
        )
        assert not compiled.wait(0)
        compiler.released.set()
        assert compiled.wait(SECONDS)
        tried = compiler.calls
        assert torch.equal(compiled(x), expected)
    assert compiler.calls == tried + 1
    assert compiled.compilation == "The network is compiled for batches of one size."


def test_only_what_comes_again_is_compiled_for_and_no_more_than_a_few(made, network):
    compiler = Compiler()
    compiled = made(compiler)
    shapes = [(1, network.in_channels, 16, 16 * side) for side in range(1, MOST_SHAPES + 4)]
    for shape in shapes:
        call(compiled, batch(*shape))
    assert compiler.shapes == []
    for shape in shapes:
        call(compiled, batch(*shape), times=3)
    assert compiler.shapes == shapes[:MOST_SHAPES]
    assert compiled.compilation == f"The network is compiled for {MOST_SHAPES} sizes of batches."


def test_another_layout_of_the_same_size_is_another_shape(made, x):
    compiler = Compiler()
    compiled = made(compiler)
    call(compiled, x, times=2)
    tried = compiler.calls
    call(compiled, x.contiguous())
    assert compiler.calls == tried


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        (Compiler(error=RuntimeError("no such kernel\nat line 3")), "RuntimeError: no such kernel"),
        (Compiler(error=SyntaxError("odd")), "SyntaxError: odd"),
        (Compiler(answer=lambda network, x: network(x) + 1), "ArithmeticError: its results are off by"),
        (Compiler(answer=lambda network, x: network(x) * torch.nan), "ArithmeticError: its results are off by nan"),
        (Compiler(answer=Later(RuntimeError("launch failed"))), "RuntimeError: launch failed"),
    ],
)
def test_where_it_fails_the_network_goes_on_and_that_is_said_once(made, network, x, caplog, compiler, reason):
    compiled = made(compiler)
    with caplog.at_level(logging.WARNING, "napari_unetseg"), torch.inference_mode():
        expected = network(x)
        for _ in range(3):
            assert torch.equal(call(compiled, x, times=2), expected)
            call(compiled, batch(1, network.in_channels, 16, 16), times=2)
    assert compiled.compilation.startswith(f"The network is not compiled. Compiling it failed ({reason}")
    assert "\n" not in compiled.compilation
    assert [record.getMessage() for record in caplog.records] == [compiled.compilation]
    assert len(compiler.shapes) <= 2


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate.")])
@pytest.mark.parametrize("when", ["compiled", "used"])
def test_where_memory_lacks_one_size_stays_as_it_is(made, network, x, caplog, error, when):
    compiler = Compiler(error=error) if when == "compiled" else Compiler(answer=Later(error))
    compiled = made(compiler)
    with caplog.at_level(logging.WARNING, "napari_unetseg"), torch.inference_mode():
        expected = network(x)
        assert torch.equal(call(compiled, x, times=2), expected)
        assert torch.equal(call(compiled, x, times=2), expected)
    assert compiled.compilation == ("The network is not compiled. There is too little memory for that on the device.")
    assert not caplog.records
    compiler._error, compiler._answer = None, None
    call(compiled, batch(1, network.in_channels, 16, 16), times=2)
    assert compiler.shapes == [tuple(x.shape), (1, network.in_channels, 16, 16)]
    assert compiled.compilation == "The network is compiled for batches of one size."


def test_what_was_compiled_while_the_model_was_unloaded_is_dropped(network, x):
    compiler = Compiler()
    compiler.released.clear()
    compiled = CompiledNetwork(network, "cpu", compiler=compiler)
    with torch.inference_mode():
        compiled(x)
        compiled(x)
    assert compiler.began.wait(SECONDS)
    compiled.close()
    compiler.released.set()
    assert compiled.wait(SECONDS)
    tried = compiler.calls
    call(compiled, x, times=3)
    assert (compiler.calls, len(compiler.shapes)) == (tried, 1)


def test_the_memory_of_a_model_unloaded_meanwhile_goes_back_to_the_device(make, x, monkeypatch):
    network, compiler, released = make.network(), Compiler(), threading.Event()
    weight, held = weakref.ref(network.final_conv.weight), []

    def release(_like):
        gc.collect()
        held.append(weight() is not None)
        released.set()

    monkeypatch.setattr(compilation._Like, "release", release)
    compiler.released.clear()
    compiled = CompiledNetwork(network, "cpu", compiler=compiler)
    with torch.inference_mode():
        compiled(x)
        compiled(x)
    assert compiler.began.wait(SECONDS)
    compiled.close()
    del network, compiled
    compiler.released.set()
    assert released.wait(SECONDS)
    assert held == [False]


def test_nothing_holds_a_network_that_was_let_go(make):
    network = make.network()
    x = batch(2, network.in_channels, 32, 48)
    weights = [weakref.ref(weight) for weight in network.parameters()]
    compiled = CompiledNetwork(network, "cpu", compiler=Compiler())
    call(compiled, x, times=3)
    del network, compiled
    gc.collect()
    assert not any(weight() is not None for weight in weights)


def test_the_thread_ends_when_there_is_nothing_left_to_compile(made, x):
    call(made(Compiler()), x, times=2)
    for thread in threading.enumerate():
        if thread.name == "unetseg-compile":
            thread.join(SECONDS)
            assert not thread.is_alive()


def test_nothing_is_compiled_where_nobody_wants_it(made, x):
    compiler = Compiler()
    compiled = made(compiler, enabled=False)
    call(compiled, x, times=3)
    assert compiler.shapes == []
    assert compiled.compilation == "The network is not compiled. The setting unet.model.compile is false."


def test_on_a_processor_nothing_is_compiled(network):
    compiled = CompiledNetwork(network, "cpu")
    assert compiled.compilation == "The network is not compiled. That is done for NVIDIA GPUs alone."
