"""What a run shall measure, and how: options, presets, the grid of workloads, the protocol."""
