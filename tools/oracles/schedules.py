"""Writes test/fixtures/schedules.json: factors of torch.optim.lr_scheduler over a run and some steps past its end.

Run: python tools/oracles/schedules.py. A warmup is LinearLR, joined to the schedule by SequentialLR.
"""

import json
import pathlib
import warnings

import torch
from torch.optim import lr_scheduler as lr

warnings.filterwarnings("ignore")

BASE = 0.25
PAST = 5

# (name, options of weightlock, total steps, torch scheduler over n steps)
CASES = [
    ("constant", {}, 20, lambda o, n: lr.ConstantLR(o, factor=1.0, total_iters=0)),
    ("constant", {"initialFactor": 0.3, "initialSteps": 7}, 20,
     lambda o, n: lr.ConstantLR(o, factor=0.3, total_iters=7)),
    ("constant", {"warmupSteps": 4, "warmupStart": 0.1}, 20, lambda o, n: lr.ConstantLR(o, factor=1.0, total_iters=0)),
    ("linear", {}, 30, lambda o, n: lr.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=n)),
    ("linear", {"endFactor": 0.2}, 13, lambda o, n: lr.LinearLR(o, start_factor=1.0, end_factor=0.2, total_iters=n)),
    ("linear", {"endFactor": 0.1, "warmupSteps": 6, "warmupStart": 0.25}, 25,
     lambda o, n: lr.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=n)),
    ("cosine", {}, 40, lambda o, n: lr.CosineAnnealingLR(o, T_max=n)),
    ("cosine", {"minFactor": 0.1}, 17, lambda o, n: lr.CosineAnnealingLR(o, T_max=n, eta_min=0.1 * BASE)),
    ("cosine", {"minFactor": 0.05, "warmupSteps": 5, "warmupStart": 0.5}, 30,
     lambda o, n: lr.CosineAnnealingLR(o, T_max=n, eta_min=0.05 * BASE)),
    ("step", {"stepSize": 6, "gamma": 0.7}, 40, lambda o, n: lr.StepLR(o, step_size=6, gamma=0.7)),
    ("step", {"stepSize": 4}, 20, lambda o, n: lr.StepLR(o, step_size=4)),
    ("step", {"stepSize": 3, "gamma": 0.5, "warmupSteps": 5, "warmupStart": 0.2}, 20,
     lambda o, n: lr.StepLR(o, step_size=3, gamma=0.5)),
]

cases = []
for name, options, total, make in CASES:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=BASE)
    warmup = options.get("warmupSteps", 0)
    if warmup:
        rise = lr.LinearLR(optimizer, start_factor=options["warmupStart"], end_factor=1.0, total_iters=warmup)
        scheduler = lr.SequentialLR(optimizer, [rise, make(optimizer, total - warmup)], milestones=[warmup])
    else:
        scheduler = make(optimizer, total)
    factors = []
    for _ in range(total + PAST):
        factors.append(optimizer.param_groups[0]["lr"] / BASE)
        optimizer.step()
        scheduler.step()
    cases.append({"schedule": name, "options": options, "totalSteps": total, "factors": factors})

fixture = {
    "script": "tools/oracles/schedules.py",
    "versions": {"torch": torch.__version__},
    "seed": None,
    "cases": cases,
}
path = pathlib.Path(__file__).parents[2] / "test/fixtures/schedules.json"
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(path, path.stat().st_size)
