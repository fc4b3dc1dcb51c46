"""How each framework computes a model: one folder per framework. No backend knows the clock."""
