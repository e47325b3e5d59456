"""What teaches: lessons, widgets, exercises and their checks."""
