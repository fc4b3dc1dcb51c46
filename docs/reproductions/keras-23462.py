"""A stateful Keras GRU or LSTM on torch and CUDA: does its backward pass raise?

keras-team/keras#23462, at 3.15.1: cuDNN keeps the initial state for the backward pass, and Keras
overwrites it with the last one. keras-team/keras#23464 mends it.

Needs: keras, torch
"""

import os
import sys

device = sys.argv[1] if len(sys.argv) > 1 else "cuda"
os.environ["KERAS_BACKEND"] = "torch"
if device == "cpu":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import torch

print(f"keras {keras.__version__}, torch {torch.__version__}, on {device}")
if device != "cpu" and not torch.cuda.is_available():
    print("skipped: torch finds no GPU")
    sys.exit()

raised = []
for layer in (keras.layers.GRU, keras.layers.LSTM):
    inputs = torch.randn(2, 3, 4, device=device)
    outputs = layer(5, stateful=True)(inputs)
    try:
        outputs.sum().backward()
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raised.append(layer.__name__)
if raised:
    print(f"reproduced: the backward pass of a stateful {' and '.join(raised)} raises")
else:
    print("not reproduced: both backward passes end")
