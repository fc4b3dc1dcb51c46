"""Keras on TensorFlow, JAX and PyTorch."""
