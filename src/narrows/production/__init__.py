"""A model in production: a store that knows how to build its model."""

from narrows.production.model_record import ModelRecord
from narrows.production.weights import load_weights

__all__ = ["ModelRecord", "load_weights"]
