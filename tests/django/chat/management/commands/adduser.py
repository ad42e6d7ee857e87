from django.contrib.auth.models import User
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Adds users, each with the password of its name."

    def add_arguments(self, parser):
        parser.add_argument("names", nargs="+")
        parser.add_argument("--staff", action="store_true")

    def handle(self, *args, names, staff, **options):
        for name in names:
            User.objects.create_user(name, password=f"password of {name}", is_staff=staff)
