"""Model folders: what they hold, reading and writing them."""
