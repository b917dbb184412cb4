"""The models, one module for each subject. QuerySets name the queries of the domain."""

from chat.models.conversation import Conversation, Message, Tree
from chat.models.generation import FINAL_STATES, OPEN_STATES, Generation, Segment, State
from chat.models.language_model import LanguageModel, told_apart
from chat.models.price import Price
from chat.models.provider import CredentialsUnreadable, Provider
from chat.models.self_check import SelfCheck
from chat.models.usage import UsageRecord, priced
from chat.models.user import User

__all__ = [
    "FINAL_STATES",
    "OPEN_STATES",
    "Conversation",
    "CredentialsUnreadable",
    "Generation",
    "LanguageModel",
    "Message",
    "Price",
    "Provider",
    "Segment",
    "SelfCheck",
    "State",
    "Tree",
    "UsageRecord",
    "User",
    "priced",
    "told_apart",
]
