"""One file a stage: what it reads, its work, what it writes."""
