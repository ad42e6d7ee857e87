from django.core.management.base import BaseCommand

from chat import fanfare


class Command(BaseCommand):
    help = "Shows a text to a group, or to everyone who is connected."

    def add_arguments(self, parser):
        parser.add_argument("text")
        parser.add_argument("--group", default=fanfare.EVERYONE)

    def handle(self, *args, text, group, **options):
        fanfare.publish(group, fanfare.frame(type="broadcast", text=text))
