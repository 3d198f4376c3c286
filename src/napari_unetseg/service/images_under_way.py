"""The images of a batch that are under way: where each is, and how many there may be."""

from collections import deque
from collections.abc import Collection

from napari_unetseg.service.batch_queue import BatchItem

MOST_PIXELS = 2 * 2048 * 2048
"""Pixels of images that may wait for the network, and that may be beyond it, where they are several."""

MOST_PIXELS_OF_TWO = 2 * 4096 * 4096
"""Pixels of one image beyond the network and the next one in it; where they are more, the network waits."""

_LEAST_AHEAD = 2


class ImagesUnderWay:
    """Images that were drawn and are not given back; one thread at a time may use them.

    Parameters
    ----------
    decoders
        How many images may be read off their maps at once.

    Attributes
    ----------
    line
        All of them, in their order.
    unread
        Those that are still to be read.
    ahead
        Those that no network has yet, read or not.
    beyond
        Those that a network has done and nobody has begun to decode.
    """

    def __init__(self, decoders: int) -> None:
        self.line: deque[BatchItem] = deque()
        self.unread: deque[BatchItem] = deque()
        self.ahead: deque[BatchItem] = deque()
        self.beyond: deque[BatchItem] = deque()
        self._decoders = decoders
        self._pixels_ahead = self._pixels_beyond = self._number_beyond = 0
        self._most_ahead = _LEAST_AHEAD
        self._usual_pixels = 0  # of an image, by the last one that was read

    @property
    def first(self) -> BatchItem | None:
        """The one whose result is due."""
        return self.line[0] if self.line else None

    @property
    def first_read(self) -> BatchItem | None:
        """The one that a network may take next; None as long as it is not read."""
        return self.ahead[0] if self.ahead and self.ahead[0].entry is not None else None

    @property
    def has_room_ahead(self) -> bool:
        """Whether another one may be drawn."""
        if not self.ahead:
            return True
        # Until one was read it is not known how large they are.
        pixels = self._pixels_ahead + (len(self.unread) + 1) * self._usual_pixels
        return len(self.ahead) < self._most_ahead and self._usual_pixels > 0 and pixels <= MOST_PIXELS

    def has_room_beyond(self, item: BatchItem) -> bool:
        """Whether one may be computed beside those that are beyond the network."""
        # A device that broke may have left the first image to one that has others before it.
        is_due = self.line[0] in (item, self.ahead[0] if self.ahead else None)
        if is_due or not self._number_beyond:
            return True
        if self._number_beyond >= self._decoders + self._most_ahead:
            return False
        pixels = self._pixels_beyond + item.pixels
        return pixels <= MOST_PIXELS or (self._number_beyond == 1 and pixels <= MOST_PIXELS_OF_TWO)

    def draw(self, item: BatchItem) -> None:
        """Put one in line."""
        self.line.append(item)
        self.ahead.append(item)
        if item.entry is None:
            self.unread.append(item)
        else:
            self._note_size(item)

    def note_read(self) -> None:
        """Note that the first of the unread was read."""
        self._note_size(self.unread.popleft())

    def _note_size(self, item: BatchItem) -> None:
        self._pixels_ahead += item.pixels
        self._usual_pixels = item.pixels or self._usual_pixels or 1

    def take(self, beside: int) -> BatchItem | None:
        """Give the next one to a network that has so many; None if it is not read."""
        item = self.first_read
        if item is not None:
            self.ahead.popleft()
            self._pixels_ahead -= item.pixels
            self._most_ahead = max(self._most_ahead, beside + 1)
        return item

    def put_back(self, items: Collection[BatchItem]) -> None:
        """Take those back that a network had when its device broke."""
        self.ahead.extendleft(reversed(tuple(items)))
        self._pixels_ahead += sum(item.pixels for item in items)

    def note_computed(self, item: BatchItem) -> None:
        """Note that a network is done with one."""
        item.is_computed = True
        self.beyond.append(item)
        self._number_beyond += 1
        self._pixels_beyond += item.pixels

    def give_back(self) -> None:
        """Let the first one go, whose result was given."""
        item = self.line.popleft()
        self._pixels_beyond -= item.pixels
        self._number_beyond -= 1
