"""The real PyTorch reads and writes .pth files, for tests/weights.rs to compare with.

    python tests/parity/torch_files.py read FILE.pth OUT
    python tests/parity/torch_files.py write FILE.pth FOLDER

`read` writes OUT.json, a list of `[name, shape, type]`, and OUT.f32, all values in that order.
`write` saves the state dict in FILE.pth in every way that a user of PyTorch may.
"""

import collections
import json
import pathlib
import sys

import torch


def read(path: str, out: str) -> None:
    state = torch.load(path, weights_only=True)
    assert type(state) is collections.OrderedDict, type(state)
    tensors = [[name, list(tensor.shape), str(tensor.dtype)] for name, tensor in state.items()]
    pathlib.Path(f"{out}.json").write_text(json.dumps(tensors))
    torch.cat([tensor.flatten() for tensor in state.values()]).numpy().astype("<f4").tofile(f"{out}.f32")


def write(path: str, folder: str) -> None:
    state = torch.load(path, weights_only=True)
    parameters = {name: torch.nn.Parameter(tensor.clone()) for name, tensor in state.items()}
    optimizer = torch.optim.AdamW(parameters.values())
    sum(parameter.sum() for parameter in parameters.values()).backward()
    optimizer.step()
    flat = torch.cat([tensor.flatten() for tensor in state.values()])
    views, at = {}, 0
    for name, tensor in state.items():
        views[name] = flat[at : at + tensor.numel()].view(tensor.shape)
        at += tensor.numel()
    last = {name: tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
            for name, tensor in state.items()}
    checkpoint = {"epoch": 3, "loss": 0.25, "model_state_dict": state, "optimizer": optimizer.state_dict(), "best": None}
    variants = {
        "plain": dict(state),
        "parameters": {name: torch.nn.Parameter(tensor, requires_grad=False) for name, tensor in state.items()},
        "double": {name: tensor.double() for name, tensor in state.items()},
        "channels_last": last,
        "one_storage": views,
        "checkpoint": checkpoint,
    }
    for name, variant in variants.items():
        torch.save(variant, f"{folder}/{name}.pth")
    torch.save({name: tensor.half() for name, tensor in state.items()}, f"{folder}/half.pth")
    torch.save({name: tensor.bfloat16() for name, tensor in state.items()}, f"{folder}/bfloat16.pth")
    torch.save(state, f"{folder}/legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Conv2d(1, 1, 1), f"{folder}/module.pth")


if __name__ == "__main__":
    {"read": read, "write": write}[sys.argv[1]](*sys.argv[2:])
