"""Measuring ranked lists: the metrics, and running any ranker over a split."""
