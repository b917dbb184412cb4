"""The portal's own pages. The admin is not among them, and neither is the socket."""
