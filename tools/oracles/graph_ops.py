"""Oracle of the graph's operators: forward, gradient and Hessian-vector product of each case, by PyTorch in float64.

    python tools/oracles/graph_ops.py            writes test/fixtures/graph/<group>.json

A case is `op/variant`: the same `op` names the builder call in test/graph/cases.ts. With y the outputs, c fixed random
cotangents and v fixed random directions, the file holds y, g = d/dx sum(y * c) and h = d/dx sum(g * v) for every float
input x; null where PyTorch has none. Numbers are computed in float64 from float32 inputs and stored as float32.
"""

import base64
import json
import math
import os
import zlib

import numpy as np
import torch
import torch.nn.functional as F

SEED = 20260501
STORED = {"float32": np.float32, "int64": np.int64, "int32": np.int32, "bool": np.uint8}
groups = {}


def stream(*key):
    return np.random.default_rng([SEED, zlib.crc32("/".join(map(str, key)).encode())])


def real(*shape, low=-2.0, high=2.0):
    return lambda rng: rng.uniform(low, high, shape).astype(np.float32)


def distinct(*shape):
    """Numbers without ties and without one near zero."""

    def make(rng):
        size = math.prod(shape)
        values = (np.arange(size) - size / 2 + 0.3) * 0.37
        return rng.permutation(values).reshape(shape).astype(np.float32)

    return make


def values(data, dtype="float32"):
    return lambda rng: np.array(data, dtype=np.bool_ if dtype == "bool" else dtype)


def whole(*shape, low=0, high=2, dtype="int64"):
    return lambda rng: rng.integers(low, high, shape).astype(dtype)


def bits(*shape):
    return lambda rng: rng.random(shape) < 0.5


def encode(array):
    array = np.asarray(array)
    dtype = {"float64": "float32"}.get(str(array.dtype), str(array.dtype))
    raw = np.ascontiguousarray(array.astype(STORED[dtype])).tobytes()
    return {"dtype": dtype, "shape": list(array.shape), "data": base64.b64encode(raw).decode()}


def case(group, name, inputs, function, options=None, wrt=None, second=True):
    arrays = {key: np.asarray(make(stream(name, key))) for key, make in inputs.items()}
    tensors = {}
    for key, array in arrays.items():
        tensor = torch.from_numpy(array.copy())
        if array.dtype == np.float32:
            tensor = tensor.double().requires_grad_(wrt is None or key in wrt)
        tensors[key] = tensor
    outputs = function(**tensors)
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    record = {
        "inputs": {key: encode(array) for key, array in arrays.items()},
        "options": options or {},
        "outputs": [encode(y.detach().numpy(force=True)) for y in outputs],
    }
    targets = [key for key, tensor in tensors.items() if tensor.requires_grad]
    floats = [(i, y) for i, y in enumerate(outputs) if y.is_floating_point()]
    if targets and floats:
        cotangents = {i: stream(name, "c", i).uniform(-1, 1, tuple(y.shape)).astype(np.float32) for i, y in floats}
        loss = sum((y * torch.from_numpy(np.asarray(cotangents[i])).double()).sum() for i, y in floats)
        record["cotangents"] = {str(i): encode(np.asarray(c)) for i, c in cotangents.items()}
        wanted = [tensors[key] for key in targets]
        first = [None] * len(targets)
        if loss.requires_grad:
            first = torch.autograd.grad(loss, wanted, create_graph=True, allow_unused=True)
        record["gradients"] = {k: None if g is None else encode(g.detach().numpy(force=True)) for k, g in zip(targets, first)}
        if second:
            directions = {k: stream(name, "v", k).uniform(-1, 1, arrays[k].shape).astype(np.float32) for k in targets}
            record["directions"] = {k: encode(np.asarray(v)) for k, v in directions.items()}
            along = sum(
                (g * torch.from_numpy(np.asarray(directions[k])).double()).sum()
                for k, g in zip(targets, first)
                if g is not None
            )
            hessian = [None] * len(targets)
            if torch.is_tensor(along) and along.requires_grad:
                hessian = torch.autograd.grad(along, wanted, allow_unused=True)
            record["hessians"] = {k: None if h is None else encode(h.numpy(force=True)) for k, h in zip(targets, hessian)}
    table = groups.setdefault(group, {})
    assert name not in table, name
    table[name] = record


def label(*shapes):
    return " ".join("x".join(map(str, s)) or "scalar" for s in shapes)


PAIRS = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1, 3), (4, 1)), ((), (2, 2)), ((1, 1), (1,)), ((0, 3), (1, 3)), ((2, 1), (0,))]
SHAPES = [(2, 3), (1,), (), (0, 3)]


