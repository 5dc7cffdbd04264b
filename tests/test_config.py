"""Settings: who wins, what is refused, and that a fault is named with what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.commands import SMALL

from isrf.core import config
from isrf.core.config import Settings, load_settings, preset_names, save_settings
from isrf.core.errors import IsrfError


def fault(*overrides: str, **kwargs: object) -> str:
    with pytest.raises(IsrfError) as caught:
        load_settings(overrides=overrides, **kwargs)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults < what the workspace kept < config < environment < --set."""
    kept, file = tmp_path / "settings.yaml", tmp_path / "config.yaml"
    names = ("tau", "top_k", "layers", "window", "block")
    assert load_settings().graphs == Settings().graphs

    def layers() -> tuple[float, ...]:
        loaded = load_settings(config=file if file.exists() else None, overrides=given_, base=kept)
        return tuple(getattr(loaded.graphs, name) for name in names)

    given_: list[str] = []
    default = tuple(getattr(Settings().graphs, name) for name in names)
    assert layers() == default
    kept.write_text("graphs: {tau: 0.1, top_k: 11, layers: 1, window: 1}\n")
    assert layers() == (0.1, 11, 1, 1, default[4])
    file.write_text("graphs: {top_k: 22, layers: 2, window: 2}\n")
    assert layers() == (0.1, 22, 2, 2, default[4])
    monkeypatch.setenv("ISRF_GRAPHS__LAYERS", "3")
    monkeypatch.setenv("ISRF_GRAPHS__WINDOW", "3")
    assert layers() == (0.1, 22, 3, 3, default[4])
    given_.append("graphs.window=4")
    assert layers() == (0.1, 22, 3, 4, default[4])
    given_.append("graphs.window=5")
    assert layers() == (0.1, 22, 3, 5, default[4]), "the last --set wins"


def test_preset_stands_between_defaults_and_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset in a folder like the package's; naming one forgets what the workspace kept."""
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "fast.yaml").write_text("# nothing\n")
    (tmp_path / "presets" / "slow.yaml").write_text("training: {epochs: 99, patience: 9}\n")
    monkeypatch.setattr(config.resources, "files", lambda _: tmp_path)
    assert preset_names() == ["fast", "slow"]
    kept, file = tmp_path / "settings.yaml", tmp_path / "config.yaml"
    kept.write_text("training: {seed: 5}\n")
    file.write_text("training: {patience: 7}\n")
    loaded = load_settings("slow", file, ["training.batch_size=3"], kept).training
    assert (loaded.epochs, loaded.patience, loaded.batch_size, loaded.seed) == (99, 7, 3, 0)
    assert load_settings(base=kept).training.seed == 5
    assert "slow" in fault(preset="slwo")


@pytest.mark.parametrize("preset", preset_names())
def test_shipped_presets_load(preset: str) -> None:
    assert isinstance(load_settings(preset), Settings)


def test_environment_takes_no_other_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISRF_CACHE", "/somewhere")
    monkeypatch.setenv("GRAPHS__TAU", "0.1")
    assert load_settings() == load_settings()
    monkeypatch.setenv("ISRF_GRAPHS__TUA", "0.1")
    assert "graphs.tua" in fault() and "graphs.tau?" in fault()


def test_faults_name_the_setting() -> None:
    assert "graphs.tau" in (told := fault("graphs.tau=2")) and "2" in told and "1" in told
    assert fault("graphs.tua=0.7") == "unknown setting 'graphs.tua'; did you mean graphs.tau?"
    assert "graphs has tau, top_k" in fault("graphs.zzz=1")
    assert "rooms are data, reasoning" in fault("grapsh.tau=1")
    assert "did you mean graphs?" in fault("grapsh.tau=1")
    assert "model.d_model=10" in (told := fault("model.d_model=10", "model.heads=4")) and "model.heads=4" in told
    assert "write room.name=value" in fault("graphs.tau")
    assert "training.epochs" in fault("training.epochs=1.5")
    assert "data.seed" in fault("data.seed=-1")


