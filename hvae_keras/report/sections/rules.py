"""Whether what is drawn obeys the rules that all real examples obey."""

from collections.abc import Mapping

import numpy as np

from hvae_keras import plots
from hvae_keras.data.rules import RuleBook, rules
from hvae_keras.report.blocks import Content, LeftOutError, percent, share
from hvae_keras.report.subject import Subject

TITLE = "Which rules it keeps"
QUESTION = (
    "How large a share of the draws obeys each rule of this world, beside the share of real examples? Rules "
    "of the upper levels are about the whole, those of level 1 about details."
)
LIMITS = (
    "Whoever draws one perfect example again and again keeps every rule: read these shares beside recall and "
    "coverage. Real examples may break a rule now and then where it cannot be read from them."
)


def make(subject: Subject) -> Content:
    """Share that keeps each rule, and all rules of each level."""
    content = Content()
    try:
        book = rules(subject.data.name)
    except ValueError as error:
        raise LeftOutError(f"No rules are written down for {subject.data.name}.") from error
    subject.step("rules")
    found = {"model": book.kept(subject.samples), "real": book.kept(subject.test.x)}
    kept = {whose: {name: share(ok) for name, ok in of.items()} for whose, of in found.items()}
    means = {whose: {name: of.share for name, of in shares.items()} for whose, shares in kept.items()}
    content.draw(
        plots.rule_bars,
        {"model": means["model"]},
        f"Share of {subject.n:,} draws that keep each rule, and of as many real examples.",
        ceiling=("real", means["real"]),
        xlabel=f"share of {subject.what} that keep the rule",
    )
    rows = [
        [f"{name}: {rule.sentence}", str(rule.level), *(percent(kept[whose][name]) for whose in kept)]
        for name, rule in book.items()
    ]
    header = ["rule", "level", "model, %", "real, %"]
    content.tabulate(f"{subject.n:,} examples of each, with 95 % intervals.", header, rows)
    levels = {
        level: {whose: share(_all(book, of, level)) for whose, of in found.items()}
        for level in sorted({rule.level for rule in book.values()}, reverse=True)
    }
    rows = [[f"level {level}", *(percent(of) for of in both.values())] for level, both in levels.items()]
    content.tabulate("All rules of a level at once.", ["all rules of", "model, %", "real, %"], rows)
    content.values |= {
        "n": subject.n,
        "rules": {
            name: {"level": rule.level, "sentence": rule.sentence, **{whose: kept[whose][name] for whose in kept}}
            for name, rule in book.items()
        },
        "by_level": levels,
    }
    return content


def _all(book: RuleBook, kept: Mapping[str, np.ndarray], level: int) -> np.ndarray:
    """Which examples keep all rules of a level, without reading them again: bool `[n]`."""
    return np.all([kept[name] for name, rule in book.items() if rule.level == level], axis=0)