def elementwise():
    g = "elementwise"
    binary = {
        "add": (torch.add, real, real),
        "sub": (torch.sub, real, real),
        "mul": (torch.mul, real, real),
        "div": (torch.div, real, lambda *s: real(*s, low=0.5, high=2)),
        "pow": (torch.pow, lambda *s: real(*s, low=0.3, high=2), real),
        "max": (torch.maximum, real, real),
        "min": (torch.minimum, real, real),
        "dropout": (torch.mul, real, lambda *s: (lambda rng: (rng.random(s) < 0.7).astype(np.float32) / np.float32(0.7))),
    }
    for name, (function, left, right) in binary.items():
        for a, b in PAIRS:
            case(g, f"{name}/{label(a, b)}", {"a": left(*a), "b": right(*b)}, lambda a, b, f=function: f(a, b))
    ties = {"a": values([1.0, 2, 3, -1]), "b": values([1.0, 1, 4, -1])}
    case(g, "max/ties", ties, lambda a, b: torch.maximum(a, b))
    case(g, "min/ties", ties, lambda a, b: torch.minimum(a, b))
    case(g, "div/negative", {"a": real(3), "b": values([-0.5, -2, 3])}, lambda a, b: a / b)
    case(
        g,
        "pow/zeros and negatives",
        {"a": values([0.0, 0, 0, 0, -2, -2, -2, -2, 3]), "b": values([0.0, 1, 2, 3, 0, 1, 2, 3, -1])},
        # As products: the second derivative of PyTorch's pow is NaN at 0.
        lambda a, b: torch.stack([1 / x if n < 0 else math.prod([x] * int(n), start=x * 0 + 1) for x, n in zip(a, b)]),
        wrt=["a"],
    )
    case(g, "pow/zero base, by exponent", {"a": values([0.0, 0, 2]), "b": values([1.0, 2, -1])}, lambda a, b: a**b, wrt=["b"], second=False)
    for op, number in (("powNumber", 2.0), ("powNumber", 0.5), ("powNumber", 1.0), ("powNumber", 0.0), ("powNumber", -1.0)):
        case(g, f"{op}/{number}", {"a": real(2, 3, low=0.3)}, lambda a, n=number: a**n, {"value": number})
    case(g, "numbers/2x3", {"a": real(2, 3, low=0.5)}, lambda a: (3 - (a + 2) * 0.5) / (1 / a))

    compare = {
        "equal": torch.eq,
        "less": torch.lt,
        "lessOrEqual": torch.le,
        "greater": torch.gt,
        "greaterOrEqual": torch.ge,
    }
    for name, function in compare.items():
        for a, b in PAIRS[:6]:
            make = {"a": lambda rng, s=a: rng.integers(0, 3, s).astype(np.float32), "b": lambda rng, s=b: rng.integers(0, 3, s).astype(np.float32)}
            case(g, f"{name}/{label(a, b)}", make, lambda a, b, f=function: f(a, b))
        for dtype in ("int32", "int64"):
            make = {"a": whole(2, 3, high=3, dtype=dtype), "b": whole(3, high=3, dtype=dtype)}
            case(g, f"{name}/{dtype}", make, lambda a, b, f=function: f(a, b))
    for name, function in {"and": torch.logical_and, "or": torch.logical_or}.items():
        for a, b in PAIRS:
            case(g, f"{name}/{label(a, b)}", {"a": bits(*a), "b": bits(*b)}, lambda a, b, f=function: f(a, b))
    for s in SHAPES:
        case(g, f"not/{label(s)}", {"x": bits(*s)}, lambda x: torch.logical_not(x))
    for c, a, b in [((2, 3), (2, 3), (2, 3)), ((3,), (2, 1), (1, 3)), ((2, 2), (), (2,)), ((), (3,), (1,)), ((0, 1), (2,), (1, 2))]:
        case(g, f"where/{label(c, a, b)}", {"c": bits(*c), "a": real(*a), "b": real(*b)}, lambda c, a, b: torch.where(c, a, b))
    case(g, "whereNumber/2x3", {"c": bits(2, 3), "a": real(2, 3)}, lambda c, a: torch.where(c, a, 7.0))

    positive = lambda *s: real(*s, low=0.3, high=3)
    unary = {
        "neg": (torch.neg, real),
        "abs": (torch.abs, real),
        "sign": (lambda x: torch.sign(x.detach()), real),
        "exp": (torch.exp, real),
        "log": (torch.log, positive),
        "sqrt": (torch.sqrt, positive),
        "reciprocal": (torch.reciprocal, positive),
        "sin": (torch.sin, real),
        "cos": (torch.cos, real),
        "relu": (torch.relu, real),
        "sigmoid": (torch.sigmoid, lambda *s: real(*s, low=-6, high=6)),
        "tanh": (torch.tanh, real),
        "erf": (torch.erf, real),
        "gelu": (F.gelu, lambda *s: real(*s, low=-4, high=4)),
        "silu": (F.silu, lambda *s: real(*s, low=-6, high=6)),
    }
    for name, (function, make) in unary.items():
        for s in SHAPES + [(3, 33)]:
            case(g, f"{name}/{label(s)}", {"x": make(*s)}, lambda x, f=function: f(x))
    kinks = values([-1.0, 0, 2])
    case(g, "relu/at zero", {"x": kinks}, lambda x: torch.relu(x))
    case(g, "abs/at zero", {"x": kinks}, lambda x: torch.abs(x))
    far = values([-30.0, -10, 0, 10, 30])
    for name in ("sigmoid", "tanh", "erf", "gelu", "silu"):
        case(g, f"{name}/far out", {"x": far}, lambda x, f=unary[name][0]: f(x))
    for s in SHAPES + [(3, 33)]:
        case(g, f"gelu/tanh {label(s)}", {"x": real(*s, low=-3, high=3)}, lambda x: F.gelu(x, approximate="tanh"), {"approximate": "tanh"})
    case(g, "gelu/tanh far out", {"x": far}, lambda x: F.gelu(x, approximate="tanh"), {"approximate": "tanh"})
    case(g, "cast/int64 to float32", {"x": whole(2, 3, high=9)}, lambda x: x.double(), {"to": "float32"})
    case(g, "cast/bool to float32", {"x": bits(2, 3)}, lambda x: x.double(), {"to": "float32"})
    case(g, "cast/float32 to int32", {"x": distinct(2, 3)}, lambda x: x.int(), {"to": "int32"})
    case(g, "cast/float32 to float32", {"x": distinct(2, 3)}, lambda x: x * x, {"to": "float32"})
    case(g, "castRound/2x3", {"x": distinct(2, 3)}, lambda x: x * x)
    case(g, "cast/empty", {"x": bits(0, 3)}, lambda x: x.double(), {"to": "float32"})


