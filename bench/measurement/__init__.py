"""Measures one workload from start to end: checks, warm-up, rounds, checks again."""
