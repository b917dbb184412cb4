"""The template tag for the address of a page's style sheet: in the bundle, or the single files."""

from django import template
from django.templatetags.static import static

from chat.bundle import is_bundled

register = template.Library()


@register.simple_tag
def stylesheet(name: str) -> str:
    """Return the address. `name`: a file in static/chat/css/ that is one of ENTRIES in chat/bundle.py."""
    return static(f"bundle/{name}.css" if is_bundled() else f"chat/css/{name}.css")