def matrix():
    g = "matrix"
    shapes = [
        ((2, 3), (3, 4)),
        ((1, 1), (1, 1)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((2, 1, 2, 3), (4, 3, 2)),
        ((1, 2, 3), (5, 3, 2)),
        ((2, 2, 2, 3), (3, 2)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((0, 2, 3), (3, 2)),
        ((2, 2, 0), (0, 3)),
        ((3, 1, 2), (2, 1)),
    ]
    for a, b in shapes:
        case(g, f"matMul/{label(a, b)}", {"a": real(*a), "b": real(*b)}, lambda a, b: a @ b)
    for ta in (False, True):
        for tb in (False, True):
            for c in ((2, 4), (4,), (2, 1), (), None):
                options = {"alpha": 0.5, "beta": 1.5, "transA": ta, "transB": tb}
                inputs = {"a": real(*((3, 2) if ta else (2, 3))), "b": real(*((4, 3) if tb else (3, 4)))}
                if c is not None:
                    inputs["c"] = real(*c)

                def function(a, b, c=None, ta=ta, tb=tb):
                    y = 0.5 * ((a.T if ta else a) @ (b.T if tb else b))
                    return y if c is None else y + 1.5 * c

                name = f"gemm/{'T' if ta else 'N'}{'T' if tb else 'N'} {'none' if c is None else label(c)}"
                case(g, name, inputs, function, options)
    case(g, "gemm/defaults", {"a": real(2, 3), "b": real(3, 4), "c": real(4)}, lambda a, b, c: a @ b + c)
    case(g, "gemm/no rows", {"a": real(0, 3), "b": real(3, 4), "c": real(4)}, lambda a, b, c: a @ b + c)
    case(g, "gemm/no inner axis", {"a": real(2, 0), "b": real(0, 4), "c": real(4)}, lambda a, b, c: a @ b + c)
    case(g, "gemm/no C, no inner axis", {"a": real(2, 0), "b": real(0, 4)}, lambda a, b: a @ b)


def spatial():
    g = "spatial"
    CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
    CONVT = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

    def conv(name, x, w, bias=False, stride=1, padding=0, dilation=1, groups=1):
        rank = len(x) - 2
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        uneven = isinstance(padding, list) and len(padding) == 2 * rank

        def function(x, w, b=None):
            pad = padding
            if uneven:
                x = F.pad(x, [n for axis in reversed(range(rank)) for n in (padding[axis], padding[axis + rank])])
                pad = 0
            return CONV[rank](x, w, b, stride, pad, dilation, groups)

        inputs = {"x": real(*x), "w": real(*w)}
        if bias:
            inputs["b"] = real(w[0])
        case(g, f"conv/{name}", inputs, function, options)

    conv("plain", (2, 3, 5, 5), (4, 3, 3, 3), bias=True)
    conv("1x1 kernel", (2, 3, 4, 4), (2, 3, 1, 1))
    conv("size one", (1, 1, 1, 1), (1, 1, 1, 1), bias=True)
    conv("padded", (2, 2, 5, 4), (3, 2, 3, 3), bias=True, padding=1)
    conv("stride 2, padded", (2, 2, 6, 5), (3, 2, 3, 3), stride=2, padding=1)
    conv("stride 2, rest", (1, 2, 6, 6), (2, 2, 3, 3), stride=2)
    conv("stride 3, rest", (1, 1, 9, 8), (1, 1, 2, 2), stride=3)
    conv("stride above kernel", (2, 2, 7, 7), (2, 2, 1, 1), stride=3, bias=True)
    conv("dilated", (1, 2, 7, 7), (2, 2, 3, 3), dilation=2, padding=2)
    conv("dilated, strided", (1, 2, 8, 7), (2, 2, 3, 2), dilation=[2, 3], stride=[2, 1], padding=[1, 2])
    conv("groups", (2, 4, 5, 5), (6, 2, 3, 3), groups=2, padding=1, bias=True)
    conv("groups, stride", (2, 4, 6, 5), (6, 2, 3, 3), groups=2, stride=2, padding=1)
    conv("depthwise", (2, 3, 5, 5), (3, 1, 3, 3), groups=3, padding=1, bias=True)
    conv("depthwise, two each", (2, 3, 5, 5), (6, 1, 3, 3), groups=3, stride=2)
    conv("more padding than kernel", (1, 2, 3, 3), (2, 2, 2, 2), padding=2)
    conv("outer taps in padding", (2, 2, 1, 1), (3, 2, 3, 3), padding=1, bias=True)
    conv("outer taps in padding, stride", (2, 2, 2, 2), (3, 2, 3, 3), padding=1, stride=2, bias=True)
    conv("outer taps in padding, one axis", (2, 2, 1, 4), (3, 2, 5, 3), padding=[2, 1])
    conv("outer taps in padding, groups", (2, 4, 1, 2), (4, 2, 3, 3), padding=1, groups=2)
    conv("one window", (2, 2, 3, 2), (3, 2, 3, 2), bias=True)
    conv("uneven padding", (1, 2, 5, 4), (2, 2, 3, 3), padding=[0, 1, 2, 1])
    conv("uneven padding, stride", (1, 2, 5, 4), (2, 2, 3, 3), padding=[0, 1, 2, 0], stride=2, bias=True)
    conv("uneven stride", (1, 2, 6, 5), (2, 2, 3, 2), stride=[1, 2], padding=[1, 0])
    # Maps so large beside the kernel that its gradient is one matrix product for each tap.
    conv("large map", (2, 4, 6, 6), (1, 4, 3, 3), bias=True, padding=1)
    conv("large map, stride", (2, 4, 9, 8), (1, 4, 3, 3), stride=2, padding=[1, 0])
    conv("large map, dilated", (2, 4, 8, 7), (1, 4, 3, 3), dilation=[2, 1])
    conv("large map, 1d", (2, 16, 12), (1, 16, 3), padding=1)
    conv("large map, many channels", (1, 16, 5, 6), (2, 16, 3, 3))
    # Maps so small that the convolution becomes a matrix product.
    conv("tiny", (2, 16, 2, 2), (3, 16, 3, 3), bias=True, padding=1)
    conv("tiny, idle taps", (2, 16, 1, 1), (3, 16, 3, 3), bias=True, padding=1)
    conv("tiny, stride", (1, 16, 3, 4), (2, 16, 3, 3), stride=2, padding=1)
    conv("tiny, dilated, uneven padding", (1, 16, 2, 3), (2, 16, 2, 3), dilation=[2, 1], padding=[1, 0, 2, 0])
    conv("tiny, stride above kernel", (1, 16, 4, 4), (2, 16, 1, 1), stride=3)
    conv("tiny 1d", (2, 16, 3), (3, 16, 3), padding=1)
    conv("1d", (2, 3, 8), (4, 3, 3), bias=True, padding=1, stride=2)
    conv("1d, stride 1", (2, 3, 8), (4, 3, 3), bias=True, padding=1)
    conv("3d", (1, 2, 4, 3, 4), (2, 2, 2, 3, 2), bias=True, padding=1, stride=[2, 1, 1])
    conv("3d, stride 1", (1, 2, 4, 3, 4), (2, 2, 2, 3, 2), padding=1)
    conv("empty batch", (0, 2, 5, 5), (3, 2, 3, 3), bias=True, padding=1)
    conv("empty batch, stride", (0, 2, 5, 5), (3, 2, 3, 3), stride=2)

    def convt(name, x, w, stride=1, padding=0, dilation=1, groups=1, outputPadding=0):
        rank = len(x) - 2
        options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups, outputPadding=outputPadding)
        function = lambda x, w: CONVT[rank](x, w, None, stride, padding, outputPadding, groups, dilation)
        case(g, f"convTranspose/{name}", {"x": real(*x), "w": real(*w)}, function, options)

    convt("plain", (2, 3, 4, 4), (3, 2, 3, 3))
    convt("stride 2", (1, 2, 3, 3), (2, 3, 3, 3), stride=2, padding=1, outputPadding=1)
    convt("groups", (1, 4, 3, 3), (4, 2, 2, 2), groups=2, stride=2)
    convt("dilated", (1, 2, 3, 4), (2, 2, 2, 2), dilation=2, padding=1)
    convt("1d", (2, 2, 5), (2, 3, 3), stride=3, outputPadding=2)
    convt("3d", (1, 2, 2, 3, 2), (2, 1, 2, 2, 2), stride=2)
    convt("size one", (1, 1, 1, 1), (1, 1, 1, 1))
    convt("empty batch", (0, 2, 3, 3), (2, 3, 3, 3), stride=2)

    MAXP = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
    AVGP = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}

    def pool(op, name, x, kernel, make=distinct, stride=None, padding=0, dilation=1, ceil=False, include=True):
        options = {"kernel": kernel, "padding": padding, "ceilMode": ceil}
        if stride is not None:
            options["stride"] = stride
        rank = len(x) - 2
        if op == "maxPool":
            options["dilation"] = dilation
            function = lambda x: MAXP[rank](x, kernel, stride, padding, dilation, ceil)
        else:
            options["countIncludePad"] = include
            function = lambda x: AVGP[rank](x, kernel, stride, padding, ceil, include)
        case(g, f"{op}/{name}", {"x": make(*x)}, function, options)

    for op in ("maxPool", "averagePool"):
        pool(op, "plain", (2, 2, 4, 4), 2)
        pool(op, "size one", (1, 1, 1, 1), 1)
        pool(op, "overlapping, padded", (1, 2, 6, 5), 3, stride=2, padding=1)
        pool(op, "rest", (1, 2, 5, 5), 2)
        pool(op, "ceil", (1, 2, 5, 6), 3, stride=2, ceil=True)
        pool(op, "ceil, rest", (1, 1, 6, 5), 2, stride=[3, 2], ceil=True)
        pool(op, "ceil, padded", (2, 1, 6, 7), 3, stride=2, padding=1, ceil=True)
        pool(op, "ceil, window in the padding", (1, 1, 4, 4), 2, stride=3, padding=1, ceil=True)
        pool(op, "1d", (2, 2, 7), 3, stride=2, padding=1)
        pool(op, "3d", (1, 2, 4, 4, 3), 2, stride=[2, 1, 1])
        pool(op, "stride above kernel", (1, 1, 7, 7), 2, stride=3)
        pool(op, "whole", (2, 3, 4, 3), [4, 3])
        pool(op, "empty batch", (0, 2, 4, 4), 2)
    pool("maxPool", "dilated", (1, 2, 7, 6), 2, stride=1, dilation=[3, 2])
    pool("averagePool", "padding left out", (1, 2, 6, 5), 3, stride=2, padding=1, include=False)
    pool("averagePool", "padding left out, ceil", (2, 1, 6, 7), 3, stride=2, padding=1, ceil=True, include=False)
    case(
        g,
        "maxPool/ties",
        {"x": values([[[[1.0, 1, 2, 0], [1, 1, 2, 2], [0, 0, -1, -1], [0, 0, -1, -1]]]])},
        lambda x: F.max_pool2d(x, 2),
        {"kernel": 2},
    )
    case(
        g,
        "maxPool/ties, overlapping",
        {"x": values([[[[3.0, 3, 3], [3, 3, 3], [3, 3, 3]]]])},
        lambda x: F.max_pool2d(x, 2, 1, 1),
        {"kernel": 2, "stride": 1, "padding": 1},
    )
    for s in ((2, 3, 4, 5), (2, 3, 4), (1, 1, 1, 1), (0, 2, 3, 3)):
        case(g, f"globalAveragePool/{label(s)}", {"x": real(*s)}, lambda x: x.mean(dim=tuple(range(2, x.ndim)), keepdim=True))
        case(
            g,
            f"globalMaxPool/{label(s)}",
            {"x": distinct(*s)},
            lambda x: x.amax(dim=tuple(range(2, x.ndim)), keepdim=True),
        )


