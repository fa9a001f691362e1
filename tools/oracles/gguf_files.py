"""Oracle for GGUF files: llama.cpp's own Python package writes and dequantizes them, transformers loads them.

Writes test/fixtures/gguf/:
  types.gguf, types.json          a tensor of every type that is read, of random blocks; values by gguf.quants.dequantize
  FAMILY.gguf, FAMILY.safetensors a tiny random model of each family as llama.cpp stores it (rows of query and key reordered,
                                  Conv1D transposed, one added to Gemma's norms), and its state dict in transformers, as float16

transformers loads each FAMILY.gguf here and must give the state dict: only then are the files written.
"""
import base64
import json
import pathlib
import sys
import tempfile

import gguf
import numpy as np
import safetensors.torch
import torch
import transformers
from gguf import GGMLQuantizationType as T

SEED = 20261127
OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "gguf"
VERSIONS = {"python": sys.version.split()[0], "gguf": "0.19.0", "numpy": np.__version__, "torch": torch.__version__,
            "transformers": transformers.__version__}

# Where the float16 numbers (scales, minimums) of a block lie: random bits there would be NaN and infinity.
HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q6_K: [208]}
NAMES = {
    T.F32: "attn_norm", T.F16: "attn_v", T.BF16: "attn_output", T.Q4_0: "ffn_gate", T.Q4_1: "ffn_up", T.Q5_0: "ffn_down",
}
MORE = {T.Q5_1: "attn_v", T.Q8_0: "attn_output", T.Q4_K: "ffn_gate", T.Q6_K: "ffn_up"}
HF = {"attn_norm": "input_layernorm", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
      "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def encoded(values: np.ndarray) -> dict:
    return {"dtype": "float32", "shape": list(values.shape), "data": base64.b64encode(values.astype("<f4").tobytes()).decode()}


def write_types() -> None:
    random = np.random.default_rng(SEED)
    writer = gguf.GGUFWriter(OUT / "types.gguf", "llama")
    writer.add_array("tokenizer.ggml.tokens", ["a", "bc", "\u2603"])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5, 2.5])
    values = {}
    for layer, names in enumerate((NAMES, MORE)):
        for kind, name in names.items():
            if kind in HALVES:
                elements, size = gguf.GGML_QUANT_SIZES[kind]
                blocks = random.integers(0, 256, (512 // elements, size), dtype=np.uint8)
                for at in HALVES[kind]:
                    scales = random.normal(0, 0.1, len(blocks)).astype("<f2")
                    blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
                # Extremes: a negative zero, the smallest subnormal, the largest number.
                for row, scale in enumerate([-0.0, 2.0**-24, 65504.0][: len(blocks) - 1]):
                    at = HALVES[kind][0]
                    blocks[row, at:at + 2] = np.array([scale], "<f2").view(np.uint8)
                data = blocks.reshape(2, -1)
                expected = gguf.quants.dequantize(data, kind)
            else:
                plain = random.normal(0, 1, (2, 256)).astype(np.float32)
                data = gguf.quants.quantize(plain, kind)
                expected = gguf.quants.dequantize(data, kind)
            writer.add_tensor(f"blk.{layer}.{name}.weight", data, raw_dtype=kind)
            values[f"model.layers.{layer}.{HF[name]}.weight"] = {"type": kind.name, "values": encoded(expected)}
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (OUT / "types.json").write_text(json.dumps({"script": "gguf_files.py", "seed": SEED, "versions": VERSIONS, "tensors": values}) + "\n")


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows i and i + half of each head become neighbours, as llama.cpp's rotary embedding of Llama models wants them."""
    rows = np.arange(weight.shape[0]).reshape(heads, 2, -1)
    return weight[rows.transpose(0, 2, 1).reshape(-1)]


COMMON = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2,
              vocab_size=16, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False)
FAMILIES = {
    "llama": (transformers.LlamaConfig(**COMMON), gguf.MODEL_ARCH.LLAMA),
    "qwen2": (transformers.Qwen2Config(**COMMON), gguf.MODEL_ARCH.QWEN2),
    "qwen3": (transformers.Qwen3Config(**COMMON, head_dim=16), gguf.MODEL_ARCH.QWEN3),
    "gemma3": (transformers.Gemma3TextConfig(**{**COMMON, "tie_word_embeddings": True}, head_dim=16, sliding_window=8), gguf.MODEL_ARCH.GEMMA3),
    "gpt2": (transformers.GPT2Config(n_embd=32, n_layer=1, n_head=4, vocab_size=16, n_positions=32, bos_token_id=0, eos_token_id=1), gguf.MODEL_ARCH.GPT2),
}


def write_family(name: str) -> None:
    torch.manual_seed(SEED)
    config, arch = FAMILIES[name]
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    layers = config.num_hidden_layers
    with torch.no_grad():
        for parameter in model.parameters():
            # To multiples of 1/128 below 1: exact in Q8_0 with the scale 1/128 (no -0 either), and with one added.
            parameter.copy_((torch.randn_like(parameter) * 40).round().clamp(-127, 127) / 128 + 0.0)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    if config.tie_word_embeddings:
        del state["lm_head.weight"]
    names = gguf.get_tensor_name_map(arch, layers)
    path = OUT / f"{name}.gguf"
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    writer.add_block_count(layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(4 * config.hidden_size if name == "gpt2" else config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    if name == "gpt2":
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
    else:
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        writer.add_rope_freq_base(10000.0)
        writer.add_vocab_size(config.vocab_size)
        if name in ("qwen3", "gemma3"):
            writer.add_key_length(16)
            writer.add_value_length(16)
        if name == "gemma3":
            writer.add_sliding_window(8)
    # Not a weight: left out when it is read.
    if name == "llama":
        writer.add_tensor("rope_freqs.weight", np.ones(4, np.float32))
    for key, tensor in state.items():
        data = tensor.numpy()
        stem = key.rsplit(".", 1)[0]
        target = f"{names.get_name(stem)}.{key.rsplit('.', 1)[1]}"
        assert names.get_name(stem), key
        if name == "llama" and "q_proj" in key:
            data = permuted(data, config.num_attention_heads)
        if name == "llama" and "k_proj" in key:
            data = permuted(data, config.num_key_value_heads)
        if name == "gemma3" and target.endswith("norm.weight"):
            data = data + 1
        if name == "gpt2" and key.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            data = data.T
        data = np.ascontiguousarray(data)
        # Query, key and Conv1D as blocks and as halves: what is undone must be undone in each.
        kind = T.Q8_0 if key.endswith(("q_proj.weight", "c_fc.weight")) else T.F16 if key.endswith(("k_proj.weight", "c_attn.weight")) else T.F32
        stored = gguf.quants.quantize(data, kind)
        if kind == T.Q8_0:
            blocks = np.zeros((data.size // 32, 34), np.uint8)
            blocks[:, :2] = np.array([1 / 128], "<f2").view(np.uint8)
            blocks[:, 2:] = (data.reshape(-1, 32) * 128).astype(np.int8).view(np.uint8)
            stored = blocks.reshape(data.shape[0], -1)
        writer.add_tensor(target, stored, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "model.gguf").write_bytes(path.read_bytes())
        config.save_pretrained(folder)
        loaded = type(model).from_pretrained(folder, gguf_file="model.gguf", config=config, dtype=torch.float32).state_dict()
    for key, tensor in state.items():
        assert torch.equal(loaded[key], tensor), (name, key)
    safetensors.torch.save_file({key: value.contiguous().half() for key, value in state.items()}, OUT / f"{name}.safetensors")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    write_types()
    for family in FAMILIES:
        write_family(family)
        print(family)
