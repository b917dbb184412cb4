"""What a server can and can't do, found out by asking it: a dozen checks, one after the other, each of them short.

Knows neither Django nor our database; what a finding means to a person is said elsewhere (chat/findings.py).
"""

from chat.providers.doctor.exchange import Exchange
from chat.providers.doctor.finding import CHECKS, RESULTS, Finding, settings_of
from chat.providers.doctor.questions import Estimate, estimate
from chat.providers.doctor.visit import examine

__all__ = ["CHECKS", "RESULTS", "Estimate", "Exchange", "Finding", "estimate", "examine", "settings_of"]
