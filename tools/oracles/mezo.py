"""Writes test/fixtures/mezo.json: parameters after each of 24 steps of MeZO's authors' code.

Run: python tools/oracles/mezo.py PATH, the path of large_models/trainer.py of github.com/princeton-nlp/MeZO at commit 552cb1b, whose three
methods of a step are run as they are, in float64 on the problem of smooth_problem.py, with the random numbers of weightlock's streams in
the place of torch's. Arrays are base64 of little-endian float32.

The moves are far longer than the default 1e-3: there the difference of two losses at weights rounded to float32 has three digits.
"""

import ast
import base64
import json
import pathlib
import sys
import types

import numpy as np
import torch

from smooth_problem import SHAPES, initial, loss
from streams import RandomStream

STEPS = 24
METHODS = ("zo_perturb_parameters", "zo_step", "zo_update")
torch.set_num_threads(1)

source = ast.parse(pathlib.Path(sys.argv[1]).read_text())
found = {node.name: node for node in ast.walk(source) if isinstance(node, ast.FunctionDef) and node.name in METHODS}
scope = {"torch": torch, "np": np}
exec(compile(ast.Module([found[name] for name in METHODS], []), sys.argv[1], "exec"), scope)


class Host:
    """What the methods need of the trainer that they belong to."""

    def __init__(self, params, eps, weight_decay, seed):
        self.params, self.seed, self.at = params, seed, 0
        self.args = types.SimpleNamespace(zo_eps=eps, weight_decay=weight_decay, gradient_accumulation_steps=1)
        self.lr_scheduler = types.SimpleNamespace(step=lambda: None)

    zo_perturb_parameters, zo_step, zo_update = (scope[name] for name in METHODS)

    def named_parameters(self):
        return self.params.items()

    def zo_forward(self, model, inputs):
        with torch.no_grad():
            return loss(self.params, self.at)

    def _get_learning_rate(self):
        return self.rate

    def step(self, step, rate):
        self.at, self.rate = step, rate
        names = []

        def restart(seed):
            names[:] = list(self.params)

        def normal(mean, std, size, device, dtype):
            name = names.pop(0)
            stream = RandomStream(self.seed, f"mezo direction {name}", step)
            values = [stream.normal() for _ in range(self.params[name].numel())]
            return torch.tensor(values, dtype=torch.float32).to(dtype).reshape(size)

        torch.manual_seed, torch.normal = restart, normal
        self.zo_step(self, None)
        self.zo_update(self)


def run(options, rates):
    params = initial(list(SHAPES))
    host = Host(params, options["eps"], options.get("weightDecay", 0.0), options.get("seed", 0))
    after = []
    for step, rate in enumerate(rates):
        host.step(step, rate)
        values = np.concatenate([p.detach().numpy().reshape(-1) for p in params.values()])
        after.append(base64.b64encode(values.astype("<f4").tobytes()).decode())
    return after


CASES = [({"eps": 0.25}, 0.002, 1.0), ({"eps": 0.1, "weightDecay": 0.5, "seed": 7}, 0.004, 0.95)]
cases = []
for options, rate, factor in CASES:
    rates = [rate * factor**step for step in range(STEPS)]
    row = {"optimizer": "mezo", "options": options, "learningRates": rates, "tensors": list(SHAPES)}
    cases.append({**row, "after": run(options, rates), "state": {}})
fixture = {
    "script": "tools/oracles/mezo.py",
    "versions": {"MeZO": "552cb1b", "torch": torch.__version__, "numpy": np.__version__},
    "seed": None,
    "cases": cases,
}
path = pathlib.Path(__file__).parents[2] / "test/fixtures/mezo.json"
path.write_text(json.dumps(fixture, separators=(",", ":")) + "\n")
print(path, path.stat().st_size)
