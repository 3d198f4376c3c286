"""Checkpoints from strangers: what real ones hold is read, and what hostile ones try is refused."""

import argparse
import pathlib
import pickle
import subprocess
import sys
import zipfile
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_unetseg.errors import ModelError
from napari_unetseg.networks import UNet
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
    found = read_archive(saved(tmp_path, content))
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


def test_old_format(tmp_path):
    torch.save({"w": torch.ones(3)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    refused(tmp_path / "a.pth", "before PyTorch 1.6", "save it again")


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
        ({"epoch": 3, "model": {"w": torch.ones(1)}}, "epoch, model"),
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
