"""Models are lent to many, unloaded by budget, and never while in use."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.service.model_cache import ModelCache, ServiceClosed


@dataclass(eq=False)
class FakeRuntime:
    name: str
    bytes_held: int = 10
    closed: int = 0

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
