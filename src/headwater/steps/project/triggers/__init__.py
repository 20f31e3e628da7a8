"""One file per step type. Each says which keys its config has, what is wrong with one, what it declares, and
how it is run (`kind.py`).

A new step type is one file here and one line in `TRIGGERS`; a kind of run without a step type is a file
alone. Each worker has an entry for the kind.
"""

from __future__ import annotations

from collections.abc import Mapping

from headwater.steps.project.triggers import api, cron, event, noop
from headwater.steps.project.triggers.base import Trigger

TRIGGERS: Mapping[str, Trigger] = {
    trigger.type: trigger for trigger in (api.TRIGGER, event.TRIGGER, cron.TRIGGER, noop.TRIGGER)
}
"""The step types, by the `type` of their config."""
