"""Oracle for safetensors files: what the reference writes, and which malformed files it accepts.

Writes test/fixtures/safetensors/*.safetensors (written by the reference; values.json lists them) and
test/fixtures/safetensors/verdicts.json (small files by hand, each with the reference's verdict).

`python safetensors_files.py compare ours reference` checks that a file weightlock wrote loads with the same names,
dtypes, metadata and bits as another; it is run by hand, never by the tests.
"""
import base64
import json
import pathlib
import struct
import sys

import numpy as np
import safetensors
import safetensors.torch
import torch

SEED = 20240718
OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "safetensors"
VERSIONS = {"python": sys.version.split()[0], "safetensors": safetensors.__version__, "torch": torch.__version__}

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U64": torch.uint64, "U32": torch.uint32,
    "U16": torch.uint16, "U8": torch.uint8, "BOOL": torch.bool, "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


def compare(ours: str, reference: str) -> None:
    with safetensors.safe_open(ours, "pt") as a, safetensors.safe_open(reference, "pt") as b:
        assert a.metadata() == b.metadata(), (a.metadata(), b.metadata())
        assert list(a.keys()) == list(b.keys())
        for name in a.keys():
            x, y = a.get_tensor(name), b.get_tensor(name)
            assert x.dtype == y.dtype and x.shape == y.shape, name
            assert x.contiguous().view(-1).view(torch.uint8).equal(y.contiguous().view(-1).view(torch.uint8)) if x.numel() else True, name
        print(f"{len(list(a.keys()))} tensors equal")


def write_reference() -> None:
    generator = torch.Generator().manual_seed(SEED)
    values = torch.randn(2, 3, generator=generator).abs() * 3
    everything = {f"layer.{name}": values.to(dtype) for name, dtype in DTYPES.items()}
    everything |= {f"scalar.{name}": values.to(dtype)[1, 2].clone() for name, dtype in DTYPES.items()}
    everything |= {f"empty.{name}": torch.zeros(0, dtype=dtype) for name, dtype in DTYPES.items()}
    everything |= {
        "zero.middle": torch.zeros(3, 0, 5), "zero.double": torch.zeros(0, 7, dtype=torch.float64), "": torch.ones(1),
        "__proto__": torch.full((2,), 2.5), "constructor": torch.full((1,), -1.0),
        "quote \" backslash \\ slash / tab \t newline \n bell \a delete \x7f": torch.ones(1),
        "Gewicht ä 重み 🔒 \u2028": torch.ones(1), "odd": torch.arange(5, dtype=torch.uint8),
    }
    files = {
        "everything": (everything, {"format": "pt", "10": "ten", "2": "two", "__proto__": "p", "text": "line\nä\u2028\x01"}),
        "no-metadata": ({"b": torch.arange(3.0), "a": torch.arange(4.0)}, None),
        "empty-metadata": ({"a": torch.ones(1, dtype=torch.float16)}, {}),
        "no-tensors": ({}, None),
        "only-metadata": ({}, {"format": "pt"}),
    }
    for name, (tensors, metadata) in files.items():
        safetensors.torch.save_file(tensors, OUT / f"{name}.safetensors", metadata=metadata)
    listing = {
        name: {
            "metadata": metadata,
            "tensors": {
                key: [next(n for n, d in DTYPES.items() if d == t.dtype), list(t.shape),
                      [str(v) for v in t.reshape(-1).float().numpy().view(np.uint32)]]
                for key, t in tensors.items()
            },
        }
        for name, (tensors, metadata) in files.items()
    }
    (OUT / "values.json").write_text(json.dumps(
        {"script": "tools/oracles/safetensors_files.py", "seed": SEED, "versions": VERSIONS, "files": listing}, indent=1) + "\n")


def entry(dtype="F32", shape="[1]", offsets="[0,4]", extra="") -> str:
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}{extra}}}'


