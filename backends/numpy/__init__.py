"""The numpy backend; in float64 it is the oracle."""
