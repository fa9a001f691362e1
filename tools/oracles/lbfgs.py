"""Writes test/fixtures/lbfgs.json: parameters after each step of torch.optim.LBFGS, and the loss at each evaluation.

Run: python tools/oracles/lbfgs.py. PyTorch runs in float64 on the problem of smooth_problem.py, whose minimum moves from
step to step. Parameters are base64 of little-endian float32.
"""

import base64
import json
import pathlib

import numpy as np
import torch

from smooth_problem import SHAPES, WEIGHTS, initial, loss

STEPS = 6
CONVEX = [abs(w) for w in WEIGHTS]
torch.set_num_threads(1)

# (options of weightlock, options of torch, weights of the problem)
CASES = [
    ({"maxIterations": 4}, {"lr": 0.3, "max_iter": 4}, CONVEX),
    ({"maxIterations": 5, "historySize": 3}, {"lr": 0.5, "max_iter": 5, "history_size": 3}, CONVEX),
    ({"maxIterations": 8, "maxEvaluations": 3}, {"lr": 0.3, "max_iter": 8, "max_eval": 3}, CONVEX),
    ({"maxIterations": 3, "lineSearch": "strong-wolfe"},
     {"lr": 1.0, "max_iter": 3, "line_search_fn": "strong_wolfe"}, CONVEX),
    # From long first steps the search must narrow its bracket, from short ones it must grow; w has a negative entry.
    ({"maxIterations": 3, "lineSearch": "strong-wolfe", "historySize": 4},
     {"lr": 8.0, "max_iter": 3, "line_search_fn": "strong_wolfe", "history_size": 4}, WEIGHTS),
    ({"maxIterations": 4, "maxEvaluations": 40, "lineSearch": "strong-wolfe"},
     {"lr": 0.2, "max_iter": 4, "max_eval": 40, "line_search_fn": "strong_wolfe"}, WEIGHTS),
    # Ends by the tolerances.
    ({"toleranceGradient": 0.5}, {"lr": 0.7, "tolerance_grad": 0.5}, CONVEX),
    ({"toleranceChange": 0.01}, {"lr": 0.7, "tolerance_change": 0.01}, CONVEX),
]


def run(options, weights):
    params = initial(list(SHAPES))
    optimizer = torch.optim.LBFGS(params.values(), **options)
    steps = []
    for step in range(STEPS):
        losses = []

        def closure():
            optimizer.zero_grad()
            value = loss(params, step, weights)
            value.backward()
            losses.append(value.item())
            return value

        optimizer.step(closure)
        values = np.concatenate([p.detach().numpy().reshape(-1) for p in params.values()])
        steps.append({"losses": losses, "params": base64.b64encode(values.astype("<f4").tobytes()).decode()})
    return steps


fixture = {
    "script": "tools/oracles/lbfgs.py",
    "versions": {"torch": torch.__version__, "numpy": np.__version__},
    "seed": None,
    "cases": [
        {"options": ours, "learningRate": theirs["lr"], "weights": weights, "steps": run(theirs, weights)}
        for ours, theirs, weights in CASES
    ],
}
path = pathlib.Path(__file__).parents[2] / "test/fixtures/lbfgs.json"
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, [[len(s["losses"]) for s in case["steps"]] for case in fixture["cases"]])
