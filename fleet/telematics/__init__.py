"""What makers of telematics answer: their feeds, read page by page from a cursor. Knows no database."""

from fleet.telematics.asking import Ask, FeedError, ask
from fleet.telematics.page import Account, Cursors, Page, Said

__all__ = ["Account", "Ask", "Cursors", "FeedError", "Page", "Said", "ask"]
