"""Send what a browser would send to the set-up pages."""

from __future__ import annotations

import re
from html import unescape

from django.urls import reverse


def address(model, what, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=args)


def empty_formsets(*prefixes) -> dict[str, str]:
    return {f"{prefix}-{part}": "0" for prefix in prefixes for part in ("TOTAL_FORMS", "INITIAL_FORMS")}


def form_of(answer) -> dict[str, str]:
    """Return what a browser would send if it saved the admin page as it is."""
    values = {}
    context = answer.context
    forms = [context["adminform"].form]
    for inline in context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for bound in form:
            value = bound.value()
            if isinstance(value, bool):
                if value:
                    values[bound.html_name] = "on"
            elif value is not None:
                values[bound.html_name] = bound.field.prepare_value(value)
    return values


def errors_of(answer) -> str:
    found = re.findall(r'<ul class="errorlist[^"]*"[^>]*>(.*?)</ul>', answer.content.decode(), re.S)
    return unescape(" ".join(found))