def reduction():
    g = "reduction"
    shapes = [((2, 3, 4), [1]), ((2, 3, 4), [0, 2]), ((2, 3), None), ((1, 1), [0]), ((2, 3), [-1]), ((4,), [0]), ((), None), ((0, 3), [1])]
    every = {
        "reduceSum": torch.sum,
        "reduceMean": torch.mean,
        "reduceMax": torch.amax,
        "reduceMin": torch.amin,
        "variance": lambda x, dim, keepdim: x.var(dim=dim, keepdim=keepdim, unbiased=False),
    }
    for name, function in every.items():
        for s, axes in shapes:
            for keep in (False, True):
                options = {"keepDims": keep, **({} if axes is None else {"axes": axes})}
                dims = tuple(range(len(s))) if axes is None else tuple(axes)
                if s == () and name == "variance":
                    dims = (0,)
                    f = lambda x: (x - x) * (x - x)
                elif s == ():
                    f = lambda x: x.clone()
                else:
                    f = lambda x, f=function, d=dims, k=keep: f(x, dim=d, keepdim=k)
                where = "all" if axes is None else ",".join(map(str, axes))
                case(g, f"{name}/{label(s)} over {where}{' kept' if keep else ''}", {"x": distinct(*s)}, f, options)
    for name in ("reduceSum",):
        for s, axes in (((0, 3), [0]), ((2, 0), None), ((2, 0, 3), [1])):
            dims = tuple(range(len(s))) if axes is None else tuple(axes)
            options = {} if axes is None else {"axes": axes}
            case(g, f"{name}/{label(s)} over empty", {"x": real(*s)}, lambda x, d=dims: x.sum(dim=d), options)
    case(g, "reduceMax/ties", {"x": values([[1.0, 3, 3], [2, 2, 2]])}, lambda x: x.amax(dim=1), {"axes": [1]})
    case(g, "reduceMin/ties", {"x": values([[1.0, 1, 3], [2, 2, 2]])}, lambda x: x.amin(dim=1), {"axes": [1]})
    for s, axis, keep in (((2, 3), 1, False), ((2, 3, 4), 0, True), ((4,), -1, False), ((1, 1), 1, True), ((0, 3), 1, False)):
        case(g, f"argMax/{label(s)} {axis}", {"x": distinct(*s)}, lambda x, a=axis, k=keep: x.argmax(dim=a, keepdim=k), {"axis": axis, "keepDims": keep})
    case(g, "argMax/ties", {"x": values([[1.0, 3, 3], [2, 2, 2]])}, lambda x: torch.tensor([1, 0]), {"axis": 1})
    for name, function in {"softmax": torch.softmax, "logSoftmax": torch.log_softmax}.items():
        for s, axis in (((2, 3), -1), ((2, 3, 4), 1), ((3, 2), 0), ((1, 1), 1), ((5,), 0), ((0, 3), 1), ((2, 0), 0)):
            case(g, f"{name}/{label(s)} {axis}", {"x": real(*s, low=-3, high=3)}, lambda x, f=function, a=axis: f(x, dim=a), {"axis": axis})
        case(g, f"{name}/large", {"x": values([[100.0, 101, 99], [-500, 0, 3]])}, lambda x, f=function: f(x, dim=1), {"axis": 1})


