"""Modules by the name of what makes them: written down, built again in a later process, and only where it is trusted.

Knows names, arguments, modules and the user's list of whom to trust; no store's tasks.
"""

from narrows.factories.factory import Factory

__all__ = ["Factory"]
