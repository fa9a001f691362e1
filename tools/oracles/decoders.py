"""Writes test/fixtures/decoders.json: what transformers computes with tiny decoders whose weights are made of hashes.

    python tools/oracles/decoders.py

Weights are not stored: both sides make them of the same hashes, one seed a name in sorted order. A batch has a whole text, one
with padding behind it and one with padding before it; of logits, those of real tokens are stored, of each gradient the norm, a
fixed projection and four elements, and how the first text's three first tokens go on greedily. Computed in float32: in float64 the rows of padding before a text would be NaN, whose mask
transformers casts to float32.
"""

import json
import pathlib

import numpy as np
import torch
import transformers
from torch.nn import functional as F

SEED = 20261128
OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "decoders.json"
VOCABULARY, PAD = 19, 0

LLAMA = {
    "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 32, "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True, "pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": 2, "num_labels": 3,
}


def hashed(seed, *shape):
    """Entries in [-1, 1) with 24 bits, exact in float32: a 32-bit integer finalizer over (index, seed)."""
    x = np.arange(int(np.prod(shape)), dtype=np.uint32)
    x = x * np.uint32(0x9E3779B1) + np.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x ^= x >> np.uint32(shift)
        x = x * np.uint32(factor)
    x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)).astype(np.float64) / 2**23 - 1).reshape(shape)


def value(name, shape, seed):
    """The value of a parameter: matrices scaled by their inputs, norms near 1, biases near 0."""
    h = hashed(seed, *shape)
    if len(shape) >= 2:
        return h * 2.0 ** (1 - np.ceil(np.log2(np.sqrt(max(np.prod(shape[1:]), 2)))))
    return 1 + h / 2 if name.endswith("weight") else h / 4


def digest(tensor, seed):
    """Norm, projection on hashes, and four elements: [norm, projection, first, ..]."""
    flat = tensor.detach().double().reshape(-1).numpy()
    picked = [flat[int((i + 0.5) * len(flat) / 4)] for i in range(4)]
    return [float(f"{number:.9g}") for number in (np.linalg.norm(flat), flat @ hashed(seed, len(flat)), *picked)]


def llama(kind="LlamaForCausalLM", **keys):
    return {**LLAMA, "architectures": [kind], **keys}


