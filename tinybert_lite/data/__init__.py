"""Tasks, rows, tokens and batches: everything between a file and a tensor."""
