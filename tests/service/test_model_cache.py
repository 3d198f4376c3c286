"""Models are lent to many, unloaded by budget, and never while in use."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_unetseg.errors import DeviceError, ModelError, OutOfMemory, UnetsegError
from napari_unetseg.service.model_cache import ModelCache, ServiceClosed


@dataclass(eq=False)
class FakeRuntime:
    name: str
    bytes_held: int = 10
    closed: int = 0
    device: SimpleNamespace | None = None

    def close(self) -> None:
        self.closed += 1


@dataclass
class Loader:
    loaded: list[FakeRuntime] = field(default_factory=list)
    failing: bool = False

    def __call__(self, package: SimpleNamespace, worker: int) -> FakeRuntime:
        if self.failing:
            raise ModelError("broken")
        self.loaded.append(FakeRuntime(package.source.name))
        return self.loaded[-1]


def package(name: str) -> SimpleNamespace:
    return SimpleNamespace(source=Path(name))


A, B, C = package("a"), package("b"), package("c")


@pytest.fixture
def load() -> Loader:
    return Loader()


def names(held: ModelCache) -> list[str]:
    return [loaded_model.name for loaded_model in held.loaded_models]


def test_a_model_is_loaded_once(load):
    held = ModelCache(load, 100)
    for _ in range(3):
        with held.borrow(A) as loaded_model:
            assert loaded_model is load.loaded[0]
    assert len(load.loaded) == 1
    assert held.peek(A) is load.loaded[0]
    assert held.peek(B) is None


def test_the_least_recently_used_goes_first(load):
    held = ModelCache(load, 20)
    for one in (A, B, A, C):
        with held.borrow(one):
            pass
    assert names(held) == ["a", "c"]
    assert [loaded_model.closed for loaded_model in load.loaded] == [0, 1, 0]


def test_what_is_in_use_stays_and_goes_afterwards(load):
    held = ModelCache(load, 10)
    with held.borrow(A):
        with held.borrow(B):
            assert names(held) == ["a", "b"]
        assert names(held) == ["a", "b"]
    assert names(held) == ["b"]
    assert [loaded_model.closed for loaded_model in load.loaded] == [1, 0]


def test_a_model_beyond_the_budget_is_kept_as_long_as_it_is_the_last(load):
    held = ModelCache(load, 1)
    for _ in range(2):
        with held.borrow(A):
            pass
    assert len(load.loaded) == 1


def test_unloading_waits_for_no_one(load):
    held = ModelCache(load, 100)
    with held.borrow(A) as first:
        held.unload(A)
        assert first.closed == 0
        assert held.peek(A) is None
        with held.borrow(A) as second:
            assert second is not first
    assert (first.closed, second.closed) == (1, 0)
    held.unload()
    assert (first.closed, second.closed) == (1, 1)
    held.unload(B)


def test_a_reload_replaces_and_frees_once_unused(load):
    held = ModelCache(load, 100)
    with held.borrow(A) as first:
        held.reload(A)
        assert held.peek(A) is load.loaded[1]
        assert first.closed == 0
    assert first.closed == 1


def test_a_failed_reload_changes_nothing(load):
    held = ModelCache(load, 100)
    with held.borrow(A):
        pass
    load.failing = True
    with pytest.raises(ModelError, match="broken"):
        held.reload(A)
    assert held.peek(A) is load.loaded[0]
    assert load.loaded[0].closed == 0


def test_nothing_is_lent_after_close(load):
    held = ModelCache(load, 100)
    with held.borrow(A) as loaded_model:
        held.close()
        assert loaded_model.closed == 0
    assert loaded_model.closed == 1
    for call in (lambda: held.borrow(A).__enter__(), lambda: held.reload(A)):
        with pytest.raises(ServiceClosed, match="was closed"):
            call()
    assert issubclass(ServiceClosed, UnetsegError)


def test_what_was_loading_during_close_is_freed(load):
    held = ModelCache(lambda *one: (held.close(), load(*one))[1], 100)
    with pytest.raises(ServiceClosed), held.borrow(A):
        pass
    assert load.loaded[0].closed == 1


def test_threads_that_want_the_same_model_load_it_once(load):
    held = ModelCache(load, 10)
    start = threading.Barrier(8)
    wrong = []

    def use(one: SimpleNamespace) -> None:
        start.wait()
        for _ in range(200):
            with held.borrow(one) as loaded_model:
                if loaded_model.closed or loaded_model.name != one.source.name:
                    wrong.append(loaded_model)

    threads = [threading.Thread(target=use, args=(one,)) for one in (A, B, A, C, A, B, C, A)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    held.close()
    assert all(loaded_model.closed == 1 for loaded_model in load.loaded)


class Workers:
    """Loads models onto devices of workers, of which some fail or are none of their own."""

    def __init__(self, failures: dict[int, Exception] | None = None, on_cpu: tuple[int, ...] = ()) -> None:
        self.failures = failures or {}
        self.on_cpu = on_cpu
        self.loads: list[tuple[str, int]] = []
        self.models: list[FakeRuntime] = []

    def __call__(self, package: SimpleNamespace, worker: int) -> FakeRuntime:
        self.loads.append((package.source.name, worker))
        if worker in self.failures:
            raise self.failures[worker]
        model = FakeRuntime(package.source.name)
        model.device = SimpleNamespace(kind="cpu" if worker in self.on_cpu else "cuda", reason="It is pretended.")
        self.models.append(model)
        return model


def test_each_worker_has_a_model_of_its_own():
    load = Workers()
    held = ModelCache(load, 100, lambda: 3)
    assert held.workers == 3
    with held.borrow(A) as first, held.borrow(A, 1) as second, held.borrow(A, 1) as again:
        assert first is not second
        assert second is again
    assert load.loads == [("a", 0), ("a", 1)]
    assert held.peek(A) is first
    held.unload(A)
    assert (first.closed, second.closed) == (1, 1)


def test_each_device_has_the_budget():
    held = ModelCache(Workers(), 20, lambda: 2)
    for one in (A, B, C):
        for worker in (0, 1):
            with held.borrow(one, worker):
                pass
    assert names(held) == ["b", "b", "c", "c"]


def test_a_reload_replaces_the_models_of_all_workers():
    load = Workers()
    held = ModelCache(load, 100, lambda: 2)
    with held.borrow(A), held.borrow(A, 1):
        held.reload(A)
        assert load.loads == [("a", 0), ("a", 1), ("a", 0)]
        with held.borrow(A, 1):
            assert load.loads[3:] == [("a", 1)]
    assert [model.closed for model in load.models] == [1, 1, 0, 0]


@pytest.mark.parametrize("error", [OutOfMemory("full"), DeviceError("gone"), RuntimeError("CUDA error: gone")])
def test_a_card_that_fails_is_left_out_and_said(error, caplog):
    load = Workers({1: error})
    held = ModelCache(load, 100, lambda: 3)
    for _ in range(2):
        with held.borrow(A) as first, held.borrow(A, 1) as second, held.borrow(A, 2) as third:
            assert second is first is not third
    assert load.loads.count(("a", 1)) == 1
    (said,) = held.left_out(A)
    assert said == caplog.messages[0] == f"The graphics card cuda:1 is left out: {error}"
    assert held.left_out(B) == ()
    load.failures.clear()
    held.unload(A)
    with held.borrow(A) as first, held.borrow(A, 1) as second:
        assert second is not first
    assert held.left_out(A) == ()


def test_a_worker_whose_model_went_to_the_cpu_uses_the_first_one_s():
    load = Workers(on_cpu=(1,))
    held = ModelCache(load, 100, lambda: 2)
    with held.borrow(A, 1) as lent, held.borrow(A) as first:
        assert lent is first
    assert [(model.closed, model.device.kind) for model in load.models] == [(1, "cpu"), (0, "cuda")]


def test_what_is_wrong_with_the_model_is_no_fault_of_the_card():
    held = ModelCache(Workers({1: ModelError("broken")}), 100, lambda: 2)
    with pytest.raises(ModelError, match="broken"), held.borrow(A, 1):
        pass
    assert held.left_out(A) == ()


def test_idle_models_go_and_those_in_use_stay():
    held = ModelCache(Workers(), 100, lambda: 2)
    for one, worker in ((A, 0), (A, 1), (B, 0)):
        with held.borrow(one, worker):
            pass
    with held.borrow(C):
        assert held.let_idle_go(A, 1)
        assert names(held) == ["a", "c"]
        assert not held.let_idle_go(A, 1)
    assert held.let_idle_go(A, 1)
