"""Writes test/fixtures/utility.json: ECE, agreement, KL, loss and accuracy of logits, by torch and torchmetrics.

Run with: python tools/oracles/utility.py  (needs torch, torchmetrics)
"""

import json
from pathlib import Path

import torch
import torchmetrics
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_f1_score,
    multiclass_matthews_corrcoef,
)

SEED = 7
torch.manual_seed(SEED)
cases = []
for name, n, classes, scale in [
    ("moderate", 60, 5, 2.0),
    ("overconfident", 60, 5, 40.0),
    ("flat", 50, 3, 0.05),
    ("two classes", 40, 2, 1.0),
    ("one example", 1, 4, 1.0),
]:
    labels = torch.randint(0, classes, (n,))
    original = (torch.randn(n, classes) + 2 * torch.nn.functional.one_hot(labels, classes)).float()
    logits = (scale * (original + torch.randn(n, classes))).float()
    p, q = logits.double().log_softmax(1), original.double().log_softmax(1)
    cases.append(
        {
            "name": name,
            "classes": classes,
            "labels": labels.tolist(),
            "logits": logits.flatten().tolist(),
            "original": original.flatten().tolist(),
            "accuracy": (logits.argmax(1) == labels).double().mean().item(),
            "loss": torch.nn.functional.nll_loss(p, labels).item(),
            "ece": multiclass_calibration_error(
                p.exp(), labels, num_classes=classes, n_bins=15, norm="l1"
            ).item(),
            "f1": multiclass_f1_score(logits.argmax(1), labels, classes, average="macro").item(),
            "matthews": multiclass_matthews_corrcoef(logits.argmax(1), labels, classes).item(),
            "agreement": (logits.argmax(1) == original.argmax(1)).double().mean().item(),
            "kl": torch.nn.functional.kl_div(p, q, log_target=True, reduction="batchmean").item(),
            "range": [logits.min().item(), logits.max().item()],
        }
    )
out = Path(__file__).resolve().parents[2] / "test" / "fixtures" / "utility.json"
versions = {"torch": torch.__version__, "torchmetrics": torchmetrics.__version__}
out.write_text(json.dumps({"script": "tools/oracles/utility.py", "seed": SEED, "versions": versions, "cases": cases}))
