"""What is measured, in which order, and the choice, on made-up devices."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.benchmark.batch_tuning import (
    LeftOut,
    Measurement,
    TileShape,
    Trial,
    TrialBatch,
    TuningPlan,
    choose,
    doubled,
    summarise_times,
    tune,
)
from napari_unetseg.service.machine_profile import TunedBatch

SMALL, LARGE = TileShape(100, 100, 2_500), TileShape(200, 200, 22_500)


def measured(batch_size, window, megapixels_per_s):
    return Measurement(batch_size, window, 3, 10.0, 11.0, megapixels_per_s, 1.0, 100.0)


@dataclass
class Device:
    """Takes a fixed time and memory a pixel, and a fixed time a batch."""

    second_per_pixel: float = 1e-6
    second_per_batch: float = 0.0
    bytes_per_pixel: float | None = 100
    memory: float = float("inf")
    interrupt_after: int | None = None
    timed: list[TrialBatch] = field(default_factory=list)
    tried: list[TrialBatch] = field(default_factory=list)

    def trial(self, size: TrialBatch) -> Trial:
        self.tried.append(size)
        peak = None if self.bytes_per_pixel is None else int(self.bytes_per_pixel * size.pixels)
        return Trial(self._run(size), peak)

    def seconds(self, size: TrialBatch) -> float:
        if len(self.timed) == self.interrupt_after:
            raise KeyboardInterrupt
        self.timed.append(size)
        return self._run(size)

    def _run(self, size: TrialBatch) -> float:
        if size.pixels * (self.bytes_per_pixel or 100) > self.memory:
            raise MemoryError
        return self.second_per_batch + self.second_per_pixel * size.pixels


def plan(**changes):
    usual = {
        "tiles": (SMALL, LARGE),
        "batch_sizes": (1, 2, 4),
        "repeats": 3,
        "safe_bytes": 10**9,
        "window_is_free": True,
    }
    return TuningPlan(**usual | changes)


def names(sizes):
    return [(size.batch_size, size.tile.side) for size in sizes]


def sizes_of(chosen):
    """What was chosen, without how fast it is and what it needs."""
    return chosen.model_copy(update={"megapixels_per_s": None, "peak_memory_mb": None})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Exactly 5 % below the best is good enough, and smaller wins.
        ([(1, 512, 95.0), (2, 512, 100.0)], (1, 2, 512, 512)),
        ([(1, 512, 94.9), (2, 512, 100.0)], (2, 2, 512, 512)),
        # The larger window wins where it is worth it; the largest batch is that of the chosen window.
        ([(1, 512, 50.0), (2, 512, 52.0), (4, 512, 53.0), (1, 1024, 90.0), (2, 1024, 91.0)], (1, 2, 1024, 1024)),
        # Many small tiles show the network as many pixels as one large; the smaller batch is taken.
        ([(4, 512, 100.0), (1, 1024, 100.0)], (1, 1, 1024, 1024)),
        # A batch that is slower than one by one.
        ([(1, 768, 10.0), (2, 768, 8.0), (4, 768, 6.0)], (1, 4, 768, 768)),
        ([(1, 512, 100.0), (2, 512, 90.0), (1, 1536, 99.0)], (1, 2, 512, 1536)),
    ],
)
def test_the_smallest_size_within_five_percent_is_chosen(rows, expected):
    batch_size, largest, window, widest = expected
    chosen = choose([measured(*row) for row in rows])
    assert sizes_of(chosen) == TunedBatch(
        batch_size=batch_size, max_batch_size=largest, window=window, max_window=widest
    )


def test_where_the_window_is_the_model_s_only_the_batch_is_chosen():
    chosen = choose([measured(1, 256, 10.0), measured(2, 256, 20.0)], window_is_free=False)
    assert sizes_of(chosen) == TunedBatch(batch_size=2, max_batch_size=2, window=None)
    assert chosen.megapixels_per_s == 20.0


def test_nothing_measured_nothing_chosen():
    assert choose([]) is None


@given(
    st.dictionaries(
        st.tuples(st.sampled_from([1, 2, 4, 8]), st.sampled_from([512, 768, 1152])),
        st.floats(0.01, 1e4),
        min_size=1,
    )
)
def test_no_smaller_size_is_as_good_as_the_chosen(rows):
    chosen = choose([measured(*size, speed) for size, speed in rows.items()])
    best = max(rows.values())
    assert rows[chosen.batch_size, chosen.window] >= 0.95 * best
    pixels = chosen.batch_size * chosen.window**2
    assert all(speed < 0.95 * best for (batch, window), speed in rows.items() if batch * window**2 < pixels)
    assert (chosen.max_batch_size, chosen.window) in rows


def test_figures_of_a_size():
    # The median of these is 0.5 s, the 95th percentile lies nine tenths of the way from 0.5 to 0.9.
    one = summarise_times(TrialBatch(2, LARGE), [0.5, 0.4, 0.9], peak_bytes=3 * 2**20)
    assert one.latency_p50_ms == 500
    assert one.latency_p95_ms == pytest.approx(860)
    assert one.megapixels_per_s == pytest.approx(2 * 22_500 / 0.5 / 1e6)
    assert one.tiles_per_s == 4
    assert (one.batch_size, one.window, one.runs, one.peak_memory_mb) == (2, 200, 3, 3)


def test_sizes_take_turns_and_the_first_turn_does_not_count():
    device = Device()
    tuning = tune(device, plan(batch_sizes=(1, 2)))
    order = [(1, 100), (2, 100), (1, 200), (2, 200)]
    assert names(device.tried) == order
    assert names(device.timed) == [*order[::-1], *order, *order[::-1], *order]
    assert [one.runs for one in tuning.measurements] == [3] * 4
    assert (tuning.left_out, tuning.interrupted) == ((), False)


def test_the_window_that_wastes_less_is_chosen_on_a_device_of_constant_speed():
    # 22,500 of 40,000 pixels are kept in the large tile, 2,500 of 10,000 in the small one.
    tuning = tune(Device(), plan())
    assert sizes_of(tuning.chosen) == TunedBatch(batch_size=1, max_batch_size=4, window=200, max_window=200)


def test_a_device_with_a_cost_for_each_batch_gets_a_larger_batch():
    # 1 x 200: 40 ms + 20 ms for 1 tile; 2: 100 ms; 4: 180 ms. Tiles a second: 16.7, 20, 22.2.
    assert tune(Device(second_per_batch=0.02), plan()).chosen.batch_size == 4
    # 41, 81, 161 ms: 24.4, 24.7 and 24.8 tiles a second.
    assert tune(Device(second_per_batch=0.001), plan()).chosen.batch_size == 1


def test_a_size_that_would_need_too_much_is_never_tried():
    device = Device(bytes_per_pixel=100)
    tuning = tune(device, plan(safe_bytes=4_500_000))
    # 40,000 pixels take 4 MB; 80,000 would take 8 MB.
    assert names(device.tried) == [(1, 100), (2, 100), (4, 100), (1, 200)]
    assert tuning.left_out == (LeftOut(2, 200, "would need about 8 MiB, above the safe 4 MiB"),)
    assert tuning.chosen.max_batch_size == 1


def test_out_of_memory_ends_a_window_and_not_the_measurement():
    tuning = tune(Device(bytes_per_pixel=None, memory=100 * 20_000), plan())
    assert [(one.batch_size, one.window) for one in tuning.measurements] == [(1, 100), (2, 100)]
    assert tuning.left_out == (LeftOut(4, 100, "out of memory"), LeftOut(1, 200, "out of memory"))
    assert sizes_of(tuning.chosen) == TunedBatch(batch_size=1, max_batch_size=2, window=100, max_window=100)
    assert [one.peak_memory_mb for one in tuning.measurements] == [None, None]


def test_a_size_that_fits_once_and_then_no_more_is_dropped_with_all_larger():
    device = Device()
    device.trial = lambda size: Trial(0.01, 1)
    device.memory = 100 * 20_000
    tuning = tune(device, plan(tiles=(SMALL,)))
    assert [one.batch_size for one in tuning.measurements] == [1, 2]
    assert tuning.left_out == (LeftOut(4, 100, "out of memory"),)


def test_a_batch_that_would_take_too_long_is_not_tried():
    device = Device(second_per_pixel=1e-4)
    tuning = tune(device, plan())
    # 40,000 pixels take 4 s, 80,000 take 8 s, 160,000 would take 16 s.
    assert tuning.left_out == (LeftOut(4, 200, "a batch would take about 16 s, above 10 s"),)
    assert tuning.chosen.max_batch_size == 2


def test_ctrl_c_keeps_what_was_measured():
    device = Device(interrupt_after=7)
    tuning = tune(device, plan(tiles=(SMALL, LARGE), batch_sizes=(1, 2)))
    assert tuning.interrupted
    assert [(one.batch_size, one.window, one.runs) for one in tuning.measurements] == [
        (1, 100, 1),
        (2, 100, 1),
        (1, 200, 1),
    ]
    assert tuning.chosen is not None


def test_ctrl_c_at_once_leaves_nothing():
    tuning = tune(Device(interrupt_after=0), plan())
    assert (tuning.measurements, tuning.chosen, tuning.interrupted) == ((), None, True)


def test_progress_is_told_in_words():
    reported = []
    tune(Device(), plan(tiles=(SMALL,), batch_sizes=(1, 2), repeats=2), reported.append)
    assert reported[:3] == ["Trying 1 x 100 x 100 pixels", "Trying 2 x 100 x 100 pixels", "Warming up 2 sizes"]
    assert [line[:24] for line in reported[3:]] == ["Turn 1 of 2 over 2 sizes", "Turn 2 of 2 over 2 sizes"]


@pytest.mark.parametrize(("bound", "expected"), [(1, (1,)), (2, (1, 2)), (5, (1, 2, 4)), (8, (1, 2, 4, 8))])
def test_batch_sizes_double(bound, expected):
    assert doubled(bound) == expected
