"""Writes test/fixtures/causal-lm.json: loss, its gradient, KL and shares of logits of texts, by torch in float64.

The loss is what transformers' causal models compute for the same labels (`ForCausalLMLoss`): the cross entropy of each
token's logits and the next token, over the tokens that have one.

Run with: python tools/oracles/causal_lm.py  (needs torch, transformers)
"""

import base64
import json
from pathlib import Path

import numpy as np
import torch
from transformers.loss.loss_utils import ForCausalLMLoss

SEED = 5
VOCABULARY = 11
torch.manual_seed(SEED)


def stored(tensor):
    array = tensor.detach().numpy().astype({"torch.int64": "<i8"}.get(str(tensor.dtype), "<f4"))
    dtype = "int64" if array.dtype == np.dtype("<i8") else "float32"
    return {"dtype": dtype, "shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


cases = []
for name, lengths, prompts in [
    ("padded on the right", [6, 3, 5], [0, 0, 0]),
    ("with prompts", [7, 4], [3, 2]),
    ("one text", [5], [0]),
]:
    tokens = max(lengths)
    ids = torch.randint(0, VOCABULARY, (len(lengths), tokens))
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for row, (length, prompt) in enumerate(zip(lengths, prompts)):
        mask[row, :length] = 1
        labels[row, prompt:length] = ids[row, prompt:length]
    original = torch.randn(len(lengths), tokens, VOCABULARY)
    logits = (original + 0.7 * torch.randn_like(original)).requires_grad_()
    loss = ForCausalLMLoss(logits.double(), labels, VOCABULARY)
    (gradient,) = torch.autograd.grad(loss, logits)
    shifted = torch.nn.functional.pad(labels, (0, 1), value=-100)[:, 1:]
    counted = shifted != -100
    other = logits.detach().clone().requires_grad_()
    p, q = other.double().log_softmax(-1), original.double().log_softmax(-1)
    kl = torch.nn.functional.kl_div(p, q, reduction="none", log_target=True).sum(-1)[counted].mean()
    (kl_gradient,) = torch.autograd.grad(kl, other)
    cases.append(
        {
            "name": name,
            "prompts": prompts,
            "ids": stored(ids),
            "mask": stored(mask),
            "logits": stored(logits),
            "original": stored(original),
            "loss": loss.item(),
            "gradient": stored(gradient),
            "kl": kl.item(),
            "klGradient": stored(kl_gradient),
            "tokenAccuracy": (logits.argmax(-1) == shifted)[counted].double().mean().item(),
            "agreement": (logits.argmax(-1) == original.argmax(-1))[counted].double().mean().item(),
            "range": [logits[counted].min().item(), logits[counted].max().item()],
        }
    )

target = Path(__file__).parents[2] / "test" / "fixtures" / "causal-lm.json"
target.write_text(json.dumps({"vocabulary": VOCABULARY, "cases": cases}) + "\n")
