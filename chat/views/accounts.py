"""Views to log in, log out and change the password."""

from __future__ import annotations

from django.contrib.auth import views
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator

from chat.forms import ChangePasswordForm, LoginForm
from chat.views.policy import portal_page


@method_decorator(portal_page, name="dispatch")
class Login(views.LoginView):
    """Redirect to `next` or a new conversation; on a wrong password, show the form with one error."""

    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True


class Logout(views.LogoutView):
    """Log out, by POST only."""

    http_method_names = ["post", "options"]


@method_decorator(portal_page, name="dispatch")
class PasswordChange(views.PasswordChangeView):
    """Change the user's own password. This browser stays logged in; every other one is logged out."""

    template_name = "accounts/password_change.html"
    form_class = ChangePasswordForm
    success_url = reverse_lazy("password_change_done")


@method_decorator(portal_page, name="dispatch")
class PasswordChangeDone(views.PasswordChangeDoneView):
    """Confirm that the password was changed."""

    template_name = "accounts/password_change_done.html"
