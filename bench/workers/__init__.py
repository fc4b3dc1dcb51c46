"""A process of its own for each variant (`pool`, `process`), and what runs inside (`server`)."""
