"""The portal's settings, with a provider that is down tried again soon: for portals of the tests, which do not wait."""

from chatsite.settings import *

PROVIDER_PAUSE_SECONDS = 2.0
