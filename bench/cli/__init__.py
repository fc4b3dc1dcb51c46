"""The command line of `rnnbench`: one file a command, put together in `app`."""
