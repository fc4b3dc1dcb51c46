"""CuPy as a backend of rnnbench."""
