"""What a run leaves behind: the schema, the store, where it comes from, which machine."""
