"""Writes small models with random weights, their inputs, and what transformers computes from them.

Usage: make_models.py KIND FOLDER

FOLDER gets a Hugging Face folder as the library saves it (config.json, model.safetensors) and
expected.safetensors: inputs and outputs, all as 32-bit floats.
"""

import os
import sys

import numpy
import torch
import transformers
from safetensors.numpy import save_file

TOKENS = [3, 17, 5, 5, 61, 0, 42, 9, 28, 11, 33]
STEPS = [7, 7, 50]
VOCABULARY = 64


def bert(folder):
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=40,
        max_position_embeddings=20,
        attn_implementation="eager",
    )
    return encoder(folder, transformers.BertModel(config))


def bert_classifier(folder):
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=40,
        max_position_embeddings=20,
        hidden_act="relu",
        num_labels=3,
        attn_implementation="eager",
    )
    return encoder(folder, transformers.BertForSequenceClassification(config))


def gpt2(folder):
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=24,
        n_layer=3,
        n_head=3,
        n_positions=20,
        attn_implementation="eager",
    )
    return decoder(folder, transformers.GPT2LMHeadModel(config))


def gpt2_scaled(folder):
    """Scores divided by the number of the layer; saved as 16-bit floats."""
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=24,
        n_layer=3,
        n_head=4,
        n_inner=50,
        n_positions=20,
        scale_attn_by_inverse_layer_idx=True,
        attn_implementation="eager",
    )
    model = transformers.GPT2LMHeadModel(config)
    randomize(model)
    round_to(model, torch.float16)
    return decoder(folder, model, save=lambda: model.half().save_pretrained(folder), ready=True)


def llama(folder):
    """Grouped key heads; saved in several files."""
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        intermediate_size=40,
        max_position_embeddings=20,
        attn_implementation="eager",
    )
    model = transformers.LlamaForCausalLM(config)
    save = lambda: model.save_pretrained(folder, max_shard_size="10KB")
    return decoder(folder, model, save=save)


def llama_stretched(folder):
    """The rotary frequencies of Llama 3.1, shared embeddings, biases; saved as bfloat16."""
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=40,
        max_position_embeddings=20,
        tie_word_embeddings=True,
        attention_bias=True,
        mlp_bias=True,
        rope_theta=100.0,
        rope_scaling={
            "rope_type": "llama3",
            "factor": 4.0,
            "low_freq_factor": 0.5,
            "high_freq_factor": 2.0,
            "original_max_position_embeddings": 16,
        },
        attn_implementation="eager",
    )
    model = transformers.LlamaForCausalLM(config)
    randomize(model)
    round_to(model, torch.bfloat16)
    return decoder(folder, model, save=lambda: model.bfloat16().save_pretrained(folder), ready=True)


def vit(folder):
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        image_size=12,
        patch_size=4,
        num_labels=5,
        attn_implementation="eager",
    )
    return images(folder, transformers.ViTForImageClassification(config), "vit")


def deit(folder):
    config = transformers.DeiTConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        image_size=12,
        patch_size=3,
        num_labels=5,
        attn_implementation="eager",
    )
    return images(folder, transformers.DeiTForImageClassificationWithTeacher(config), "deit")


def encoder(folder, model):
    randomize(model)
    model.save_pretrained(folder)
    tokens = torch.tensor([TOKENS])
    outputs = model(tokens, output_attentions=True, output_hidden_states=True)
    base = getattr(model, "bert", model)
    plain = base(tokens)
    expected = {"tokens": tokens[0], "states": plain.last_hidden_state[0], "pooled": plain.pooler_output[0]}
    if base is not model:
        expected["classes"] = outputs.logits[0]
    return expected | attentions("", outputs)


def decoder(folder, model, save=None, ready=False):
    if not ready:
        randomize(model)
    tokens = torch.tensor([TOKENS])
    outputs = model(tokens, output_attentions=True, output_hidden_states=True, use_cache=True)
    expected = {"tokens": tokens[0], "states": outputs.hidden_states[-1][0], "logits": outputs.logits[0]}
    expected |= attentions("", outputs)
    past = outputs.past_key_values
    for number, token in enumerate(STEPS):
        outputs = model(
            torch.tensor([[token]]), past_key_values=past, output_attentions=True, use_cache=True
        )
        past = outputs.past_key_values
        expected[f"step{number}.token"] = torch.tensor([token])
        expected[f"step{number}.logits"] = outputs.logits[0, 0]
        expected |= attentions(f"step{number}.", outputs)
    # Last: saving in half precision changes the model.
    (save or (lambda: model.save_pretrained(folder)))()
    return expected


def images(folder, model, base):
    randomize(model)
    model.save_pretrained(folder)
    size = model.config.image_size
    pixels = torch.randn(1, 3, size, size)
    outputs = model(pixels, output_attentions=True, output_hidden_states=True)
    states = getattr(model, base)(pixels).last_hidden_state[0]
    expected = {"pixels": pixels[0], "states": states, "classes": outputs.logits[0]}
    return expected | attentions("", outputs)


def attentions(prefix, outputs):
    """Probabilities [heads, queries, keys] of each layer."""
    layers = enumerate(outputs.attentions)
    return {f"{prefix}probabilities.{layer}": values[0] for layer, values in layers}


def randomize(model):
    """Weights so large that every head attends to something, and no norm is the identity."""
    model.eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)


def round_to(model, kind):
    """Rounds the weights before they are used, so that the reading is compared, not the rounding.

    Converting the model itself would round the rotary frequencies too, which are not saved.
    """
    for parameter in model.parameters():
        parameter.copy_(parameter.to(kind).float())


def main():
    kind, folder = sys.argv[1:]
    kinds = [bert, bert_classifier, gpt2, gpt2_scaled, llama, llama_stretched, vit, deit]
    makers = {maker.__name__: maker for maker in kinds}
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    with torch.no_grad():
        expected = makers[kind](folder)
    arrays = {name: value.float().numpy() for name, value in expected.items()}
    arrays = {name: numpy.ascontiguousarray(value) for name, value in arrays.items()}
    save_file(arrays, os.path.join(folder, "expected.safetensors"))


if __name__ == "__main__":
    main()
