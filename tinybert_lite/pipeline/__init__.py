"""All stages together: folders, profiles, the plan, running it, the report."""
