"""The root URLs: the admin and the portal's own pages. chatsite/asgi.py handles /healthz and /readyz."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

urlpatterns = [
    # The addresses of users while the user was Django's own model.
    re_path(
        r"^admin/auth/user/(?P<rest>.*)$", RedirectView.as_view(url="/admin/chat/user/%(rest)s", query_string=True)
    ),
    path("admin/", admin.site.urls),
    path("", include("chat.urls")),
]