def normalization():
    g = "normalization"
    for s, axis in (((2, 3, 4), -1), ((3, 2, 4), 1), ((4, 5), 1), ((2, 5), 0), ((6,), 0), ((3, 1), 1), ((0, 4), 1)):
        at = axis % len(s)
        tail = s[at:]
        for bias in (True, False):
            inputs = {"x": real(*s), "scale": real(*tail)}
            if bias:
                inputs["bias"] = real(*tail)
            function = lambda x, scale, bias=None, t=tail: F.layer_norm(x, t, scale, bias, 1e-5)
            case(g, f"layerNormalization/{label(s)} {axis}{'' if bias else ' without bias'}", inputs, function, {"axis": axis})
    case(
        g,
        "layerNormalization/epsilon",
        {"x": real(3, 4, low=-0.1, high=0.1), "scale": real(4), "bias": real(4)},
        lambda x, scale, bias: F.layer_norm(x, (4,), scale, bias, 1e-2),
        {"axis": -1, "epsilon": 1e-2},
    )
    for s, axis in (((2, 3, 4), -1), ((3, 2, 4), 1), ((4, 5), 1), ((2, 5), 0), ((6,), 0), ((3, 2), 1), ((0, 4), 1)):
        tail = s[axis % len(s) :]
        function = lambda x, scale, t=tail: F.rms_norm(x, t, scale, 1e-5)
        case(g, f"rmsNormalization/{label(s)} {axis}", {"x": real(*s), "scale": real(*tail)}, function, {"axis": axis})
    case(
        g,
        "rmsNormalization/epsilon",
        {"x": real(3, 4, low=-0.1, high=0.1), "scale": real(4)},
        lambda x, scale: F.rms_norm(x, (4,), scale, 1e-2),
        {"axis": -1, "epsilon": 1e-2},
    )
    for s in ((4, 3), (2, 3, 4), (2, 2, 3, 3), (1, 1, 2, 2), (2, 1, 3), (1, 2, 2, 1, 3), (0, 2, 3)):
        c = s[1]
        inputs = {"x": real(*s), "scale": real(c), "bias": real(c)}
        running = {"mean": real(c), "variance": real(c, low=0.5, high=2)}
        case(
            g,
            f"batchNormalization/{label(s)}",
            {**inputs, **running},
            # PyTorch's batch_norm has no gradient for the running statistics: the formula, from its documentation.
            lambda x, scale, bias, mean, variance: (x - mean.view(-1, *[1] * (x.ndim - 2)))
            / torch.sqrt(variance.view(-1, *[1] * (x.ndim - 2)) + 1e-5)
            * scale.view(-1, *[1] * (x.ndim - 2))
            + bias.view(-1, *[1] * (x.ndim - 2)),
        )
        case(
            g,
            f"batchNormalization/frozen {label(s)}",
            {**inputs, **running},
            lambda x, scale, bias, mean, variance: F.batch_norm(x, mean, variance, scale, bias, False, 0.1, 1e-3),
            {"epsilon": 1e-3},
            wrt=["x", "scale", "bias"],
        )
        if 0 in s:
            continue

        def training(x, scale, bias):
            axes = [0, *range(2, x.ndim)]
            return F.batch_norm(x, None, None, scale, bias, True), x.mean(axes), x.var(axes, unbiased=False)

        case(g, f"batchNormalizationTraining/{label(s)}", inputs, training)


