"""Everything that needs a GPU, part by part, each in a process of its own: `rnnbench gpu`."""
