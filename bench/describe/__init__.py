"""Reads a net from a user's code, and writes the workload file that describes it."""
