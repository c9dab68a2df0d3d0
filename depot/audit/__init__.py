"""The audit trail: every act that changed something, as a sentence."""

from depot.audit.services import record

__all__ = ["record"]
