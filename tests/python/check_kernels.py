"""Compares the reference kernels with NumPy and SciPy.

Usage: python check_kernels.py FOLDER

FOLDER holds one folder per case, named KERNEL-NUMBER, with operands as `in_NAME.npy` and results as
`out_NAME.npy`; scalars are arrays of one element. Every kernel is computed here a second time, from
its definition and with other means (whole-array operations, sorting), and every result is compared:
integers exactly, real numbers within 1e-9 of the larger of the two and of the largest element's
rounding. Prints what was compared; exits with 1 if anything differs.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.special import erf, erfc, log_ndtr, softmax
from scipy.special import expit

RELATIVE = 1e-9
# Differences of numbers cancel: allow the rounding of the largest element of an array as well.
ROUNDING = 1e-14


def attention(q, k, v, scale, allowed):
    scores = np.where(allowed, np.einsum("qd,kd->qk", q, k) * scale, -np.inf)
    probabilities = softmax(scores, axis=1)
    return {"scores": scores, "probabilities": probabilities, "output": probabilities @ v}


def full(c):
    shape = (c["queries"].shape[0], c["keys"].shape[0])
    return attention(c["queries"], c["keys"], c["values"], c["scale"][0], np.ones(shape, bool))


def causal(c):
    q, k = c["queries"].shape[0], c["keys"].shape[0]
    allowed = np.tri(q, k, k - q, dtype=bool)
    return attention(c["queries"], c["keys"], c["values"], c["scale"][0], allowed)


def masked(c):
    return attention(c["queries"], c["keys"], c["values"], c["scale"][0], c["allowed"] != 0)


def multi_head_attention(c):
    heads = int(c["heads"][0])
    q, k, v = (np.stack(np.split(c[x], heads, axis=1)) for x in ("queries", "keys", "values"))
    p = softmax(q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2]), axis=2)
    return {"output": np.concatenate(list(p @ v), axis=1)}


def decode(c):
    return {"output": causal(c)["output"]}


def layer_norm(c):
    x = c["x"]
    normed = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + c["epsilon"])
    return {"y": normed * c["weight"] + c["bias"]}


def rms_norm(c):
    x = c["x"]
    return {"y": x / np.sqrt(np.square(x).mean(1, keepdims=True) + c["epsilon"]) * c["weight"]}


def gelu(x):
    # exp of the logarithm of the normal distribution keeps precision on the far negative side.
    return x * np.exp(log_ndtr(x))


def gelu_tanh(x):
    # (1 + tanh z) / 2 is the logistic function of 2 z.
    return x * expit(2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


def activations(c):
    x = c["x"]
    assert np.allclose(gelu(x), x * erfc(-x / np.sqrt(2)) / 2), "SciPy disagrees with itself"
    assert np.allclose(gelu(x), x * (1 + erf(x / np.sqrt(2))) / 2), "SciPy disagrees with itself"
    return {"gelu": gelu(x), "gelu_tanh": gelu_tanh(x), "silu": x * expit(x)}


def linear(c):
    return {"y": c["x"] @ c["weight"].T + c["bias"]}


def largest(values, k):
    """Indices of the k largest, best first, equal ones by index."""
    return np.lexsort((np.arange(len(values)), -values))[:k]


def top_k(c):
    return {"indices": np.sort(largest(c["values"], int(c["k"][0])))}


def cascade_tokens(c):
    """`probabilities` (layers, heads, queries, tokens); a dropped token has no probability."""
    tokens = c["probabilities"].shape[3]
    alive, importance, survivors = np.ones(tokens, bool), np.zeros(tokens), {}
    for layer, keep in enumerate(c["keep"].astype(int)):
        received = c["probabilities"][layer].sum(axis=(0, 1))
        importance += np.where(alive, received, 0)
        kept = largest(np.where(alive, importance, -np.inf), keep)
        alive = alive & np.isin(np.arange(tokens), kept)
        survivors[f"survivors_{layer}"] = np.flatnonzero(alive)
    return survivors | {"importance": importance}


def cascade_heads(c):
    """`outputs` (layers, heads, queries, features)."""
    magnitude = np.abs(c["outputs"]).sum(axis=(2, 3))
    alive, importance = np.ones(magnitude.shape[1], bool), np.zeros(magnitude.shape[1])
    for layer, keep in enumerate(c["keep"].astype(int)):
        importance = importance + magnitude[layer] * alive
        order = largest(np.where(alive, importance, -np.inf), keep)
        alive = alive & np.isin(np.arange(len(alive)), order)
    return {"survivors": np.flatnonzero(alive), "importance": importance}


def local_values(c):
    p, keep = c["probabilities"], int(c["keep"][0])
    kept = np.sort(largest(p, keep))
    weights = np.zeros_like(p)
    weights[kept] = p[kept]
    return {"kept": kept, "output": weights @ c["values"]}


def quantization(c):
    bits, lsb_bits = int(c["bits"][0]), int(c["lsb_bits"][0])
    outermost = 2 ** (bits - 1) - 1
    scale = np.abs(c["x"]).max() / outermost
    codes = np.clip(np.rint(c["x"] / scale), -outermost, outermost).astype(np.int64)
    low = np.mod(codes, 2**lsb_bits)
    high = np.floor_divide(codes, 2**lsb_bits)
    return {"codes": codes, "high": high, "low": low, "x": codes * scale,
            "x_high": high * 2**lsb_bits * scale}


def progressive(c):
    lsb_bits, unit = int(c["lsb_bits"][0]), c["unit"][0]
    high, low = c["high"], c["low"]
    first = softmax(c["scale"][0] * (high * 2**lsb_bits * unit) @ c["query"])
    again = softmax(c["scale"][0] * ((high * 2**lsb_bits + low) * unit) @ c["query"])
    flat = first.max() < c["threshold"][0]
    return {"probabilities": again if flat else first, "fetched": np.array([int(flat)])}


def ratio_schedule(c):
    layers = int(c["layers"][0])
    front = int(np.floor(c["front"][0] * layers + 0.5))
    ramp = np.linspace(c["start"][0], 2 * c["average"][0] - c["start"][0], layers - front)
    return {"ratios": np.concatenate([np.zeros(front), ramp])}


def route(c):
    logits = c["x"] @ c["weight"].T
    k = int(c["k"][0])
    p = softmax(logits, axis=1)
    chosen = np.stack([largest(row, k) for row in p])
    return logits, chosen, np.take_along_axis(p, chosen, 1)


def gate(c):
    logits, chosen, scores = route(c)
    return {"logits": logits, "experts": chosen, "scores": scores}


def mixture_of_experts(c):
    _, chosen, scores = route(c)
    # Every expert on every token, then a sum in which only the chosen have weight.
    hidden = gelu(np.einsum("ehf,tf->eth", c["up"], c["x"]) + c["up_bias"][:, None, :])
    outputs = np.einsum("efh,eth->etf", c["down"], hidden) + c["down_bias"][:, None, :]
    weights = np.zeros((c["x"].shape[0], c["up"].shape[0]))
    np.put_along_axis(weights, chosen, scores, 1)
    return {"y": np.einsum("te,etf->tf", weights, outputs)}


def patch_embedding(c):
    weight = c["weight"]
    features, channels, height, width = weight.shape
    image = c["image"]
    rows, columns = image.shape[1] // height, image.shape[2] // width
    patches = image.reshape(channels, rows, height, columns, width).transpose(1, 3, 0, 2, 4)
    return {"y": patches.reshape(rows * columns, -1) @ weight.reshape(features, -1).T + c["bias"]}


KERNELS = {
    "softmax": lambda c: {"y": softmax(c["x"])},
    "attention": full,
    "causal_attention": causal,
    "masked_attention": masked,
    "multi_head_attention": multi_head_attention,
    "decode": decode,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "activations": activations,
    "linear": linear,
    "top_k": top_k,
    "cascade_tokens": cascade_tokens,
    "cascade_heads": cascade_heads,
    "local_values": local_values,
    "quantization": quantization,
    "progressive": progressive,
    "ratio_schedule": ratio_schedule,
    "gate": gate,
    "mixture_of_experts": mixture_of_experts,
    "patch_embedding": patch_embedding,
}


def difference(ours, theirs):
    """What is wrong with `ours`, or None."""
    theirs = np.asarray(theirs)
    if ours.shape != theirs.shape:
        return f"shape {ours.shape}, expected {theirs.shape}"
    if np.issubdtype(theirs.dtype, np.integer):
        return None if np.array_equal(ours, theirs) else f"{ours.tolist()}, expected {theirs.tolist()}"
    finite = np.isfinite(theirs)
    if not np.array_equal(ours[~finite], theirs[~finite]):
        return "infinities at other places"
    ours, theirs = ours[finite], theirs[finite]
    if ours.size == 0:
        return None
    bound = RELATIVE * np.maximum(abs(ours), abs(theirs)) + ROUNDING * abs(theirs).max()
    excess = abs(ours - theirs) / np.where(bound > 0, bound, np.finfo(float).tiny)
    if np.all(excess <= 1):
        return None
    at = excess.argmax()
    return f"{ours[at]!r}, expected {theirs[at]!r}"


def main(folder):
    failures, kernels, values = 0, set(), 0
    cases = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    for case in cases:
        kernel = case.name.rsplit("-", 1)[0]
        load = lambda kind: {p.stem[len(kind):]: np.load(p) for p in case.glob(f"{kind}*.npy")}
        ours, theirs = load("out_"), KERNELS[kernel](load("in_"))
        if ours.keys() != theirs.keys():
            failures += 1
            print(f"{case.name}: results {sorted(ours)}, expected {sorted(theirs)}")
            continue
        for name, result in theirs.items():
            values += np.size(result)
            if wrong := difference(ours[name], result):
                failures += 1
                print(f"{case.name}: {name} is {wrong}")
        kernels.add(kernel)
    print(f"compared {len(kernels)} kernels, {len(cases)} cases, {values} values: {failures} differ")
    return 1 if failures or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
