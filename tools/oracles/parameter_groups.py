"""Writes test/fixtures/parameter-groups.json: torch.optim with clipped gradients and parameter groups, after 1 and 10 steps.

Run: python tools/oracles/parameter_groups.py. PyTorch runs in float64 on the problem of smooth_problem.py; gradients are clipped by
torch.nn.utils.clip_grad_norm_, L-BFGS's in its closure, those of a line search too. Parameters are base64 of little-endian float32.
"""

import base64
import json
import pathlib

import numpy as np
import torch

from smooth_problem import SHAPES, WEIGHTS, initial, loss

STEPS = 10
CONVEX = [abs(w) for w in WEIGHTS]
torch.set_num_threads(1)

# What applies to all: clipNorm, decay, rateFactors, and the factor of each tensor that they mean.
CLIP = ({"clipNorm": 12.0}, {})
MATRICES = ({"decay": "matrices"}, {})
FACTORS = ({"rateFactors": ["skewed=3", "s*=0.1", "kernel=0.5"]}, {"skewed": 3.0, "scalar": 0.1, "kernel": 0.5})
ALL = ({**CLIP[0], **MATRICES[0], **FACTORS[0]}, FACTORS[1])
SGD = ("sgd", {"momentum": 0.9, "nesterov": True, "weightDecay": 0.1}, torch.optim.SGD,
       {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, 0.01)
CASES = [
    (*SGD, CLIP),
    (*SGD, MATRICES),
    (*SGD, FACTORS),
    (*SGD, ALL),
    ("sgd", {}, torch.optim.SGD, {}, 0.05, CLIP),
    ("adam", {"weightDecay": 0.2}, torch.optim.Adam, {"weight_decay": 0.2}, 0.02, ALL),
    ("adam", {"amsgrad": True, "weightDecay": 0.2}, torch.optim.Adam, {"amsgrad": True, "weight_decay": 0.2}, 0.02, ALL),
    ("adamw", {"weightDecay": 0.5}, torch.optim.AdamW, {"weight_decay": 0.5}, 0.02, ALL),
    ("adadelta", {"weightDecay": 0.2}, torch.optim.Adadelta, {"weight_decay": 0.2}, 1.0, ALL),
    ("adagrad", {"weightDecay": 0.2}, torch.optim.Adagrad, {"weight_decay": 0.2}, 0.05, ALL),
    ("lbfgs", {"maxIterations": 3, "lineSearch": "strong-wolfe"}, torch.optim.LBFGS,
     {"max_iter": 3, "line_search_fn": "strong_wolfe"}, 1.0, CLIP),
]


def groups(params, options, rate, moving, factors):
    """One group of PyTorch for each parameter."""
    for name, param in params.items():
        own = dict(options, lr=rate * factors.get(name, 1.0))
        if moving.get("decay") == "matrices" and param.ndim < 2:
            own["weight_decay"] = 0.0
        yield {"params": [param], **own}


def run(make, options, rate, moving, factors):
    params = initial(list(SHAPES))
    whole = make is torch.optim.LBFGS
    optimizer = make(params.values(), lr=rate, **options) if whole else make(
        groups(params, options, rate, moving, factors), foreach=False)
    after, norms = {}, []
    for step in range(STEPS):

        def closure():
            optimizer.zero_grad()
            value = loss(params, step, CONVEX)
            value.backward()
            if "clipNorm" in moving:
                norm = torch.nn.utils.clip_grad_norm_(params.values(), moving["clipNorm"])
                norms.append(norm.item())
            return value

        optimizer.step(closure)
        if step + 1 in (1, STEPS):
            values = np.concatenate([p.detach().numpy().reshape(-1) for p in params.values()])
            after[step + 1] = base64.b64encode(values.astype("<f4").tobytes()).decode()
    assert not norms or min(norms) < moving["clipNorm"] < max(norms), "expected gradients on both sides of the limit"
    return after


fixture = {
    "script": "tools/oracles/parameter_groups.py",
    "versions": {"torch": torch.__version__, "numpy": np.__version__},
    "seed": None,
    "weights": CONVEX,
    "steps": STEPS,
    "cases": [
        {
            "spec": {"name": name, "options": ours, **moving},
            "learningRate": rate,
            "after": run(make, theirs, rate, moving, factors),
        }
        for name, ours, make, theirs, rate, (moving, factors) in CASES
    ],
}
path = pathlib.Path(__file__).parents[2] / "test/fixtures/parameter-groups.json"
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(path, path.stat().st_size)
