"""The root of all addresses: the admin, and the portal's own pages. /healthz and /readyz are answered before Django."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("", include("chat.urls"))]
