"""Writes test/fixtures/tokenizers/words.json: texts that come in words, as transformers encodes them.

    python tools/oracles/tokenizer_words.py

Byte-level tokenizers have `add_prefix_space`, as in transformers' examples of token classification.
"""

import json
import pathlib

import tokenizers
import transformers
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "tokenizers"
TEXTS = [
    ["The", "quick", "brown", "fox", "does", "n't", "jump", "."],
    ["Zürich", ",", "Москва", "and", "漢字", "!"],
    ["sleeping", "instructions", "naïve", "1234567890"],
    ["one"],
    ["a", "b", "", "c"],
]


def main():
    found = {}
    for folder in sorted(path for path in OUT.iterdir() if path.is_dir()):
        kinds = json.loads((folder / "tokenizer.json").read_text())["pre_tokenizer"] or {}
        byte_level = kinds.get("type") == "ByteLevel"
        reads = AutoTokenizer.from_pretrained(folder)
        if byte_level:
            # What transformers' `add_prefix_space` does, in the tokenizers that know it.
            reads.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        elif "ByteLevel" in json.dumps(kinds):
            continue  # One of several steps, which no option of transformers reaches.
        encoded = [reads(words, is_split_into_words=True) for words in TEXTS]
        found[folder.name] = {
            "texts": [
                {"ids": each["input_ids"], "words": [-1 if word is None else word for word in each.word_ids()]}
                for each in encoded
            ],
            "mask": reads.mask_token_id,
            "special": sorted(reads.all_special_ids),
        }
    versions = {module.__name__: module.__version__ for module in (tokenizers, transformers)}
    content = {"script": "tools/oracles/tokenizer_words.py", "versions": versions, "texts": TEXTS, "found": found}
    (OUT / "words.json").write_text(json.dumps(content, ensure_ascii=False) + "\n")


main()