def test_switches_take_only_the_values_they_have() -> None:
    for switch, known in (
        ("model.group", ("consumed", "aligned", "none")),
        ("training.alignment_direction", ("paper", "swapped", "open", "detached")),
        ("semantics.item_text", ("attributes", "feature", "both", "none")),
    ):
        room, _, name = switch.partition(".")
        for value in known:
            assert getattr(getattr(load_settings(overrides=[f"{switch}={value}"]), room), name) == value
        told = fault(f"{switch}=off")
        assert switch in told and all(f"'{value}'" in told for value in known)
    assert load_settings(overrides=["graphs.layers=0", "graphs.user_layers=0"]).graphs.user_layers == 0
    assert "graphs.user_layers" in fault("graphs.user_layers=-1")


def test_faulty_files(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    assert "c.yaml" in fault(config=file)
    for content, words in (
        ("graphs: 3", "graphs=3"),
        ("[1]", "rooms with names"),
        ("graphs: {tau: high}", "graphs.tau='high'"),
        ("{", "not readable as YAML"),
        ("graphs: {tau: {}}", "graphs.tau"),
    ):
        file.write_text(content)
        assert words in fault(config=file), content
    file.write_bytes(b"\xff\xfe\x00")
    assert "c.yaml" in fault(config=file)


def test_an_empty_file_or_room_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    for content in ("", "# nothing\n", "graphs:\n", "graphs: {}\n"):
        file.write_text(content)
        assert load_settings(config=file) == load_settings()


def test_paths_hold_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are kept with a workspace, whose next command may be typed elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = load_settings(overrides=["reasoning.prompts=words", "reasoning.gguf=~/model.gguf"]).reasoning
    assert found.prompts == tmp_path / "words" and found.gguf == tmp_path / "home" / "model.gguf"
    assert found.prices is None
    with pytest.raises(IsrfError, match=r"~no-such-user/p.yaml: .*write the path out"):
        load_settings(overrides=["reasoning.prices=~no-such-user/p.yaml"])


def test_what_is_saved_is_loaded_again(tmp_path: Path) -> None:
    """Every setting, None and paths included."""
    settings = load_settings(overrides=[*SMALL, "reasoning.gguf=/models/a.gguf", "data.separator=';'"])
    save_settings(settings, tmp_path / "settings.yaml")
    assert load_settings(base=tmp_path / "settings.yaml") == settings
    assert set(yaml.safe_load((tmp_path / "settings.yaml").read_text())) == set(Settings.model_fields)


@given(st.floats(-1, 1))
def test_tau_may_be_any_cosine(tau: float) -> None:
    assert load_settings(overrides=[f"graphs.tau={tau!r}"]).graphs.tau == tau


@given(st.floats().filter(lambda x: not -1 <= x <= 1))
def test_tau_may_be_nothing_else(tau: float) -> None:
    assert "graphs.tau" in fault(f"graphs.tau={tau!r}")


@given(st.text(max_size=30))
def test_no_override_ends_in_anything_but_settings_or_one_line(text: str) -> None:
    try:
        load_settings(overrides=[text])
    except IsrfError as error:
        assert "\n" not in " ".join(str(error).split())


@given(st.sampled_from(["graphs.tau", "reasoning.domain", "data.separator", "training.epochs"]), st.text(max_size=20))
def test_no_value_ends_in_anything_but_settings_or_one_line(name: str, text: str) -> None:
    try:
        load_settings(overrides=[f"{name}={text}"])
    except IsrfError as error:
        assert str(error)


@pytest.mark.parametrize("room", ["data", "reasoning", "training", "evaluation"])
def test_a_seed_that_no_random_generator_takes_is_refused(room: str) -> None:
    assert getattr(load_settings(overrides=[f"{room}.seed={2**31 - 1}"]), room).seed == 2**31 - 1
    for seed in (-1, 2**31, 2**64):
        with pytest.raises(IsrfError, match=rf"{room}.seed"):
            load_settings(overrides=[f"{room}.seed={seed}"])
