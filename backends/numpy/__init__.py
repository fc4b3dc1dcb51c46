"""The numpy backend. In float64 it is the oracle."""
