"""Writes test/fixtures/specdef.json: 20 steps of Algorithm 1 (SpecDef) by torch.linalg.svd through autograd, float64.

For every case: the loss of each step and all collected singular values before its update. Weights, images and labels are
hashes that the test evaluates too (see `hashed`), so that nothing but results is stored.
Run: python tools/oracles/specdef.py
"""

import json
import pathlib

import numpy as np
import torch
from torch import nn

SEED = 7000
STEPS = 20
BATCH = 16
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def hashed(seed, *shape):
    """Entries in [-1, 1) with 24 bits, exact in float32: a 32-bit integer finalizer over (index, seed)."""
    x = np.arange(int(np.prod(shape)), dtype=np.uint32)
    x = x * np.uint32(0x9E3779B1) + np.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x = x * np.uint32(factor)
    x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)).astype(np.float64) / 2**23 - 1).reshape(shape)


class Cnn(nn.Module):
    def __init__(self, channels, kernel, features, hidden, labels):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels[0], kernel)
        self.conv2 = nn.Conv2d(channels[0], channels[1], kernel)
        widths = [features, *hidden, labels]
        for i in range(4):
            setattr(self, f"fc{i + 1}", nn.Linear(widths[i], widths[i + 1]))

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.conv2(x)), 2).flatten(1)
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc4(torch.relu(self.fc3(x)))


class Mlp(nn.Module):
    def __init__(self, inputs, hidden, labels):
        super().__init__()
        widths = [inputs, *hidden, labels]
        self.depth = len(widths) - 1
        for i in range(self.depth):
            setattr(self, f"fc{i + 1}", nn.Linear(widths[i], widths[i + 1]))

    def forward(self, x):
        x = x.flatten(1)
        for i in range(1, self.depth):
            x = torch.relu(getattr(self, f"fc{i}")(x))
        return getattr(self, f"fc{self.depth}")(x)


MODELS = {
    "cnn": {
        "config": {"image_size": 18, "num_labels": 5, "channels": [4, 6], "kernel_size": 3, "hidden_sizes": [24, 20, 16]},
        "inputShape": [1, 18, 18],
        # 18 -> 16 -> 8 -> 6 -> 3
        "make": lambda: Cnn([4, 6], 3, 6 * 3 * 3, [24, 20, 16], 5),
    },
    "mlp": {
        "config": {"input_shape": [1, 7, 6], "num_labels": 5, "hidden_sizes": [30, 12]},
        "inputShape": [1, 7, 6],
        "make": lambda: Mlp(42, [30, 12], 5),
    },
}

OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, {"lr": 1e-3}),
    "sgd": (torch.optim.SGD, {"lr": 0.05}),
}


def run(model, optimizer, k, alpha, target=None):
    net = MODELS[model]["make"]()
    with torch.no_grad():
        for index, p in enumerate(net.parameters()):
            # A power of two near 1/sqrt(inputs): the same bits on both sides.
            scale = 2.0 ** -np.ceil(np.log2(np.sqrt(max(p[0].numel(), 2))))
            p.copy_(torch.tensor(hashed(SEED + index, *p.shape) * scale * 2))
    kind, options = OPTIMIZERS[optimizer]
    opt = kind(net.parameters(), **options)
    losses, sigmas = [], []
    for step in range(STEPS):
        x = torch.tensor(hashed(SEED + 100 + step, BATCH, *MODELS[model]["inputShape"]))
        labels = torch.tensor(np.floor((hashed(SEED + 200 + step, BATCH) + 1) / 2 * 5).astype(np.int64))
        collected = []
        for p in net.parameters():
            if p.dim() < 2:
                continue
            s = torch.linalg.svd(p.flatten(1), full_matrices=False).S[:k]
            collected.append(s)
        s = torch.cat(collected)
        pushed = s if target is None else torch.where(s < target, s, s.detach())
        retain = nn.functional.cross_entropy(net(x), labels)
        loss = alpha * retain - (1 - alpha) * pushed.mean()
        losses.append(float(loss.detach()))
        sigmas.append([float(f"{v:.9g}") for v in s.tolist()])
        opt.zero_grad()
        loss.backward()
        opt.step()
    return {"model": model, "optimizer": optimizer, "learningRate": options["lr"], "topK": k, "alpha": alpha,
            "targetSigma": target, "loss": [float(f"{v:.9g}") for v in losses], "sigma": sigmas}


cases = [
    run(model, optimizer, k, alpha)
    for model in MODELS for optimizer in OPTIMIZERS for k in (1, 4) for alpha in (0.5, 0.1)
]
cases += [run("cnn", "adamw", 4, 0.1, 1.5), run("mlp", "sgd", 4, 0.1, 1.7)]
fixture = {
    "script": "tools/oracles/specdef.py",
    "versions": {"torch": torch.__version__, "numpy": np.__version__},
    "seed": SEED,
    "batch": BATCH,
    "models": {name: {key: m[key] for key in ("config", "inputShape")} for name, m in MODELS.items()},
    "cases": cases,
}
path = pathlib.Path(__file__).parents[2] / "test" / "fixtures" / "specdef.json"
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
for c in cases:
    print(c["model"], c["optimizer"], c["topK"], c["alpha"], c["targetSigma"], c["loss"][0], c["loss"][-1], c["sigma"][0][:4], c["sigma"][-1][:4])
print(path.stat().st_size)
