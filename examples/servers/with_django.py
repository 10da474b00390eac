"""Log from Django's development server, which starts a new process when a file changes; a project in one file:

python with_django.py runserver
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import re_path
from service_log import LOGGING

settings.configure(ALLOWED_HOSTS=["*"], DEBUG=True, LOGGING=LOGGING, ROOT_URLCONF=__name__, SECRET_KEY="an example")
logger = logging.getLogger("shop")


def answer(request: Any) -> HttpResponse:  # noqa: ANN401
    """Responds with the number of the process."""
    logger.info("request %s", request.path)
    return HttpResponse(str(os.getpid()))


urlpatterns = [re_path("", answer)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
