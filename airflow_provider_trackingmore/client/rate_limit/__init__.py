"""The rate limit of an account: who may send next, shared by all processes that use the account."""
