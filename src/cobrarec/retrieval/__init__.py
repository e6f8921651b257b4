"""Chapter 4: from a history to a ranked list. Beam search over semantic IDs, search inside them, fusion, recommendations."""
