"""The API as pure functions and data: requests, responses and errors, without any I/O."""
