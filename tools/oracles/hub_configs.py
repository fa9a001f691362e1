"""Configurations as people write them for transformers and timm, and what these make of them: test/fixtures/hub-configs.json.

    python tools/oracles/hub_configs.py
"""

import copy
import json
import pathlib
import tempfile
import warnings

import timm
import torch
import transformers
from timm.models._hub import load_model_config_from_path

warnings.filterwarnings("ignore")
OUT = pathlib.Path(__file__).parents[2] / "test" / "fixtures" / "hub-configs.json"

TINY = {"model_type": "vit", "num_channels": 1, "image_size": 8, "patch_size": 4, "hidden_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 12}
VIT = {"architectures": ["ViTForImageClassification"], **TINY}
NAMES = {"0": "cat", "1": "dog", "2": "owl"}
NUMBERS = {"cat": 0, "dog": 1, "owl": 2}

TRANSFORMERS = {
    "neither num_labels nor id2label": VIT,
    "num_labels alone": {**VIT, "num_labels": 7},
    "num_labels, both maps null": {**VIT, "num_labels": 7, "id2label": None, "label2id": None},
    "num_labels null beside id2label": {**VIT, "num_labels": None, "id2label": NAMES},
    "id2label, label2id null": {**VIT, "id2label": NAMES, "label2id": None},
    "id2label alone": {**VIT, "id2label": NAMES},
    "both maps": {**VIT, "id2label": NAMES, "label2id": NUMBERS},
    "both maps, numbers as text": {**VIT, "id2label": NAMES, "label2id": {name: str(n) for name, n in NUMBERS.items()}},
    "both maps and num_labels": {**VIT, "id2label": NAMES, "label2id": NUMBERS, "num_labels": 3},
    "num_labels against id2label": {**VIT, "id2label": NAMES, "num_labels": 5},
    "id2label with words for numbers": {**VIT, "id2label": {"cat": "0"}},
    "id2label without all numbers": {**VIT, "id2label": {"0": "cat", "2": "owl"}},
    "image_size as height and width": {**VIT, "image_size": [8, 8]},
    "image_size higher than wide": {**VIT, "image_size": [16, 8]},
    "patch_size as height and width": {**VIT, "patch_size": [4, 4]},
    "architectures null": {**VIT, "architectures": None},
    "model_type alone": TINY,
    "several architectures": {**VIT, "architectures": ["ViTModel", "ViTForImageClassification"]},
    "dropout": {**VIT, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.2},
    "gelu_python": {**VIT, "hidden_act": "gelu_python"},
    "problem_type": {**VIT, "problem_type": "single_label_classification"},
    "problem_type null": {**VIT, "problem_type": None},
    "keys of other heads": {**VIT, "encoder_stride": 16, "pooler_act": "tanh", "pooler_output_size": 8, "dtype": "float32"},
    "no bias of query, key and value": {**VIT, "qkv_bias": False},
}

CFG = {"input_size": [3, 64, 64], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "interpolation": "bicubic"}
TIMM = {
    "present form": {"architecture": "resnet18", "num_classes": 3, "num_features": 512, "pretrained_cfg": CFG},
    "named classes": {"architecture": "resnet18", "num_classes": 3, "label_names": ["cat", "dog", "owl"], "pretrained_cfg": CFG},
    "num_classes in pretrained_cfg": {"architecture": "resnet18", "pretrained_cfg": {**CFG, "num_classes": 3}},
    "old flat form": {"architecture": "resnet18", "num_classes": 3, "labels": ["cat", "dog", "owl"], **CFG},
    "grey by model_args": {"architecture": "resnet18", "num_classes": 3, "model_args": {"in_chans": 1}, "pretrained_cfg": CFG},
}


def by_transformers(config):
    """What transformers makes of a configuration: its classes, and the shapes of its weights."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
        try:
            loaded = transformers.AutoConfig.from_pretrained(folder)
            model = transformers.ViTForImageClassification(loaded).eval()
            model(torch.zeros(1, loaded.num_channels, *model.vit.embeddings.image_size))
        except Exception as error:  # noqa: BLE001 - whatever it is, transformers does not take this configuration
            return {"refused": str(error).splitlines()[0]}
        names = [loaded.id2label.get(label) for label in range(loaded.num_labels)]
        return {"input": [loaded.num_channels, *model.vit.embeddings.image_size], "classes": loaded.num_labels, "names": names,
                "parameters": sum(parameter.numel() for parameter in model.parameters())}


def by_timm(config):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "config.json"
        path.write_text(json.dumps(config))
        pretrained, name, args = load_model_config_from_path(folder)
        kwargs = {**(args or {}), "num_classes": pretrained.get("num_classes", 1000)}
        model = timm.create_model(name, pretrained_cfg=copy.deepcopy(pretrained), **kwargs)
        channels = model.conv1.weight.shape[1]
        return {"input": [channels, *pretrained["input_size"][1:]], "classes": model.num_classes, "names": pretrained.get("label_names"),
                "parameters": sum(parameter.numel() for parameter in model.parameters())}


def saved_by_transformers():
    """A timm model as transformers writes it."""
    wrapper = transformers.TimmWrapperConfig.from_dict({"architecture": "resnet18", "num_classes": 3, "label_names": ["cat", "dog", "owl"], "pretrained_cfg": dict(CFG)})
    return json.loads(transformers.TimmWrapperForImageClassification(wrapper).config.to_json_string(use_diff=False))


cases = [{"by": "transformers", "what": what, "config": config, **by_transformers(config)} for what, config in TRANSFORMERS.items()]
cases += [{"by": "timm", "what": what, "config": config, **by_timm(copy.deepcopy(config))} for what, config in TIMM.items()]
wrapped = saved_by_transformers()
# timm itself stops at the "model_args": null that transformers writes and reads.
cases.append({"by": "transformers", "what": "timm model, written by transformers", "config": wrapped,
              **by_timm({**copy.deepcopy(wrapped), "model_args": {}})})
for case in cases:
    print(case["by"], case["what"], case.get("refused", [case.get("input"), case.get("classes"), case.get("names")]))
document = {"script": "tools/oracles/hub_configs.py", "versions": {"transformers": transformers.__version__, "timm": timm.__version__}, "cases": cases}
OUT.write_text(json.dumps(document, separators=(",", ":")).replace('{"by"', '\n{"by"') + "\n")
