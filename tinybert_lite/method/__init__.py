"""The paper, one idea a file: encoder, layer mapping, losses, objectives, augmentation, sequences, masking, 8 bits."""
