"""A user's own data for one task."""
