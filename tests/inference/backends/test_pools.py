import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.inference.backends.pools import BufferPools, PoolReport

KB = (16, 16)  # a float32 buffer of 1024 bytes


@pytest.fixture
def pools():
    return BufferPools()


def test_a_buffer_is_lent_again_to_the_next_who_asks_for_its_like(pools):
    with pools.input.lease(KB) as first:
        first.fill_(3)
    with pools.input.lease(KB) as second:
        assert second.data_ptr() == first.data_ptr()
    assert pools.input.report() == PoolReport(0.0, hits=1, misses=1, held_bytes=1024, leased_bytes=0)


def test_a_buffer_is_never_lent_twice_at_once(pools):
    with pools.input.lease(KB) as first, pools.input.lease(KB) as second:
        assert first.data_ptr() != second.data_ptr()
        assert pools.input.report() == PoolReport(1.0, hits=0, misses=2, held_bytes=2048, leased_bytes=2048)
    with pools.input.lease(KB):
        assert pools.input.report() == PoolReport(0.5, hits=1, misses=2, held_bytes=2048, leased_bytes=1024)
    assert pools.input.report().utilization == 0


@pytest.mark.parametrize(
    "other",
    [
        {"shape": (32, 8)},
        {"shape": (1, 2, 8, 16), "channels_last": True},
        {"shape": KB, "dtype": torch.int32},
        {"shape": KB, "device": "meta"},
    ],
)
def test_buffers_of_another_kind_are_kept_apart(pools, other):
    with pools.input.lease(KB):
        pass
    with pools.input.lease((1, 2, 8, 16)):
        pass
    with pools.input.lease(**other) as buffer:
        assert buffer.shape == other["shape"]
        assert buffer.dtype == other.get("dtype", torch.float32)
        assert buffer.device.type == other.get("device", "cpu")
        assert buffer.is_contiguous(memory_format=torch.channels_last) == ("channels_last" in other)
    assert pools.input.report().hits == 0


def test_the_pools_are_counted_apart_and_share_no_buffer(pools):
    with pools.input.lease(KB):
        pass
    with pools.output.lease(KB):
        assert pools.output.report() == PoolReport(1.0, hits=0, misses=1, held_bytes=1024, leased_bytes=1024)
        assert pools.input.report() == PoolReport(0.0, hits=0, misses=1, held_bytes=1024, leased_bytes=0)


def test_above_the_limit_the_least_recently_used_go_first():
    pools = BufferPools(max_bytes=3 * 1024)
    for shape in (KB, (8, 32), (4, 64), KB, (2, 128)):
        with (pools.output if shape == (4, 64) else pools.input).lease(shape):
            pass
    # (8, 32) made room for (2, 128), because KB was used after it.
    hits = pools.input.report().hits
    with ExitStack() as lent:
        for shape in (KB, (2, 128)):
            lent.enter_context(pools.input.lease(shape))
        assert pools.input.report().hits == hits + 2
    with pools.output.lease((4, 64)):
        assert pools.output.report().hits == 1
    with pools.input.lease((8, 32)):
        assert pools.input.report().hits == hits + 2


def test_a_buffer_larger_than_the_limit_is_lent_and_not_kept():
    pools = BufferPools(max_bytes=1000)
    with pools.input.lease(KB) as buffer:
        assert buffer.shape == KB
        assert pools.input.report().leased_bytes == 1024
    assert pools.input.report().held_bytes == 0


def test_only_so_many_alike_are_kept():
    pools = BufferPools(max_per_kind=2)
    with ExitStack() as lent:
        for _ in range(5):
            lent.enter_context(pools.input.lease(KB))
        assert pools.input.report().held_bytes == 5 * 1024
    assert pools.input.report().held_bytes == 2 * 1024


def test_release_frees_what_waits_at_once_and_what_is_lent_when_it_comes_back(pools):
    with pools.output.lease(KB):
        pass
    with pools.input.lease(KB) as lent:
        pools.release()
        assert pools.output.report().held_bytes == 0
        lent.fill_(1)  # still whole
    assert pools.input.report().held_bytes == 0
    with pools.input.lease(KB):
        assert pools.input.report().hits == 0


def test_a_buffer_comes_back_after_an_error(pools):
    with pytest.raises(ZeroDivisionError), pools.input.lease(KB):
        _ = 1 // 0
    assert pools.input.report() == PoolReport(0.0, hits=0, misses=1, held_bytes=1024, leased_bytes=0)


def test_where_device_buffers_are_not_wanted_only_the_hosts_are_kept():
    pools = BufferPools(on_devices=False)
    for device in ("meta", "cpu"):
        with pools.input.lease(KB, device=device) as buffer:
            assert buffer.device.type == device
    assert pools.input.report() == PoolReport(0.0, hits=0, misses=1, held_bytes=1024, leased_bytes=0)


def test_where_memory_cannot_be_pinned_other_memory_is_lent(pools, monkeypatch, caplog):
    empty = torch.empty

    def refuse(*shape, pin_memory=False, **kinds):
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory")
        return empty(*shape, **kinds)

    monkeypatch.setattr(torch, "empty", refuse)
    with pools.input.lease(KB, pinned=True) as buffer:
        assert not buffer.is_pinned()
    assert "could not be pinned" in caplog.text


def test_what_inference_mode_has_allocated_can_be_written_outside_it(pools):
    with torch.inference_mode(), pools.input.lease(KB):
        pass
    with pools.input.lease(KB) as buffer:
        buffer.fill_(1)
    assert pools.input.report().hits == 1


@given(
    limit=st.integers(0, 6 * 1024),
    steps=st.lists(st.tuples(st.sampled_from([KB, (8, 8), (32, 32)]), st.integers(1, 3), st.booleans()), max_size=12),
)
def test_what_waits_never_exceeds_the_limit(limit, steps):
    pools = BufferPools(max_bytes=limit, max_per_kind=2)
    for shape, count, is_input in steps:
        pool = pools.input if is_input else pools.output
        with ExitStack() as lent:
            buffers = [lent.enter_context(pool.lease(shape)) for _ in range(count)]
            assert len({buffer.data_ptr() for buffer in buffers}) == count
            held = sum(side.report().held_bytes for side in (pools.input, pools.output))
            assert held <= max(limit, pool.report().leased_bytes)
        assert sum(side.report().held_bytes for side in (pools.input, pools.output)) <= limit
        assert pool.report().leased_bytes == 0


def test_threads_never_meet_in_a_buffer(pools):
    met = threading.Barrier(4)

    def work(number):
        met.wait(60)
        clean = True
        for _ in range(200):
            with pools.input.lease(KB) as buffer:
                buffer.fill_(number)
                clean &= bool((buffer == number).all())
        return clean

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(4)))
    report = pools.input.report()
    assert (report.hits + report.misses, report.leased_bytes) == (800, 0)
    assert report.misses <= 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_a_gpus_memory_is_given_back():
    pools = BufferPools()
    before = torch.cuda.memory_reserved()
    with pools.input.lease((2**22,), device="cuda"), pools.input.lease((2**20,), pinned=True) as host:
        assert host.is_pinned()
    assert torch.cuda.memory_allocated() >= 2**24
    pools.release()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= before
