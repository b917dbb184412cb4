"""What a server can and can't do, found out by asking it: a dozen checks, one after the other, each of them short.

Knows neither Django nor our database; what a finding means to a person is said elsewhere (chat/texts/diagnosis.py).
"""

from chat.diagnosis.checks import CHECKS, examine
from chat.diagnosis.exchange import Exchange
from chat.diagnosis.questions import Estimate, estimate
from chat.diagnosis.report import RESULTS, Finding, settings_of

__all__ = ["CHECKS", "RESULTS", "Estimate", "Exchange", "Finding", "estimate", "examine", "settings_of"]
