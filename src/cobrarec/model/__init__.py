"""Chapter 3: a history in, the next code and then the next vector out."""
