"""Where in a checkpoint the weights are: in which entry, and under which wrapper's name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from napari_unetseg.language import Sentence
from napari_unetseg.zoo.compatibility import list_first
from napari_unetseg.zoo.pickle_rules import StoredTensor
from napari_unetseg.zoo.recognition import find_networks
from napari_unetseg.zoo.torch_archive import CheckpointRefused

_KEYS = ("model_state_dict", "state_dict", "network_weights", "model", "net", "network", "weights")
"""Entries of that name hold the weights, the first there is; others do where a known network is in them."""

_MAX_DEPTH = 4
# Data parallel training, torch.compile and activation checkpoints wrap a network, or a part of it, in another.
_WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"})
# Words in the names of running means of the weights, which training keeps beside them.
_AVERAGES = frozenset({"ema", "swa", "average", "averaged", "avg", "shadow", "teacher"})
# What a training module has beside the network, and does not change what it computes.
_TRAINING_ONLY = frozenset({"loss", "losses", "criterion", "metric", "metrics", "discriminator"})
_STEPS_OF_AN_AVERAGE = "n_averaged"


@dataclass(frozen=True)
class StateDict:
    """Weights in a checkpoint: by their names, in which entry, and what else there is."""

    weights: Mapping[str, StoredTensor]
    entry: str
    extras: tuple[str, ...]


@dataclass(frozen=True)
class _Entry:
    path: tuple[str, ...]
    weights: Mapping[str, StoredTensor]
    has_network: bool
    extras: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[bool, bool, int]:
        known = self.path[-1] in _KEYS if self.path else True
        order = _KEYS.index(self.path[-1]) if self.path and known else len(_KEYS) if self.path else -1
        return not self.has_network, any(map(_is_average, self.path)), order


def find_state_dict(content: Any) -> StateDict:
    """Find the weights in what a checkpoint holds; those of a running mean only where there are no others.

    Raises
    ------
    CheckpointRefused
        If there are none, or several that it could mean.
    """
    if not isinstance(content, Mapping):
        kind = getattr(content, "by", type(content).__name__)
        raise CheckpointRefused(Sentence("it holds a {kind}, not a dict of weights", kind=kind))
    found = sorted(_entries(content, (), set()), key=lambda entry: entry.rank)
    if not found:
        raise _without_weights(content)
    first = found[0]
    equals = [".".join(entry.path) for entry in found if entry.rank == first.rank]
    if len(equals) > 1:
        raise _several(equals)
    beside = tuple(str(key) for key in content if first.path and key != first.path[0])
    within = tuple(f"{'.'.join(first.path)}.{key}" if first.path else key for key in first.extras)
    return StateDict(first.weights, ".".join(first.path), beside + within)


def _entries(content: Mapping[Any, Any], path: tuple[str, ...], seen: set[int]) -> Iterator[_Entry]:
    if id(content) in seen:
        return
    seen.add(id(content))
    tensors = {key: value for key, value in content.items() if isinstance(value, StoredTensor) and isinstance(key, str)}
    has_network = bool(find_networks({key: value.size for key, value in tensors.items()}))
    if has_network:
        yield _Entry(path, tensors, True, tuple(str(key) for key in content if key not in tensors))
    elif tensors and len(tensors) == len(content) and (not path or path[-1] in _KEYS):
        yield _Entry(path, tensors, False)
    elif len(path) < _MAX_DEPTH:
        for key, value in content.items():
            if isinstance(value, Mapping):
                yield from _entries(value, (*path, str(key)), seen)


def _without_weights(content: Mapping[Any, Any]) -> CheckpointRefused:
    if not content:
        return CheckpointRefused(Sentence("it is an empty dict"))
    key = next((key for key in _KEYS if key in content), None)
    if key is None:
        return CheckpointRefused(
            Sentence(
                "it has neither {keys}, and is no state dict itself: its entries are {names}",
                keys=" nor ".join(map(repr, _KEYS[:2])),
                names=list_first([str(name) for name in content]),
            )
        )
    entry = content[key]
    if not isinstance(entry, Mapping) or not entry:
        return CheckpointRefused(f"its entry {key!r} holds no weights")
    others = [str(name) for name, value in entry.items() if not isinstance(value, StoredTensor)]
    return CheckpointRefused(
        Sentence(
            "its entry {found!r} holds more than named weights: {names}", found=key, names=list_first(others or [key])
        )
    )


def unwrap(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str, tuple[str, ...]]:
    """Take the names of wrappers off those of weights.

    Returns
    -------
    weights
        Those of the network, by its own names.
    prefix
        Under which name a training module had it.
    extras
        What else that module had.

    Raises
    ------
    CheckpointRefused
        If two weights would have one name, several networks are there, or layers around the network.
    """
    named = _without_wrappers(weights)
    named.pop(_STEPS_OF_AN_AVERAGE, None)
    prefixes = find_networks({key: tuple(value.shape) for key, value in named.items()})
    if not prefixes:
        return named, "", ()
    prefix = _chosen(prefixes)
    copies = tuple(other for other in prefixes if other != prefix and not prefix.startswith(other))
    network, beside = {}, {}
    for key, value in named.items():
        if not key.startswith(prefix) or key.startswith(copies):
            beside[key] = value
        else:
            network[key.removeprefix(prefix)] = value
    layers = [key for key in beside if not key.startswith(copies) and _computes(key, beside[key])]
    if layers:
        raise CheckpointRefused(
            Sentence(
                "around the network {prefix} it holds layers that are not part of it: {names}. Save the state_dict of "
                "the network alone",
                prefix=prefix.rstrip("."),
                names=list_first(layers),
            )
        )
    return network, prefix.rstrip("."), tuple(dict.fromkeys(key.partition(".")[0] for key in beside))


def _chosen(prefixes: Sequence[str]) -> str:
    if "" in prefixes:
        return ""
    trained = [prefix for prefix in prefixes if not _words(prefix) & _TRAINING_ONLY] or list(prefixes)
    plain = [prefix for prefix in trained if not _is_average(prefix)] or trained
    if len(plain) > 1:
        raise _several([prefix.rstrip(".") for prefix in plain])
    return plain[0]


def _several(names: Sequence[str]) -> CheckpointRefused:
    return CheckpointRefused(
        Sentence("it holds several networks: {names}. Save the one that you mean alone", names=list_first(names))
    )


def _words(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.lower()))


def _is_average(name: str) -> bool:
    return bool(_words(name) & _AVERAGES)


def _computes(key: str, value: Tensor) -> bool:
    """Tell whether a weight is a layer's kernel, rather than a counter, or part of a loss or a metric."""
    return value.ndim > 1 and value.is_floating_point() and not _words(key.partition(".")[0]) & _TRAINING_ONLY


def _without_wrappers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    for key, value in weights.items():
        name = ".".join(part for part in key.split(".") if part not in _WRAPPERS)
        if name in named:
            raise CheckpointRefused(Sentence("it holds two weights named {name}", name=name))
        named[name] = value
    return named
