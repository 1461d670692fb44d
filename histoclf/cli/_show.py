"""``histoclf show``."""

from __future__ import annotations

import argparse
import json

from histoclf.persistence._card_text import card_to_text
from histoclf.persistence._read_card import read_card


def run(args: argparse.Namespace) -> int:
    """Print the card of a saved model."""
    card = read_card(args.model)
    print(json.dumps(card, indent=1) if args.json else card_to_text(card))
    return 0
