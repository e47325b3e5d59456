"""The one training loop, with its schedule, history and saved states."""
