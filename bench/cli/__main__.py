"""`python -m bench.cli`: the same as the console script `rnnbench`."""

from bench.cli.app import main

if __name__ == "__main__":
    main()
