"""The portal's own pages, without the admin and without the socket."""
