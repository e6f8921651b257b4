"""The training loop: optimizer, schedule, averaged weights, exact resume."""
