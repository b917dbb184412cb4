"""The bundle of scripts and style sheets: made from the sources, used only while it fits them."""

import json
import shutil
from pathlib import Path

import pytest
from django.conf import settings
from django.template import Context, Template

from chat import bundle
from chat.views.modules import scripts
from chatsite.finders import BundleFinder

ROOT = Path(settings.BASE_DIR)


@pytest.fixture
def clone(tmp_path, settings):
    """A copy of what a bundle is made from, with a cache of its own."""
    for name in bundle.ALSO_READ:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "static" / "chat", tmp_path / "static" / "chat")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    settings.BASE_DIR, settings.PORTAL_CACHE_DIR, settings.PORTAL_BUNDLED = tmp_path, tmp_path / ".cache", True
    bundle.is_bundled.cache_clear()
    yield tmp_path
    bundle.is_bundled.cache_clear()


def stylesheet(name):
    return Template(f'{{% load stylesheets %}}{{% stylesheet "{name}" %}}').render(Context())


def test_pages_load_one_script_and_one_style_sheet(clone):
    bundle.make()

    main, early, late = scripts()
    assert (main, early) == ("/static/bundle/chat.js", {})
    assert {"highlight", "highlight/python"} <= set(late)
    assert stylesheet("chat") == "/static/bundle/chat.css"
    published = {name for name, _ in BundleFinder().list([])}
    assert published == {*bundle.ENTRIES, *(f"{name}.map" for name in bundle.ENTRIES)}
    assert all(Path(BundleFinder().find(f"bundle/{name}")).is_file() for name in published)


def test_what_is_needed_later_is_no_part_of_it(clone):
    bundle.make()
    script = (bundle.folder() / "chat.js").read_text()

    assert 'import("highlight")' in script
    assert "registerLanguage=" not in script


def test_its_maps_lead_back_to_the_sources(clone):
    bundle.make()
    for name, source in bundle.ENTRIES.items():
        sources = json.loads((bundle.folder() / f"{name}.map").read_text())["sources"]
        imported = (clone / source).read_text().count("import ")
        assert len([one for one in sources if "static/chat/" in one]) >= imported


def test_it_is_made_again_when_a_source_has_changed(clone):
    bundle.make()
    made = (bundle.folder() / "chat.js").stat().st_mtime_ns
    bundle.make()
    assert (bundle.folder() / "chat.js").stat().st_mtime_ns == made
    with (clone / "static" / "chat" / "js" / "keys.js").open("a") as file:
        file.write('globalThis.changed = "afterwards";\n')
    bundle.make()

    assert "afterwards" in (bundle.folder() / "chat.js").read_text()


def test_pages_load_single_files_when_it_is_older_than_its_sources_which_is_said_once(clone, caplog):
    bundle.make()
    (clone / "static" / "chat" / "css" / "keys.css").write_text("")

    assert stylesheet("plain") == "/static/chat/css/plain.css"
    assert scripts().main == "/static/chat/js/main.js"
    assert len(caplog.messages) == 1 and "run ./run.py setup" in caplog.messages[0]


@pytest.mark.parametrize("program", ["/no/such/program", "/bin/false"])
def test_without_esbuild_pages_load_single_files(clone, monkeypatch, caplog, program):
    bundle.make()
    (clone / "static" / "chat" / "js" / "keys.js").write_text("export class Keys {}\n")
    monkeypatch.setenv("ESBUILD_BINARY_PATH", program)
    with pytest.raises(bundle.BundleError):
        bundle.make()

    assert scripts().main == "/static/chat/js/main.js"
    assert caplog.messages == []  # setup_portal has said it
    assert list(BundleFinder().list([])) == []


def test_a_source_that_cannot_be_read_is_named(clone):
    (clone / "static" / "chat" / "js" / "keys.js").write_text("export class {")

    with pytest.raises(bundle.BundleError, match=r"keys\.js"):
        bundle.make()
