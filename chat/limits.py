"""Size limits of prompts and answers."""

TEXT_BYTES = 256 * 1024
"""UTF-8 bytes of a prompt."""

ANSWER_BYTES = 2 * 1024 * 1024
"""UTF-8 bytes of an answer with its reasoning."""
