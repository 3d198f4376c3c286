"""Checkpoints from strangers: what real ones hold is read, and what hostile ones try is refused."""

import argparse
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import pickle
import subprocess
import sys
import uuid
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from contextlib import suppress

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import SubpixelUNet, UNet
from napari_unetseg.zoo import pickle_check
from napari_unetseg.zoo.checkpoints import read_checkpoint
from napari_unetseg.zoo.torch_archive import read_archive


@pytest.fixture(scope="module")
def state():
    return UNet(1, 1, (2, 4, 8), "instance").state_dict()


@pytest.fixture
def bait(tmp_path):
    """A file that comes into being only if a checkpoint's code runs."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value)


def saved(folder, content, name="best.pth"):
    torch.save(content, folder / name)
    return folder / name


def rewritten(path, pickled=None, compress=False, extra=()):
    """The same archive with another pickle, compressed, or with more entries."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry, archive.read(entry)) for entry in archive.infolist()]
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for entry, content in entries:
            replaced = pickled is not None and entry.filename.endswith("/data.pkl")
            archive.writestr(entry.filename, pickled if replaced else content)
        for name, content in extra:
            archive.writestr(name, content)
    return path


def pickled(folder, instructions):
    """A file that torch.save might have written, but for its pickle."""
    return rewritten(saved(folder, {"w": torch.zeros(4)}), b"\x80\x02" + instructions + b".")


def refused(path, *words):
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


# What real checkpoints hold.


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.ckpt", "a.PTH"])
def test_bare_state_dict(tmp_path, state, name):
    checkpoint = read_checkpoint(saved(tmp_path, state, name))
    same(checkpoint.state, state)
    assert (checkpoint.format, checkpoint.dropped, checkpoint.extras) == ("torch", (), ())


def test_safetensors(tmp_path, state):
    save_file(state, tmp_path / "a.safetensors")
    checkpoint = read_checkpoint(tmp_path / "a.safetensors")
    same(checkpoint.state, state)
    assert checkpoint.format == "safetensors"


@pytest.mark.parametrize("key", ["model_state_dict", "state_dict"])
def test_training_state_beside_the_weights_is_named_and_left(tmp_path, state, key):
    network = UNet(1, 1, (2, 4, 8), "instance")
    optimizer = torch.optim.AdamW(network.parameters(), lr=np.float64(1e-3))
    network(torch.rand(1, 1, 32, 32)).sum().backward()
    optimizer.step()
    beside = {
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": {"milestones": Counter({30: 1}), "gamma": 0.1},
        "epoch": np.int64(12),
        "args": argparse.Namespace(
            lr=1e-3,
            out=pathlib.Path("runs") / "1",
            pure=pathlib.PureWindowsPath("C:/x"),
            seeds={1, 2},
            flag=np.bool_(True),
        ),
        "metrics": {"dice": np.float32(0.9), "type": np.dtype("float16"), "losses": [0.5, None, True]},
        "config": {"device": torch.device("cuda:0"), "dtype": torch.float16, "size": torch.Size([2, 3]), "tag": b"x"},
        "timestamp": "20240131_120000",
    }
    checkpoint = read_checkpoint(saved(tmp_path, {**beside, key: state}))
    same(checkpoint.state, state)
    assert set(checkpoint.extras) == set(beside)


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_numpy_scalars_of_either_generation(tmp_path, module):
    # numpy 1 and 2 name the same function differently, and both write into real files.
    path = saved(tmp_path, {"state_dict": {"w": torch.ones(2)}, "best": np.float64(0.5)})
    with zipfile.ZipFile(path) as archive:
        content = archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))
    for written in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        content = content.replace(b"c" + written + b"\n", b"c" + module.encode() + b"\n")
    assert module.encode() in content
    assert torch.equal(read_checkpoint(rewritten(path, content)).state["w"], torch.ones(2))


