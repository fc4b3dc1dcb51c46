"""What a run is asked for: options, presets, the grid of workloads."""
