"""The addresses of the portal's own pages (DESIGN 5)."""

from django.urls import path

from chat.views import accounts, pages

urlpatterns = [
    path("", pages.home, name="home"),
    path("favicon.ico", pages.favicon, name="favicon"),
    path("chat/", pages.new_conversation, name="conversation-new"),
    path("chat/<uuid:conversation_id>/", pages.conversation_detail, name="conversation-detail"),
    path("accounts/login/", accounts.Login.as_view(), name="login"),
    path("accounts/logout/", accounts.Logout.as_view(), name="logout"),
    path("accounts/password_change/", accounts.PasswordChange.as_view(), name="password_change"),
    path("accounts/password_change/done/", accounts.PasswordChangeDone.as_view(), name="password_change_done"),
]
