"""Exports small models with random weights to ONNX.

Usage: export_onnx.py FOLDER

FOLDER gets one file for each model and way of exporting, one encoder layer as a Hugging Face folder `bert` beside
them with a text of as many tokens, and `sizes.json`: layers, heads, head dimension and tokens of each, as the library
has them.
"""

import json
import os
import sys
import warnings

import tokenizers
import torch
import transformers

TOKENS = 48


def export(model, inputs, names, folder, name, dynamic):
    axes = {of: {0: "batch", 1: "sequence"} for of in names} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            inputs,
            os.path.join(folder, name + ".onnx"),
            input_names=names,
            output_names=["states"],
            dynamic_axes=axes,
            opset_version=14,
        )


def main(folder):
    torch.manual_seed(0)
    tokens = torch.randint(0, 50, (1, TOKENS))
    mask = torch.ones_like(tokens)
    sizes = {}

    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=128,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        attn_implementation="eager",
    )
    bert = transformers.BertModel(config, add_pooling_layer=False).eval()
    for name, dynamic in [("bert", False), ("bert_open", True)]:
        export(bert, (tokens, mask), ["input_ids", "attention_mask"], folder, name, dynamic)
        sizes[name] = {"heads": [2], "head_dim": 64, "tokens": TOKENS, "causal": False}
    bert.save_pretrained(os.path.join(folder, "bert"))
    words = {f"w{number}": number for number in range(50)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.save(os.path.join(folder, "bert", "tokenizer.json"))
    with open(os.path.join(folder, "bert", "text.txt"), "w", encoding="utf-8") as file:
        file.write(" ".join(f"w{number}" for number in tokens[0].tolist()) + "\n")

    config = transformers.GPT2Config(
        vocab_size=50,
        n_layer=3,
        n_embd=96,
        n_head=6,
        n_positions=64,
        use_cache=False,
        attn_implementation="eager",
    )
    gpt2 = transformers.GPT2Model(config).eval()
    for name, dynamic in [("gpt2", False), ("gpt2_open", True)]:
        export(gpt2, (tokens,), ["input_ids"], folder, name, dynamic)
        sizes[name] = {"heads": [6, 6, 6], "head_dim": 16, "tokens": TOKENS, "causal": True}

    config = transformers.ViTConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=56,
        patch_size=8,
        attn_implementation="eager",
    )
    vit = transformers.ViTModel(config, add_pooling_layer=False).eval()
    export(vit, (torch.zeros(1, 3, 56, 56),), ["pixels"], folder, "vit", False)
    sizes["vit"] = {"heads": [4, 4], "head_dim": 16, "tokens": 50, "causal": False}

    with open(os.path.join(folder, "sizes.json"), "w", encoding="utf-8") as file:
        json.dump(sizes, file)


if __name__ == "__main__":
    main(sys.argv[1])
