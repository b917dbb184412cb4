"""The admin of every model, one file per noun. Chats and figures can be read there, not rewritten."""

from chat.admin import conversation, generation, index, people, provider, self_check, usage

index.set_up()

__all__ = ["conversation", "generation", "index", "people", "provider", "self_check", "usage"]