def verdicts() -> list:
    one, data = '{"a":' + entry() + "}", b"1234"

    def file(header, data=b"1234", length=None):
        header = header.encode() if isinstance(header, str) else header
        return struct.pack("<Q", len(header) if length is None else length) + header + data

    cases = {
        "good": file(one), "padded": file(one + "   "), "newline padded": file(one + "\n\t\r "), "inner space": file(one.replace(",", " ,\n")),
        "no bytes": b"", "short length": b"1234567", "length only": struct.pack("<Q", 0), "zero length": file("", b"1234"),
        "length past the end": file(one, length=1000), "length of 2^63": file(one, length=2**63),
        "length of 2^64-1": file(one, length=2**64 - 1), "length over the cap": file(one, length=100_000_001),
        "length one short": file(one, length=len(one) - 1), "length one long": file(one, length=len(one) + 1),
        "leading space": file(" " + one), "leading zero byte": file("\0" + one), "byte order mark": file("\ufeff" + one),
        "trailing zero byte": file(one + "\0"), "trailing text": file(one + "x"), "second object": file(one + "{}"),
        "array": file("[]", b""), "string": file('"a"', b""), "null": file("null", b""), "number": file("1", b""),
        "empty object": file("{}", b""), "empty object with data": file("{}"), "unclosed": file(one[:-1]),
        "trailing comma": file(one[:-1] + ",}"), "single quotes": file(one.replace('"', "'")), "comment": file(one + "//"),
        "deep arrays": file("[" * 50_000, b""), "deep objects": file('{"a":' * 50_000, b""),
        "deep shape": file('{"a":' + entry(shape="[" * 50_000) + "}"),
        "deep metadata": file('{"__metadata__":' + "[" * 50_000 + "}", b""),
        "duplicate tensor": file('{"a":' + entry() + ',"a":' + entry() + "}"),
        "duplicate by escape": file('{"a":' + entry() + ',"\\u0061":' + entry() + "}"),
        "duplicate field": file('{"a":' + entry(extra=',"dtype":"F32"') + "}"),
        "duplicate metadata": file('{"__metadata__":{"a":"1","a":"2"}}', b""),
        "metadata twice": file('{"__metadata__":{"a":"1"},"__metadata__":{"b":"2"}}', b""),
        "metadata null": file('{"__metadata__":null}', b""), "metadata number": file('{"__metadata__":{"a":1}}', b""),
        "metadata nested": file('{"__metadata__":{"a":{"b":"c"}}}', b""), "metadata array": file('{"__metadata__":[]}', b""),
        "metadata string": file('{"__metadata__":"pt"}', b""), "metadata __proto__": file('{"__metadata__":{"__proto__":"x"}}', b""),
        "tensor __proto__": file('{"__proto__":' + entry() + "}"), "empty name": file('{"":' + entry() + "}"),
        "unknown field": file('{"a":' + entry(extra=',"x":1') + "}"), "entry as array": file('{"a":["F32",[1],[0,4]]}'),
        "entry null": file('{"a":null}'), "entry string": file('{"a":"F32"}'),
        "no dtype": file('{"a":{"shape":[1],"data_offsets":[0,4]}}'), "no shape": file('{"a":{"dtype":"F32","data_offsets":[0,4]}}'),
        "no offsets": file('{"a":{"dtype":"F32","shape":[1]}}'),
        "unknown dtype": file('{"a":' + entry("F31") + "}"), "lower-case dtype": file('{"a":' + entry("f32") + "}"),
        "dtype __proto__": file('{"a":' + entry("__proto__") + "}"), "dtype toString": file('{"a":' + entry("toString") + "}"),
        "dtype C64": file('{"a":' + entry("C64", "[1]", "[0,8]") + "}", b"12345678"),
        "dtype number": file('{"a":' + entry().replace('"F32"', "32") + "}"),
        "shape negative": file('{"a":' + entry(shape="[-1]") + "}"), "shape minus zero": file('{"a":' + entry(shape="[-0]", offsets="[0,0]") + "}", b""),
        "shape fraction": file('{"a":' + entry(shape="[1.0]") + "}"), "shape exponent": file('{"a":' + entry(shape="[1e0]") + "}"),
        "shape leading zero": file('{"a":' + entry(shape="[01]") + "}"), "shape plus": file('{"a":' + entry(shape="[+1]") + "}"),
        "shape string": file('{"a":' + entry(shape='["1"]') + "}"), "shape null": file('{"a":' + entry(shape="null") + "}"),
        "shape NaN": file('{"a":' + entry(shape="[NaN]") + "}"), "shape object": file('{"a":' + entry(shape="{}") + "}"),
        "shape 2^53": file('{"a":' + entry(shape="[0,9007199254740992]", offsets="[0,0]") + "}", b""),
        "shape 2^64": file('{"a":' + entry(shape="[18446744073709551616]") + "}"),
        "shape product wraps to 1": file('{"a":' + entry(shape="[4294967296,4294967296,1]", offsets="[0,0]") + "}", b""),
        "shape bytes wrap": file('{"a":' + entry(shape="[4611686018427387905]") + "}"),
        "shape zero after overflow": file('{"a":' + entry(shape="[4294967296,4294967296,4294967296,0]", offsets="[0,0]") + "}", b""),
        "shape 64 ones": file('{"a":' + entry(shape="[" + ",".join("1" * 64) + "]") + "}"),
        "shape 65 ones": file('{"a":' + entry(shape="[" + ",".join("1" * 65) + "]") + "}"),
        "scalar": file('{"a":' + entry(shape="[]") + "}"), "zero elements": file('{"a":' + entry(shape="[0]", offsets="[0,0]") + "}", b""),
        "offsets reversed": file('{"a":' + entry(offsets="[4,0]") + "}"), "offsets past the end": file('{"a":' + entry(shape="[2]", offsets="[0,8]") + "}"),
        "offsets one": file('{"a":' + entry(offsets="[0]") + "}"), "offsets three": file('{"a":' + entry(offsets="[0,4,4]") + "}"),
        "offsets empty": file('{"a":' + entry(offsets="[]") + "}"), "offsets negative": file('{"a":' + entry(offsets="[-4,0]") + "}"),
        "size too small": file('{"a":' + entry(shape="[2]") + "}"), "size too large": file('{"a":' + entry(shape="[0]") + "}"),
        "hole at the start": file('{"a":' + entry(offsets="[4,8]") + "}", b"12345678"),
        "hole between": file('{"a":' + entry() + ',"b":' + entry(offsets="[8,12]") + "}", b"123456781234"),
        "overlap": file('{"a":' + entry(shape="[2]", offsets="[0,8]") + ',"b":' + entry(shape="[2]", offsets="[4,12]") + "}", b"123456781234"),
        "same bytes twice": file('{"a":' + entry() + ',"b":' + entry() + "}"),
        "data left over": file(one, b"12345"), "data missing": file(one, b"123"),
        "header order differs": file('{"a":' + entry(offsets="[4,8]") + ',"b":' + entry() + "}", b"12345678"),
        "empty inside another": file('{"a":' + entry(shape="[2]", offsets="[0,8]") + ',"b":' + entry(shape="[0]", offsets="[4,4]") + "}", b"12345678"),
        "empty at the start": file('{"a":' + entry() + ',"b":' + entry(shape="[0]", offsets="[0,0]") + "}"),
        "unaligned": file('{"a":' + entry("U8", "[1]", "[0,1]") + ',"b":' + entry(offsets="[1,5]") + "}", b"12345"),
        "bad UTF-8": file(b'{"\xff\xfe":' + entry().encode() + b"}"), "overlong UTF-8": file(b'{"\xc0\xaf":' + entry().encode() + b"}"),
        "surrogate in UTF-8": file(b'{"\xed\xa0\x80":' + entry().encode() + b"}"),
        "lone surrogate": file('{"\\ud800":' + entry() + "}"), "surrogate pair": file('{"\\ud83d\\ude00":' + entry() + "}"),
        "raw newline in name": file('{"a\n":' + entry() + "}"), "bad escape": file('{"\\x":' + entry() + "}"),
        "cut escape": file('{"\\u12', b""), "ends in backslash": file('{"a\\', b""), "NUL name": file('{"\\u0000":' + entry() + "}"),
    }
    rows = []
    for name, content in cases.items():
        try:
            safetensors.torch.load(content)
            accepted, reason = True, ""
        except Exception as error:  # the reference raises several kinds; any of them is a refusal
            accepted, reason = False, str(error).splitlines()[0][:120]
        # Long runs of one piece are stored as [piece, count] so that the fixture stays small.
        parts = [[base64.b64encode(content).decode(), 1]]
        for piece in (b"[" * 50_000, b'{"a":' * 50_000):
            if piece in content:
                unit = piece[: len(piece) // 50_000]
                before, after = content.split(piece, 1)
                parts = [[base64.b64encode(p).decode(), n] for p, n in ((before, 1), (unit, 50_000), (after, 1))]
        rows.append({"name": name, "parts": parts, "reference": accepted, "reason": reason})
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        compare(*sys.argv[2:4])
    else:
        OUT.mkdir(parents=True, exist_ok=True)
        write_reference()
        body = {"script": "tools/oracles/safetensors_files.py", "versions": VERSIONS}
        rows = ",\n".join(json.dumps(row) for row in verdicts())
        (OUT / "verdicts.json").write_text(json.dumps(body)[:-1] + ', "cases": [\n' + rows + "\n]}\n")
