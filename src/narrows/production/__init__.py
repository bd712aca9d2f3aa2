"""A model in production: a store that knows how to build its model, and tasks learned from users' own data.

The life of a model, in the order of life: `init`, `adopt`, `learn`, `predict`, `evaluate`, `describe`, `forget` (of
`TaskStore`), `verify_outputs`. docs/production.md tells it.
"""

from typing import TYPE_CHECKING

from narrows.lazy import lazily

if TYPE_CHECKING:
    from narrows.production.adopting import Adoption, adopt
    from narrows.production.describing import describe
    from narrows.production.evaluating import Evaluation, Evaluations, evaluate, evaluate_all
    from narrows.production.learning import LearnedTask, learn
    from narrows.production.opening import init, model_record, open_store
    from narrows.production.predicting import predict, route
    from narrows.production.predictions import Predictions
    from narrows.production.verifying import OutputCheck, verify_outputs
    from narrows.production.weights import load_weights
    from narrows.store.recovering import recover
else:
    __getattr__, __dir__ = lazily(
        __name__,
        ".describing",
        ".opening",
        ".learning",
        ".adopting",
        ".evaluating",
        ".predicting",
        ".predictions",
        ".verifying",
        ".weights",
        "narrows.store.recovering",
    )

__all__ = [
    "Adoption",
    "Evaluation",
    "Evaluations",
    "LearnedTask",
    "OutputCheck",
    "Predictions",
    "adopt",
    "describe",
    "evaluate",
    "evaluate_all",
    "init",
    "learn",
    "load_weights",
    "model_record",
    "open_store",
    "predict",
    "recover",
    "route",
    "verify_outputs",
]
