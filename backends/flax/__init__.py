"""Flax: its APIs NNX and linen."""
