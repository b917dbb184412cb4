"""The URLs of the portal's own pages."""

from django.urls import path

from chat.views import accounts, conversations, pages, tokens

urlpatterns = [
    path("", pages.home, name="home"),
    path("favicon.ico", pages.favicon, name="favicon"),
    path("chat/", pages.new_conversation, name="conversation-new"),
    path("chat/list/", conversations.conversation_list, name="conversation-list"),
    path("chat/tokens/", tokens.count_tokens, name="count-tokens"),
    path("chat/<uuid:conversation_id>/", pages.conversation_detail, name="conversation-detail"),
    path("chat/<uuid:conversation_id>/details/", conversations.conversation_details, name="conversation-details"),
    path("chat/<uuid:conversation_id>/delete/", conversations.conversation_delete, name="conversation-delete"),
    path("chat/<uuid:conversation_id>/restore/", conversations.conversation_restore, name="conversation-restore"),
    path("accounts/login/", accounts.Login.as_view(), name="login"),
    path("accounts/logout/", accounts.Logout.as_view(), name="logout"),
    path("accounts/password_change/", accounts.PasswordChange.as_view(), name="password_change"),
    path("accounts/password_change/done/", accounts.PasswordChangeDone.as_view(), name="password_change_done"),
]