def test_weights_saved_on_a_gpu_come_to_the_cpu(tmp_path):
    path = saved(tmp_path, {"w": torch.ones(2)})
    with zipfile.ZipFile(path) as archive:
        content = archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))
    assert content.count(b"X\x03\0\0\0cpu") == 1
    path = rewritten(path, content.replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"))
    assert read_checkpoint(path).state["w"].device.type == "cpu"


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_wrappers_are_taken_off_the_names(tmp_path, state, prefix):
    same(read_checkpoint(saved(tmp_path, {prefix + key: value for key, value in state.items()})).state, state)


def test_wrapper_around_a_part(tmp_path):
    path = saved(tmp_path, {"downs._orig_mod.0.weight": torch.ones(2)})
    assert list(read_checkpoint(path).state) == ["downs.0.weight"]


def test_two_weights_of_one_name_are_refused(tmp_path):
    refused(saved(tmp_path, {"module.w": torch.ones(2), "w": torch.zeros(2)}), "two weights named w")


def test_dead_block_and_auxiliary_heads_are_dropped_by_name(tmp_path, state):
    dead = {key.replace("bottleneck", "downs.1"): value for key, value in state.items() if "bottleneck" in key}
    heads = {"deep_outputs.0.weight": torch.ones(1, 4, 1, 1), "deep_outputs.0.bias": torch.ones(1)}
    checkpoint = read_checkpoint(saved(tmp_path, {**state, **dead, **heads}))
    same(checkpoint.state, state)
    assert sorted(checkpoint.dropped) == sorted([*dead, *heads])


def test_a_block_that_only_looks_dead_is_kept(tmp_path, state):
    dead = {key.replace("bottleneck", "downs.1"): value for key, value in state.items() if "bottleneck" in key}
    first = next(iter(dead))
    dead[first] = torch.ones(3)
    checkpoint = read_checkpoint(saved(tmp_path, {**state, **dead}))
    assert checkpoint.dropped == ()
    assert dead.keys() <= checkpoint.state.keys()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_become_float32_and_counters_stay(tmp_path, dtype):
    content = {"w": torch.arange(3).to(dtype), "bn.num_batches_tracked": torch.tensor(5)}
    found = read_checkpoint(saved(tmp_path, content)).state
    assert found["w"].dtype == torch.float32
    assert found["w"].tolist() == [0, 1, 2]
    assert found["bn.num_batches_tracked"].dtype == torch.int64


def test_strided_weights_and_parameters(tmp_path):
    kernel = torch.rand(4, 3, 3, 3).to(memory_format=torch.channels_last)
    found = read_checkpoint(saved(tmp_path, {"a": kernel, "b": torch.nn.Parameter(kernel[::2])})).state
    assert torch.equal(found["a"], kernel)
    assert torch.equal(found["b"], kernel[::2])
    assert found["a"].is_contiguous()


def test_weights_outlive_their_file(tmp_path, state):
    path = saved(tmp_path, state)
    found = read_checkpoint(path).state
    path.write_bytes(b"\0" * path.stat().st_size)
    same(found, state)


class Setting(enum.Enum):
    ONE = 1

    def __reduce_ex__(self, protocol):  # the first versions of Python 3.11 had members looked up by getattr instead
        return type(self), (self.value,)


@dataclasses.dataclass
class Settings:
    """A record of somebody's own code."""

    rate: float


BESIDE = {
    "version": torch.__version__,
    "history": defaultdict(list, loss=[1.0, 0.5]),
    "counts": defaultdict(int, {(0, 1): 2}),
    "ordered": OrderedDict(a=1),
    "scalars": [np.float64(1), np.int8(2), np.bool_(True), np.str_("x"), np.datetime64("2024-01-31")],
    "arrays": {"matrix": np.arange(6.0).reshape(2, 3), "words": np.array(["a", "b"]), "empty": np.zeros(0)},
    "random": (np.random.RandomState(0).get_state(), torch.get_rng_state(), [torch.zeros(3, dtype=torch.uint8)]),
    "started": datetime.datetime(2024, 1, 31, 12, tzinfo=datetime.UTC),
    "took": datetime.timedelta(hours=1),
    "day": datetime.date(2024, 1, 31),
    "paths": [pathlib.PurePosixPath("/data"), pathlib.PureWindowsPath("C:/data")],
    "args": argparse.Namespace(lr=1e-3, out=pathlib.Path("runs"), nested=argparse.Namespace(n=1)),
    "record": Settings(0.1),
    "types": [np.float32, np.dtype("int16"), torch.float16, torch.strided, int, dict],
    "numbers": [1j, decimal.Decimal("0.1"), fractions.Fraction(1, 3), range(3), slice(1, 2), 2**80],
    "collections": [{1, 2}, frozenset({"a"}), deque([1], 3), Counter("aab")],
    "tensors": [torch.zeros(2, dtype=kind) for kind in (torch.complex64, torch.uint16, torch.float8_e4m3fn)],
    "half": {"w": torch.ones(2).half(), "x": torch.ones(2, dtype=torch.bfloat16)},
    "id": uuid.UUID(int=5),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", BESIDE)
def test_what_training_leaves_beside_the_weights_is_data(tmp_path, state, name, old):
    path = tmp_path / "a.pth"
    torch.save({"epoch": 3, name: BESIDE[name], "state_dict": state}, path, _use_new_zipfile_serialization=not old)
    checkpoint = read_checkpoint(path)
    same(checkpoint.state, state)
    assert checkpoint.extras == ("epoch", name)


def test_a_class_of_somebodys_own_is_never_called(tmp_path):
    refused(
        saved(tmp_path, {"state_dict": {"w": torch.ones(1)}, "setting": Setting.ONE}), "Setting", "state_dict alone"
    )
    refused(saved(tmp_path, {"state_dict": {"w": torch.ones(1)}, "class": Settings}), "Settings")


@pytest.mark.parametrize(
    "name", ["subprocess\nPopen", "os\nsystem", "numpy\nmemmap", "torch\nload", "torch.nn\nModule"]
)
def test_a_class_of_a_library_is_not_made_either(tmp_path, name):
    refused(pickled(tmp_path, f"c{name}\n)\x81".encode()), name.replace("\n", "."))


def test_arrays_in_the_place_of_weights_are_told(tmp_path):
    refused(saved(tmp_path, {"state_dict": {"w": np.ones(3)}}), "more than named weights: w")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64])
