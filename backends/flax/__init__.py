"""flax: nnx and linen."""
