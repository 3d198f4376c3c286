"""The models that a service holds in memory: lent to many threads, least recently used let go first."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

from napari_unetseg.errors import DeviceError, OutOfMemory, UnetsegError, is_out_of_memory, out_of_memory_says
from napari_unetseg.inference.out_of_memory import no_memory_to_load
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel

Load = Callable[[ModelPackage, int], "LoadedModel"]

_Key = tuple[Path, int]
"""Where the weights are, and the worker on whose device they are loaded."""

_log = logging.getLogger(__name__)


class ServiceClosed(UnetsegError):
    """A service was used after `close`."""

    def __init__(self) -> None:
        super().__init__("This segmentation service was closed. Make a new one.")


@dataclass(eq=False)
class _Held:
    loaded_model: "LoadedModel"
    worker: int
    users: int = 0
    retired: bool = False


class ModelCache:
    """Models in memory.

    Any thread may call any method. A model that is lent stays whole until its last user gives it
    back, whatever is asked for meanwhile.

    Parameters
    ----------
    load
        Brings a model into memory, on the device of a worker; one at a time is loaded.
    max_bytes
        Bytes of all models of a worker together beyond which those not in use are let go. The one that was used last
        stays, whatever its size.
    count_workers
        Says how many devices run models side by side.
    """

    def __init__(self, load: Load, max_bytes: float, count_workers: Callable[[], int] = lambda: 1) -> None:
        self._load = load
        self._max_bytes = max_bytes
        self._count_workers = count_workers
        self._held: OrderedDict[_Key, _Held] = OrderedDict()  # last used last
        self._left_out: dict[_Key, str] = {}
        self._closed = False
        # Reentrant: a batch that nobody finished gives its model back whenever Python clears it away.
        self._lock = RLock()
        self._loading = Lock()

    @property
    def loaded_models(self) -> tuple["LoadedModel", ...]:
        """What is in memory, last used last."""
        with self._lock:
            return tuple(held.loaded_model for held in self._held.values())

    def peek(self, package: ModelPackage) -> "LoadedModel | None":
        """Return a model if it is in memory; of several workers, that of the first one that has it."""
        with self._lock:
            having = [worker for source, worker in self._held if source == package.source]
            return self._held[package.source, min(having)].loaded_model if having else None

    @property
    def workers(self) -> int:
        """See `napari_unetseg.service.protocols.ModelLender`; torch is imported for it."""
        return self._count_workers()

    def left_out(self, package: ModelPackage) -> tuple[str, ...]:
        """Say why workers run a model on the device of the first one rather than on their own."""
        with self._lock:
            return tuple(why for (source, _), why in self._left_out.items() if source == package.source)

    @contextmanager
    def borrow(self, package: ModelPackage, worker: int = 0) -> Iterator["LoadedModel"]:
        """Lend a model until the block ends; it is loaded first if need be.

        Where the device of a worker beyond the first fails, or is that of the first one, the model of the first worker
        is lent, until the model is unloaded or loaded anew.

        Raises
        ------
        OutOfMemory
            If there is not enough to load it, even without the other models that nobody uses.
        ServiceClosed
            After `close`.
        """
        held = self._take(package, worker)
        try:
            yield held.loaded_model
        finally:
            self._give_back(held)

    def reload(self, package: ModelPackage) -> None:
        """Load a model anew; the one in memory stays if that fails, and until its users are done.

        Other workers than the first load it when they next borrow it.

        Raises
        ------
        ServiceClosed
            After `close`.
        """
        with self._loading:
            self.check_open()
            loaded_model = self._load_at_any_price(package, 0)
            with self._lock:
                self._put((package.source, 0), loaded_model)
                for key in [key for key in self._held if key[0] == package.source and key[1]]:
                    self._retire(self._held.pop(key))
                self._take_in(package)

    def unload(self, package: ModelPackage | None = None) -> None:
        """Let a model go, or all; one that is in use goes when its last user is done. Nobody waits."""
        with self._lock:
            for key in list(self._held):
                if package is None or key[0] == package.source:
                    self._retire(self._held.pop(key))
            self._take_in(package)

    def let_idle_go(self, but: ModelPackage, worker: int) -> bool:
        """Let all models go that nobody uses, but one; return whether there were any."""
        with self._lock:
            idle = [key for key, held in self._held.items() if not held.users and key != (but.source, worker)]
            for key in idle:
                self._retire(self._held.pop(key))
            return bool(idle)

    def close(self) -> None:
        """Let all models go, and lend none any more."""
        with self._lock:
            self._closed = True
            self.unload()

    def check_open(self) -> None:
        """Raise `ServiceClosed` after `close`."""
        if self._closed:
            raise ServiceClosed

    def _take(self, package: ModelPackage, worker: int) -> _Held:
        """Take the model of a worker, or that of the first one where the worker's device does not serve."""
        if not worker:
            return self._take_own(package, 0)
        key = package.source, worker
        if key not in self._left_out:
            try:
                held = self._take_own(package, worker)
            except Exception as error:
                if isinstance(error, UnetsegError) and not isinstance(error, DeviceError | OutOfMemory):
                    raise
                self._leave_out(key, error_sentence(error) or type(error).__name__)
            else:
                device = held.loaded_model.device
                if device.kind != "cpu":
                    return held
                # The CPU is no device of its own: it would only be slower, and the model in memory twice.
                self._give_back(held)
                self._leave_out(key, device.reason)
        return self._take_own(package, 0)

    def _take_own(self, package: ModelPackage, worker: int) -> _Held:
        found = self._find(package, worker)
        if found is not None:
            return found
        with self._loading:
            # Another thread may have loaded it meanwhile.
            return self._find(package, worker) or self._put(
                (package.source, worker), self._load_at_any_price(package, worker), users=1
            )

    def _give_back(self, held: _Held) -> None:
        with self._lock:
            held.users -= 1
            self._free_if_unused(held)
            self._make_room(held.worker)

    def _leave_out(self, key: _Key, why: str) -> None:
        """Let a worker do without its own device for one model."""
        said = Sentence("The graphics card {name} is left out: {reason}", name=f"cuda:{key[1]}", reason=why)
        with self._lock:
            if key in self._held:
                self._retire(self._held.pop(key))
            self._left_out[key] = said
        _log.warning("%s", said)

    def _take_in(self, package: ModelPackage | None) -> None:
        """Try devices again that were left out."""
        for key in list(self._left_out):
            if package is None or key[0] == package.source:
                del self._left_out[key]

    def _load_at_any_price(self, package: ModelPackage, worker: int) -> "LoadedModel":
        """Load a model; where memory runs out, again without the other models that nobody uses."""
        try:
            return self._load(package, worker)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        self.let_idle_go(package, worker)
        with out_of_memory_says(no_memory_to_load(package.name)):
            return self._load(package, worker)

    def _find(self, package: ModelPackage, worker: int) -> _Held | None:
        with self._lock:
            self.check_open()
            held = self._held.get((package.source, worker))
            if held is not None:
                held.users += 1
                self._held.move_to_end((package.source, worker))
            return held

    def _put(self, key: _Key, loaded_model: "LoadedModel", users: int = 0) -> _Held:
        with self._lock:
            if self._closed:
                loaded_model.close()
                raise ServiceClosed
            before = self._held.pop(key, None)
            if before is not None:
                self._retire(before)
            held = self._held[key] = _Held(loaded_model, key[1], users)
            self._make_room(key[1])
            return held

    def _make_room(self, worker: int) -> None:
        own = [(key, held) for key, held in self._held.items() if held.worker == worker]
        size = sum(held.loaded_model.bytes_held for _, held in own)
        for key, held in own[:-1]:
            if size <= self._max_bytes:
                return
            if held.users == 0:
                size -= held.loaded_model.bytes_held
                self._retire(self._held.pop(key))

    def _retire(self, held: _Held) -> None:
        held.retired = True
        self._free_if_unused(held)

    @staticmethod
    def _free_if_unused(held: _Held) -> None:
        if held.retired and held.users == 0:
            held.loaded_model.close()
