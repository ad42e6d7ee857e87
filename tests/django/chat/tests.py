from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.test import TestCase, override_settings

MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


@override_settings(CHANNEL_LAYERS=MEMORY)
class PublishTest(TestCase):
    def test_a_notification_reaches_the_group_of_the_user(self):
        ann = User.objects.create_user("ann")
        self.client.force_login(ann)
        layer = get_channel_layer()
        channel = async_to_sync(layer.new_channel)()
        async_to_sync(layer.group_add)(f"fanfare.user.{ann.pk}", channel)
        self.client.post("/notify/", {"to": "ann", "text": "hello"})
        event = async_to_sync(layer.receive)(channel)
        self.assertEqual(event["frame"]["text"], "hello")

    def test_a_room_for_staff_refuses_others(self):
        self.client.force_login(User.objects.create_user("ann"))
        asked = {"X-Fanfare-Groups": "chat_staff"}
        self.assertEqual(self.client.get("/fanfare/auth/", headers=asked).status_code, 403)
