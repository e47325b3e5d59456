"""Model folders: configuration, vocabulary and weights; reading and writing them."""
