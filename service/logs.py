"""How every process of the service logs: JSON, one event a line, on standard error."""

import logging
import sys

import structlog


def configure_logging() -> None:
    """Write one JSON line an event to standard error: names and references, never values typed."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    for library in ("pyhanko", "pyhanko_certvalidator"):
        # They log whole tracebacks of whatever a hostile file provokes.
        logging.getLogger(library).setLevel(logging.CRITICAL)
