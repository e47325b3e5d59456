"""Model folders: what they hold, and reading and writing them."""
