"""IBM: Information Bottleneck Masked sub-networks, by two estimators of one objective."""

from narrows.methods.ibm.laplace import gate_nats, gate_variance
from narrows.methods.ibm.method import IBM

__all__ = ["IBM", "gate_nats", "gate_variance"]
