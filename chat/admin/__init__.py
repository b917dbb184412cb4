"""The admin of every model, one file per noun. Chats and figures can be read there, not rewritten."""

from chat.admin import conversation, generation, people, provider, self_check, usage

__all__ = ["conversation", "generation", "people", "provider", "self_check", "usage"]
