"""Images on a graphics card as they were read, so that each goes up once, whatever the number of its windows."""

from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor

from napari_unetseg.errors import is_out_of_memory
from napari_unetseg.inference.backends import RawPixels
from napari_unetseg.inference.backends.gpu.device_pixels import DevicePixels, can_upload, host_tensor
from napari_unetseg.inference.backends.gpu.graphics_card import GraphicsCard
from napari_unetseg.inference.backends.gpu.transfers import Mark
from napari_unetseg.inference.backends.pools import BufferPools

SHARE = 8
"""Images take no more than one part in so many of a card's memory; beyond it, windows go up one by one."""


@dataclass(eq=False)
class _Upload:
    """An image on the card, or on its way.

    Attributes
    ----------
    size
        Its bytes.
    staged
        Its pixels in pinned memory, their axes in the order in which they lie there; None once it is on its way.
    axes
        Which of these axes are channels, rows and columns.
    pixels
        What makes windows of it on the card; None as long as it is not on its way.
    arrived
        Reached when it is there.
    """

    size: int
    staged: Tensor | None
    axes: tuple[int, ...]
    pixels: DevicePixels | None = None
    arrived: Mark | None = None


class UploadedImages:
    """Images on one card, each as long as somebody holds its `RawPixels`.

    Parameters
    ----------
    card
        The card.
    pools
        Lend pinned memory for the way.
    memory
        Bytes of the card.
    """

    def __init__(self, card: GraphicsCard, pools: BufferPools, memory: int) -> None:
        self._card = card
        self._pools = pools
        self._most = memory // SHARE
        self._lock = Lock()
        self._uploads: WeakKeyDictionary[RawPixels, _Upload] = WeakKeyDictionary()
        self._refused: WeakSet[RawPixels] = WeakSet()

    def stage(self, raw: RawPixels, lent: ExitStack) -> bool:
        """Read an image that is not on the card into pinned memory, which is lent until the batch is at rest.

        Returns
        -------
        bool
            False where it cannot go up, or shall not: the host then has to read its windows.
        """
        with self._lock:
            if raw in self._uploads:
                return True
            held = sum(upload.size for upload in self._uploads.values())
            if raw in self._refused or held + raw.planes.nbytes > self._most:
                return False
        if not can_upload(raw, self._card.device.type):
            return False
        host = host_tensor(raw.planes)
        # As they lie in memory, so that they are copied and not turned around.
        order = sorted(range(3), key=host.stride, reverse=True)
        lying = host.permute(order)
        pinned = self._card.transfers.pinned
        staged = lent.enter_context(self._pools.input.lease(tuple(lying.shape), lying.dtype, pinned=pinned))
        staged.copy_(lying)
        upload = _Upload(staged.nbytes, staged, tuple(order.index(axis) for axis in range(3)))
        with self._lock:
            self._uploads[raw] = upload
        lent.callback(self._forget_unsent, raw, upload)
        return True

    def _forget_unsent(self, raw: RawPixels, upload: _Upload) -> None:
        """Let an image be staged anew if its batch ended before it was sent, as others use its pinned memory then."""
        with self._lock:
            if upload.staged is not None and self._uploads.get(raw) is upload:
                del self._uploads[raw]

    def upload(self, raw: RawPixels) -> tuple[DevicePixels, Mark]:
        """Send a staged image up, if it is not there yet; return what makes windows of it, and when it has arrived.

        To be called in the thread that launches, in inference mode.

        Raises
        ------
        MemoryError
            If there is no room for it; from then on the host has to read its windows.
        """
        with self._lock:
            upload = self._uploads.get(raw)
        if upload is None:
            raise MemoryError("an image had to leave the card")
        if upload.pixels is None or upload.arrived is None:
            try:
                self._send(raw, upload)
            except Exception as error:
                self.let_go([raw])
                if not is_out_of_memory(error):
                    raise
            if upload.pixels is None or upload.arrived is None:
                raise MemoryError("an image does not fit onto the card")
        return upload.pixels, upload.arrived

    def _send(self, raw: RawPixels, upload: _Upload) -> None:
        staged, upload.staged = upload.staged, None
        if staged is None:
            return
        with self._card.transfers.uploading():
            planes = torch.empty(staged.shape, dtype=staged.dtype, device=self._card.device)
            self._card.transfers.copy(staged, planes)
            pixels = DevicePixels(raw, planes.permute(upload.axes))
            upload.pixels, upload.arrived = pixels, self._card.transfers.mark()

    def let_go(self, images: "list[RawPixels] | None" = None) -> None:
        """Take some images off the card, or all, and let the host read what else is wanted of them."""
        with self._lock:
            for raw in list(self._uploads) if images is None else images:
                self._uploads.pop(raw, None)
                self._refused.add(raw)
