"""Writes test/fixtures/parameter-groups.json: torch.optim with clipped gradients and parameter groups, after 1 and 10 steps.

Run: python tools/oracles/parameter_groups.py, with schedulefree 1.4.1 and pytorch-optimizer 4.1.0 installed. PyTorch runs in float64 on
the problem of smooth_problem.py; gradients are clipped by torch.nn.utils.clip_grad_norm_, L-BFGS's in its closure, those of a line search
too. Optimizers that torch has not are those of optimizer_steps.py. Parameters are base64 of little-endian float32.
"""

import base64
import importlib.metadata
import json
import pathlib

import numpy as np
import pytorch_optimizer
import schedulefree
import torch

from optimizer_steps import ScalarsAsVectors
from smooth_problem import SHAPES, WEIGHTS, initial, loss

STEPS = 10
CONVEX = [abs(w) for w in WEIGHTS]
torch.set_num_threads(1)



class MuonAndAdamW:
    """Groups of matrices by Muon, iterating in float64, the others by AdamW."""

    def __init__(self, groups, foreach):
        groups = list(groups)
        self.muon = torch.optim.Muon([group for group in groups if group["params"][0].ndim == 2])
        self.adamw = torch.optim.AdamW([group for group in groups if group["params"][0].ndim != 2], foreach=foreach)

    def zero_grad(self):
        self.muon.zero_grad()
        self.adamw.zero_grad()

    def step(self, closure):
        closure()
        low, torch.bfloat16 = torch.bfloat16, torch.float64
        self.muon.step()
        torch.bfloat16 = low
        self.adamw.step()


class ScheduleFree(schedulefree.AdamWScheduleFree):
    """Parameters are x between two steps."""

    def step(self, closure):
        self.train()
        super().step(closure)
        self.eval()


class Soap(pytorch_optimizer.SOAP):
    """With bases in float64."""

    def step(self, closure):
        low, torch.float32 = torch.float32, torch.float64
        super().step(closure)
        torch.float32 = low


# What applies to all: clipNorm, decay, rateFactors, and the factor of each tensor that they mean.
CLIP = ({"clipNorm": 12.0}, {})
MATRICES = ({"decay": "matrices"}, {})
FACTORS = ({"rateFactors": ["skewed=3", "s*=0.1", "kernel=0.5"]}, {"skewed": 3.0, "scalar": 0.1, "kernel": 0.5})
GROUPS = ({**MATRICES[0], **FACTORS[0]}, FACTORS[1])
ALL = ({**CLIP[0], **GROUPS[0]}, FACTORS[1])
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
    ("rmsprop", {"weightDecay": 0.2}, torch.optim.RMSprop, {"weight_decay": 0.2}, 0.02, GROUPS),
    ("lion", {"weightDecay": 0.5}, pytorch_optimizer.Lion, {"weight_decay": 0.5}, 0.02, GROUPS),
    ("muon", {"weightDecay": 0.5}, MuonAndAdamW, {"weight_decay": 0.5}, 0.02, GROUPS),
    ("schedule-free-adamw", {"weightDecay": 0.5}, ScheduleFree, {"weight_decay": 0.5}, 0.02, GROUPS),
    # Longer dimensions have slices of too low a rank for one basis.
    ("soap", {"weightDecay": 0.5, "maxPreconditionDim": 3}, Soap, {"weight_decay": 0.5, "max_precondition_dim": 3}, 0.02, GROUPS),
    ("shampoo", {"weightDecay": 0.2, "matrixEps": 0.1}, ScalarsAsVectors, {"weight_decay": 0.2, "matrix_eps": 0.1}, 0.05, GROUPS),
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
    "versions": {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pytorch-optimizer": importlib.metadata.version("pytorch-optimizer"),
        "schedulefree": importlib.metadata.version("schedulefree"),
    },
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
