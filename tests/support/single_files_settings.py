"""The settings of a portal whose scripts and style sheets could not be bundled."""

from chatsite.settings import *

PORTAL_BUNDLED = False
