"""BlazeFace in plain PyTorch, short range and back camera, for tests/weights to compare with.

    python tests/parity/torch_network.py FILE OUT.f32 PICTURE…

FILE is a .pth (with or without BatchNorm) or a .safetensors. Writes for each anchor the logit, then the
coordinates, one picture after another.
"""

import sys

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

FRONT = [24, 28, (32, 2), 36, 42, (48, 2), 56, 64, 72, 80, 88], [(96, 2), 96, 96, 96, 96]
BACK = [24] * 7 + [(24, 2)] + [24] * 7 + [(48, 2)] + [48] * 7 + [(96, 2)] + [96] * 7


class Conv(nn.Conv2d):
    """A convolution, followed by BatchNorm if the file has it."""

    def __init__(self, *args: int, norm: bool, **kwargs: int) -> None:
        super().__init__(*args, bias=not norm, **kwargs)
        if norm:
            self.bn = nn.BatchNorm2d(self.out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = super().forward(x)
        return self.bn(x) if hasattr(self, "bn") else x


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, norm: bool, shortcut: bool = True) -> None:
        super().__init__()
        self.stride, self.extra, self.shortcut = stride, outputs - inputs, shortcut
        self.convs = nn.Sequential(Conv(inputs, inputs, 3, stride, groups=inputs, norm=norm), Conv(inputs, outputs, 1, norm=norm))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.convs(F.pad(x, (1, 1, 1, 1) if self.stride == 1 else (0, 1, 0, 1)))
        x = x if self.stride == 1 else F.max_pool2d(x, 2)
        return F.relu(y + F.pad(x, (0, 0, 0, 0, 0, self.extra)) if self.shortcut else y)


class BlazeFace(nn.Module):
    def __init__(self, back: bool, norm: bool) -> None:
        super().__init__()
        self.back, self.width = back, 3
        if back:
            self.backbone, self.final = self.sequence(BACK, norm), Block(96, 96, 2, norm, shortcut=False)
        else:
            self.backbone1, self.backbone2 = (self.sequence(blocks, norm) for blocks in FRONT)
        for kind, numbers in (("classifier", 1), ("regressor", 16)):
            setattr(self, f"{kind}_8", nn.Conv2d(96 if back else 88, 2 * numbers, 1))
            setattr(self, f"{kind}_16", nn.Conv2d(96, 6 * numbers, 1))

    def sequence(self, blocks: list, norm: bool) -> nn.Sequential:
        layers = [Conv(3, 24, 5, 2, norm=norm), nn.ReLU()] if self.width == 3 else []
        self.width = max(self.width, 24)
        for block in blocks:
            outputs, stride = block if isinstance(block, tuple) else (block, 1)
            layers.append(Block(self.width, outputs, stride, norm))
            self.width = outputs
        return nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = (self.backbone, self.final) if self.back else (self.backbone1, self.backbone2)
        large = first(F.pad(x, (1, 2, 1, 2)))
        maps = {"8": large, "16": second(large)}
        rows = [[getattr(self, f"{kind}_{name}")(map).permute(0, 2, 3, 1).reshape(len(x), -1, numbers)
                 for name, map in maps.items()] for kind, numbers in (("classifier", 1), ("regressor", 16))]
        return torch.cat([torch.cat(halves, 1) for halves in rows], 2)


def main() -> None:
    file, out, *pictures = sys.argv[1:]
    if file.endswith(".safetensors"):
        from safetensors.torch import load_file
        state = load_file(file)
    else:
        state = torch.load(file, weights_only=True)
    network = BlazeFace("backbone.0.weight" in state, any(".bn." in name for name in state))
    counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith("num_batches_tracked")}
    network.load_state_dict(state | counters, strict=True)
    batch = np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32) for path in pictures])
    with torch.no_grad():
        answers = network.eval()(torch.from_numpy(batch.transpose(0, 3, 1, 2) / 127.5 - 1))
    answers.numpy().astype("<f4").tofile(out)


if __name__ == "__main__":
    main()
