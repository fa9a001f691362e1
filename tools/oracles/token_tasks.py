"""Writes test/fixtures/token-tasks.json: losses, KL and shares of logits of tokens, by transformers, torch and torchmetrics.

The losses are transformers' own for `labels` that are -100 where a token counts for nothing: `ForMaskedLMLoss` and
`ForTokenClassification`. `top` is the KL of the k most likely answers and of all others as one.

Run with: python tools/oracles/token_tasks.py  (needs torch, torchmetrics, transformers)
"""

import base64
import json
from pathlib import Path

import numpy as np
import torch
import torchmetrics
import transformers
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_recall
from transformers.loss.loss_utils import ForCausalLMLoss, ForMaskedLMLoss, ForTokenClassification

SEED = 11
LEAST_REST = 1e-6
torch.manual_seed(SEED)


def stored(tensor):
    array = tensor.detach().numpy().astype({"torch.int64": "<i8"}.get(str(tensor.dtype), "<f4"))
    dtype = "int64" if array.dtype == np.dtype("<i8") else "float32"
    return {"dtype": dtype, "shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


def top_kl(p, q, k):
    """Mean over rows of the KL of the k largest of q and one bucket; p and q are logarithms."""
    top, at = q.topk(k, -1)
    own = p.gather(-1, at)
    rest, left = [(1 - x.exp().sum(-1, keepdim=True)).clamp(min=LEAST_REST).log() for x in (top, own)]
    return (top.exp() * (top - own)).sum(-1).mean() + (rest.exp() * (rest - left)).sum(-1).mean()


cases = []
for task, size, left in [
    ("token-classification", 4, False),
    ("token-classification", 4, True),
    ("masked-lm", 13, False),
    ("masked-lm", 13, True),
    ("causal-lm", 13, True),
]:
    lengths = [6, 3, 5]
    tokens = 7
    mask = torch.zeros(len(lengths), tokens, dtype=torch.long)
    ids = torch.zeros_like(mask)
    labels = torch.full_like(mask, -100)
    for row, length in enumerate(lengths):
        at = slice(tokens - length, tokens) if left else slice(0, length)
        mask[row, at] = 1
        ids[row, at] = torch.randint(1, size, (length,))
        chosen = torch.rand(length) < (0.75 if task == "token-classification" else 0.4)
        chosen[row % length] = True
        labels[row, at] = torch.where(chosen, torch.randint(0, size, (length,)), -100)
    if task == "causal-lm":
        labels = torch.where(mask == 1, ids, -100)
    original = torch.randn(len(lengths), tokens, size)
    logits = (original + 0.7 * torch.randn_like(original)).requires_grad_()
    wide = logits.double()
    if task == "token-classification":
        config = type("Config", (), {"num_labels": size})()
        loss = ForTokenClassification(wide, labels, config)
    else:
        loss = (ForMaskedLMLoss if task == "masked-lm" else ForCausalLMLoss)(wide, labels, size)
    (gradient,) = torch.autograd.grad(loss, logits)
    if task == "causal-lm":
        labels = torch.nn.functional.pad(labels, (0, 1), value=-100)[:, 1:]
        # The first token of a text padded on the left is not to be found by padding.
        labels = torch.where(mask == 1, labels, -100)
        loss = torch.nn.functional.cross_entropy(wide.flatten(0, 1), labels.flatten())
        (gradient,) = torch.autograd.grad(loss, logits)
    counted = labels != -100
    p, q = wide.log_softmax(-1)[counted], original.double().log_softmax(-1)[counted]
    kl = torch.nn.functional.kl_div(p, q, reduction="none", log_target=True).sum(-1).mean()
    (kl_gradient,) = torch.autograd.grad(kl, logits, retain_graph=True)
    k = 2 if size == 4 else 3
    top = top_kl(p, q, k)
    (top_gradient,) = torch.autograd.grad(top, logits)
    answers, found = logits[counted].argmax(-1), labels[counted]
    case = {
        "task": task,
        "side": "left" if left else "right",
        "lengths": lengths,
        **{name: stored(tensor) for name, tensor in (("ids", ids), ("mask", mask), ("labels", labels))},
        **{name: stored(tensor) for name, tensor in (("logits", logits), ("original", original))},
        "loss": loss.item(),
        "gradient": stored(gradient),
        "kl": kl.item(),
        "klGradient": stored(kl_gradient),
        "k": k,
        "top": top.item(),
        "topGradient": stored(top_gradient),
        "accuracy": (answers == found).double().mean().item(),
        "agreement": (answers == original[counted].argmax(-1)).double().mean().item(),
        "range": [logits[counted].min().item(), logits[counted].max().item()],
    }
    if task == "token-classification":
        case["f1"] = multiclass_f1_score(answers, found, size, average="macro").item()
        case["f1OfClass"] = multiclass_f1_score(answers, found, size, average=None).tolist()
        case["recallOfClass"] = multiclass_recall(answers, found, size, average=None).tolist()
    cases.append(case)

versions = {module.__name__: module.__version__ for module in (torch, torchmetrics, transformers)}
content = {"script": "tools/oracles/token_tasks.py", "seed": SEED, "versions": versions, "cases": cases}
target = Path(__file__).parents[2] / "test" / "fixtures" / "token-tasks.json"
target.write_text(json.dumps(content) + "\n")
