from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from django.views.generic import RedirectView

from chat import views

urlpatterns = [
    path("", RedirectView.as_view(url="/chat/lobby/")),
    path("login/", LoginView.as_view(template_name="chat/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("chat/<slug:room>/", views.room, name="room"),
    path("chat/<slug:room>/say/", views.say, name="say"),
    path("connection/", views.connection, name="connection"),
    path("direct/", views.direct, name="direct"),
    path("notify/", views.notify, name="notify"),
    path("broadcast/", views.broadcast, name="broadcast"),
    path("work/", views.work, name="work"),
    path("fanfare/auth/", views.fanfare_auth),
]