def test_values_of_the_old_format(tmp_path, dtype):
    # The data of a second weight begin wherever those of the first end.
    odd = torch.arange(3, dtype=torch.uint8)
    values = torch.arange(12, dtype=dtype).reshape(3, 4)
    content = {"state_dict": {"w": values, "t": values.T[1:]}, "beside": odd}
    if dtype == torch.int64:
        content["state_dict"] = {"bn.num_batches_tracked": torch.tensor(7)}
    found = read_checkpoint(old_format(tmp_path, content)).state
    for key, value in content["state_dict"].items():
        assert torch.equal(found[key], value.float() if value.is_floating_point() else value)


# Where the weights are.


def renamed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


WRAPPED = {
    "averaged by torch": lambda state: ({"n_averaged": torch.tensor(5)} | renamed(state, "module."), "", ()),
    "averaged, compiled": lambda state: (
        {"state_dict": {"n_averaged": torch.tensor(5)} | renamed(state, "module._orig_mod.")},
        "state_dict",
        (),
    ),
    "Lightning": lambda state: ({"state_dict": renamed(state, "model."), "loops": {}}, "state_dict.model", ("loops",)),
    "Lightning, compiled": lambda state: ({"state_dict": renamed(state, "net._orig_mod.")}, "state_dict.net", ()),
    "Lightning, deeper": lambda state: (
        {"state_dict": renamed(state, "segmenter.unet.module.")},
        "state_dict.segmenter.unet",
        (),
    ),
    "Lightning with a metric and a loss": lambda state: (
        {
            "state_dict": renamed(state, "model.")
            | {
                "val_iou.tp": torch.tensor(3),
                "loss.pos_weight": torch.ones(1),
                "loss.edge.weight": torch.ones(1, 1, 3, 3),
            }
        },
        "state_dict.model",
        ("val_iou", "loss"),
    ),
    "Lightning with an average": lambda state: (
        {"state_dict": renamed(scaled(state), "ema_model.module.") | renamed(state, "model.")},
        "state_dict.model",
        ("ema_model",),
    ),
    "Lightning whose loss holds the network, too": lambda state: (
        {"state_dict": renamed(state, "loss.net.") | renamed(state, "model.")},
        "state_dict.model",
        ("loss",),
    ),
    "Lightning with an average of the first step": lambda state: (
        {"state_dict": renamed(state, "ema.") | renamed(state, "model.")},
        "state_dict.model",
        ("ema",),
    ),
    "model": lambda state: ({"model": state, "epoch": 1}, "model", ("epoch",)),
    "net": lambda state: ({"net": state, "acc": 0.5}, "net", ("acc",)),
    "nnU-Net": lambda state: ({"network_weights": state, "init_args": {}}, "network_weights", ("init_args",)),
    "nested": lambda state: ({"model": {"state_dict": state, "name": "x"}}, "model.state_dict", ()),
    "unheard of": lambda state: ({"student": state, "optimizer": {"state": {}}}, "student", ("optimizer",)),
    "average beside": lambda state: ({"ema": scaled(state), "model": state}, "model", ("ema",)),
    "average beside, unheard of": lambda state: (
        {"model_ema": scaled(state), "student": state},
        "student",
        ("model_ema",),
    ),
    "average alone": lambda state: ({"ema_state_dict": state, "epoch": 2}, "ema_state_dict", ("epoch",)),
    "whole network and weights": lambda state: (
        {"model": torch.nn.Linear(2, 2), "weights": state},
        "weights",
        ("model",),
    ),
    "epoch among the weights": lambda state: ({**state, "epoch": 3}, "", ("epoch",)),
}


