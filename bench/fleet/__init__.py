"""One run on each of many machines, by submitit."""
