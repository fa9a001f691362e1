"""Writes test/fixtures/attention.json: outputs and gradients of PyTorch's scaled_dot_product_attention, in float64.

Inputs are named by the hash that the tests evaluate too: query, key, value, bias and the outputs' factors c, one seed each;
gradients are those of sum(output * c).
Run: python tools/oracles/attention.py
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

SEED = 20261127
OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "attention.json"


def hashed(seed, *shape):
    """Entries in [-1, 1) with 24 bits, exact in float32: a 32-bit integer finalizer over (index, seed)."""
    x = np.arange(int(np.prod(shape)), dtype=np.uint32)
    x = x * np.uint32(0x9E3779B1) + np.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x = x * np.uint32(factor)
    x ^= x >> np.uint32(16)
    return torch.tensor(((x >> np.uint32(8)).astype(np.float64) / 2**23 - 1).reshape(shape))


def case(batch, queries, keys, heads, size, bias=None, mask=None, scale=None):
    split = lambda x: x.view(batch, -1, heads, size).transpose(1, 2)
    shapes = {"query": (batch, queries, heads * size), "key": (batch, keys, heads * size)}
    shapes |= {"value": shapes["key"], **({"bias": tuple(bias)} if bias else {})}
    inputs = {name: hashed(SEED + i, *shape) * 2 for i, (name, shape) in enumerate(shapes.items())}
    for tensor in inputs.values():
        tensor.requires_grad_(True)
    added = inputs.get("bias", torch.zeros(1))
    if mask:
        added = added + torch.zeros(batch, 1, 1, keys).masked_fill(torch.tensor(mask)[:, None, None] == 0, -torch.inf)
    added = added.expand(batch, heads, queries, keys)
    output = F.scaled_dot_product_attention(*(split(inputs[n]) for n in ("query", "key", "value")), added, scale=scale)
    output = output.transpose(1, 2).reshape(batch, queries, heads * size)
    (output * hashed(SEED + 9, *output.shape)).sum().backward()
    rounded = lambda x: [float(np.float32(v)) for v in x.detach().numpy().ravel()]
    return {
        **{"batch": batch, "queries": queries, "keys": keys, "heads": heads, "size": size},
        **{"bias": bias, "mask": mask, "scale": scale, "output": rounded(output)},
        "gradients": {name: rounded(tensor.grad) for name, tensor in inputs.items()},
    }


cases = [
    case(2, 3, 3, 2, 4),
    case(2, 3, 3, 2, 4, scale=0.3, bias=[2, 2, 3, 3]),
    case(2, 3, 4, 2, 2, bias=[2, 1, 4], mask=[[1, 1, 0, 0], [0, 1, 1, 1]]),
    case(1, 1, 5, 1, 3, mask=[[1, 0, 1, 0, 1]]),
]
OUT.write_text(json.dumps({"script": "tools/oracles/attention.py", "torch": torch.__version__, "seed": SEED, "cases": cases}) + "\n")
