"""The machine and its files: devices, processes, safe writing, progress, errors."""
