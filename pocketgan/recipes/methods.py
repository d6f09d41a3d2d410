"""The settings of every method of compression."""

from __future__ import annotations

from pocketgan.recipes.compression import Settings
from pocketgan.recipes.omgd import OmgdSettings
from pocketgan.recipes.pocket import PocketSettings

AnySettings = Settings | OmgdSettings | PocketSettings
