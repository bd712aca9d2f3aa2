"""narrows."""
