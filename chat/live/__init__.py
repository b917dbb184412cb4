"""Events for the open tabs of a user: changed conversations and new messages."""
