"""What a caller hands to work that takes long: how to follow it, and how to stop it."""

from collections.abc import Callable

CancelFlag = Callable[[], bool]
"""Called often, from the computing thread; True asks for the computation to stop."""

Progress = Callable[[int, int], None]
"""Called with the tiles done and all tiles known so far, from the computing thread."""
