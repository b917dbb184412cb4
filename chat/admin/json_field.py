"""A form field for JSON that every database can store. Django's accepts some invalid texts and fails at others."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.forms.fields import InvalidJSONInput


class JSONField(forms.JSONField):
    """Refuses invalid JSON, NaN, Infinity, numbers with thousands of digits and deep nesting."""

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
            json.dumps(found, allow_nan=False)
        except (ValueError, RecursionError) as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value}) from error
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return the entered text, to be shown again."""
        try:
            return super().bound_data(data, initial)
        except (ValueError, RecursionError):
            return InvalidJSONInput(data)


OVERRIDES: dict[type[models.Field[Any, Any]], dict[str, Any]] = {models.JSONField: {"form_class": JSONField}}
"""The value for `formfield_overrides` of a ModelAdmin."""
