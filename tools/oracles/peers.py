"""Writes test/fixtures/peers.json: the terms of three published defences and their gradients, by torch in float64.

RepNoise (Rosati et al. 2024), TAR (Tamirisa et al. 2024) and condition-number immunization (Zheng et al. 2025), each from the formulas
of its authors (docs/locks says how these compare with their own code): MMD with their kernel and the loss at every layer through the
head, the sum of gradients along an attack by torch.optim.AdamW, the regularizers of the condition number by autograd through
torch.linalg.svdvals. Weights, examples and noise are hashes that the test evaluates too (see `hashed`).
Run: python tools/oracles/peers.py
"""

import json
import math
import pathlib

import numpy as np
import torch
from torch import nn

SEED = 7700
BATCH = 6
INPUTS, HIDDEN, LABELS = 10, [9, 7, 7], 4
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
    return torch.tensor(((x >> np.uint32(8)).astype(np.float64) / 2**23 - 1).reshape(shape))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [INPUTS, *HIDDEN, LABELS]
        self.depth = len(HIDDEN)
        for i in range(self.depth + 1):
            setattr(self, f"fc{i + 1}", nn.Linear(widths[i], widths[i + 1]))
        with torch.no_grad():
            for index, p in enumerate(self.parameters()):
                p.copy_(hashed(SEED + index, *p.shape))

    def hidden(self, x):
        held = []
        for i in range(self.depth):
            x = torch.relu(getattr(self, f"fc{i + 1}")(x))
            held.append(x)
        return held

    def head(self, h):
        return getattr(self, f"fc{self.depth + 1}")(h)

    def forward(self, x):
        return self.head(self.hidden(x)[-1])


def examples(seed):
    return hashed(seed, BATCH, INPUTS), torch.floor((hashed(seed + 1, BATCH) + 1) / 2 * LABELS).long()


def rounded(values):
    return [float(f"{v:.9g}") for v in values]


def gradients(net, loss):
    found = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)
    names = [name for name, _ in net.named_parameters()]
    return {n: rounded(g.flatten().tolist()) for n, g in zip(names, found) if g is not None}


def mmd(h, noise):
    n = len(h)
    both = torch.cat([h, noise])
    distances = (both[:, None] - both[None]).square().sum(-1)
    width = distances.detach().sum() / (2 * n * (2 * n - 1))
    kernel = sum(torch.exp(-distances / (width * 2.0**power)) for power in range(-2, 3))
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def repnoise(noise_weight, ascent_weight):
    net = Mlp()
    x, y = examples(SEED + 100)
    held = net.hidden(x)
    noises = [2 * hashed(SEED + 200 + i, *h.shape) for i, h in enumerate(held)]
    noise = torch.stack([mmd(h, n) for h, n in zip(held, noises)]).mean()
    fitting = [h for h in held if h.shape == held[-1].shape]
    losses = [nn.functional.cross_entropy(net.head(h), y) for h in [held[-1], *fitting]]
    ascent = torch.log(sum(losses) / len(fitting) + 1)
    loss = noise_weight * noise - ascent_weight * ascent
    return {"noiseWeight": noise_weight, "ascentWeight": ascent_weight, "noise": noise.item(), "ascent": ascent.item(),
            "term": loss.item(), "gradients": gradients(net, loss)}


def tar(resistance, steps, every, decay, weight, rate):
    net = Mlp()
    start = [p.detach().clone() for p in net.parameters()]
    opt = torch.optim.AdamW(net.parameters(), lr=rate)
    xh, yh = examples(SEED + 400)
    total = [torch.zeros_like(p) for p in start]
    term = 0.0
    for k in range(1, steps + 1):
        x, y = examples(SEED + 300)
        opt.zero_grad()
        attack = nn.functional.cross_entropy(net(x), y)
        attack.backward()
        opt.step()
        if k % every:
            continue
        logits = net(xh)
        p = torch.distributions.Categorical(logits=logits)
        judged = -p.entropy().mean() if resistance == "entropy" else -nn.functional.cross_entropy(logits, yh)
        factor = weight * math.exp(-decay * (steps - k))
        term += factor * judged.item()
        for sum_, g in zip(total, torch.autograd.grad(judged, list(net.parameters()))):
            sum_ += factor * g
    names = [name for name, _ in net.named_parameters()]
    return {"resistance": resistance, "steps": steps, "every": every, "decay": decay, "weight": weight,
            "learningRate": rate, "attackedLoss": attack.item(), "term": term,
            "gradients": {n: rounded(g.flatten().tolist()) for n, g in zip(names, total)}}