def scaled(state):
    return {key: value * 2 for key, value in state.items()}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_weights_are_found_where_training_code_puts_them(tmp_path, name, norm):
    state = dict(UNet(1, 1, (2, 4, 8), norm).state_dict())
    content, entry, extras = WRAPPED[name](state)
    checkpoint = read_checkpoint(saved(tmp_path, content))
    same(checkpoint.state, state)
    assert (checkpoint.entry, checkpoint.extras) == (entry, extras)


def test_wrappers_are_taken_off_safetensors(tmp_path, state):
    save_file(renamed(state, "model."), tmp_path / "a.safetensors")
    same(read_checkpoint(tmp_path / "a.safetensors").state, state)


def test_counters_that_old_files_lack_are_made(tmp_path):
    whole = UNet(1, 1, (2, 4, 8), "batch").state_dict()
    path = saved(tmp_path, {key: value for key, value in whole.items() if "num_batches" not in key})
    same(read_checkpoint(path).state, whole)
    averaged = {key: value.float() for key, value in whole.items()}
    assert read_checkpoint(saved(tmp_path, averaged)).state.keys() == whole.keys()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda state: {"state_dict": renamed(state, "a.") | renamed(state, "b.")}, ("several networks: a, b",)),
        (lambda state: {"first": state, "second": dict(state)}, ("several networks: first, second",)),
        (
            lambda state: renamed(state, "net.") | {"refine.weight": torch.ones(1, 1, 3, 3)},
            ("around the network net", "refine.weight"),
        ),
    ],
)
def test_weights_of_which_the_file_does_not_say_enough(tmp_path, state, content, words):
    refused(saved(tmp_path, content(dict(state))), *words)


def test_a_sub_pixel_network_keeps_the_network_within_it(tmp_path):
    state = SubpixelUNet(3, 1, (2, 4)).state_dict()
    same(read_checkpoint(saved(tmp_path, {"state_dict": renamed(state, "model.")})).state, state)


# What hostile and broken ones try.


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_os_system(tmp_path, bait):
    import os

    refused(saved(tmp_path, {"state_dict": {"w": torch.ones(1)}, "x": Calls(os.system, f"touch {bait}")}), "os.system")


def test_eval(tmp_path, bait):
    code = f"open({str(bait)!r}, 'w')"
    refused(saved(tmp_path, {"state_dict": {"w": torch.ones(1)}, "x": Calls(eval, code)}), "builtins.eval")


