"""Files made to harm are refused in one line, and nothing that they hold is run."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.checkpoints.strangers import DrQV2Agent, save
from vrlprobe.checkpoints.read import read_checkpoint
from vrlprobe.errors import FormatError, UnsafeFileError, VrlprobeError


class Call:
    """Pickled as a call of a function, which a plain unpickler makes."""

    def __init__(self, function, *arguments, state=None):
        self.made = (function, arguments, *([state] if state else []))

    def __reduce__(self):
        return self.made


def exploits(marker: str):
    """What would write the marker file, by several ways, and what the message must name."""
    command = f"touch {marker}"
    shell = Call(os.system, command)
    code = f"open({marker!r}, 'w').close()"
    return {
        "system": (shell, f"{os.system.__module__}.system"),
        "eval": (Call(eval, code), "eval"),
        "exec": (Call(exec, code), "exec"),
        "import": (Call(__import__, "os"), "__import__"),
        "open": (Call(open, marker, "w"), ".open"),
        "torch.load": (Call(torch.load, marker), "torch.serialization.load"),
        "in an agent's state": ({"agent": Call(dict, state={"a": shell})}, "system"),
        "in a list": ([[{"a": (shell,)}]], "system"),
        "as a key": ({Call(os.getcwd): 1}, "getcwd"),
        "by a method": (Call(getattr, shell, "x"), "system"),
        "as an argument": (Call(set, [Call(eval, code)]), "eval"),
    }


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "stream"])
@pytest.mark.parametrize("name", exploits(""))
def test_a_call_is_refused_by_name_and_not_made(tmp_path, name, legacy, protocol):
    marker = tmp_path / "ran"
    content, word = exploits(str(marker))[name]
    path = tmp_path / "a.pt"
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsafeFileError) as error:
        read_checkpoint(path)
    assert word in str(error.value)
    assert "\n" not in str(error.value)
    assert not marker.exists()


def archive(path, pickled: bytes, storages: dict[str, bytes] | None = None):
    """A file of torch.save's format around a pickle."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        for key, numbers in (storages or {}).items():
            file.writestr(f"archive/data/{key}", numbers)
    return path


OUT_OF_PROPORTION = {
    "a memo of 2**31 entries": b"\x80\x02" + b"]r\xff\xff\xff\x7f.",
    "a text of 2**62 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"a.",
    "a list 100,000 deep": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "a key whose hash takes for ever": b"\x80\x02})q\x00"
    + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(100))
    + b"K\x01s.",
    "a set of such": b"\x80\x04()" + b"2\x86" * 100 + b"\x91.",
    "a stack that is empty": b"\x80\x02aaaa.",
    "no end": b"\x80\x02]",
    "an extension": b"\x80\x02\x82\x01.",
    "a whole number of 10,000 digits": b"I" + b"9" * 10_000 + b"\n.",
    "a class changed": b"\x80\x02ctorch\nSize\n}U\x04argsK\x01sb.",
    "an object called": b"\x80\x02ctorch\nSize\n)R)R.",
    "nothing": b"",
    "no pickle": b"<html>",
}


@pytest.mark.parametrize("name", OUT_OF_PROPORTION)
def test_a_pickle_that_is_none_or_a_bomb(tmp_path, name):
    path = archive(tmp_path / "a.pt", OUT_OF_PROPORTION[name])
    with pytest.raises(VrlprobeError) as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)


class Tensor:
    """Pickled as a tensor of any shape, strides and place in its storage."""

    def __init__(self, size, strides, offset=0):
        self.said = (size, strides, offset)


class Pickler(pickle.Pickler):
    """Tensors as torch pickles them, storages by persistent id."""

    numel = 4

    def reducer_override(self, obj):
        if isinstance(obj, Tensor):
            size, strides, offset = obj.said
            arguments = ("the storage", offset, size, strides, False, {})
            return torch._utils._rebuild_tensor_v2, arguments
        return NotImplemented

    def persistent_id(self, obj):
        if obj == "the storage":
            return "storage", torch.FloatStorage, "0", "cpu", self.numel
        return None