def movement():
    g = "movement"
    for s, perm in (((2, 3), None), ((2, 3, 4), [1, 2, 0]), ((2, 3, 4), [0, 2, 1]), ((1,), [0]), ((2, 3, 1, 2), [3, 1, 0, 2]), ((0, 3), [1, 0]), ((), None)):
        axes = perm or list(reversed(range(len(s))))
        case(g, f"transpose/{label(s)} {'' if perm is None else perm}", {"x": real(*s)}, lambda x, p=axes: x.permute(p) * 1.0, {"perm": perm} if perm else {})
    for s in ((2, 3), (2, 3, 4), (0, 3, 2)):
        case(g, f"matrixTranspose/{label(s)}", {"x": real(*s)}, lambda x: x.mT * 1.0)
    for s, to in (((2, 3), [3, 2]), ((2, 3), [-1]), ((2, 3), [2, 1, -1]), ((), [1, 1]), ((1, 1), []), ((0, 3), [3, 0]), ((0, 3), [0]), ((2, 0), [0, 5]), ((2, 3), [2, 3])):
        case(g, f"reshape/{label(s)} to {to}", {"x": real(*s)}, lambda x, t=to: x.reshape(t) * 1.0, {"shape": to})
    for s, axis in (((2, 3), 0), ((2, 3), 1), ((2, 3), -1), ((), 0), ((0, 3), 2)):
        case(g, f"unsqueeze/{label(s)} {axis}", {"x": real(*s)}, lambda x, a=axis: x.unsqueeze(a) * 1.0, {"axis": axis})
    for s, to in (((2, 1), [2, 3]), ((3,), [2, 3]), ((), [2, 2]), ((1, 1), [4, 1, 2]), ((2, 3), [2, 3]), ((1, 3), [0, 3]), ((0, 1), [0, 2]), ((), [0])):
        case(g, f"expand/{label(s)} to {to}", {"x": real(*s)}, lambda x, t=to: x.expand(t) * 1.0, {"shape": to})

    def pick(x, ranges):
        for r in ranges:
            n = x.shape[r["axis"]]
            index = list(range(n))[slice(r.get("start"), r.get("end"), r.get("step", 1))]
            x = x.index_select(r["axis"], torch.tensor(index, dtype=torch.long))
        return x * 1.0

    cuts = {
        "one axis": ((4, 5), [{"axis": 1, "start": 1, "end": 4}]),
        "two axes": ((4, 5), [{"axis": 0, "start": 2}, {"axis": -1, "end": -1}]),
        "step 2": ((7, 3), [{"axis": 0, "start": 1, "step": 2}]),
        "step 3, end inside": ((9,), [{"axis": 0, "start": 1, "end": 8, "step": 3}]),
        "backwards": ((5, 2), [{"axis": 0, "step": -1}]),
        "backwards by 2": ((6, 2), [{"axis": 0, "start": -2, "end": 0, "step": -2}]),
        "backwards from the middle": ((6,), [{"axis": 0, "start": 3, "step": -3}]),
        "beyond the ends": ((4,), [{"axis": 0, "start": -9, "end": 9}]),
        "nothing": ((4, 2), [{"axis": 0, "start": 3, "end": 1}]),
        "nothing backwards": ((4, 2), [{"axis": 0, "start": 1, "end": 3, "step": -1}]),
        "one element": ((4, 2), [{"axis": 0, "start": 2, "end": 3}]),
        "all": ((4, 2), [{"axis": 0}]),
        "empty": ((0, 3), [{"axis": 1, "start": 1}]),
        "steps on two axes": ((5, 6), [{"axis": 0, "step": 2}, {"axis": 1, "start": 1, "step": -1}]),
    }
    for name, (s, ranges) in cuts.items():
        case(g, f"slice/{name}", {"x": real(*s)}, lambda x, r=ranges: pick(x, r), {"ranges": ranges})
    for s, axes in (((2, 3), [0]), ((2, 3), [0, 1]), ((1, 3), [0]), ((2, 3), [-1]), ((0, 3), [0, 1])):
        case(g, f"flip/{label(s)} {axes}", {"x": real(*s)}, lambda x, a=axes: x.flip(a) * 1.0, {"axes": axes})
    for s, pads, value in (((2, 3), [1, 0, 0, 2], 0), ((2, 3), [0, 1, 1, 1], -1.5), ((3,), [2, 2], 0), ((2,), [0, 0], 0), ((0, 2), [1, 0, 1, 0], 3), ((0, 2), [0, 1, 0, 0], 0), ((1, 1), [0, 1, 2, 3], 0)):
        rank = len(s)
        torch_pads = [n for axis in reversed(range(rank)) for n in (pads[axis], pads[axis + rank])]
        case(g, f"pad/{label(s)} {pads}", {"x": real(*s)}, lambda x, p=torch_pads, v=value: F.pad(x, p, value=v) * 1.0, {"pads": pads, "value": value})
    for shapes, axis in ((((2, 3), (2, 1)), 1), (((2, 3), (1, 3), (2, 3)), 0), (((2,), (0,)), 0), (((0, 2), (0, 3)), -1), (((2, 3),), 0), (((0, 2), (0, 2)), 0)):
        inputs = {f"x{i}": real(*s) for i, s in enumerate(shapes)}
        case(g, f"concat/{label(*shapes)} {axis}", inputs, lambda a=axis, **x: torch.cat(list(x.values()), a) * 1.0, {"axis": axis})
    case(g, "concatSame/2x3", {"x": real(2, 3)}, lambda x: torch.cat([x, x * x, x], 1))
    for s, sizes, axis in (((2, 6), [2, 1, 3], 1), ((4, 2), [2, 2], 0), ((3, 2), [3], 0), ((3,), [0, 3], -1), ((0, 4), [1, 3], 1), ((0, 2), [0, 0], 0)):
        case(g, f"split/{label(s)} {sizes}", {"x": real(*s)}, lambda x, n=sizes, a=axis: [p * 1.0 for p in x.split(n, a)], {"sizes": sizes, "axis": axis})
    case(g, "splitOne/2x6", {"x": real(2, 6)}, lambda x: x[:, 2:3] ** 2, {"sizes": [2, 1, 3], "axis": 1})
    for s, ids, axis in (((5, 3), (4,), 0), ((5, 3), (2, 2), 0), ((2, 4, 3), (3,), 1), ((2, 4), (), -1), ((1, 2), (3,), 0), ((3, 2), (0,), 0), ((0, 3), (2,), 1), ((2, 3), (2, 0), 1)):
        for dtype in ("int64", "int32"):
            def take(x, i, a=axis):
                at = a % x.ndim
                flat = x.index_select(at, i.reshape(-1).long())
                return flat.reshape(*x.shape[:at], *i.shape, *x.shape[at + 1 :]) * 1.0

            case(g, f"gather/{label(s, ids)} {axis} {dtype}", {"x": real(*s), "i": whole(*ids, high=max(s[axis], 1), dtype=dtype)}, take, {"axis": axis})
    for s, ids, axis in (((3, 4), (2, 4), 0), ((3, 4), (3, 2), 1), ((3, 4), (2, 6), -1), ((5,), (3,), 0), ((1, 1), (1, 1), 0), ((3, 2), (0, 2), 0), ((0, 3), (0, 2), 1)):
        for dtype in ("int64", "int32"):
            case(
                g,
                f"gatherElements/{label(s, ids)} {axis} {dtype}",
                {"x": real(*s), "i": whole(*ids, high=max(s[axis], 1), dtype=dtype)},
                lambda x, i, a=axis: x.gather(a, i.long()) * 1.0,
                {"axis": axis},
            )
    for s, ids, axis in (((4, 3), (2, 3), 0), ((2, 5), (2, 3), 1), ((6,), (4,), -1), ((1, 1), (1, 1), 0), ((3, 2), (0, 2), 0), ((0, 2), (0, 1), 1)):
        for dtype in ("int64", "int32"):
            def once(rng, s=s, ids=ids, axis=axis, dtype=dtype):
                order = np.argsort(rng.random(s), axis=axis)
                return order[tuple(slice(n) for n in ids)].astype(dtype)

            case(
                g,
                f"scatterElements/{label(s, ids)} {axis} {dtype}",
                {"x": real(*s), "i": once, "u": real(*ids)},
                lambda x, i, u, a=axis: x.scatter(a, i.long(), u) * 1.0,
                {"axis": axis},
            )
            case(
                g,
                f"scatterElements/add {label(s, ids)} {axis} {dtype}",
                {"x": real(*s), "i": whole(*ids, high=max(s[axis], 1), dtype=dtype), "u": real(*ids)},
                lambda x, i, u, a=axis: x.scatter_add(a, i.long(), u) * 1.0,
                {"axis": axis, "reduction": "add"},
            )
    for s in SHAPES:
        case(g, f"zerosLike/{label(s)}", {"x": real(*s)}, lambda x: torch.zeros_like(x))