@pytest.mark.parametrize("function", [exec, getattr, __import__, subprocess.Popen, bytearray, pickle.loads, np.load])
def test_other_functions(tmp_path, function):
    refused(saved(tmp_path, Calls(function, "x")), function.__name__)


@pytest.mark.parametrize(
    "name",
    ["numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray", "numpy.fromfile"],
)
def test_numpy_beyond_scalars(tmp_path, name):
    module, _, function = name.rpartition(".")
    refused(pickled(tmp_path, f"c{module}\n{function}\n".encode()), name)


def test_object_arrays(tmp_path, bait):
    array = np.array([Calls(eval, f"open({str(bait)!r}, 'w')")], dtype=object)
    refused(saved(tmp_path, {"w": array}), "_reconstruct")


def test_nothing_but_tensors_and_plain_data_is_made(tmp_path):
    content = {
        "scalar": np.float64(1),
        "type": np.dtype("f4"),
        "path": pathlib.Path("y"),
        "args": argparse.Namespace(a=1),
    }
    found = read_archive(saved(tmp_path, content)).content
    assert {type(value) for value in found.values()}.isdisjoint({type(value) for value in content.values()})
    assert len({type(value) for value in found.values()}) == 1


def test_stack_tricks_do_not_reach_a_function(tmp_path):
    refused(pickled(tmp_path, b"cargparse\nNamespace\n(tRX\x01\x00\x00\x00xb"), "")
    refused(pickled(tmp_path, b"cos\nsystem\n"), "os.system")
    refused(pickled(tmp_path, b"\x8c\x02os\x8c\x06system\x93"), "SHORT_BINUNICODE")
    refused(pickled(tmp_path, b"ios\nsystem\n"), "INST")
    refused(pickled(tmp_path, b"ctorch\nload\n"), "torch.load")
    refused(pickled(tmp_path, b"ctorch._tensor\n_rebuild_from_type_v2\n"), "_rebuild_from_type_v2")
    refused(pickled(tmp_path, b"ctorch\nSize\n)Q"), "")


def test_a_tensor_over_memory_that_is_not_there(tmp_path):
    path = saved(tmp_path, {"w": torch.zeros(4)})
    with zipfile.ZipFile(path) as archive:
        content = archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))
    numel, size = b"K\x04", b"K\x04\x85"
    assert content.count(numel) == 2
    assert content.count(size) == 1
    giant = b"\x8a\x06" + (10**12).to_bytes(6, "little")
    refused(rewritten(path, content.replace(size, giant + b"\x85")), "declares the shape", "4 values")
    refused(rewritten(path, content.replace(numel + b"t", giant + b"t", 1)), "declares 4000000000000 bytes", "holds 16")
    # A stride of zero repeats one value without end; one that is too long reads beyond the data.
    refused(
        rewritten(path, content.replace(size, giant + b"\x85").replace(b"K\x01\x85", b"K\x00\x85")),
        "declares the shape",
    )
    refused(rewritten(path, content.replace(b"K\x01\x85", b"K\x09\x85")), "declares the shape")


def test_many_views_of_the_same_bytes(tmp_path):
    shared = torch.zeros(1000)
    refused(saved(tmp_path, {f"w{index}": shared for index in range(1000)}), "more bytes than the file")


@pytest.mark.parametrize(
    "instructions",
    [
        # bytearray(10**11)
        b"c__builtin__\nbytearray\n\x8a\x05\x00\xe8\x76\x48\x17\x85R",
        # bytes, ever longer: encode(encode(x, 'hex'), 'hex')...
        b"c_codecs\nencode\nq\x00X\x04\x00\x00\x00aaaaX\x03\x00\x00\x00hex\x86R",
        # Tuples of tuples of tuples, as the key of a dict: their hash takes 2**60 steps.
        b"}(K\x01K\x02\x86" + b"q\x00h\x00\x86" * 60 + b"K\x01u",
        # A long list, made into a set again and again.
        b"c__builtin__\nset\nq\x00](" + b"K\x01" * 1000 + b"eq\x01" + b"h\x00h\x01\x85R0" * 1000,
        # dict.__dict__ of a class
        b"}}b",
        b"ctorch\nFloatStorage\nK\x01\x85R",
    ],
)
def test_pickles_that_ask_for_much_with_few_bytes(tmp_path, instructions):
    refused(pickled(tmp_path, instructions), "pickle")


