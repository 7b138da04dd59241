#!/usr/bin/env python3
"""Measures the speed of a plain PyTorch loop, with which `cargo bench --bench step` compares.

    .deps/venv/bin/python benches/plain_torch.py [--batch 32] [--threads N] [--seconds 5] [--device cpu] [--channels-last] [--frozen]

It has the same network with BatchNorm, float32, the same kind of loss (a dynamic number of positives per face, quality
focal loss, DIoU) and AdamW. The pictures are already in memory: nothing is read or decoded, and no views are cut. With
`--frozen`, BatchNorm's statistics stay fixed, as in our default; with `--device cuda` it runs on a GPU without TF32, as
our workers do. Prints a line of JSON.
"""

import argparse, json, time

import torch
import torch.nn.functional as F
from torch import nn

BLOCKS = [(24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2), (56, 1), (64, 1), (72, 1), (80, 1), (88, 1)]
BLOCKS_2 = [(96, 2), (96, 1), (96, 1), (96, 1), (96, 1)]


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride, self.grown = stride, outputs - inputs
        self.convs = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride, 1 if stride == 1 else 0, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs, eps=1e-3),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3),
        )

    def forward(self, x):
        if self.stride == 2:
            found, x = self.convs(F.pad(x, (0, 1, 0, 1))), F.max_pool2d(x, 2)
        else:
            found = self.convs(x)
        return F.relu(found + (F.pad(x, (0, 0, 0, 0, 0, self.grown)) if self.grown else x))


class BlazeFace(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 5, 2, bias=False), nn.BatchNorm2d(24, eps=1e-3), nn.ReLU())
        inputs, parts = 24, []
        for table in (BLOCKS, BLOCKS_2):
            blocks = []
            for outputs, stride in table:
                blocks.append(Block(inputs, outputs, stride))
                inputs = outputs
            parts.append(nn.Sequential(*blocks))
        self.first, self.second = parts
        self.classifiers = nn.ModuleList([nn.Conv2d(88, 2, 1), nn.Conv2d(96, 6, 1)])
        self.regressors = nn.ModuleList([nn.Conv2d(88, 32, 1), nn.Conv2d(96, 96, 1)])

    def forward(self, x):
        fine = self.first(self.stem(F.pad(x, (1, 2, 1, 2))))
        maps = (fine, self.second(fine))
        head = lambda convs, n: torch.cat(
            [conv(m).permute(0, 2, 3, 1).reshape(len(x), -1, n) for conv, m in zip(convs, maps)], 1
        )
        return head(self.classifiers, 1)[..., 0], head(self.regressors, 16)


def anchors():
    cells = [(side, n) for side, n in ((16, 2), (8, 6))]
    rows = [((x + 0.5) / s, (y + 0.5) / s, 1 / s) for s, n in cells for y in range(s) for x in range(s) for _ in range(n)]
    return torch.tensor(rows)


def corners(b):
    half = b[..., 2:].clamp_min(0) / 2
    return b[..., :2] - half, b[..., :2] + half


def iou(a, b):
    (a0, a1), (b0, b1) = corners(a), corners(b)
    both = (torch.minimum(a1, b1) - torch.maximum(a0, b0)).clamp_min(0).prod(-1)
    area = lambda b: b[..., 2:].clamp_min(0).prod(-1)
    return both / (area(a) + area(b) - both).clamp_min(1e-9)


def loss(logits, coordinates, faces, views, grid):
    boxes = torch.cat([coordinates[..., :2] / 128 + grid[:, :2], coordinates[..., 2:4] / 128], -1)
    with torch.no_grad():
        offset = (grid[None, :, :2] - faces[:, None, :2]).abs()
        near = (offset <= 1.5 * grid[:, 2:]).all(-1) | (offset <= faces[:, None, 2:] / 2).all(-1)
        overlap = iou(boxes[views], faces[:, None]) * near
        logit = logits[views]
        entropy = F.softplus(logit) - logit * overlap
        cost = entropy * (logit.sigmoid() - overlap) ** 2 - 3 * (overlap + 1e-7).log() + 1e6 * ~near
        wanted = overlap.topk(10, 1)[0].sum(1, keepdim=True).floor().clamp_min(1)
        costs, chosen = cost.topk(10, 1, largest=False)
        taken = (torch.arange(10, device=costs.device) < wanted) & (costs < 1e6)
        face = taken.nonzero()[:, 0]
        cells, order = (views[:, None] * 896 + chosen)[taken].sort()
        first = torch.ones_like(cells, dtype=torch.bool)
        first[1:] = cells[1:] != cells[:-1]
        positive, truth = cells[first], faces[face[order][first]]
    found = boxes.reshape(-1, 4)[positive]
    overlap = iou(found, truth)
    (a0, a1), (b0, b1) = corners(found), corners(truth)
    around = torch.maximum(a1, b1) - torch.minimum(a0, b0)
    apart = ((found - truth)[:, :2] ** 2).sum(1) / (around**2).sum(1).clamp_min(1e-9)
    target = logits.new_zeros(logits.numel()).index_copy(0, positive, overlap.detach().clamp_min(0.5))
    logits = logits.reshape(-1)
    focal = (logits.sigmoid() - target) ** 2 * F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (focal.sum() + 2 * (1 - overlap + apart).sum()) / max(len(positive), 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--frozen", action="store_true")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    # Not `set_default_device`, which slows down every PyTorch call.
    network, grid = BlazeFace().train().to(args.device), anchors().to(args.device)
    if args.frozen:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    pictures = torch.rand(args.batch, 3, 128, 128, device=args.device) * 2 - 1
    if args.channels_last:
        network = network.to(memory_format=torch.channels_last)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    views = torch.arange(args.batch, device=args.device).repeat_interleave(5)
    faces = torch.cat([torch.rand(len(views), 2), torch.rand(len(views), 2) * 0.2 + 0.03], 1).to(args.device)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        loss(*network(pictures), faces, views, grid).backward()
        optimizer.step()

    for _ in range(2):
        step()
    wait = torch.cuda.synchronize if args.device.startswith("cuda") else lambda: None
    wait()
    steps, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < args.seconds:
        step()
        steps += 1
    wait()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    rate = steps * args.batch / seconds
    layout = ("channels last" if args.channels_last else "NCHW") + (", frozen BatchNorm" if args.frozen else "")
    print(json.dumps({
        "what": f"plain PyTorch {torch.__version__}, {layout}", "batch": args.batch, "threads": torch.get_num_threads(),
        "steps": steps, "images_per_s": round(rate, 1), "cpu_ms_per_image": round(1e3 * cpu / steps / args.batch, 2),
    }))


if __name__ == "__main__":
    main()
