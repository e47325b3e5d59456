"""What distils: models, losses, the one training loop. Knows no folder name, notebook or command line."""
