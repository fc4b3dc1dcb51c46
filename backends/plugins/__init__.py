"""Backends that others have written: found, asked and checked.

None of their code runs in the process of a run (`client`, `process`, `server`).
"""
