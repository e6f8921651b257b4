"""Named experiments: from a short definition to records in `docs/results`, and from these to the tables of the documents."""
