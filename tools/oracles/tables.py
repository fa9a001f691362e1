"""Writes test/fixtures/tables/*.parquet with PyArrow, and what is in them: rows.json.

    python tools/oracles/tables.py
"""

import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).resolve().parents[2] / "test" / "fixtures" / "tables"
ROWS = [
    {"text": "A man is eating food.", "label": 1, "tags": ["a", "b"], "messages": [{"role": "user", "content": "hi"}]},
    {"text": "⬠☃⬠ naïve\u2028\n漢字", "label": 0, "tags": [], "messages": []},
    {"text": "", "label": None, "tags": None, "messages": None},
    *({"text": f"row {n % 3}", "label": n % 2, "tags": [str(n)], "messages": []} for n in range(20)),
]


def main():
    table = pa.Table.from_pylist(ROWS)
    for codec in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
        pq.write_table(table, OUT / f"{codec}.parquet", compression=codec, row_group_size=8, store_schema=False)
    content = {"script": "tools/oracles/tables.py", "versions": {"pyarrow": pa.__version__}, "rows": ROWS}
    (OUT / "rows.json").write_text(json.dumps(content, indent=1) + "\n")


main()