def distance():
    net, other = Mlp(), Mlp()
    with torch.no_grad():
        for index, p in enumerate(other.parameters()):
            p += 0.25 * hashed(SEED + 500 + index, *p.shape)
    x, _ = examples(SEED + 100)
    with torch.no_grad():
        before = other.hidden(x)
    loss = torch.stack([torch.linalg.vector_norm(h - b, dim=-1).mean() for h, b in zip(net.hidden(x), before)]).mean()
    return {"distance": loss.item(), "gradients": gradients(net, loss)}


def regularizers(features):
    """R_well and R_ill of S = FᵀF and their gradients by F; k is the number of singular values that are not 0."""
    f = features.clone().requires_grad_()
    sigma = torch.linalg.svdvals(f) ** 2
    sigma = sigma[sigma > 1e-12 * sigma[0]]
    k = len(sigma)
    well = sigma[0] ** 2 / 2 - sigma.square().sum() / (2 * k)
    ill = 1 / (sigma.square().sum() / (2 * k) - sigma[-1] ** 2 / 2)
    found = {"condition": (sigma[0] / sigma[-1]).item(), "well": well.item(), "ill": ill.item()}
    for name, value in (("wellSlope", well), ("illSlope", ill)):
        (g,) = torch.autograd.grad(value, f, retain_graph=True)
        found[name] = rounded(g.flatten().tolist())
    return found


def immunize():
    cases = []
    for seed, rows, width in ((600, 12, 5), (610, 4, 9), (620, 6, 6)):
        # Columns of different lengths; powers of two, so that float32 holds the features exactly.
        features = hashed(SEED + seed, rows, width) * 2.0 ** -torch.arange(width)
        features[:, 1] = 0 if seed == 620 else features[:, 1]
        cases.append({"rows": rows, "width": width, "features": features.flatten().tolist(), **regularizers(features)})
    net = Mlp()
    owner, _ = examples(SEED + 100)
    attacker, _ = examples(SEED + 400)
    sides = {}
    for name, x, pick in (("well", owner, 0), ("ill", attacker, 1)):
        f = net.hidden(x)[-1]
        sigma = torch.linalg.svdvals(f) ** 2
        sigma = sigma[sigma > 1e-12 * sigma[0]]
        mean = sigma.square().sum() / (2 * len(sigma))
        value = (sigma[0] ** 2 / 2 - mean, 1 / (mean - sigma[-1] ** 2 / 2))[pick]
        sides[name] = {"value": value.item(), "condition": (sigma[0] / sigma[-1]).item(), "rank": len(sigma),
                       "gradients": gradients(net, value)}
    return {"cases": cases, **sides}


fixture = {
    "script": "tools/oracles/peers.py",
    "versions": {"torch": torch.__version__, "numpy": np.__version__},
    "seed": SEED,
    "batch": BATCH,
    "config": {"input_shape": [INPUTS], "num_labels": LABELS, "hidden_sizes": HIDDEN},
    "repnoise": [repnoise(1.0, 0.0), repnoise(0.0, 1.0), repnoise(0.5, 2.0)],
    "tar": [tar("entropy", 8, 2, 0.25, 4.0, 0.01), tar("cross-entropy", 6, 3, 0.0, 0.5, 0.02)],
    "distance": distance(),
    "immunize": immunize(),
}
path = pathlib.Path(__file__).parents[2] / "test" / "fixtures" / "peers.json"
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
for key in ("repnoise", "tar"):
    for case in fixture[key]:
        print(key, {k: v for k, v in case.items() if k != "gradients"})
print("distance", fixture["distance"]["distance"])
for case in fixture["immunize"]["cases"]:
    print({k: case[k] for k in ("rows", "width", "condition", "well", "ill")})
print({k: {n: v for n, v in fixture["immunize"][k].items() if n != "gradients"} for k in ("well", "ill")})
print(path.stat().st_size)
