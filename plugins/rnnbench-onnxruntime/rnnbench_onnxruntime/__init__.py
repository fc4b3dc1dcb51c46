"""ONNX Runtime as a backend of rnnbench."""
