"""PyTorch's side of the benchmarks of language models: transformers, loaded from the directories that weightlock wrote."""

import copy
import os

import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

BATCH, TOKENS, EXAMPLES, GENERATED = 8, 64, 256, 32
CAUSAL = {"smollm2"}


def folder_of(name):
    return os.path.join(os.environ["WEIGHTLOCK_BENCH_MODELS"], name)


def load(name):
    family = AutoModelForCausalLM if name in CAUSAL else AutoModelForSequenceClassification
    return family.from_pretrained(folder_of(name), dtype=torch.float32).train()


def texts(net):
    """Random tokens."""
    return torch.randint(10, net.config.vocab_size, (EXAMPLES, TOKENS))


def positions():
    """Shuffled batches, by their positions."""
    order, step = torch.randperm(EXAMPLES), 0
    while True:
        start = step * BATCH % EXAMPLES
        yield order[start : start + BATCH]
        step += 1


def task_loss(name, net):
    """A function that computes the loss of the next batch."""
    ids, labels, source = texts(net), torch.randint(2, (EXAMPLES,)), positions()
    mask = torch.ones(BATCH, TOKENS, dtype=torch.long)

    def loss():
        at = next(source)
        target = ids[at] if name in CAUSAL else labels[at]
        return net(input_ids=ids[at], attention_mask=mask, labels=target).loss

    return loss


def rows_of(name, logits):
    """Logits that count, one row each: of a language model those of tokens that have a next one."""
    return logits[:, :-1].flatten(0, 1) if name in CAUSAL else logits


@torch.no_grad()
def original(name, net, ids, mask):
    """What the model as it is gives for a batch: kept where it is little, else computed again from a copy."""
    teacher = copy.deepcopy(net).eval()
    outputs = lambda at: rows_of(name, teacher(input_ids=ids[at], attention_mask=mask).logits)
    if name in CAUSAL:
        return outputs
    kept = torch.cat([outputs(at) for at in torch.arange(EXAMPLES).split(BATCH)])
    return lambda at: kept[at]


def retain_loss(name, net):
    """A function that computes the KL divergence to the model as it is on the next batch."""
    ids, source = texts(net), positions()
    mask = torch.ones(BATCH, TOKENS, dtype=torch.long)
    reference = original(name, net, ids, mask)

    def loss():
        at = next(source)
        with torch.no_grad():
            before = reference(at).log_softmax(-1)
        now = rows_of(name, net(input_ids=ids[at], attention_mask=mask).logits).log_softmax(-1)
        return F.kl_div(now, before, log_target=True, reduction="batchmean")

    return loss


def prepared(name, keeps):
    """A network, a function that computes its loss on the next batch, and its optimizer."""
    net = load(name)
    loss = retain_loss(name, net) if keeps else task_loss(name, net)
    return net, loss, torch.optim.AdamW(net.parameters(), 1e-5)


def svd_step(name, values_only=False):
    """A full SVD of every matrix of the files."""

    def step():
        tensors = load_file(os.path.join(folder_of(name), "model.safetensors"))
        matrices = [w.flatten(1) for w in tensors.values() if w.dim() >= 2]
        if values_only:
            return sum(torch.linalg.svdvals(w)[0].item() for w in matrices)
        return sum(torch.linalg.svd(w, full_matrices=False).S[0].item() for w in matrices)

    return step


def generate_step(name):
    """Greedy generation with a cache, after a prompt."""
    net = load(name).eval()
    ids = texts(net)[:1]
    options = dict(max_new_tokens=GENERATED, min_new_tokens=GENERATED, do_sample=False, use_cache=True, pad_token_id=0)

    def step():
        with torch.no_grad():
            return net.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **options).shape[1]

    return step
