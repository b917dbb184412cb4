"""The forms of the portal's pages: log-in, change of password, details of a conversation."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError
from django.forms import BooleanField, CharField, Field, Form
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from chat.options import OPTIONS

if TYPE_CHECKING:
    from chat.models import Conversation

SYSTEM_PROMPT_CHARACTERS = 32_000

_TOO_LONG = {"max_length": _("This text has %(show_value)d characters; at most %(limit_value)d can be kept.")}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


class LoginForm(AuthenticationForm):
    """The log-in form. An unknown name, a wrong password and an inactive user give the same error."""

    error_messages = {
        "invalid_login": _("Name and password don’t match. Capital letters count."),
        "inactive": _("Name and password don’t match. Capital letters count."),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = _("Name")
        self.fields["username"].widget.attrs["spellcheck"] = "false"
        if self.data.get("username"):  # the name is kept, the password is not
            del self.fields["username"].widget.attrs["autofocus"]
            self.fields["password"].widget.attrs["autofocus"] = True
        _style_inputs(self)

    @property
    def one_error(self) -> str:
        """The error of a failed log-in; '' if there is none."""
        return str(self.error_messages["invalid_login"]) if self.errors else ""


class ChangePasswordForm(PasswordChangeForm):
    """The form for a new password. Its hint describes AUTH_PASSWORD_VALIDATORS."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = _(
            "At least 8 characters; not only digits, not a common password, not close to your name."
        )
        self.fields["new_password2"].label = _("New password again")
        self.fields["new_password2"].help_text = ""
        _style_inputs(self)


def _style_inputs(form: Any) -> None:
    for field in form.fields.values():
        field.widget.attrs["class"] = "input"


class OptionField(Field):
    """A field for an option of chat.options, which validates it. An empty value removes the option.

    read      converts the entered text; raises ValueError
    sentence  the error message, which describes the allowed values
    """

    def __init__(self, name: str, read: Callable[[str], Any], sentence: str | Promise) -> None:
        super().__init__(required=False)
        self.name = name
        self.read = read
        self.sentence = sentence

    def to_python(self, value: str | None) -> Any:
        if value is None or not value.strip():
            return None
        try:
            option = self.read(value)
        except ValueError:
            option = None
        if not OPTIONS[self.name](option):
            raise ValidationError(self.sentence)  # type: ignore[arg-type]
        return option


def read_stop(text: str) -> list[str]:
    r"""Parse one text per line, without blank lines. `\n`, `\r`, `\t` and `\\` are escapes."""
    if "\0" in text:
        raise ValueError("PostgreSQL keeps no zero character")
    lines = re.split(r"\r\n|\r|\n", text)
    return [re.sub(r"\\([nrt\\])", lambda found: _ESCAPES[found[1]], line) for line in lines if line.strip()]


class DetailsForm(Form):
    """The details of a conversation. Only the submitted fields are changed."""

    title = CharField(max_length=200, required=False, error_messages=_TOO_LONG)
    pinned = BooleanField(required=False)
    system_prompt = CharField(
        max_length=SYSTEM_PROMPT_CHARACTERS, required=False, strip=False, error_messages=_TOO_LONG
    )
    temperature = OptionField("temperature", float, _("Write a number from 0 to 2, or leave it empty."))
    max_tokens = OptionField("max_tokens", int, _("Write a whole number from 1 to 10,000,000, or leave it empty."))
    stop = OptionField("stop", read_stop, _("At most four texts, one a line, each of at most 200 characters."))
    seed = OptionField(
        "seed", int, _("Write a whole number of at most 9,007,199,254,740,992 on either side of 0, or leave it empty.")
    )
    reasoning_effort = OptionField("reasoning_effort", str.strip, _("Choose one of the list."))

    def clean_title(self) -> str:
        """Join the title into one line. Raises ValidationError if it is blank."""
        title = " ".join(self.cleaned_data["title"].split())
        if "title" in self.data and not title:
            raise ValidationError(_("Write a title."))
        return title

    def clean_system_prompt(self) -> str:
        """Keep the system prompt verbatim, but replace a blank one by ''."""
        text: str = self.cleaned_data["system_prompt"].replace("\r\n", "\n")
        return text if text.strip() else ""

    def changes(self) -> dict[str, Any]:
        """Return the new values of the submitted fields. Options are in `options`; None removes an option."""
        given = {name: self.cleaned_data[name] for name in self.fields if name in self.data}
        options = {name: given.pop(name) for name in OPTIONS if name in given}
        return given | {"options": options} if options else given


def details(conversation: Conversation) -> dict[str, Any]:
    """Return the same fields for the page. Options that are not set are None; `stop` is a list."""
    options = conversation.options
    stop = options.get("stop") or []
    return {
        "title": conversation.title,
        "pinned": conversation.pinned,
        "system_prompt": conversation.system_prompt,
        "temperature": options.get("temperature"),
        "max_tokens": options.get("max_tokens"),
        "stop": [stop] if isinstance(stop, str) else stop,
        "seed": options.get("seed"),
        "reasoning_effort": options.get("reasoning_effort"),
    }
