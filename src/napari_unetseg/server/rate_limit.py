"""How many requests a minute each user may send: a token bucket for each."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST_BUCKETS = 10_000


@dataclass
class _Bucket:
    tokens: float
    filled: float


class RateLimit:
    """Buckets that fill by so many tokens a minute, and of which each request takes one.

    A full bucket holds the tokens of a minute, so who paused may send as many at once.

    Parameters
    ----------
    per_minute
        Tokens that each bucket gets in a minute.
    clock
        Returns seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()  # least recently used first

    def wait(self, user: str) -> int:
        """Take a token of a user.

        Returns
        -------
        int
            0, or the whole seconds after which there will be one; none is taken then.
        """
        now = self._clock()
        bucket = self._buckets.setdefault(user, _Bucket(self._most, now))
        self._buckets.move_to_end(user)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._most, bucket.tokens + (now - bucket.filled) * self._per_second)
        bucket.filled = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return max(1, math.ceil((1 - bucket.tokens) / self._per_second))
