"""The report card: what a page holds for each family of models, what its numbers are, and how it fails."""

import json
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.stats import binomtest
from small_models import make_autoencoder, make_vae
from typer.testing import CliRunner

from hvae_keras import layers, metrics, models
from hvae_keras.backend import keras, ops
from hvae_keras.cli import app
from hvae_keras.data import Dataset, Split, load, melodies
from hvae_keras.data.rules import rules
from hvae_keras.latents import draw_latents
from hvae_keras.metrics import SurfaceHistograms, music
from hvae_keras.metrics.scores import Fidelity
from hvae_keras.music import TOKENS
from hvae_keras.plots import image_grid
from hvae_keras.plots.style import kept
from hvae_keras.report import ReportError, blocks, classifiers, read_model, report
from hvae_keras.report.sections import SECTIONS
from hvae_keras.report.subject import seeded, subject

SHAPE, SKETCH = (8, 8, 1), (4, 4, 1)
N = 40


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    """Classifiers that are trained for a few steps only, and kept in a folder of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifiers, "cache_folder", lambda: tmp_path_factory.getbasetemp() / "cache")
        patch.setattr(classifiers, "STEPS", 40)
        patch.setattr(classifiers, "UPPER_STEPS", 40)
        yield


@pytest.fixture
def few(monkeypatch):
    """Reports of three quick sections."""
    for key in set(SECTIONS) - {"what", "samples", "bound"}:
        monkeypatch.delitem(SECTIONS, key)


@cache
def pictures():
    """A bright square in one of four corners (level 2), of one of three greys (level 1), under noise."""
    rng = np.random.default_rng(0)
    splits = []
    for n in (200, N, N):
        corner, grey = rng.integers(4, size=n), rng.integers(3, size=n)
        sketch = np.zeros((n, *SKETCH), "float32")
        for i, (c, g) in enumerate(zip(corner, grey, strict=True)):
            row, column = 2 * (c // 2), 2 * (c % 2)
            sketch[i, row : row + 2, column : column + 2] = 0.4 + 0.2 * g
        x = np.clip(sketch.repeat(2, axis=1).repeat(2, axis=2) + 0.1 * rng.random((n, *SHAPE)), 0, 1)
        splits.append(Split(x.astype("float32"), {"corner": corner, "grey": grey}, sketch))
    values = {"corner": np.arange(4), "grey": np.array([0.4, 0.6, 0.8])}
    return Dataset("squares", *splits, factor_values=values, levels={"corner": 2, "grey": 1})


@cache
def tunes():
    """A part of `melodies`."""
    data = load("melodies")
    parts = [split.where(np.arange(n)) for split, n in ((data.train, 100), (data.validation, N), (data.test, N))]
    return Dataset("melodies", *parts, factor_values=data.factor_values, levels=data.levels)


def network(inputs, output):
    """One layer from some inputs, laid side by side, to a picture, or to a number."""
    entries = [keras.Input(shape) for shape in inputs]
    flat = [keras.layers.Flatten()(entry) for entry in entries]
    h = keras.layers.Concatenate()(flat) if len(flat) > 1 else flat[0]
    h = keras.layers.Dense(int(np.prod(output)), "sigmoid" if len(output) > 1 else None)(h)
    return keras.Model(entries if len(entries) > 1 else entries[0], keras.layers.Reshape(output)(h))


def make_game(kind, shape=SHAPE, told=()):
    return kind(network([(3,), *told], shape), network([shape, *told], (1,)))


def make_multilevel():
    model = models.MultiLevelGAN([make_game(models.TranslationGAN, told=[SKETCH]), make_game(models.GAN, SKETCH)])
    for pair in model.pairs:
        pair.average.mass.assign(1.0)  # as after a step
    return model


def make_hierarchy(inference=None):
    likelihood = layers.Normal(0.2)
    networks = layers.DenseNetworks(((16,), (8,)))
    model = models.HierarchicalVAE((3, 2), networks, inference or models.TopDown(), likelihood)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(pictures().train.x, epochs=8, verbose=0)
    return model


def make_sequences(kind):
    cells = [keras.layers.GRUCell(6) for _ in range(4)]
    likelihood = layers.Categorical(TOKENS)
    model = {
        "recurrent": lambda: models.RecurrentModel(cells[0], likelihood),
        "hierarchical": lambda: models.HierarchicalRecurrentModel(*cells[:3], likelihood, 16, plan=4),
        "vae": lambda: models.HierarchicalRecurrentVAE((2, 2), *cells, likelihood, 16),
    }[kind]()
    model.build((None, melodies.PHRASES * melodies.STEPS))
    return model


FAMILIES = {
    "Autoencoder": lambda: make_autoencoder(shape=SHAPE),
    "VAE": lambda: make_vae(shape=SHAPE),
    "BottomUp": lambda: make_hierarchy(models.BottomUp()),
    "TopDown": make_hierarchy,
    "Ladder": lambda: make_hierarchy(models.Ladder()),
    "GAN": lambda: make_game(models.GAN),
    "ConditionalGAN": lambda: make_game(models.ConditionalGAN, told=[(4,)]),
    "TranslationGAN": lambda: make_game(models.TranslationGAN, told=[SKETCH]),
    "MultiLevelGAN": make_multilevel,
    "RecurrentModel": lambda: make_sequences("recurrent"),
    "HierarchicalRecurrentModel": lambda: make_sequences("hierarchical"),
    "HierarchicalRecurrentVAE": lambda: make_sequences("vae"),
}
LATENT = "bound reconstructions levels information disentanglement"
DRAWN = "samples fidelity"
MADE = {  # family -> the sections it has, beside the first
    "Autoencoder": "reconstructions disentanglement",
    "VAE": f"{DRAWN} {LATENT}",
    "BottomUp": f"{DRAWN} {LATENT} changes",
    "TopDown": f"{DRAWN} {LATENT} changes",
    "Ladder": f"{DRAWN} {LATENT} changes",
    "GAN": DRAWN,
    "ConditionalGAN": DRAWN,
    "TranslationGAN": DRAWN,
    "MultiLevelGAN": f"{DRAWN} changes",
    "RecurrentModel": f"{DRAWN} rules tunes bound",
    "HierarchicalRecurrentModel": f"{DRAWN} rules tunes bound",
    "HierarchicalRecurrentVAE": f"{DRAWN} rules tunes {LATENT} changes",
}


@cache
def example(family):
    """A model and data for it."""
    keras.utils.set_random_seed(1)
    return FAMILIES[family](), tunes() if "Recurrent" in family else pictures()


def section(family, key, **arguments):
    """The values of one section as its JSON holds them, made alone."""
    model, data = example(family)
    settings = {"examples": 1000, "seed": 0, "pixels": None, "step": lambda what: None} | arguments
    values, nulls = blocks.plain(SECTIONS[key].make(subject(model, data, **settings)).values)
    return values | {"nulls": nulls}


class Page(HTMLParser):
    """Collects what a page holds; AssertionError where a tag is not closed, or another one is."""

    VOID = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        self.words.append(data)

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


# What there is


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_its_sections_on_a_whole_page_and_in_strict_json(family, tmp_path):
    model, data = example(family)
    model.save(tmp_path / "model.keras")
    loaded, source = read_model(tmp_path / "model.keras")
    found = report(loaded, data, source=source)
    check_sections(family, found)
    check_page(found)
    check_json(found)


def check_sections(family, found):
    """Those that the family has what it takes for are made, the others are left out with a reason."""
    sections = {section.key: section for section in found.sections}
    assert list(sections) == list(SECTIONS)
    assert {key: section.reason for key, section in sections.items() if section.status == "failed"} == {}
    expected = {"what", *MADE[family].split()}
    assert {key for key, section in sections.items() if section.status == "made"} == expected
    assert all(section.reason for key, section in sections.items() if key not in expected)


def check_page(found):
    """Tags are closed, nothing is fetched, every figure is told, and every section says what it asks."""
    text = found.html()
    page = Page(text)
    assert not page.all("script") and not page.all("link")
    assert "http" not in text
    ids = [tag["id"] for _, tag in page.tags if "id" in tag]
    assert len(ids) == len(set(ids))
    assert {tag["href"] for tag in page.all("a")} == {f"#{name}" for name in ids}
    assert all(len(tag["alt"]) > 20 and tag["src"].startswith("data:image/png;base64,") for tag in page.all("img"))
    assert page.all("meta")[0] == {"charset": "utf-8"} and page.all("html")[0] == {"lang": "en"}
    for section in found.sections:
        told = [section.question, section.limits] if section.status == "made" else [section.reason]
        assert all(" ".join(sentence.split()) in page.text for sentence in told)


def check_json(found):
    """No NaN, and each null has a reason, but for the lowest level that is inferred where none is."""

    def refuse(constant):
        raise AssertionError(f"{constant} in JSON")

    for section in json.loads(found.json(), parse_constant=refuse)["sections"].values():
        nulls = {place for place, value in leaves(section.get("values", {})) if value is None}
        explained = section.get("nulls", {})
        assert nulls >= set(explained) and all(explained.values())
        assert all(place.endswith("from_level") for place in nulls - set(explained))


def leaves(value, place=""):
    if isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            yield from leaves(part, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


@pytest.mark.parametrize(
    ("family", "key", "reason"),
    [
        ("MultiLevelGAN", "bound", "No likelihood: an adversarial model draws examples"),
        ("MultiLevelGAN", "levels", "An adversarial model has no encoder and no posterior."),
        ("MultiLevelGAN", "rules", "No rules are written down for squares."),
        ("MultiLevelGAN", "tunes", "These data are no tunes."),
        ("Autoencoder", "samples", "An autoencoder has no distribution of codes to draw from."),
        ("Autoencoder", "information", "The codes of an autoencoder have no distribution."),
        ("RecurrentModel", "reconstructions", "This model of sequences has no latent variables."),
        ("VAE", "changes", "The model has one level of latent variables"),
    ],
)
def test_what_is_left_out_says_why(family, key, reason):
    with pytest.raises(blocks.LeftOutError, match=f"^{reason}"):
        section(family, key)


def test_a_level_drawn_part_by_part_has_no_information_and_the_json_says_so():
    found = section("HierarchicalRecurrentVAE", "information")
    assert found["with_data"][0] is None and found["with_data"][1]["upper"] is not None
    assert "part by part" in found["nulls"]["with_data.0"]


# The numbers are those of `metrics`


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_bounds_are_those_of_metrics():
    model, data = example("TopDown")
    found = section("TopDown", "bound")
    expected = metrics.elbo(model, data.test.x, **found["arguments"])
    close(found["elbo"]["mean"], expected.mean())
    close(found["elbo"]["standard_error"], expected.std(ddof=1) / np.sqrt(N))
    tighter = metrics.importance_weighted_bound(model, data.test.x, **found["arguments"])
    close(found["importance_weighted_bound"]["mean"], tighter.mean())
    assert found["elbo"]["n"] == N


def test_levels_are_those_of_metrics():
    model, data = example("TopDown")
    found = section("TopDown", "levels")
    close([level["mean"] for level in found["kl"]], metrics.kl_by_level(model, data.test.x).mean(axis=0))
    assert found["active_by_kl"] == metrics.active_units(model, data.test.x).tolist()
    assert found["active_by_variance"] == metrics.active_units_by_variance(model, data.test.x).tolist()
    found = section("TopDown", "reconstructions")["by_level"]
    expected = metrics.reconstruction_by_level(model, data.test.x).mean(axis=0)
    close([line["log_likelihood"]["mean"] for line in found], expected)


def test_information_is_that_of_metrics():
    model, data = example("TopDown")
    found = section("TopDown", "information")
    expected = metrics.information_with_data(model, data.test.x, **found["arguments"])
    close([list(level.values()) for level in found["with_data"]], expected)
    expected = metrics.elbo_surgery(model, data.test.x, **found["surgery"]["arguments"])
    close(found["surgery"]["information"], expected.information)


def test_disentanglement_is_that_of_metrics():
    model, data = example("TopDown")
    found = section("TopDown", "disentanglement")
    expected = metrics.disentanglement_by_level(model, data.test.x, data.test.factors, data.levels)
    for level, of in enumerate(expected, 1):
        scores = found["by_level"][f"z{level}"]
        close(scores["mig"]["score"], of.mig.score)
        close(scores["sap"]["score"], of.sap.score)
        close(scores["dci"]["completeness"], of.dci.completeness)
        for data_level, means in of.by_data_level.items():
            close(found["informativeness_by_data_level"][str(data_level)][f"z{level}"], means["informativeness"])


def test_a_level_of_very_many_codes_is_not_compared_with_factors(monkeypatch):
    monkeypatch.setattr(SECTIONS["disentanglement"], "WIDEST", 2)
    found = section("TopDown", "disentanglement")
    assert found["by_level"]["z1"] is None and found["by_level"]["z2"] is not None
    assert found["nulls"]["by_level.z1"] == "3 codes, more than the 2 that are compared here"
    monkeypatch.setattr(SECTIONS["disentanglement"], "WIDEST", 1)
    with pytest.raises(blocks.LeftOutError, match="Every level has more than 1 codes"):
        section("TopDown", "disentanglement")


def drawn(model, n):
    with seeded(model, 0):
        return model.generate(n)


def test_fidelity_is_that_of_metrics_on_the_classifiers_of_each_level():
    model, data = example("MultiLevelGAN")
    found = section("MultiLevelGAN", "fidelity")["by_features"]
    for each in classifiers.classifiers(data, lambda what: None):
        with pytest.warns(UserWarning, match="fewer than"):
            scores = Fidelity(each, data.test.x, data.validation.x).measure(drawn(model, N))
        of = found[each.name]
        for name, score in scores.items():
            close([of[name]["value"], of[name]["high"], of[name]["floor"]], [score.value, score.high, score.floor])
    assert list(found) == [
        "classifier of the factors of level 1 (grey)",
        "classifier of the factors of level 2 (corner)",
    ]


def test_too_few_examples_for_so_many_features_are_a_warning_on_the_page():
    assert "Mind: Fréchet distance: fewer than" in Page(report(*example("GAN")).html()).text


def test_changes_are_those_of_metrics():
    model, data = example("MultiLevelGAN")
    found = section("MultiLevelGAN", "changes")
    readers = classifiers.classifiers(data, lambda what: None)

    def read(x):
        return {name: index for each in readers for name, index in each.network.predict_factors(x).items()}

    expected = metrics.factors_changed(model, draw_latents(model, N), read, **found["arguments"])
    close(found["changed"]["share"], expected.share)
    close(found["changed"]["whole"], expected.whole)
    assert found["nulls"]["consistency.1"] == "the data have no such level, or none above it"


def test_tunes_are_measured_by_their_rules_their_notes_and_their_probability():
    model, data = example("RecurrentModel")
    x = drawn(model, N)
    found = section("RecurrentModel", "rules")
    for name, ok in rules("melodies").kept(x).items():
        assert found["rules"][name]["model"]["share"] == ok.mean()
        assert found["rules"][name]["real"]["share"] == 1
    top = rules("melodies").kept_by_level(x)[2]
    assert found["by_level"]["2"]["model"]["share"] == top.mean()

    found = section("RecurrentModel", "tunes")
    of_real = found["means"]["real"]["strong notes in the best chords"]
    tonic, mode = music.key(data.test.x)
    close(of_real["mean"], music.best_harmony(data.test.x, tonic, mode).mean())
    close(found["histograms"]["pitch classes"]["model"], music.pitch_class_histogram(x))

    found = section("RecurrentModel", "bound")
    close(found["nats_per_step"], metrics.nats_per_step(model, data.test.x))
    close(found["log_prob"]["mean"], -64 * found["nats_per_step"])
    close(found["log_prob_of_the_process"]["mean"], melodies.log_prob(data.test.x).mean())

    found = section("RecurrentModel", "fidelity")["by_features"]
    (name,) = found
    assert name == SurfaceHistograms.name
    with pytest.warns(UserWarning, match="fewer than"):
        scores = Fidelity(SurfaceHistograms(data.train.x), data.test.x, data.validation.x).measure(x)
    close(found[name]["Fréchet distance"]["value"], scores["Fréchet distance"].value)


def test_features_of_tunes_have_mean_0_and_deviation_1_and_do_not_see_the_order_of_phrases():
    x = tunes().train.x
    features = SurfaceHistograms(x).features(x)
    assert features.shape == (100, 28)
    vary = features.std(axis=0) > 0
    close(features.mean(axis=0), 0)
    close(features[:, vary].std(axis=0), 1)
    swapped = x.reshape(100, 4, 16)[:, [1, 0, 3, 2]].reshape(100, 64)
    close(SurfaceHistograms(x).features(swapped)[:, :12], features[:, :12])


# Settings


def test_the_same_arguments_give_the_same_bytes_and_the_model_is_left_as_it_was():
    model, data = example("BottomUp")
    before = ops.convert_to_numpy(model.seed_generator.state).copy()
    first, again = report(model, data), report(model, data)
    assert np.array_equal(ops.convert_to_numpy(model.seed_generator.state), before)
    assert again.html() == first.html()
    assert again.json() == first.json()


def test_another_seed_gives_other_draws(few):
    model, data = example("GAN")
    assert report(model, data, seed=1).html() != report(model, data).html()


def test_a_smaller_number_of_examples_is_taken_everywhere():
    assert section("VAE", "what", examples=20)["n"] == section("VAE", "fidelity", examples=20)["n"] == 20
    for key, place in (("bound", "elbo"), ("levels", "kl_total")):
        assert section("VAE", key, examples=20)[place]["n"] == 20


def test_a_likelihood_of_black_and_white_gets_black_and_white_pixels():
    model, data = example("VAE")
    assert section("VAE", "what")["pixels"] == "rounded" and section("TopDown", "what")["pixels"] == "grey"
    found = section("VAE", "bound")
    expected = metrics.elbo(model, np.float32(data.test.x >= 0.5), **found["arguments"])
    close(found["elbo"]["mean"], expected.mean())
    found = section("VAE", "bound", pixels="drawn")
    close(found["elbo"]["mean"], metrics.elbo(model, data.binarized().test.x, **found["arguments"]).mean())


def test_what_a_model_of_black_and_white_draws_is_made_black_and_white_too():
    model, data = example("VAE")
    for pixels in ("rounded", "drawn"):
        drawn = subject(model, data, 1000, 0, pixels, lambda what: None).samples
        assert set(np.unique(drawn)) == {0.0, 1.0}


def test_a_conditional_model_is_told_the_labels_of_the_test_data():
    model, data = example("ConditionalGAN")
    assert section("ConditionalGAN", "samples")["labels"] == "corner"
    with seeded(model, 0):
        x = model.generate(N, data.test.factors["corner"])
    each = classifiers.classifiers(data, lambda what: None)[0]
    with pytest.warns(UserWarning, match="fewer than"):
        scores = Fidelity(each, data.test.x, data.validation.x).measure(x)
    of = section("ConditionalGAN", "fidelity")["by_features"][each.name]
    close(of["Fréchet distance"]["value"], scores["Fréchet distance"].value)


def test_labels_that_no_factor_has_leave_the_samples_out():
    model = make_game(models.ConditionalGAN, told=[(5,)])
    sections = {section.key: section for section in report(model, pictures()).sections}
    assert sections["samples"].status == sections["fidelity"].status == "left out"
    assert "told one of 5 labels, and 0 factors of squares" in sections["samples"].reason


def test_progress_counts_the_sections(few):
    told = []
    report(make_game(models.GAN), pictures(), progress=lambda *step: told.append(step))
    assert {total for _, total, _ in told} == {len(SECTIONS)}
    done = [count for count, _, _ in told]
    assert done == sorted(done) and set(done) == set(range(len(SECTIONS)))
    assert any(what.endswith(": drawing 40 pictures") for _, _, what in told)


def test_inside_ipython_nothing_is_displayed(shell, monkeypatch):
    monkeypatch.setattr("IPython.display.display", lambda *shown, **options: pytest.fail("displayed"))
    with kept() as figures:
        image_grid([pictures().test.x[:3]], "Three squares.")
    assert [shown.caption for shown in figures] == ["Three squares."]
    assert figures[0].alt.startswith("Grid of images")


# What goes wrong


@pytest.mark.parametrize(
    ("model", "data", "arguments", "message"),
    [
        (lambda: keras.Sequential(), pictures, {}, "one of hvae_keras.models; got Sequential"),
        (make_vae, pictures, {}, r"takes examples of shape \(4, 4, 1\); those of squares have \(8, 8, 1\)"),
        (make_hierarchy, pictures, {"examples": 1}, "examples is at least 2; got 1"),
        (make_hierarchy, pictures, {"pixels": "blue"}, "grey, rounded, drawn; got 'blue'"),
        (lambda: make_sequences("vae"), tunes, {"pixels": "drawn"}, "which melodies does not hold"),
    ],
)
def test_what_does_not_fit_is_one_line(model, data, arguments, message):
    with pytest.raises(ReportError, match=message) as caught:
        report(model(), data(), **arguments)
    assert "\n" not in str(caught.value)


def test_data_out_of_the_range_of_the_likelihood_are_one_line():
    few = models.RecurrentModel(keras.layers.GRUCell(3), layers.Categorical(5))
    few.build((None, 64))
    with pytest.raises(ReportError, match="melodies does not fit the model: x holds tokens 0 to 4"):
        report(few, tunes())


def test_a_section_that_fails_does_not_take_the_others_with_it(few, monkeypatch):
    def fail(subject):
        raise FloatingPointError("a weight of\nlevel <2> is NaN")

    model, data = example("GAN")
    whole = report(model, data).as_dict()["sections"]
    monkeypatch.setattr(SECTIONS["bound"], "make", fail)
    found = report(model, data)
    assert [section.key for section in found.failed] == ["bound"]
    assert found.failed[0].reason == "FloatingPointError: a weight of level <2> is NaN"
    assert "This section failed. FloatingPointError: a weight of level <2> is NaN" in Page(found.html()).text
    whole["bound"] = {"status": "failed", "reason": found.failed[0].reason}
    assert found.as_dict()["sections"] == whole


def test_both_files_are_written_or_none(few, tmp_path, monkeypatch):
    found = report(*example("GAN"))
    page, beside = found.write(tmp_path / "new" / "gan.html")
    assert page.read_text(encoding="utf-8") == found.html()
    assert json.loads(beside.read_text(encoding="utf-8")) == json.loads(found.json())
    page.write_text("before")
    monkeypatch.setattr(type(found), "json", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        found.write(page)
    assert page.read_text() == "before"
    assert sorted(path.name for path in page.parent.iterdir()) == ["gan.html", "gan.json"]


def test_a_path_that_cannot_be_written_is_one_line(few, tmp_path):
    found = report(*example("GAN"))
    with pytest.raises(ReportError, match=r"NAME\.html; got gan\.pdf"):
        found.write(tmp_path / "gan.pdf")
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot be written"):
        found.write(tmp_path / "file" / "gan.html")


def test_a_file_that_holds_no_model_of_ours_is_one_line(tmp_path):
    good = tmp_path / "good.keras"
    make_vae().save(good)
    raw = bytearray(good.read_bytes())
    (tmp_path / "cut.keras").write_bytes(raw[: len(raw) // 2])
    raw[raw.index(b"model.weights.h5") + 2000] ^= 255
    (tmp_path / "flipped.keras").write_bytes(raw)
    (tmp_path / "text.keras").write_text("x")
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "other.keras")
    for name, message in {
        "missing": "there is no file",
        "cut": "is not a .keras file, or is cut short",
        "flipped": "is damaged (a checksum of model.weights.h5 is wrong)",
        "text": "is not a .keras file",
        "other": "holds a Sequential, not a model of hvae_keras",
    }.items():
        with pytest.raises(ReportError) as caught:
            read_model(tmp_path / f"{name}.keras")
        assert message in str(caught.value) and "\n" not in str(caught.value)


# Classifiers


def test_a_classifier_is_trained_once_and_again_if_its_file_is_damaged(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(classifiers, "cache_folder", lambda: tmp_path)
    data, told = pictures(), []
    first = classifiers.classifiers(data, told.append)
    assert told == [f"training a classifier of the factors of level {level} of squares, once" for level in (1, 2)]
    files = sorted((tmp_path / "classifiers").iterdir())
    assert [file.name.rsplit("-", 1)[0] for file in files] == ["squares-1-1", "squares-2-1"]

    again = classifiers.classifiers(data, told.append)
    assert len(told) == 2 and [each.digest for each in again] == [each.digest for each in first]
    for one, two in zip(first, again, strict=True):
        assert (one.accuracy, one.chance, one.n, one.seconds) == (two.accuracy, two.chance, two.n, two.seconds)
        assert np.array_equal(one.features(data.test.x), two.features(data.test.x))

    files[0].write_bytes(files[0].read_bytes()[:-200])
    assert capsys.readouterr().err == ""
    classifiers.classifiers(data, told.append)
    assert len(told) == 3
    assert capsys.readouterr().err == f"{files[0]} is damaged: the classifier is trained again.\n"


def test_other_pictures_or_factors_are_other_classifiers():
    data = pictures()
    keys = {classifiers._key(data, names) for names in (["corner"], ["grey"], ["corner", "grey"])}
    assert len(keys | {classifiers._key(Dataset("squares", data.test, data.test, data.test), [])}) == 4


@pytest.mark.parametrize(("shape", "maps"), [((8, 8, 1), 2), ((32, 32, 3), 4), ((28, 28, 1), 3), ((5, 5, 1), 1)])
def test_a_classifier_fits_the_size_of_the_pictures(shape, maps):
    split = Split(np.zeros((90, *shape), "float32"), {"factor": np.zeros(90, int)})
    data = Dataset("zeros", split, split, split, factor_values={"factor": np.arange(2)})
    network = classifiers._network(data, ["factor"])
    assert len(network.channels) == maps
    assert network.units == 9  # ten pictures for each feature


def test_one_factor_has_an_inception_score():
    data = load("digits")
    parts = [split.where(np.arange(N)) for split in (data.train, data.validation, data.test)]
    digits = Dataset("digits", *parts, factor_values=data.factor_values)
    measured = subject(make_vae(shape=SHAPE), digits, N, 0, None, lambda what: None)
    found = SECTIONS["fidelity"].make(measured).values["by_features"]["classifier of the factors (digit)"]
    assert found["Inception Score"].d == 10 and 1 <= found["Inception Score"].value <= 10


# Numbers for readers


@pytest.mark.parametrize(("k", "n"), [(0, 30), (30, 30), (7, 20), (500, 1000)])
def test_shares_have_the_interval_of_wilson(k, n):
    found = blocks.share(np.arange(n) < k)
    expected = binomtest(k, n).proportion_ci(method="wilson")
    assert found.share == k / n and found.n == n
    np.testing.assert_allclose([found.low, found.high], expected, atol=2e-5)  # 1.96 is 1.95996...


def test_numbers_have_the_digits_that_their_interval_allows():
    assert blocks.with_error(blocks.Mean(-85.31234, 0.2142, 9)) == "−85.31 ± 0.42"
    assert blocks.with_error(blocks.Mean(1322.4, 4.45, 9)) == "1,322.4 ± 8.7"
    assert blocks.with_error(blocks.Mean(2.0, float("nan"), 1)) == "2.00"
    assert blocks.with_interval(0.5213, 0.4812, 0.5611) == "0.521 (0.481 to 0.561)"
    assert blocks.with_interval(-0.0123, -0.05, 0.03) == "−0.012 (−0.050 to 0.030)"
    assert blocks.percent(blocks.share(np.ones(100, bool))) == "100.0 (96.3 to 100.0)"
    assert blocks.number(-0.00001234) == "−1.23e−05"
    assert blocks.number(1234.5) == "1,234" and blocks.number(0.0) == "0" and blocks.number(np.nan) == "–"


# The command


def test_the_command_writes_both_files_and_says_where(few, tmp_path):
    path = tmp_path / "vae.keras"
    make_vae(shape=SHAPE).save(path)
    result = CliRunner().invoke(
        app, ["report", str(path), "--data", "digits", "--examples", "20", "--out", str(tmp_path / "a.html")]
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{tmp_path}/a.html and {tmp_path}/a.json, in ")
    page = Page((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert "Report card: VAE on digits" in page.text and "vae.keras, SHA-256" in page.text
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["title"] == "VAE on digits"


def test_a_failed_section_ends_the_command_with_1(few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_vae(shape=SHAPE).save("vae.keras")
    monkeypatch.setattr(SECTIONS["bound"], "make", lambda subject: 1 / 0)
    result = CliRunner().invoke(app, ["report", "vae.keras", "--data", "digits", "--examples", "20"])
    assert result.exit_code == 1
    assert "How probable real examples are: failed, ZeroDivisionError: division by zero" in result.stdout
    assert (tmp_path / "vae-digits.html").is_file() and (tmp_path / "vae-digits.json").is_file()


def test_mistakes_of_the_user_end_the_command_in_one_line(tmp_path):
    make_vae(shape=SHAPE).save(tmp_path / "vae.keras")
    model, out = str(tmp_path / "vae.keras"), str(tmp_path / "out.html")
    for arguments, message in (
        ([str(tmp_path / "no.keras"), "--data", "digits"], f"hvae: there is no file {tmp_path}/no.keras"),
        ([model, "--data", "digit"], "hvae: unknown data set 'digit'; known: chorales, digits,"),
        (
            [model, "--data", "faces"],
            "hvae: the model takes examples of shape (8, 8, 1); those of faces have (32,",
        ),
        ([model, "--data", "digits", "--out", "page.pdf"], "hvae: --out is a file NAME.html; got page.pdf."),
    ):
        result = CliRunner().invoke(app, ["report", *arguments, *([] if "--out" in arguments else ["--out", out])])
        assert result.exit_code == 2
        assert result.stderr.strip().startswith(message) and "\n" not in result.stderr.strip()
    assert [path.name for path in tmp_path.iterdir()] == ["vae.keras"]


def test_help_needs_no_tensorflow():
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom hvae_keras.cli import app\n"
        "assert CliRunner().invoke(app, ['report', '--help']).exit_code == 0\n"
        "print([m for m in ('tensorflow', 'keras', 'jinja2', 'matplotlib') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "[]\n"
