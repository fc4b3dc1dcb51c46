"""Does a variant compute what the oracle computes, and all of it in its timed steps."""
