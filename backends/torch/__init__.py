"""PyTorch: `nn` modules, a hand-written cell, and `torch.compile`."""
