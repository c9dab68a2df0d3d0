"""What follows from bills: how a running one will end, what a correction changed, and where the utility's differs.

Pure functions. The rules, with numbers, are in docs/algorithms/bills.md.
"""
