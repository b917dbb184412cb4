"""The consumer of the socket: parse commands, call the runner, send frames.

It holds no state of an answer: when a tab closes, only its followings end.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from contextlib import aclosing
from typing import Any

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer
from django.conf import settings
from django.db import DatabaseError
from django.utils import translation

from chat import protocol
from chat.access import language_of, session_key, user_of_session
from chat.codes import Code
from chat.conversations import NotFound
from chat.generation.accept import Refusal
from chat.health.model_stats import ModelStatsCache
from chat.limits import TEXT_BYTES
from chat.live.subscriptions import Subscription, SubscriptionOverflow
from chat.models import LanguageModel
from chat.portal import Portal, portal_of
from chat.protocol import UNSET, CloseCode, ProtocolError
from chat.protocol.objects import ModelChoice, User
from chat.tasks import TaskSet
from chat.texts import frames
from chat.texts.model_stats import model_choices

logger = logging.getLogger(__name__)

SESSION_SECONDS = 15.0
RETRY_SECONDS = 1.0
BAD_COMMANDS, BAD_SECONDS = 20, 10.0


class ChatConsumer(AsyncConsumer):
    """The socket of one tab. Its tasks (followings, running commands, the session check) end with it."""

    channel_layer_alias = None  # with a layer, every socket would die with Redis

    portal: Portal

    def __init__(self) -> None:
        self.user: User | None = None
        self.closed = False
        self.followings: dict[uuid.UUID, asyncio.Task[None]] = {}
        self.subscription: Subscription | None = None
        self.tasks = TaskSet("socket")
        self.bad: deque[float] = deque(maxlen=BAD_COMMANDS)
        self.known_changes = 0
        self.allowance = 2.0 * settings.PORTAL_SOCKET_COMMANDS_PER_SECOND
        self.allowed_at = time.monotonic()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket. At its end all its tasks are cancelled and awaited."""
        portal = portal_of(scope)
        if portal is None:
            raise RuntimeError("this server runs no portal: start it with manage.py serve")
        self.portal = portal
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.user is not None:
                self.portal.sockets[self.user["id"]] -= 1
            if self.subscription is not None:
                self.portal.conversations.subscriptions.close(self.subscription)
            await self.tasks.close()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the handler directly. Channels' own method goes through a shared thread for every frame."""
        if message["type"] == "websocket.receive":
            await self.receive(message)
        elif message["type"] == "websocket.connect":
            await self.connect()
        else:
            raise StopConsumer

    # Coming in ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def connect(self) -> None:
        """Accept the socket, then send `hello` or `bye`. A refused handshake could not give the page a reason."""
        self.session = session_key(self.scope)
        self.language = language_of(self.scope)
        await self.send({"type": "websocket.accept"})
        user = await self.portal.runner.database.read(user_of_session, self.session)
        if user is None:
            await self.bye(Code.LOG_IN, CloseCode.LOG_IN)
            return
        self.user = user
        self.portal.sockets[user["id"]] += 1
        # guard: the number of sockets is limited
        if settings.PORTAL_USER_SOCKETS and self.portal.sockets[user["id"]] > settings.PORTAL_USER_SOCKETS:
            await self.bye(Code.TOO_MANY_SOCKETS, CloseCode.TOO_MANY_SOCKETS)
            return
        await self.emit(
            protocol.Hello(
                boot=self.portal.runner.boot,
                user=user,
                limits={
                    "running": settings.PORTAL_USER_RUNNING,
                    "queued": settings.PORTAL_USER_QUEUED,
                    "sockets": settings.PORTAL_USER_SOCKETS,
                    "prompts_per_minute": settings.PORTAL_USER_PROMPTS_PER_MINUTE,
                    "text_bytes": TEXT_BYTES,
                    "frame_bytes": protocol.FRAME_BYTES,
                },
                models=await self.choices(),
            )
        )
        self.tasks.start(self.check_session(), "session")

    async def receive(self, message: dict[str, Any]) -> None:
        """Read one command and start its task. Does not wait for answers."""
        if self.closed:
            return
        # guard: the rate of commands is limited
        if not self.is_allowed():
            await self.bye(Code.TOO_FAST, CloseCode.TOO_FAST)
            return
        try:
            command = protocol.parse(message.get("text") or "")
        except ProtocolError as error:
            await self.bad_command(error)
            return
        # guard: every command asks for the session again
        if not await self.is_still_logged_in():
            return
        match command:
            case protocol.Send() | protocol.Regenerate() | protocol.Continue():
                self.tasks.start(self.send_prompt(command), "prompt")
            case protocol.Follow(generation, after, epoch):
                self.follow(generation, epoch, after)
            case protocol.Unfollow(generation):
                self.unfollow(generation)
            case protocol.Watch(conversation):
                await self.watch(conversation)  # not in a task, so that the last one takes effect
            case protocol.Stop(generation):
                self.tasks.start(self.stop(generation), "stop")
            case protocol.Heartbeat():
                self.tasks.start(self.heartbeat(), "heartbeat")  # it may wait for room; a stop after it must not

    def is_allowed(self) -> bool:
        """Take from a token bucket that holds twice PORTAL_SOCKET_COMMANDS_PER_SECOND and fills at that rate.

        0 = no limit.
        """
        rate = settings.PORTAL_SOCKET_COMMANDS_PER_SECOND
        if not rate:
            return True
        now = time.monotonic()
        self.allowance = min(2.0 * rate, self.allowance + (now - self.allowed_at) * rate)
        self.allowed_at = now
        if self.allowance < 1:
            return False
        self.allowance -= 1
        return True

    async def bad_command(self, error: ProtocolError) -> None:
        """Send an error. The socket stays open unless there were too many bad commands."""
        now = time.monotonic()
        # guard: the number of bad commands is limited
        if len(self.bad) == BAD_COMMANDS and now - self.bad[0] < BAD_SECONDS:
            await self.bye(Code.TOO_FAST, CloseCode.TOO_FAST)
            return
        self.bad.append(now)
        await self.emit(frames.error(error.code, self.language, ref=error.ref))

    async def is_still_logged_in(self) -> bool:
        """Check the session in the database, and close the socket if it has ended."""
        user = await self.portal.runner.database.read(user_of_session, self.session)
        if self.user is not None and user is not None and user["id"] == self.user["id"]:
            return True
        await self.bye(Code.LOG_IN, CloseCode.LOG_IN)
        return False

    # Commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def send_prompt(self, command: protocol.PromptCommand) -> None:
        """Send `accepted` and follow the generation, or send `refused`."""
        try:
            accepted = await self.portal.runner.send(self.user_id, command, self.subscription)
        except Refusal as refusal:
            await self.emit(frames.refused(command.key, refusal, self.language))
            return
        except Exception:
            logger.exception("a prompt was neither accepted nor refused")
            await self.emit(frames.error(Code.INTERNAL, self.language, ref=str(command.key)))
            return
        await self.emit(accepted)
        self.follow(uuid.UUID(accepted.generation), None, 0)

    async def stop(self, generation: uuid.UUID) -> None:
        """Stop a generation. Its events come with the following."""
        try:
            await self.portal.runner.stop(self.user_id, generation)
        except NotFound:
            await self.emit(frames.error(Code.NOT_FOUND, self.language, ref=str(generation)))
        except Exception:
            logger.exception("a stop failed")
            await self.emit(frames.error(Code.INTERNAL, self.language, ref=str(generation)))

    def follow(self, generation: uuid.UUID, epoch: str | None, after: int) -> None:
        """Follow a generation. A new following replaces an earlier one of the same generation."""
        # guard: a socket follows a generation once
        self.unfollow(generation)
        self.followings[generation] = self.tasks.start(self.send_following(generation, epoch, after), "following")

    def unfollow(self, generation: uuid.UUID) -> None:
        """End the following of a generation."""
        task = self.followings.pop(generation, None)
        if task is not None:
            task.cancel()

    async def send_following(self, generation: uuid.UUID, epoch: str | None, after: int) -> None:
        """Build and send each frame only when the socket has room for it."""
        room = self.scope.get("portal.room", _always)
        try:
            async with aclosing(self.portal.runner.follow(self.user_id, generation, epoch, after)) as events:
                # guard: the first frame is made when there is room
                await room()
                async for event in events:
                    await self.emit(frames.frame_of(event, self.language))
                    # guard: a further frame is made when there is room
                    await room()
        except NotFound:
            await self.emit(frames.error(Code.NOT_FOUND, self.language, ref=str(generation)))
        except TimeoutError:
            await self.give_up()
        except Exception:
            logger.exception("a following failed")
            await self.emit(frames.error(Code.INTERNAL, self.language, ref=str(generation)))
        finally:
            if self.followings.get(generation) is asyncio.current_task():
                del self.followings[generation]

    async def watch(self, conversation: uuid.UUID | None) -> None:
        """Set the conversation that the tab shows. The first `watch` opens the tab's subscription."""
        if self.subscription is None:
            self.subscription = self.portal.conversations.subscriptions.open(self.user_id)
            self.tasks.start(self.send_changes(self.subscription), "changes")
        try:
            await self.portal.conversations.watch(self.subscription, conversation)
        except NotFound:
            await self.emit(frames.error(Code.NOT_FOUND, self.language))
        except DatabaseError:
            logger.exception("a conversation can't be watched now")
            await self.emit(frames.error(Code.INTERNAL, self.language))

    async def send_changes(self, subscription: Subscription) -> None:
        """Send the frames of a subscription when the socket has room for them."""
        room = self.scope.get("portal.room", _always)
        while not self.closed:
            try:
                await subscription.wait()
                await room()
                for frame in await self.portal.conversations.pending_frames(subscription):
                    await self.emit(frame)
                    await room()
            except (TimeoutError, SubscriptionOverflow):
                await self.give_up()
            except DatabaseError:
                logger.exception("changes wait for the database")
                await asyncio.sleep(RETRY_SECONDS)

    async def heartbeat(self) -> None:
        """Send the last seq of each followed generation. A page that is behind and gets no frame follows again."""
        models = await self.choices() if self.known_changes != self.portal.runner.outages.changes else UNSET
        heads = {str(one): head for one in self.followings if (head := self.portal.runner.head(one)) is not None}
        await self.emit(protocol.HeartbeatReply(heads, models))

    async def choices(self) -> list[ModelChoice]:
        """Return the models that the user may choose, with their statistics in the reader's language."""
        changes = self.portal.runner.outages.changes
        choices: list[ModelChoice] = await self.portal.runner.database.read(
            _choices, self.user_id, self.portal.model_stats, self.language
        )
        self.known_changes = changes
        return choices

    async def check_session(self) -> None:
        """Check the session and send a heartbeat every 15 s. When the portal shuts down, send `restart` and return."""
        while not self.closed:
            try:
                async with asyncio.timeout(SESSION_SECONDS):
                    await self.portal.runner.draining.wait()
            except TimeoutError:
                try:
                    if await self.is_still_logged_in():
                        await self.heartbeat()
                except DatabaseError:
                    logger.exception("nobody knows whether this session is still good; asked again in a moment")
            else:
                await self.emit(protocol.Restart(round(self.portal.runner.drain_seconds * 1000)))
                return

    # Going out ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def user_id(self) -> int:
        """The id of the logged-in user. Raises RuntimeError before `hello`."""
        if self.user is None:
            raise RuntimeError("nobody is logged in on this socket")
        return int(self.user["id"])

    async def emit(self, frame: protocol.Frame) -> None:
        """Send one frame."""
        if self.closed:
            return
        try:
            await self.send({"type": "websocket.send", "text": protocol.encode(frame)})
        except TimeoutError:
            await self.give_up()

    async def give_up(self) -> None:
        """Close the socket: the server had no room for 30 s, so the browser does not read."""
        if not self.closed:
            self.closed = True
            await self.send({"type": "websocket.close", "code": int(CloseCode.TOO_SLOW)})

    async def bye(self, code: Code, close_code: CloseCode) -> None:
        """Send `bye` with the reason, and close the socket."""
        for following in self.followings.values():
            following.cancel()
        await self.emit(frames.bye(code, self.language))
        self.closed = True
        await self.send({"type": "websocket.close", "code": int(close_code)})


async def _always() -> None:
    """Return at once. Other servers apply back-pressure in `send`."""


def _choices(user_id: int, cache: ModelStatsCache, language: str) -> list[ModelChoice]:
    with translation.override(language):
        return model_choices(list(LanguageModel.objects.usable_by(user_id)), cache)
