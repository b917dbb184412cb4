"""The streaming core, from an accepted prompt to its stored answer. It knows user ids, but no sockets."""
