"""How each framework computes a model: one file a framework, none of them knows a clock."""
