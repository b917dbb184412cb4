"""The admin of users. A new user needs a name and a password only, and may use the chat but not the admin."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserCreationForm
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from chat.admin.links import may_see
from chat.models import UsageRecord, User


class AddPersonForm(UserCreationForm):
    """The form for a new user: a name, and a password entered twice."""

    class Meta(UserCreationForm.Meta):
        model = User
        labels = {"username": _("Name")}
        help_texts = {"username": _("To log in with: letters, digits and @ . + - _ without spaces.")}


@admin.register(User)
class PersonAdmin(UserAdmin):
    """Django's user admin with a simpler form for new users, and the number of requests in the list."""

    add_form = AddPersonForm
    add_form_template = "admin/chat/user/add_form.html"
    change_user_password_template = "admin/chat/user/change_password.html"  # noqa: S105  a path
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("username", "password1", "password2")}),)
    list_display = ["name", "last_login", "staff", "is_active", "requests_this_month"]
    list_filter = ["is_staff", "is_active", "groups"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        requests = UsageRecord.objects.filter(user=OuterRef("pk"), created_at__gte=_first_of_the_month())
        count = requests.order_by().values("user").annotate(count=Count("pk")).values("count")
        people: QuerySet[User] = super().get_queryset(request)
        return people.annotate(_requests=Coalesce(Subquery(count), 0))

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        may_see_usage = may_see(request, UsageRecord)
        return [name for name in self.list_display if may_see_usage or name != "requests_this_month"]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"title": _("People"), **(extra_context or {})})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        return super().add_view(request, form_url, {"title": _("Add a colleague"), **(extra_context or {})})

    def response_add(self, request: HttpRequest, obj: User, post_url_continue: str | None = None) -> HttpResponse:
        """Redirect to the list instead of to Django's page for permissions."""
        answer = super(UserAdmin, self).response_add(request, obj, post_url_continue)
        login = request.build_absolute_uri(reverse("login"))
        messages.info(request, _("Tell them the name, the password and the address to log in: %s") % login)
        return answer

    @admin.display(description=_("name"), ordering="username")
    def name(self, user: User) -> str:
        return user.get_username()

    @admin.display(description=_("staff"), ordering="is_staff", boolean=True)
    def staff(self, user: User) -> bool:
        return user.is_staff

    @admin.display(description=_("requests this month"), ordering="_requests")
    def requests_this_month(self, user: User) -> str:
        count: int = user._requests  # type: ignore[attr-defined]  # annotated above
        if not count:
            return "0"
        month = _first_of_the_month()
        query = f"user__id__exact={user.pk}&created_at__year={month.year}&created_at__month={month.month}"
        return format_html('<a href="{}?{}">{}</a>', reverse("admin:chat_usagerecord_changelist"), query, count)


def _first_of_the_month() -> datetime:
    return timezone.localtime().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
