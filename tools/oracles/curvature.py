"""Writes test/fixtures/curvature.json: Hessian and Gauss-Newton products of a small CNN, and its natural gradient steps.

Run: python tools/oracles/curvature.py. All in float64 with dense matrices: the Hessian by torch.autograd, the Gauss-Newton
matrix as J^T H_L J from the dense Jacobian of the logits, the steps by a dense solve. Arrays are base64 of little-endian
float32.
"""

import base64
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import hessian, jacrev

SEED = 20250710
BATCH, CLASSES = 5, 3
TASK, KL = 0.7, 0.4
DAMPING, RATE, STEPS = 0.05, 0.5, 4
CONFIG = {"image_size": 16, "num_labels": CLASSES, "channels": [2, 2], "hidden_sizes": [6, 5, 4]}
torch.set_num_threads(1)
torch.manual_seed(SEED)

SHAPES = {
    "conv1.weight": (2, 1, 5, 5), "conv1.bias": (2,), "conv2.weight": (2, 2, 5, 5), "conv2.bias": (2,),
    "fc1.weight": (6, 2), "fc1.bias": (6,), "fc2.weight": (5, 6), "fc2.bias": (5,),
    "fc3.weight": (4, 5), "fc3.bias": (4,), "fc4.weight": (3, 4), "fc4.bias": (3,),
}  # fmt: skip


def rounded(t):
    return t.float().double()


def pack(t):
    return base64.b64encode(t.detach().numpy().astype("<f4").tobytes()).decode()


def packed(values):
    return {name: pack(value) for name, value in values.items()}


def split(flat):
    parts = torch.split(flat, [int(np.prod(shape)) for shape in SHAPES.values()])
    return {name: part.reshape(shape) for (name, shape), part in zip(SHAPES.items(), parts)}


def flat(values):
    return torch.cat([value.reshape(-1) for value in values.values()])


x = rounded(torch.randn(BATCH, 1, 16, 16))
labels = torch.tensor([0, 2, 1, 2, 0])
reference = rounded(torch.randn(BATCH, CLASSES, dtype=torch.float64))
# Positive biases keep most units alive.
start = {
    name: rounded(torch.rand(shape) * 0.3 if name.endswith("bias") else torch.randn(shape) * (0.9 / np.prod(shape[1:]) ** 0.5))
    for name, shape in SHAPES.items()
}
v = {name: rounded(torch.randn(shape)) for name, shape in SHAPES.items()}


def logits(theta):
    p = split(theta)
    h = F.relu(F.max_pool2d(F.conv2d(x, p["conv1.weight"], p["conv1.bias"]), 2))
    h = F.relu(F.max_pool2d(F.conv2d(h, p["conv2.weight"], p["conv2.bias"]), 2)).reshape(BATCH, -1)
    for i in (1, 2, 3):
        h = F.relu(F.linear(h, p[f"fc{i}.weight"], p[f"fc{i}.bias"]))
    return F.linear(h, p["fc4.weight"], p["fc4.bias"])


def loss_of_logits(z):
    kl = F.kl_div(F.log_softmax(z, -1), F.log_softmax(reference, -1), reduction="batchmean", log_target=True)
    return TASK * F.cross_entropy(z, labels) + KL * kl


def loss(theta):
    return loss_of_logits(logits(theta))


def gauss_newton(theta):
    z = logits(theta)
    jacobian = jacrev(logits)(theta).reshape(z.numel(), -1)
    curvature = hessian(loss_of_logits)(z).reshape(z.numel(), z.numel())
    return jacobian.T @ curvature @ jacobian


theta = flat(start)
steps = []
moving = theta.clone()
for _ in range(STEPS):
    matrix = gauss_newton(moving) + DAMPING * torch.eye(len(moving), dtype=torch.float64)
    moving = moving - RATE * torch.linalg.solve(matrix, jacrev(loss)(moving))
    steps.append({"loss": loss(moving).item(), "params": packed(split(moving))})

fixture = {
    "script": "tools/oracles/curvature.py",
    "versions": {"torch": torch.__version__, "numpy": np.__version__},
    "seed": SEED,
    "config": CONFIG,
    "weights": {"task": TASK, "kl": KL},
    "inputs": pack(x),
    "labels": labels.tolist(),
    "reference": pack(reference),
    "params": packed(start),
    "v": packed(v),
    "loss": loss(theta).item(),
    "hessianProduct": packed(split(hessian(loss)(theta) @ flat(v))),
    "gaussNewtonProduct": packed(split(gauss_newton(theta) @ flat(v))),
    "naturalGradient": {"damping": DAMPING, "learningRate": RATE, "steps": steps},
}
path = pathlib.Path(__file__).parents[2] / "test/fixtures/curvature.json"
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
alive = int((jacrev(loss)(theta) != 0).sum())
print(path, path.stat().st_size, f"{alive} of {len(theta)} with a gradient", [fixture["loss"], *(s["loss"] for s in steps)])
