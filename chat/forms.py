"""The forms of the portal's own pages: logging in and changing one's password."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import forms
from django.utils.translation import gettext_lazy as _


class LoginForm(forms.AuthenticationForm):
    """Name and password. An unknown name, a wrong password and an inactive user read the same."""

    error_messages = {
        "invalid_login": _("Name and password don't match. Capital letters count."),
        "inactive": _("Name and password don't match. Capital letters count."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("Name")
        self.fields["username"].widget.attrs["spellcheck"] = "false"
        _dress(self)

    @property
    def one_error(self) -> str:
        """The one thing to say when it didn't work; '' before that."""
        return str(self.error_messages["invalid_login"]) if self.errors else ""


class ChangePasswordForm(forms.PasswordChangeForm):
    """The old password and twice the new one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _dress(self)


def _dress(form: Any) -> None:
    for field in form.fields.values():
        field.widget.attrs["class"] = "input"