def with_tensor(tmp_path, tensor, stored=16):
    """A DrQ-v2 agent whose first bias is this tensor."""
    agent = DrQV2Agent()
    agent.encoder.convnet[0]._parameters["bias"] = tensor
    stream = io.BytesIO()
    from tests.checkpoints import strangers

    places = {
        "drqv2": [DrQV2Agent, strangers.Encoder, strangers.Actor, strangers.Critic],
        "utils": [strangers.RandomShiftsAug],
    }
    agent.actor = strangers.nn.Sequential()
    del agent.critic, agent.critic_target
    for name in ("encoder_opt", "actor_opt", "critic_opt"):
        delattr(agent, name)
    for module in agent.encoder.modules():
        for name, parameter in module._parameters.items():
            if not isinstance(parameter, Tensor):
                module._parameters[name] = Tensor((2, 2), (2, 1))
    with strangers.pretended(**places):
        Pickler(stream, 2).dump({"agent": agent})
    return archive(tmp_path / "a.pt", stream.getvalue(), {"0": b"\0" * stored})


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor((2**40,), (1,)),
        Tensor((2**40,), (0,)),
        Tensor((2**21, 2**21, 2**21), (0, 0, 0)),
        Tensor((4,), (2,)),
        Tensor((4,), (1,), 1),
        Tensor((4,), (1,), -1),
        Tensor((2,), (-1,), 3),
        Tensor((-1,), (1,)),
        Tensor((4,), (1, 1)),
        Tensor("four", (1,)),
        Tensor((4.5,), (1,)),
    ],
)
def test_a_tensor_that_reaches_beyond_its_numbers(tmp_path, tensor):
    with pytest.raises(FormatError, match="a damaged tensor"):
        read_checkpoint(with_tensor(tmp_path, tensor))


def test_a_tensor_with_fewer_numbers_than_it_says(tmp_path):
    with pytest.raises(FormatError, match="12 bytes for 4 numbers"):
        read_checkpoint(with_tensor(tmp_path, Tensor((4,), (1,)), stored=12))


def test_modules_that_hold_themselves(tmp_path):
    agent = DrQV2Agent()
    agent.actor._modules["again"] = agent.actor
    with pytest.raises(FormatError, match="more than 1000 modules"):
        read_checkpoint(save(tmp_path / "a.pt", agent))


def test_a_dict_that_holds_itself_under_many_names(tmp_path):
    """300 entries that are each the dict itself: 300**5 of them four levels down."""
    names = b"".join(b"X\x04\0\0\0%04d" % n + b"h\x00s" for n in range(300))
    path = archive(tmp_path / "a.pt", b"\x80\x02}q\x00" + names + b".")
    with pytest.raises(FormatError, match="more than 100000 entries"):
        read_checkpoint(path)


def test_one_storage_under_many_names(tmp_path):
    tensor = torch.zeros(2 << 20)
    torch.save({f"layer{n}.weight": tensor for n in range(100)}, tmp_path / "a.pt")
    with pytest.raises(FormatError, match="more than 134217728 numbers"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_names_that_would_do_something_to_a_terminal(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    state = {"encoder.convnet.0.weight\n\x1b[31mEVIL": torch.zeros(2), "b" * 5000: torch.ones(1)}
    (torch.save if suffix == ".pt" else save_file)(state, path)
    with pytest.raises(FormatError) as error:
        read_checkpoint(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 2100


def test_modules_in_modules(tmp_path):
    agent = DrQV2Agent()
    for _ in range(10):
        agent.actor.trunk = torch.nn.Sequential(agent.actor.trunk)
    with pytest.raises(FormatError, match="nested deeper"):
        read_checkpoint(save(tmp_path / "a.pt", agent))


def test_modules_beside_the_networks_that_are_in_each_other_many_times(tmp_path):
    """Few modules by name, 2**60 by path: looked at once each."""
    agent = DrQV2Agent()
    module = torch.nn.Sequential()
    for _ in range(60):
        outer = torch.nn.Sequential()
        outer._modules = {"0": module, "1": module}
        module = outer
    agent.own = module
    assert not read_checkpoint(save(tmp_path / "a.pt", agent)).notes


def test_anything_else_that_a_file_makes_go_wrong_is_one_line(tmp_path, monkeypatch):
    from vrlprobe.checkpoints import read

    def stumble(*_):
        raise KeyError("two\nlines")

    monkeypatch.setattr(read, "find_agent", stumble)
    with pytest.raises(FormatError, match=r"damaged, or no checkpoint \(KeyError") as error:
        read_checkpoint(save(tmp_path / "a.pt", DrQV2Agent()))
    assert "\n" not in str(error.value)


def test_a_zip_bomb(tmp_path):
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\0" * (32 << 20))
    with pytest.raises(UnsafeFileError, match="claims 33554432 bytes"):
        read_checkpoint(path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "stream"])
def test_a_file_cut_off_anywhere(tmp_path, legacy):
    path = save(tmp_path / "a.pt", DrQV2Agent(), _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(VrlprobeError) as error:
            read_checkpoint(path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "stream"])
def test_a_file_with_bytes_changed_reads_or_is_refused(tmp_path, legacy):
    path = save(tmp_path / "a.pt", DrQV2Agent(), _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 20_000), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except VrlprobeError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"hello", b"\x80\x02}."])
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(FormatError):
        read_checkpoint(path)


def test_a_pointer_to_a_file(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0")
    with pytest.raises(FormatError, match="git lfs pull"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_file_of_something_else(tmp_path):
    torch.save({"weights": [1, 2, 3]}, tmp_path / "a.pt")
    with pytest.raises(FormatError, match="no agent known here"):
        read_checkpoint(tmp_path / "a.pt")
