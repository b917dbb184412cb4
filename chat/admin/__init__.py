"""The admin of every model, one module for each subject. Conversations and usage are read-only."""

from chat.admin import conversation, generation, people, provider, self_check, usage

__all__ = ["conversation", "generation", "people", "provider", "self_check", "usage"]
