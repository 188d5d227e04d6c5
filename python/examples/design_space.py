# %% [markdown]
# How wide should the top-k engines of SpAtten be? A machine on GPT-2-Small, then a small space of machines.

# %%
import numpy

import attelier

# %% One run: one generated token on a memory without banks.
quick = {"memory.kind": "ideal", "workload.tokens": 1}
result = attelier.run("spatten", "gpt2-small/wikitext2", set=quick)
print(f"{result['cycles']} cycles, {result['energy_j']['total'] * 1e6:.1f} uJ")

# %% What the workload asks for: heads and keys that are left in each layer of BERT.
requests = attelier.trace("bert-base/rte")
for layer in numpy.unique(requests["layer"]):
    here = requests["layer"] == layer
    share = requests["keys"][here].mean() / requests["sentence_length"][here].mean()
    print(f"layer {layer:2}: {here.sum():2} heads, {share:6.1%} of the keys")

# %% Eight machines.
space = """
design = "spatten"
workload = "gpt2-small/wikitext2"
set = ["memory.kind=ideal", "workload.tokens=1"]
objectives = [{ min = "cycles" }, { min = "topk_value.parallelism" }]

[[axis]]
paths = ["topk_value.parallelism", "topk_token.parallelism"]
powers_of_two = { from = 1, to = 128 }
"""
columns = attelier.explore(space)["columns"]
rows = zip(columns["topk_value.parallelism"], columns["cycles"], columns["front"])
for width, cycles, front in rows:
    print(f"{width:4} comparators: {cycles:9.0f} cycles{', on the front' if front else ''}")
