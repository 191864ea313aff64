"""What the server logs: lines on standard error, plain for people or JSON for machines; never a token, never a query string."""

import json
import logging
from datetime import UTC, datetime
from typing import Any


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configuration(log_format: str) -> dict[str, Any]:
    """The settings for `logging.config.dictConfig`: Carnet's own lines from INFO on, the libraries' from WARNING on.

    Libraries that make requests log whole URLs at INFO; those stay out.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s", "datefmt": "%Y-%m-%dT%H:%M:%S%z"},
            "json": {"()": "carnet.cli.logs.JsonLines"},
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": log_format},
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"carnet": {"level": "INFO"}, "_granian": {"level": "WARNING"}},
    }
