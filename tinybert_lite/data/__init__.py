"""Tasks, rows, corpora, word vectors and batches: everything between a file and a tensor."""
