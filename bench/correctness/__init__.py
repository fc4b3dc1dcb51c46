"""Checks that a variant computes what the oracle computes, and all of it in its timed steps."""