def test_pickles_of_too_many_instructions(tmp_path, monkeypatch):
    # One byte can make an empty set, which takes 216.
    monkeypatch.setattr(pickle_check, "_INSTRUCTIONS", 1000)
    refused(pickled(tmp_path, b"\x8f" * 1100), "more than 1000 instructions")


def test_zip_bomb(tmp_path):
    path = saved(tmp_path, {"w": torch.zeros(4)})
    with zipfile.ZipFile(path) as archive:
        folder = archive.namelist()[0].partition("/")[0]
    bomb = rewritten(path, compress=True, extra=[(f"{folder}/data/1", bytes(50_000_000))])
    assert bomb.stat().st_size < 100_000
    refused(bomb, "compressed", "declare 50000")


def test_compressed_archive(tmp_path):
    refused(rewritten(saved(tmp_path, {"w": torch.zeros(4)}), compress=True), "compressed")


def test_entries_that_declare_more_than_the_file_has(tmp_path):
    path = saved(tmp_path, {"w": torch.zeros(1000)})
    content = path.read_bytes()
    # In the table of contents, both sizes of the storage.
    assert content.count((4000).to_bytes(4, "little") * 2) >= 1
    path.write_bytes(content.replace((4000).to_bytes(4, "little") * 2, (2**31).to_bytes(4, "little") * 2))
    refused(path, "declare", "the file has")


def test_two_entries_of_one_name(tmp_path):
    path = saved(tmp_path, {"w": torch.zeros(4)})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(archive.namelist()[0], b"other")
    refused(path, "two of its entries have one name")


def test_giant_table_of_contents(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"")
    content = bytearray(path.read_bytes())
    content[-10:-6] = (2**30).to_bytes(4, "little")
    path.write_bytes(content)
    refused(path, "table of contents")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.99])
def test_truncated_files(tmp_path, state, share):
    path = saved(tmp_path, state)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "copied to its end" if share else "empty")


def test_every_damaged_byte_of_the_pickle_is_survived(tmp_path):
    path = saved(tmp_path, {"state_dict": {"w": torch.zeros(4)}, "epoch": np.int64(3)})
    with zipfile.ZipFile(path) as archive:
        content = archive.read(next(name for name in archive.namelist() if name.endswith("/data.pkl")))
    generator = np.random.default_rng(0)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= int(generator.integers(1, 256))
        rewritten(path, bytes(damaged))
        # Harmless damage may pass; what does not must be told as every other fault is.
        with suppress(ModelError):
            assert all(value.numel() <= 4 for value in read_checkpoint(path).state.values())


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", ["a.pt", "a.pth"])
def test_torchscript(tmp_path, name):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / name)
    refused(tmp_path / name, "TorchScript", "state_dict")


def old_format(folder, content, name="old.pth"):
    torch.save(content, folder / name, _use_new_zipfile_serialization=False)
    return folder / name


@pytest.mark.parametrize("name", ["os.system", "builtins.eval"])
def test_calls_in_the_old_format(tmp_path, bait, name):
    import os

    attack = Calls(os.system, f"touch {bait}") if name == "os.system" else Calls(eval, f"open({str(bait)!r}, 'w')")
    refused(old_format(tmp_path, {"state_dict": {"w": torch.ones(1)}, "x": attack}), name)


def test_a_pickle_that_torch_did_not_write(tmp_path, bait):
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"w": Calls(eval, f"open({str(bait)!r}, 'w')")}, protocol=2))
    refused(tmp_path / "a.pth", "not one that torch.save writes")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.6, 0.99])
def test_truncated_files_of_the_old_format(tmp_path, state, share):
    path = old_format(tmp_path, state)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "copied to its end")


