"""A recommender behind HTTP: raw histories in, item ids out. Needs the extra `serve`."""