def losses():
    g = "losses"
    targets = {
        "plain": ((4, 5), [0, 4, 2, 2], -100),
        "ignored rows": ((4, 3), [-100, 2, 0, -100], -100),
        "ignore index 1": ((4, 3), [1, 2, 0, 1], 1),
        "one row": ((1, 2), [1], -100),
        "one class": ((2, 1), [0, 0], -100),
    }
    for name, (s, ids, ignore) in targets.items():
        for dtype in ("int64", "int32"):
            inputs = {"x": real(*s, low=-4, high=4), "labels": values(ids, dtype)}
            for op, how in (("crossEntropy", "mean"), ("crossEntropyPerExample", "none")):
                options = {} if ignore == -100 else {"ignoreIndex": ignore}
                function = lambda x, labels, h=how, i=ignore: F.cross_entropy(x, labels.long(), ignore_index=i, reduction=h)
                case(g, f"{op}/{name} {dtype}", inputs, function, options)
    # PyTorch gives NaN for a batch without a counted row; weightlock gives 0 with zero gradients, on purpose.
    case(g, "crossEntropy/nothing counted", {"x": real(2, 3), "labels": values([-100, -100], "int64")}, lambda x, labels: (x * 0).sum())
    case(g, "crossEntropy/no rows", {"x": real(0, 3), "labels": values(np.zeros(0), "int64")}, lambda x, labels: (x * 0).sum())
    case(g, "crossEntropyPerExample/no rows", {"x": real(0, 3), "labels": values(np.zeros(0), "int64")}, lambda x, labels: F.cross_entropy(x, labels, reduction="none"))
    for s in ((4, 3), (5,), (1, 1), ()):
        case(g, f"meanSquaredError/{label(s)}", {"a": real(*s), "b": real(*s)}, lambda a, b: F.mse_loss(a, b))
    for s in ((4, 5), (1, 2), (3, 1)):
        case(
            g,
            f"klDivergence/{label(s)}",
            {"a": real(*s, low=-3, high=3), "b": real(*s, low=-3, high=3)},
            lambda a, b: F.kl_div(a.log_softmax(-1), b.log_softmax(-1), reduction="batchmean", log_target=True),
        )


