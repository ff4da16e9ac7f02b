"""An output as a card: drawn as it stands, with the rule that governs it in words."""

from collections.abc import Sequence

from cloud.dashboard import quantity, roof
from cloud.dashboard.icons import icon
from cloud.dashboard.widgets import Age, Text, box, link, named, restyle, svg
from cloud.services.views import OutputView, RuleView


def rule_of(rules: Sequence[RuleView], output: OutputView) -> RuleView | None:
    """The rule that switches the output: an enabled one before one that is not."""
    mine = [rule for rule in rules if rule.output_register_id == output.register.id]
    return min(mine, key=lambda rule: not rule.enabled, default=None)


def rule_line(rule: RuleView | None, output: OutputView) -> None:
    """The rule in words."""
    with box("rule-line"):
        svg(icon("rule"))
        if rule is None:
            Text("No rule switches this output. It moves by hand only.")
            return
        paused = "" if rule.enabled else " (paused)"
        Text(f"{quantity.rule_sentence(rule, output.register.states)}{paused}.")


class OutputCard:
    """Built once; ``show`` brings it up to date."""

    def __init__(self, output: OutputView, rule: RuleView | None) -> None:
        with link("card output-card", f"/outputs/{output.register.id}"):
            self._scene = svg(roof.drawing(output), roof.scene_class(output), "div")
            with box("text"):
                with box("row"):
                    Text(output.register.name, "name")
                    Text(output.site_name, "quiet")
                self._state = named(
                    Text(output.register.name, "output-state", "div"), "output-state"
                )
                self._age = Age()
                rule_line(rule, output)
                self._last = Text("", "quiet")
        self.show(output)

    def show(self, output: OutputView) -> None:
        """The output as it is now."""
        restyle(self._scene, roof.scene_class(output))
        self._state.text = roof.state_name(output)
        self._age.show_time(output.reading.at if output.reading else None, stale=output.stale)
        command = output.last_command
        if command:
            ended = f"{command.wanted}, {command.state}"
            self._last.text = f"Last command: {ended} · by {command.issued_by}"
        else:
            self._last.text = "No command yet"
