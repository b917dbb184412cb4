"""Mask secrets in log records from tracebacks, libraries and the portal."""

from __future__ import annotations

import logging

from django.conf import settings

from chat.providers.redaction import learn, masked


class SecretsFilter(logging.Filter):
    """Masks secrets in the message, the traceback and the stack of a record. A filter for handlers; drops no record."""

    def __init__(self) -> None:
        super().__init__()
        given = [settings.SECRET_KEY, *settings.PORTAL_KEYRING, settings.OPENAI_API_KEY, settings.PORTAL_ADMIN_PASSWORD]
        learn(*given, for_ever=True)
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record. Never raises, because logging would then print the record unmasked."""
        try:
            text = record.getMessage()
        except Exception as error:
            text = f"{record.msg!r} could not be formatted: {type(error).__name__}"
        record.msg, record.args = masked(text), None
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = masked(record.exc_text)
        if record.stack_info:
            record.stack_info = masked(record.stack_info)
        return True
