"""Runs ONNX's checker, with full shape inference, over exported graphs.

    WEIGHTLOCK_EXPORT_ONNX=FOLDER npx vitest run test/graph
    python tools/oracles/check_onnx.py FOLDER
"""

import collections
import pathlib
import sys

import onnx

folder = pathlib.Path(sys.argv[1])
files = sorted(folder.glob("*.onnx"))
if not files:
    sys.exit(f"{folder}: expected .onnx files, found none")

failed = 0
operators = collections.Counter()
for file in files:
    model = onnx.load(file)
    operators.update(node.op_type for node in model.graph.node)
    try:
        onnx.checker.check_model(model, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        for declared, output in zip(model.graph.output, inferred.graph.output):
            assert declared.type == output.type, f"{declared.name}: declared and inferred type differ"
    except Exception as error:  # noqa: BLE001 - every failure is reported with its file
        failed += 1
        print(f"{file.name}: {str(error).splitlines()[0]}")
print(f"onnx {onnx.__version__}: {len(files) - failed} of {len(files)} files valid, {len(operators)} operators: {', '.join(sorted(operators))}")
sys.exit(1 if failed else 0)
