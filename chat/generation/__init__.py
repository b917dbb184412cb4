"""The streaming core: from an accepted prompt to its stored answer. Knows users by id, and no sockets."""