def composites():
    """Small networks of the kinds that weightlock trains, so that rules are tried in combination."""
    g = "composites"

    def mlp(x, w1, b1, w2, labels):
        return F.cross_entropy(torch.relu(x @ w1.T + b1) @ w2.T, labels)

    case(g, "mlp/relu", {"x": real(5, 4), "w1": real(6, 4), "b1": real(6), "w2": real(3, 6), "labels": whole(5, high=3)}, mlp)

    def resnet(x, w1, s1, h1, w2, s2, h2, labels):
        y = torch.relu(F.batch_norm(F.conv2d(x, w1, None, 2, 1), None, None, s1, h1, True))
        y = F.batch_norm(F.conv2d(y, w2, None, 1, 1), None, None, s2, h2, True) + y
        return F.cross_entropy(torch.relu(y).mean((2, 3)), labels)

    net = {"x": real(3, 2, 6, 6), "w1": real(4, 2, 3, 3), "s1": real(4), "h1": real(4), "w2": real(4, 4, 3, 3), "s2": real(4), "h2": real(4)}
    case(g, "resnetBlock/3x2x6x6", {**net, "labels": whole(3, high=4)}, resnet)

    def attention(x, wq, wk, wv, wo, scale, bias, mask):
        n, t, d = x.shape
        h = F.layer_norm(x, (d,), scale, bias)
        heads = lambda w: (h @ w.T).reshape(n, t, 2, d // 2).transpose(1, 2)
        scores = heads(wq) @ heads(wk).mT / math.sqrt(d // 2)
        p = torch.where(mask, scores, -1e9).softmax(-1)
        y = (p @ heads(wv)).transpose(1, 2).reshape(n, t, d) @ wo.T
        return (F.gelu(y + x) ** 2).mean()

    case(
        g,
        "attention/2x3x4",
        {"x": real(2, 3, 4), **{k: real(4, 4, low=-1, high=1) for k in ("wq", "wk", "wv", "wo")}, "scale": real(4), "bias": real(4), "mask": values(np.tril(np.ones((3, 3))), "bool")},
        attention,
    )
    case(
        g,
        "embedding/7x3",
        {"table": real(7, 3), "ids": whole(2, 4, high=7), "w": real(3, 3)},
        lambda table, ids, w: torch.tanh(table[ids] @ w).pow(2).sum(),
    )


def main():
    for build in (elementwise, matrix, spatial, reduction, normalization, movement, losses, composites):
        build()
    folder = os.path.join(os.path.dirname(__file__), "..", "..", "test", "fixtures", "graph")
    os.makedirs(folder, exist_ok=True)
    origin = {"script": "tools/oracles/graph_ops.py", "torch": torch.__version__, "numpy": np.__version__, "seed": SEED}
    for group, table in groups.items():
        path = os.path.join(folder, f"{group}.json")
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}" for name, row in table.items())
        with open(path, "w") as file:
            file.write(f'{{"origin": {json.dumps(origin)},\n"cases": {{\n{rows}\n}}}}\n')
        print(group, len(table), "cases", os.path.getsize(path), "bytes")


main()
