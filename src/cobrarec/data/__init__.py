"""Chapter 1: from the caller's tables to arrays. No torch.

`tables` reads and writes files, `catalog` holds the items, `interactions` the users' histories, `splits` sets test data
apart, `audit` tells what is odd in the input, `sources` brings data sets to try things on.
"""
