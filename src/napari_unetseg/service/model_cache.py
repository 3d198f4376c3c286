"""The models that a service holds in memory: lent to many threads, least recently used let go first."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

from napari_unetseg.errors import UnetsegError, is_out_of_memory, out_of_memory_says
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel

Load = Callable[[ModelPackage], "LoadedModel"]


class ServiceClosed(UnetsegError):
    """A service was used after `close`."""

    def __init__(self) -> None:
        super().__init__("This segmentation service was closed. Make a new one.")


@dataclass(eq=False)
class _Held:
    loaded_model: "LoadedModel"
    users: int = 0
    retired: bool = False


class ModelCache:
    """Models in memory.

    Any thread may call any method. A model that is lent stays whole until its last user gives it
    back, whatever is asked for meanwhile.

    Parameters
    ----------
    load
        Brings a model into memory; one at a time is loaded.
    max_bytes
        Bytes of all models together beyond which those not in use are let go. The one that was used last
        stays, whatever its size.
    """

    def __init__(self, load: Load, max_bytes: float) -> None:
        self._load = load
        self._max_bytes = max_bytes
        self._held: OrderedDict[Path, _Held] = OrderedDict()  # by the place of the weights, last used last
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
        """Return a model if it is in memory."""
        with self._lock:
            held = self._held.get(package.source)
            return held.loaded_model if held else None

    @property
    def workers(self) -> int:
        """See `napari_unetseg.service.protocols.ModelLender`."""
        return 1

    @contextmanager
    def borrow(self, package: ModelPackage, worker: int = 0) -> Iterator["LoadedModel"]:
        """Lend a model until the block ends; it is loaded first if need be.

        Raises
        ------
        OutOfMemory
            If there is not enough to load it, even without the other models that nobody uses.
        ServiceClosed
            After `close`.
        """
        held = self._take(package)
        try:
            yield held.loaded_model
        finally:
            with self._lock:
                held.users -= 1
                self._free_if_unused(held)
                self._make_room()

    def reload(self, package: ModelPackage) -> None:
        """Load a model anew; the one in memory stays if that fails, and until its users are done.

        Raises
        ------
        ServiceClosed
            After `close`.
        """
        with self._loading:
            self.check_open()
            loaded_model = self._load_at_any_price(package)
            self._put(package, loaded_model)

    def unload(self, package: ModelPackage | None = None) -> None:
        """Let a model go, or all; one that is in use goes when its last user is done. Nobody waits."""
        with self._lock:
            for key in list(self._held) if package is None else [package.source]:
                if key in self._held:
                    self._retire(self._held.pop(key))

    def close(self) -> None:
        """Let all models go, and lend none any more."""
        with self._lock:
            self._closed = True
            self.unload()

    def check_open(self) -> None:
        """Raise `ServiceClosed` after `close`."""
        if self._closed:
            raise ServiceClosed

    def _take(self, package: ModelPackage) -> _Held:
        found = self._find(package)
        if found is not None:
            return found
        with self._loading:
            # Another thread may have loaded it meanwhile.
            return self._find(package) or self._put(package, self._load_at_any_price(package), users=1)

    def _load_at_any_price(self, package: ModelPackage) -> "LoadedModel":
        """Load a model; where memory runs out, again without the other models that nobody uses."""
        try:
            return self._load(package)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        with self._lock:
            for key in [key for key, held in self._held.items() if not held.users and key != package.source]:
                self._retire(self._held.pop(key))
        with out_of_memory_says(
            Sentence(
                "{model}: memory ran out while the model was loaded. Close other programs or images, or choose a "
                "smaller model.",
                model=package.name,
            )
        ):
            return self._load(package)

    def _find(self, package: ModelPackage) -> _Held | None:
        with self._lock:
            self.check_open()
            held = self._held.get(package.source)
            if held is not None:
                held.users += 1
                self._held.move_to_end(package.source)
            return held

    def _put(self, package: ModelPackage, loaded_model: "LoadedModel", users: int = 0) -> _Held:
        with self._lock:
            if self._closed:
                loaded_model.close()
                raise ServiceClosed
            before = self._held.pop(package.source, None)
            if before is not None:
                self._retire(before)
            held = self._held[package.source] = _Held(loaded_model, users)
            self._make_room()
            return held

    def _make_room(self) -> None:
        for key, held in list(self._held.items())[:-1]:
            if sum(other.loaded_model.bytes_held for other in self._held.values()) <= self._max_bytes:
                return
            if held.users == 0:
                self._retire(self._held.pop(key))

    def _retire(self, held: _Held) -> None:
        held.retired = True
        self._free_if_unused(held)

    @staticmethod
    def _free_if_unused(held: _Held) -> None:
        if held.retired and held.users == 0:
            held.loaded_model.close()
