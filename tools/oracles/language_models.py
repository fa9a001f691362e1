"""Writes test/fixtures/language-models.json: what transformers computes with weights made of hashes.

    python tools/oracles/language_models.py [NAME ..]     writes the cases of the families named, default all
    python tools/oracles/language_models.py DIR ..        loads directories of write_models.mjs into transformers

Weights and masks of dropout are not stored: both sides make them of the same hashes, one seed a name in sorted order. Of
each gradient the norm, a fixed projection and four elements are stored. All is computed in float64. That padding on
the left, with the positions of the text as they were, gives the same, is checked here.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import transformers
from torch.nn import functional as F

SEED = 20261128
OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "language-models"
torch.set_default_dtype(torch.float64)

TEXTS = [[3, 11, 7, 2, 19, 5, 4], [3, 9, 2, 4], [3, 22, 17, 2, 8, 4]]
TYPES = [[0, 0, 0, 0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0, 0, 0]]
SINGLE = [0, 1, 2, 1]  # the tokens of a second text, alone in its batch
DROPOUT = 0.25


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
    """A weight: matrices scaled by their inputs, norms near 1 and 0."""
    h = hashed(seed, *shape)
    if len(shape) >= 2:
        return h * 2.0 ** (1 - np.ceil(np.log2(np.sqrt(max(np.prod(shape[1:]), 2)))))
    return 1 + h / 2 if name.endswith("weight") else h / 4


def number(x):
    """A number as float32 has it, short in a file."""
    return float(f"{x.item():.8g}")


def digest(values, seed):
    flat = values.detach().numpy().ravel()
    picked = [flat[int((i + 0.5) * flat.size / 4)] for i in range(4)]
    return [number(v) for v in (np.sqrt((flat**2).sum()), (flat * hashed(seed, flat.size)).sum(), *picked)]


def batch(rows, types, padding, left=False):
    """Token numbers, mask, types and positions of texts, padded to one length."""
    length = max(map(len, rows))

    def padded(lists, fill):
        pad = lambda row: [fill] * (length - len(row))
        return torch.tensor([pad(row) + row if left else row + pad(row) for row in lists])

    return {
        "input_ids": padded(rows, padding),
        "attention_mask": padded([[1] * len(row) for row in rows], 0),
        "token_type_ids": padded(types, 0),
        "position_ids": padded([list(range(len(row))) for row in rows], 0),
    }


def labels_of(kind, rows, classes, left):
    length = max(map(len, rows))
    if kind == "classifier":
        return torch.tensor([i % classes for i in range(len(rows))])
    chosen = [[t % classes if kind == "token-classifier" or at % 2 else -100 for at, t in enumerate(row)] for row in rows]
    pad = lambda row: [-100] * (length - len(row))
    return torch.tensor([pad(row) + row if left else row + pad(row) for row in chosen])


def run(model, kind, takes, padding, rows, types, classes, left=False):
    """Output, loss and gradients, as a task computes them."""
    arrays = batch(rows, types, padding, left)
    given = {name: arrays[name] for name in takes}
    model.zero_grad()
    out = model(**given)
    if kind == "embedding":
        mask = arrays["attention_mask"][:, :, None]
        output = F.normalize((out.last_hidden_state * mask).sum(1) / mask.sum(1), dim=1)
        loss = (output * torch.tensor(hashed(SEED + 5000, *output.shape))).sum()
    else:
        output = out.logits
        loss = F.cross_entropy(output.flatten(0, -2), labels_of(kind, rows, classes, left).flatten())
    loss.backward()
    if output.ndim == 3:
        output = torch.cat([row[mask == 1] for row, mask in zip(output, arrays["attention_mask"])])
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return output, loss, grads


class Masks:
    """Stands in for dropout: the masks of a run in the order in which they are asked for."""

    def __init__(self):
        self.count = 0

    def __call__(self, x, p=0.5, training=True, inplace=False):
        if p == 0 or not training:
            return x
        mask = torch.tensor((hashed(SEED + 7000 + self.count, *x.shape) >= -0.5) / (1 - DROPOUT))
        self.count += 1
        return x * mask


def first_values(parameter):
    """How a new parameter begins: constant, or normal, with the rows that are zero."""
    values = parameter.detach().numpy()
    if (values == values.flat[0]).all():
        return {"constant": float(values.flat[0])}
    return {"normal": True, "zeros": [row for row, value in enumerate(values) if not value.any()]}


def log_buckets():
    """Buckets of the distances from 0 on, by transformers, in float32 as models have it."""
    torch.set_default_dtype(torch.float32)
    cases = [(256, 512, 700), (256, 1024, 1200), (32, 128, 140), (7, 40, 50), (4, 16, 20)]
    table = []
    for buckets, most, count in cases:
        found = transformers.models.deberta_v2.modeling_deberta_v2.make_log_bucket_position(torch.arange(count), buckets, most)
        table.append({"buckets": buckets, "most": most, "of": [int(v) for v in found]})
    torch.set_default_dtype(torch.float64)
    return table


def case(cls, keys, kind, takes, dropouts=(), unused=()):
    model_class = getattr(transformers, cls)
    config = model_class.config_class(**keys, **{name: 0.0 for name in dropouts})
    config._attn_implementation = "eager"
    model = model_class(config).double().eval()
    names = sorted(name for name, _ in model.named_parameters() if not name.startswith(tuple(unused) or "-"))
    parameters = dict(model.named_parameters())
    first = {name: first_values(parameters[name]) for name in names}
    with torch.no_grad():
        for index, name in enumerate(names):
            shape = parameters[name].shape
            parameters[name].copy_(torch.tensor(value(name, shape, SEED + index)))
    classes = keys["vocab_size"] if kind.endswith("lm") else keys.get("num_labels", 2)
    common = (model, kind, takes, keys.get("pad_token_id") or 0)
    output, loss, grads = run(*common, TEXTS, TYPES, classes)
    assert sorted(grads) == names, sorted(set(names) ^ set(grads))
    left = run(*common, TEXTS, TYPES, classes, left=True)
    # A classifier of transformers looks at the first place, which is padding there.
    pairs = [(output, left[0]), (loss, left[1]), *((grads[n], left[2][n]) for n in names)]
    for a, b in [] if kind == "classifier" else pairs:
        assert torch.allclose(a, b, atol=1e-12, rtol=1e-9), (cls, (a - b).abs().max())
    alone = run(*common, [SINGLE], [[0, 0, 1, 1]], classes)
    result = {
        **{"class": cls, "kind": kind, "config": {**keys, "architectures": [cls], "model_type": config.model_type}},
        "dropouts": list(dropouts),
        "first": first,
        "batch": {"output": [number(v) for v in output.flatten()], "loss": number(loss)},
        "alone": {"output": [number(v) for v in alone[0].flatten()], "loss": number(alone[1])},
        "gradients": {n: digest(grads[n], SEED + 9000 + i) for i, n in enumerate(names)},
    }
    for name in dropouts:
        setattr(config, name, DROPOUT)
    noisy = model_class(config).double().train()
    noisy.load_state_dict(model.state_dict())
    plain, F.dropout = F.dropout, Masks()
    try:
        result["training"] = {"loss": number(run(noisy, *common[1:], TEXTS, TYPES, classes)[1]), "masks": F.dropout.count}
    finally:
        F.dropout = plain
    return result


BERT = {
    **{"vocab_size": 29, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20},
    **{"max_position_embeddings": 16, "type_vocab_size": 2, "num_labels": 3, "pad_token_id": 0},
}
BERT_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob")
TYPED = ("input_ids", "attention_mask", "token_type_ids", "position_ids")


def bert():
    for cls, kind, unused in [
        ("BertModel", "embedding", ["pooler."]),
        ("BertForSequenceClassification", "classifier", []),
        ("BertForTokenClassification", "token-classifier", []),
        ("BertForMaskedLM", "masked-lm", []),
    ]:
        yield case(cls, BERT, kind, TYPED, BERT_DROPOUTS, unused)
    loose = {**BERT, "tie_word_embeddings": False, "hidden_act": "gelu_new", "pad_token_id": None}
    yield case("BertForMaskedLM", loose, "masked-lm", TYPED, BERT_DROPOUTS, ["cls.predictions.bias"])


def roberta():
    untyped, plain = ("input_ids", "attention_mask"), {**BERT, "pad_token_id": 1, "type_vocab_size": 1}
    typed = {**plain, "type_vocab_size": 2, "hidden_act": "relu"}
    yield case("RobertaModel", plain, "embedding", untyped, BERT_DROPOUTS, ["pooler."])
    yield case("RobertaForSequenceClassification", plain, "classifier", untyped, BERT_DROPOUTS)
    yield case("RobertaForTokenClassification", typed, "token-classifier", TYPED[:3], BERT_DROPOUTS)
    yield case("RobertaForMaskedLM", plain, "masked-lm", untyped, BERT_DROPOUTS)
    loose = {**plain, "tie_word_embeddings": False}
    yield case("XLMRobertaForMaskedLM", loose, "masked-lm", untyped, BERT_DROPOUTS, ["lm_head.bias"])


def distilbert():
    takes = ("input_ids", "attention_mask", "position_ids")
    keys = {"vocab_size": 29, "dim": 12, "n_layers": 2, "n_heads": 3, "hidden_dim": 20, "max_position_embeddings": 16}
    keys |= {"num_labels": 3, "pad_token_id": 0}
    drops = ("dropout", "attention_dropout", "seq_classif_dropout")
    yield case("DistilBertModel", keys, "embedding", takes, drops)
    yield case("DistilBertForSequenceClassification", keys, "classifier", takes, drops)
    yield case("DistilBertForTokenClassification", {**keys, "activation": "relu"}, "token-classifier", takes, drops)
    yield case("DistilBertForMaskedLM", keys, "masked-lm", takes, drops)
    yield case("DistilBertForMaskedLM", {**keys, "tie_word_embeddings": False}, "masked-lm", takes, drops)


def deberta_v2():
    plain = {**{k: v for k, v in BERT.items() if k != "type_vocab_size"}, "relative_attention": True}
    drops = (*BERT_DROPOUTS, "pooler_dropout")
    # As v3: log buckets (of few distances, so that these texts reach far ones), shared projections.
    v3 = {**plain, "position_buckets": 4, "share_att_key": True, "norm_rel_ebd": "layer_norm"}
    v3 |= {"pos_att_type": "p2c|c2p", "position_biased_input": False, "type_vocab_size": 0, "layer_norm_eps": 1e-7}
    # As v2: a convolution, positions in the input, types; projections of distances that are their own.
    v2 = {**plain, "pos_att_type": ["c2p", "p2c"], "conv_kernel_size": 3, "conv_act": "gelu", "type_vocab_size": 2}
    v2 |= {"max_relative_positions": 3, "hidden_act": "gelu", "conv_groups": 2}
    untyped, all = ("input_ids", "attention_mask"), TYPED
    yield case("DebertaV2ForSequenceClassification", v3, "classifier", untyped, drops)
    yield case("DebertaV2Model", v3, "embedding", untyped, drops)
    yield case("DebertaV2ForTokenClassification", v2, "token-classifier", all, drops)
    yield case("DebertaV2ForSequenceClassification", {**v2, "pos_att_type": "p2c"}, "classifier", all, drops)
    yield case("DebertaV2ForMaskedLM", {**v3, "pos_att_type": ["c2p"], "legacy": False}, "masked-lm", untyped, drops)
    yield case("DebertaV2ForMaskedLM", {**v2, "embedding_size": 8}, "masked-lm", all, drops)
    absolute = {**v2, "relative_attention": False, "tie_word_embeddings": False}
    yield case("DebertaV2ForMaskedLM", absolute, "masked-lm", all, drops, ["cls.predictions.bias"])


FAMILIES = {"bert": bert, "roberta": roberta, "distilbert": distilbert, "deberta-v2": deberta_v2}


def check(folder):
    """Loads a directory that weightlock wrote into the class that its config.json names, and compares what it gives."""
    torch.set_default_dtype(torch.float32)
    expected = json.loads((folder / "outputs.json").read_text())
    cls = json.loads((folder / "config.json").read_text())["architectures"][0]
    model, info = getattr(transformers, cls).from_pretrained(folder, output_loading_info=True)
    ids = torch.tensor(expected["texts"])
    types = torch.tensor([[0, 0, 0, 1, 1, 1], [0] * 6])
    given = {"token_type_ids": types} if getattr(model.config, "type_vocab_size", 0) > 1 else {}
    with torch.no_grad():
        out = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids), **given)
    found = F.normalize(out.last_hidden_state.mean(1), dim=1) if expected["kind"] == "embedding" else out.logits
    wanted = torch.tensor(expected["y"]).reshape(found.shape)
    error = ((found - wanted).abs().max() / wanted.abs().max()).item()
    keys = {name: sorted(info[name]) for name in ("missing_keys", "unexpected_keys", "mismatched_keys") if info[name]}
    print(f"{folder.name}: {cls}, error {error:.1e}, {keys}")
    assert error < 1e-5 and not info["mismatched_keys"]
    # A model that never had a pooler has none to give; a head that is not this class's is left alone.
    assert all("pooler" in name for name in info["missing_keys"]), info


def main():
    wanted = sys.argv[1:] or list(FAMILIES)
    if wanted[0] not in FAMILIES:
        return [check(pathlib.Path(folder)) for folder in wanted]
    OUT.mkdir(exist_ok=True)
    about = {"script": "tools/oracles/language_models.py", "seed": SEED, "torch": torch.__version__}
    about["transformers"] = transformers.__version__
    texts = {"texts": TEXTS, "types": TYPES, "single": {"text": SINGLE, "types": [0, 0, 1, 1]}, "dropout": DROPOUT}
    for name in wanted:
        cases = list(FAMILIES[name]())
        more = {"logBuckets": log_buckets()} if name == "deberta-v2" else {}
        (OUT / f"{name}.json").write_text(json.dumps({**about, **texts, **more, "cases": cases}) + "\n")
        print(name, len(cases), "cases")


main()
