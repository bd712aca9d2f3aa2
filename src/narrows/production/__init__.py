"""A model in production: a store that knows how to build its model."""

from narrows.production.model_record import ModelRecord
from narrows.production.opening import init, model_record, open_store
from narrows.production.weights import load_weights

__all__ = ["ModelRecord", "init", "load_weights", "model_record", "open_store"]
