"""The operations, one typed method each, grouped by resource.

A method takes the transaction it acts in and the parameters in snake case, already validated
against the service model; it returns the response's members, or raises a Fault. Its transaction,
with the client token, commits when it returns. What streams takes no transaction.
"""
