"""Teaching: lessons, widgets, checks and grading of exercises, and the doctor."""
