"""A database that a newer version has upgraded: this version leaves it alone and names the copy to go back to."""

import shutil

import pytest

from tests.databases.files import change, manage

UNKNOWN = "chat", "9999_of_a_newer_version"


def record(database, app, name):
    change(database, f"insert into django_migrations (app, name, applied) values ('{app}', '{name}', '2026-01-01')")


@pytest.fixture(scope="module")
def current(tmp_path_factory):
    """A data directory of this version."""
    data = tmp_path_factory.mktemp("current")
    done = manage(data, "setup_portal")
    assert done.returncode == 0, done.stderr
    return data


@pytest.fixture
def data(tmp_path, current):
    return shutil.copytree(current, tmp_path / "data")


@pytest.fixture
def copies(data):
    """Four copies, from old to new: two of this version, one of the newer version, one that can't be read."""
    folder = data / "backups"
    folder.mkdir()
    copies = [folder / f"before-migration-2026010{day}T000000Z.sqlite3" for day in range(1, 5)]
    for copy in copies[:3]:
        shutil.copyfile(data / "chatsite.sqlite3", copy)
    record(copies[2], *UNKNOWN)
    copies[3].write_bytes(b"cut off in the middle of a copy " * 100)
    return copies


@pytest.mark.parametrize("command", ["serve", "setup_portal"])
def test_the_newest_copy_that_fits_is_named_and_nothing_is_written(data, copies, command):
    database = data / "chatsite.sqlite3"
    record(database, *UNKNOWN)
    before = database.read_bytes()

    done = manage(data, command)

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("chatsite: ") and "chat.9999_of_a_newer_version" in line
    assert line.endswith(str(copies[1]))
    assert database.read_bytes() == before
    assert sorted((data / "backups").iterdir()) == copies


@pytest.mark.parametrize("command", ["serve", "setup_portal"])
def test_without_a_copy_that_fits_the_line_says_so(data, copies, command):
    copies[0].unlink()
    copies[1].unlink()
    record(data / "chatsite.sqlite3", *UNKNOWN)

    done = manage(data, command)

    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"no copy in {data / 'backups'} fits this one")


def test_a_migration_of_an_application_of_django_that_this_version_does_not_use_counts(data):
    record(data / "chatsite.sqlite3", "sites", "0001_initial")

    assert manage(data, "setup_portal").returncode == 1


def test_what_an_application_of_somebody_else_has_left_behind_does_not_count(data):
    record(data / "chatsite.sqlite3", "an_experiment", "0001_initial")

    assert manage(data, "setup_portal").returncode == 0
