"""One file per step type. Each says which keys its config has, what is wrong with one, and what it declares.

A new step type is one file here and one line in `TRIGGERS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from headwater.steps.project.triggers import api, cron, event, noop
from headwater.steps.project.triggers.base import Trigger

TRIGGERS: Mapping[str, Trigger] = {
    trigger.type: trigger for trigger in (api.TRIGGER, event.TRIGGER, cron.TRIGGER, noop.TRIGGER)
}
"""The step types, by the `type` of their config."""
