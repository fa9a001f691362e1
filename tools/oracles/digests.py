"""Writes test/fixtures/digests.json: SHA-256 of each tensor of the safetensors fixtures, and of each file's tensors together, by hashlib.

The files are taken apart with json and slices, as the format's text says. Run: python tools/oracles/digests.py
"""

import hashlib
import json
import pathlib
import platform

fixtures = pathlib.Path(__file__).parents[2] / "test" / "fixtures"
files = {}
for path in sorted((fixtures / "safetensors").glob("*.safetensors")):
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start].decode("utf-8"))
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        encoded = name.encode("utf-8")
        shape = ",".join(str(length) for length in entry["shape"])
        head = str(len(encoded)).encode() + b":" + encoded + f"{entry['dtype']}[{shape}]\n".encode()
        tensors[name] = hashlib.sha256(head + content[start + begin : start + end]).hexdigest()
    together = hashlib.sha256("".join(digest + "\n" for digest in sorted(tensors.values())).encode()).hexdigest()
    files[path.stem] = {"tensors": sorted(tensors.items()), "weights": together}

head = {"script": "tools/oracles/digests.py", "versions": {"python": platform.python_version()}, "seed": None}
path = fixtures / "digests.json"
path.write_text(json.dumps(head | {"files": files}) + "\n")
print(path.name, path.stat().st_size, "bytes")
