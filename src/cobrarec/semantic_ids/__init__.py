"""Chapter 2: item text -> embedding -> codes."""