def test_what_follows_the_old_format_is_refused(tmp_path, state):
    path = old_format(tmp_path, state)
    path.write_bytes(path.read_bytes() + b"more")
    refused(path, "added to its end")


def test_an_old_file_that_declares_more_data_than_it_has(tmp_path):
    path = old_format(tmp_path, {"w": torch.zeros(4)})
    content = path.read_bytes()
    giant = b"\x8a\x06" + (10**12).to_bytes(6, "little")
    assert content.count(b"K\x04N") == 1
    path.write_bytes(content.replace(b"K\x04N", giant + b"N"))
    refused(path, "declares 4000000000000 bytes")
    path.write_bytes(content.replace(b"K\x04N", b"K\x03N").replace(b"K\x04\x85", b"K\x03\x85"))
    refused(path, "declared in two ways")


def test_every_damaged_byte_of_an_old_file_is_survived(tmp_path):
    path = old_format(tmp_path, {"state_dict": {"w": torch.zeros(4)}, "epoch": np.int64(3)})
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= int(generator.integers(1, 256))
        path.write_bytes(bytes(damaged))
        with suppress(ModelError):
            assert all(value.numel() <= 4 for value in read_checkpoint(path).state.values())


def test_whole_network(tmp_path):
    refused(saved(tmp_path, UNet(1, 1, (2, 4))), "napari_unetseg.networks.unet.UNet")


@pytest.mark.parametrize("content", [b"", b"Hello, this is not a checkpoint.\n", b"PK\x03\x04", bytes(5000)])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_are_something_else(tmp_path, content, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    refused(path, "safetensors" if suffix == ".safetensors" else "it ")


def test_zip_without_a_pickle(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/readme.txt", b"x")
    refused(tmp_path / "a.pth", "data.pkl")


def test_safetensors_with_a_giant_header(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    refused(path, "safetensors")


def test_truncated_safetensors(tmp_path, state):
    path = tmp_path / "a.safetensors"
    save_file(state, path)
    path.write_bytes(path.read_bytes()[:-10])
    refused(path, "safetensors")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ([torch.ones(1)], "a list"),
        ({}, "empty"),
        ({"epoch": 3, "other": {"w": torch.ones(1)}}, "epoch, other"),
        ({"state_dict": 3}, "'state_dict' holds no weights"),
        ({"state_dict": {"w": torch.ones(1), "version": 3}}, "version"),
        ({"w": torch.ones(3, dtype=torch.int32)}, "torch.int32"),
    ],
)
def test_files_without_weights(tmp_path, content, word):
    refused(saved(tmp_path, content), word)


def test_missing_file_and_unknown_ending(tmp_path):
    refused(tmp_path / "none.pth", "No such file")
    refused(tmp_path / "a.bin", ".safetensors")


def memory_to_read(path):
    """Bytes by which a process grows at most while it reads a checkpoint of 20 weights."""
    program = """
import resource, sys
from napari_unetseg.zoo import pickle_check
from napari_unetseg.zoo.checkpoints import read_checkpoint
from napari_unetseg.zoo.torch_archive import read_archive
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
state = read_checkpoint(sys.argv[1]).state
print(len(state), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""
    run = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    path.unlink()
    count, grown = map(int, run.stdout.split())
    assert count == 20
    return grown


def test_memory_stays_below_twice_the_file(tmp_path):
    path = saved(
        tmp_path, {"state_dict": {f"w{n}": torch.rand(2**20) for n in range(20)}, "optimizer": torch.rand(2**25)}
    )
    # The weights once mapped and once copied; the optimizer's 128 MiB are never touched.
    assert memory_to_read(path) < 2 * 20 * 4 * 2**20 + 64 * 2**20


def test_memory_stays_below_twice_the_file_where_weights_become_twice_as_wide(tmp_path):
    path = saved(tmp_path, {f"w{n}": torch.rand(5 * 2**20).half() for n in range(20)})
    # 200 MiB: as float32 they take 400, and mapped as well they would take 600.
    assert memory_to_read(path) < 2 * 200 * 2**20 + 64 * 2**20
