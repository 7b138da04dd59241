"""Reads and writes .pth files with the real PyTorch, for tests/weights to compare with.

    python tests/parity/torch_files.py read FILE.pth OUT
    python tests/parity/torch_files.py write FILE.pth FOLDER

`read` writes OUT.json, a list of `[name, shape, type]`, and OUT.f32, all values in that order.
`write` saves the state dict in FILE.pth in every way that a user of PyTorch might.
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
    torch.save({"epoch": 7, "model_state_dict": trained(state), "optimizer_state_dict": optimizer.state_dict(),
                "scheduler_state_dict": {"last_epoch": 7}, "best_val_loss": 0.5, "history": [{"loss": 1.5}]},
               f"{folder}/trained.pth")
    torch.save({"model_state_dict": batch_norm(state)}, f"{folder}/batch_norm.pth")
    torch.save({name: tensor.half() for name, tensor in state.items()}, f"{folder}/half.pth")
    torch.save({name: tensor.bfloat16() for name, tensor in state.items()}, f"{folder}/bfloat16.pth")
    torch.save(state, f"{folder}/legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Conv2d(1, 1, 1), f"{folder}/module.pth")


def trained(state: dict) -> dict:
    """The state dict with separate box and keypoint regressors, as in trainable ports of BlazeFace."""
    state = {f"module.{name}": tensor for name, tensor in state.items()}
    for number in (8, 16):
        for what in ("weight", "bias"):
            whole = state.pop(f"module.regressor_{number}.{what}")
            anchors = whole.reshape(-1, 16, *whole.shape[1:])
            state[f"module.regressor_{number}_box.{what}"] = anchors[:, :4].reshape(-1, *whole.shape[1:]).clone()
            state[f"module.regressor_{number}_kp.{what}"] = anchors[:, 4:].reshape(-1, *whole.shape[1:]).clone()
    return state


def batch_norm(state: dict) -> dict:
    """The state dict with BatchNorm after each convolution of the blocks, under those ports' names."""
    state = dict(state)
    for name in [name for name in state if name.endswith(".convs.0.weight")]:
        block = name.removesuffix(".convs.0.weight")
        for index, conv, norm in ((0, "dw_conv", "bn1"), (1, "pw_conv", "bn2")):
            weight, bias = (state.pop(f"{block}.convs.{index}.{what}") for what in ("weight", "bias"))
            layer = torch.nn.BatchNorm2d(len(bias))
            torch.nn.init.uniform_(layer.weight, 0.5, 2)
            torch.nn.init.uniform_(layer.running_mean, -1, 1)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
            scale = layer.weight.detach() / (layer.running_var + layer.eps).sqrt()
            layer.bias.data = bias + layer.running_mean * scale
            state[f"{block}.{conv}.weight"] = weight / scale.reshape(-1, 1, 1, 1)
            state |= {f"{block}.{norm}.{key}": value for key, value in layer.state_dict().items()}
    return state


if __name__ == "__main__":
    {"read": read, "write": write}[sys.argv[1]](*sys.argv[2:])
