"""The chat portal: conversations, generations and their usage."""
