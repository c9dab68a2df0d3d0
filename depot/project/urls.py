"""All addresses: pages under the depot's short name, the API, the admin, health."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView
from django.views.i18n import set_language
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from depot.project import health, pages

admin.site.site_header = _("Depot set-up")
admin.site.site_title = _("Depot set-up")
admin.site.index_title = _("What the depot is made of")

handler404 = "depot.access.errors.not_found"
handler500 = "depot.access.errors.server_error"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("api/v1/", include("depot.project.api")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path(
        "api/docs/", login_required(SpectacularSwaggerSplitView.as_view(url_name="schema")), name="api-docs"
    ),
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}favicon.svg")),
    path("log-in/", auth_views.LoginView.as_view(template_name="depot/login.html"), name="login"),
    path("log-out/", auth_views.LogoutView.as_view(), name="logout"),
    path("language/", set_language, name="set_language"),
    path("", pages.depots, name="depots"),
    path("<slug:slug>/", pages.home, name="home"),
    path("<slug:slug>/", include("depot.urls")),
    path("<slug:slug>/", include("fleet.urls")),
    path("<slug:slug>/", include("billing.urls")),
    path("<slug:slug>/", include("charging.urls")),
]
