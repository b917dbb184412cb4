"""The admin of every model, one file per noun. Chats and figures can be read there, not rewritten."""

from chat.admin import conversation, generation, provider, usage

__all__ = ["conversation", "generation", "provider", "usage"]
