from channels.exceptions import ChannelFull
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from . import fanfare
from .models import Connection

SENT = 204


def room_group(user, room):
    """The group of a room. A user who may not enter the room may not write to it either."""
    group = f"chat_{room}"
    if not may_join(user, group):
        raise PermissionDenied("this room is for staff")
    return group


def may_join(user, group):
    return group != "chat_staff" or user.is_staff


@require_GET
def fanfare_auth(request):
    """Fanfare calls this view at each handshake, with the client's cookies and what it would get."""
    user = request.user
    if not user.is_authenticated:
        return JsonResponse({"error": "log in first"}, status=403)
    if not all(may_join(user, group) for group in fanfare.asked_groups(request)):
        return JsonResponse({"error": "this room is for staff"}, status=403)
    groups = ["staff"] if user.is_staff else []
    return JsonResponse({"user": str(user.pk), "groups": groups})


@login_required
def room(request, room):
    room_group(request.user, room)
    return render(request, "chat/room.html", {"room": room, "base": settings.FANFARE_WS})


@login_required
@require_POST
def say(request, room):
    """A message of the chat that goes through Django, which adds the name of the user."""
    message = {"message": request.POST["text"], "user": request.user.username}
    group = room_group(request.user, room)
    fanfare.publish(group, {"type": "chat.message", **message})
    return HttpResponse(status=SENT)


@login_required
@require_POST
def connection(request):
    """Stores the channel that the page got in its welcome frame, if it is the user's own."""
    try:
        channel = fanfare.session_channel(request.user, request.POST["channel"])
    except OSError:
        return JsonResponse({"error": "try again"}, status=503)
    Connection.objects.update_or_create(user=request.user, defaults={"channel": channel})
    return HttpResponse(status=SENT)


@login_required
@require_POST
def direct(request):
    """Sends to one connection, by its channel from the database."""
    there = get_object_or_404(Connection, user__username=request.POST["to"])
    text = {"from": request.user.username, "text": request.POST["text"]}
    try:
        fanfare.send(there.channel, fanfare.frame(type="direct", **text))
    except ChannelFull:
        # Core only. Nobody takes what waits there: the node does not keep up, or it has ended.
        return JsonResponse({"error": "that connection takes nothing now"}, status=503)
    return HttpResponse(status=SENT)


@login_required
@require_POST
def notify(request):
    """Sends to every connection of one user."""
    user = get_object_or_404(User, username=request.POST["to"])
    text = request.POST["text"]
    fanfare.publish(fanfare.user_group(user.pk), fanfare.frame(type="notification", text=text))
    return HttpResponse(status=SENT)


@login_required
@require_POST
def broadcast(request):
    """Sends to every connection, on every node."""
    text = request.POST["text"]
    fanfare.publish(fanfare.EVERYONE, fanfare.frame(type="broadcast", text=text))
    return HttpResponse(status=SENT)


@login_required
@require_POST
def work(request):
    """Sends a job to `manage.py runworker work`. It answers the user's latest connection."""
    there = get_object_or_404(Connection, user=request.user)
    job = {"type": "text.reverse", "text": request.POST["text"], "reply_to": there.channel}
    fanfare.send("work", job)
    return HttpResponse(status=SENT)
