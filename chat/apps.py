"""The application of the portal, and its admin site."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.utils.translation import gettext_lazy as _


class ChatConfig(AppConfig):
    """The portal's application. It registers the system checks."""

    name = "chat"
    default = True
    verbose_name = _("Chat")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from chat import checks  # noqa: F401  registers the checks; models are loaded only now


class PortalAdminConfig(admin_apps.AdminConfig):
    """Django's admin with the portal's site."""

    default = False
    default_site = "chat.admin_site.PortalAdminSite"
