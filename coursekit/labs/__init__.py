"""Interactive explorers, one module per lecture."""
