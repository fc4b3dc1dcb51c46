"""Third-party backends: found, asked and checked.

Their code never runs in the process of a run (`client`, `process`, `server`).
"""