CASES = [
    llama(),
    llama(tie_word_embeddings=False, num_key_value_heads=4, rope_theta=500.0, rms_norm_eps=1e-6),
    llama(num_key_value_heads=1, attention_bias=True, mlp_bias=True, head_dim=6, hidden_act="gelu"),
    llama("LlamaForSequenceClassification"),
    llama("LlamaForTokenClassification", num_key_value_heads=None),
    llama("LlamaModel"),
    llama(rope_scaling={"type": "linear", "factor": 3.0}),
    llama(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 100.0}),
    llama(rope_scaling={"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 2.0, "original_max_position_embeddings": 16}, rope_theta=20.0, head_dim=8),
    llama(rope_parameters={"rope_type": "yarn", "factor": 4.0, "rope_theta": 30.0, "original_max_position_embeddings": 8, "beta_fast": 2.0}, head_dim=12),
    llama(rope_scaling={"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 16, "truncate": False, "mscale": 1.5, "mscale_all_dim": 0.5, "beta_fast": 1.5, "beta_slow": 0.5}, rope_theta=8.0),
]

for family, keys in (
    ("mistral", {"sliding_window": 3}),
    ("qwen2", {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}),
    ("qwen3", {"head_dim": 6, "layer_types": ["sliding_attention", "full_attention"], "use_sliding_window": True, "sliding_window": 2}),
):
    for kind in ("ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "Model"):
        CASES.append({**LLAMA, "model_type": family, "architectures": [family.capitalize() + kind], **keys})
CASES += [
    {**CASES[-4], "attention_bias": True, "use_sliding_window": False, "layer_types": None, "tie_word_embeddings": False, "head_dim": 4},
    {**LLAMA, "model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": None, "head_dim": 6},
]
GEMMA = {
    **LLAMA, "model_type": "gemma3_text", "num_hidden_layers": 3, "head_dim": 6, "query_pre_attn_scalar": 9, "sliding_window": 3,
    "sliding_window_pattern": 2, "hidden_activation": "gelu_pytorch_tanh",
}
for kind in ("ForCausalLM", "TextForSequenceClassification", "TextModel"):
    CASES.append({**GEMMA, "architectures": ["Gemma3" + kind], "rope_theta": 300.0, "rope_local_base_freq": 40.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0}})
CASES.append({
    **GEMMA, "architectures": ["Gemma3ForCausalLM"], "final_logit_softcapping": 2.0, "attention_bias": True,
    "layer_types": ["full_attention", "sliding_attention", "sliding_attention"],
    "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 90.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 20.0}},
})

GPT2 = {
    "model_type": "gpt2", "vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_inner": 24, "n_positions": 12,
    "pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": 2, "num_labels": 3,
}
for kind in ("LMHeadModel", "ForSequenceClassification", "ForTokenClassification", "Model"):
    CASES.append({**GPT2, "architectures": ["GPT2" + kind]})
CASES.append({
    **GPT2, "architectures": ["GPT2LMHeadModel"], "n_inner": None, "tie_word_embeddings": False, "activation_function": "relu",
    "scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False,
})

IDS = [[5, 17, 3, 9, 12, 3, 8, 18], [11, 4, 6, 6, 14, PAD, PAD, PAD], [PAD, PAD, 7, 16, 2, 10, 13, 15]]
MASK = [[1] * 8, [1] * 5 + [0] * 3, [0] * 2 + [1] * 6]


def rounded(tensor):
    return [float(f"{number:.9g}") for number in tensor.detach().reshape(-1).tolist()]


def write_case(config):
    ids, mask = torch.tensor(IDS), torch.tensor(MASK)
    name = config["architectures"][0]
    # A copy: transformers adds keys to the rotary parameters that it is given.
    parsed = transformers.AutoConfig.for_model(**json.loads(json.dumps(config)))
    parsed._attn_implementation = "eager"
    model = getattr(transformers, name)(parsed).eval()
    parameters = dict(model.named_parameters())
    # A base model's names have no prefix in memory, and have one in files of all other classes.
    base = type(model).base_model_prefix + "."
    named = {(n if "For" in name or "LMHead" in name else base + n): p for n, p in parameters.items()}
    with torch.no_grad():
        for index, key in enumerate(sorted(named)):
            named[key].copy_(torch.tensor(value(key, tuple(named[key].shape), SEED + index)))
    # Learned positions count real tokens, as generation does; rotary ones do not care.
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    greedy = {}
    if "ForCausalLM" in name or "LMHead" in name:
        tokens = model.generate(ids[:1, :3], attention_mask=mask[:1, :3], do_sample=False, max_new_tokens=8, eos_token_id=None)
        greedy = {"greedy": tokens[0, 3:].tolist()}
    output = model(input_ids=ids, attention_mask=mask, use_cache=False, position_ids=positions)
    if "ForCausalLM" in name or "LMHead" in name:
        labels = torch.where((mask[:, 1:] * mask[:, :-1]).bool(), ids[:, 1:], -100)
        found = output.logits
        loss = F.cross_entropy(found[:, :-1].reshape(-1, VOCABULARY), labels.reshape(-1))
        stored = found[mask.bool()]
    elif "ForSequenceClassification" in name:
        found = stored = output.logits
        loss = F.cross_entropy(found, torch.arange(len(ids)) % config["num_labels"])
    elif "ForTokenClassification" in name:
        found = output.logits
        labels = torch.where(mask.bool(), ids % config["num_labels"], -100)
        loss = F.cross_entropy(found.reshape(-1, config["num_labels"]), labels.reshape(-1))
        stored = found[mask.bool()]
    else:
        shares = mask[:, :, None] / mask.sum(1)[:, None, None]
        stored = F.normalize((output.last_hidden_state * shares).sum(1))
        loss = (stored * torch.tensor(hashed(SEED + 8000, *stored.shape), dtype=stored.dtype)).sum()
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in named.items() if parameter.grad is not None}
    return {
        "config": config, "output": rounded(stored), "loss": loss.item(), **greedy,
        "gradients": {key: digest(gradients[key], SEED + 9000 + i) for i, key in enumerate(sorted(gradients))},
    }


if __name__ == "__main__":
    torch.manual_seed(SEED)
    document = {
        "script": "tools/oracles/decoders.py", "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "seed": SEED, "ids": IDS, "mask": MASK, "cases": [write_case(config) for config in CASES],
    }
    OUT.write_text(json.dumps(document, separators=(",", ":")).replace('{"config"', '\n{"config"') + "\n")
