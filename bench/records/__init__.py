"""The records of a run: their schema, the store, provenance, and the machine."""
