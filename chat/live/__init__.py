"""What the tabs of a user hear of: changed conversations and new messages."""
