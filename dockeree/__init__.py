"""dockeree turns an AWS account into a production Docker Enterprise cluster, and back into nothing."""

__version__ = "0.1.0"
