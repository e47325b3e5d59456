"""Published models, tasks, word vectors and corpora, fetched and checked."""
