"""How the log looks: lines for a person, or one JSON object per line for a collector.

Whoever binds context (`structlog.contextvars`: the job, the charger) has it on every line written meanwhile.
"""

from __future__ import annotations

from typing import Any

import structlog

FORMATS = ("console", "json")
QUIET = ("websockets", "celery", "axes", "ocpp")


def logging_settings(level: str, layout: str) -> dict[str, Any]:
    """Return Django's LOGGING for a level and a layout of FORMATS; ValueError names an unknown layout."""
    if layout not in FORMATS:
        raise ValueError(f"DEPOT_LOG_FORMAT is {layout!r}; write one of: {', '.join(FORMATS)}.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "layout": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [
                    structlog.contextvars.merge_contextvars,
                    structlog.stdlib.add_log_level,
                    structlog.stdlib.add_logger_name,
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                ],
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_layout(layout)],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "layout"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {name: {"level": "WARNING"} for name in QUIET}
        | {"kombu.connection": {"level": "ERROR"}},  # it warns that the file broker has no host name
    }


def _layout(layout: str) -> list[Any]:
    if layout == "json":  # a line break inside a message is escaped, so nobody forges a line
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
