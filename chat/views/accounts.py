"""Logging in and out, and changing one's password."""

from __future__ import annotations

from django.contrib.auth import views
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator

from chat.forms import ChangePasswordForm, LoginForm
from chat.views.policy import portal_page


@method_decorator(portal_page, name="dispatch")
class Login(views.LoginView):
    """Right: on to `next` or a new conversation. Wrong: the same form with one error."""

    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True


class Logout(views.LogoutView):
    """Only by POST, as Django has it."""

    http_method_names = ["post", "options"]


@method_decorator(portal_page, name="dispatch")
class PasswordChange(views.PasswordChangeView):
    """One's own password; this browser stays logged in, every other one is logged out."""

    template_name = "accounts/password_change.html"
    form_class = ChangePasswordForm
    success_url = reverse_lazy("password_change_done")


@method_decorator(portal_page, name="dispatch")
class PasswordChangeDone(views.PasswordChangeDoneView):
    """Says that it worked."""

    template_name = "accounts/password_change_done.html"
