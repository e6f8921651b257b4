"""Rankers without training, engines like the network: popularity, transition counts, content neighbors."""
