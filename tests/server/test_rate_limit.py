import pytest

from napari_unetseg.server.rate_limit import _MOST_BUCKETS, RateLimit


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_as_many_as_a_minute_has_then_one_at_a_time(clock):
    rate = RateLimit(30, clock)
    assert [rate.wait("ada") for _ in range(31)] == 30 * [0] + [2]
    clock.now += 1.9
    assert rate.wait("ada") == 1
    clock.now += 0.2
    assert [rate.wait("ada"), rate.wait("ada")] == [0, 2]
    clock.now += 3600
    assert [rate.wait("ada") for _ in range(31)] == 30 * [0] + [2]  # a bucket holds no more than it holds


@pytest.mark.parametrize("per_minute", [1, 7, 60, 100_000])
def test_who_waits_as_long_as_told_is_let_in(clock, per_minute):
    rate = RateLimit(per_minute, clock)
    for _ in range(per_minute):
        assert rate.wait("ada") == 0
    wait = rate.wait("ada")
    assert wait >= 1
    clock.now += wait
    assert rate.wait("ada") == 0


def test_a_refused_request_takes_no_token(clock):
    rate = RateLimit(1, clock)
    assert rate.wait("ada") == 0
    assert [rate.wait("ada") for _ in range(5)] == 5 * [60]
    clock.now += 60
    assert rate.wait("ada") == 0


def test_users_do_not_take_from_one_another(clock):
    rate = RateLimit(1, clock)
    assert [rate.wait("ada"), rate.wait("bob"), rate.wait("ada")] == [0, 0, 60]


def test_many_users_take_bounded_memory_and_the_latest_are_remembered(clock):
    rate = RateLimit(1, clock)
    for number in range(_MOST_BUCKETS + 50):
        rate.wait(str(number))
    assert len(rate._buckets) == _MOST_BUCKETS
    assert rate.wait(str(_MOST_BUCKETS + 49)) == 60
    assert rate.wait("0") == 0
