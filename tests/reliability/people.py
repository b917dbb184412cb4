"""`python -m tests.reliability.people NAME ..`: adds users to the database of its environment and logs them in.

Fifty people at the log-in form would take longer than a figure: passwords are hashed slowly, on purpose. Prints JSON:
the cookie's name, and the session's key of each name.
"""

from __future__ import annotations

import json
import os
import sys


def main(names: list[str]) -> None:
    """Harmless for who is there already; each call makes new sessions."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "chatsite.settings"
    django.setup()

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.contrib.sessions.backends.db import SessionStore
    from django.db import transaction

    sessions = {}
    with transaction.atomic():
        for name in names:
            user, is_new = get_user_model().objects.get_or_create(username=name)
            if is_new:
                user.set_unusable_password()
                user.save()
            session = SessionStore()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.save()
            sessions[name] = session.session_key
    print(json.dumps({"cookie": settings.SESSION_COOKIE_NAME, "sessions": sessions}))


if __name__ == "__main__":
    main(sys.argv[1:])
