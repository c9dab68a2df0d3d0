"""Find what is to be translated: what Django's own command finds, what depot/words.py says, and models' names."""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.commands import makemessages
from django.utils import translation

from depot.names import APPS, names_of


class Command(makemessages.Command):
    """Look for `tr`, `trn` and `mark`, too; keep no line numbers, which change with every edit."""

    xgettext_options = [
        *makemessages.Command.xgettext_options,
        "--keyword=tr",
        "--keyword=later",
        "--keyword=trn:1,2",
        "--keyword=mark",
    ]

    def handle(self, *args: Any, **options: Any) -> None:
        """Let the names of models be found in a file that is there only meanwhile."""
        names = settings.BASE_DIR / "model_names.py"
        with translation.override(None):
            found = {
                name
                for app in APPS
                for model in apps.get_app_config(app).get_models()
                for name in names_of(model)
            }
        names.write_text("".join(f"mark({json.dumps(name, ensure_ascii=False)})\n" for name in sorted(found)))
        try:
            super().handle(*args, **options)
        finally:
            names.unlink()
