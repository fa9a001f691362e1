"""Writes test/fixtures/logistic-regression.json: weights of penalized multinomial logistic regressions, by torch in float64.

Run with: python tools/oracles/logistic_regression.py  (needs torch)
"""

import json
from pathlib import Path

import torch

SEED = 3
torch.manual_seed(SEED)
cases = []
for name, n, width, classes, penalty in [
    ("two classes", 60, 4, 2, 0.1),
    ("three classes, weak penalty", 80, 5, 3, 1e-3),
    ("more numbers than examples", 12, 20, 3, 0.01),
    ("strong penalty", 40, 3, 4, 100.0),
]:
    features = torch.randn(n, width).float()
    labels = (features @ torch.randn(width, classes) + torch.randn(n, classes)).argmax(1)
    weight = torch.zeros(classes, width, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=5000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def loss():
        logits = features.double() @ weight.T + bias
        return torch.nn.functional.cross_entropy(logits, labels) + penalty / 2 * (weight**2).sum()

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    cases.append(
        {
            "name": name,
            "classes": classes,
            "penalty": penalty,
            "features": features.flatten().tolist(),
            "labels": labels.tolist(),
            "loss": loss().item(),
            "weight": weight.flatten().tolist(),
            "bias": (bias - bias.mean()).tolist(),
        }
    )
target = Path(__file__).parents[2] / "test" / "fixtures" / "logistic-regression.json"
target.write_text(json.dumps({"script": "tools/oracles/logistic_regression.py", "cases": cases}) + "\n")
