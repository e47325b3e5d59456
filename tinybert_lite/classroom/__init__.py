"""What teaches: plots for notebooks and reports."""
