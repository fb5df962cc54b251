"""Where settings come from, and that secrets are never shown."""

from pathlib import Path
from typing import Any

import pytest

from stager.configuration import configure
from stager.credentials import Credentials, find_credentials
from stager.errors import ConfigurationError, CredentialsError
from stager.settings import KINDS, ODB_PATH, StagerSettings
from tests.stager.staging import Folder


class Odb:
    """As much of a client as the configuration asks."""

    def __init__(self, settings: dict[str, Any], data_dir: str = "") -> None:
        self._content = {ODB_PATH: settings, "/Logger/Data dir": data_dir}

    def odb_exists(self, path: str) -> bool:
        """Tell whether a path is there."""
        return path in self._content

    def odb_get(self, path: str) -> Any:
        """Return what is there."""
        return self._content[path]


def test_sources_in_their_order(folder: Folder) -> None:
    (folder.path / "stager.toml").write_text('bucket = "toml"\nregion = "toml"\ntag = "TOML"\n')
    odb: Any = Odb({"Bucket": "odb", "Region": "odb", "Attempts": 7, "Endpoint": ""})
    environment = {"CYGNO_S3_BUCKET": "environment"}

    def bucket(options: dict[str, Any], client: Any, variables: dict[str, str]) -> Any:
        return configure(options, folder.path, client, environment=variables).settings

    assert bucket({"bucket": "option"}, odb, environment).bucket == "option"
    assert bucket({"bucket": None}, odb, environment).bucket == "environment"
    assert bucket({}, odb, {}).bucket == "odb"
    assert bucket({}, None, {}).bucket == "toml"
    (folder.path / "stager.toml").unlink()
    settings = bucket({}, None, {})
    assert settings.bucket == folder.access["bucket"]
    assert settings.endpoint == folder.access["endpoint"]
    assert settings.tag == "LNGS"


def test_the_odbs_defaults_hide_nothing(folder: Folder) -> None:
    """The daemon declares every setting in the ODB; that is nobody's choice."""
    (folder.path / "stager.toml").write_text("part_size_mib = 64\n")
    odb: Any = Odb({field.alias: field.default for field in StagerSettings.model_fields.values()})
    settings = configure({}, folder.path, odb, environment={}).settings
    assert settings.part_size_mib == 64
    assert settings.endpoint == folder.access["endpoint"]


def test_the_loggers_data_folder_is_taken(folder: Folder, tmp_path: Path) -> None:
    odb: Any = Odb({}, str(tmp_path / "elsewhere"))
    assert configure({}, folder.path, odb, environment={}).data_dir == tmp_path / "elsewhere"
    assert configure({}, folder.path, None, environment={}).data_dir == folder.data
    given = {"data_dir": str(tmp_path)}
    configuration = configure(given, None, None, environment={})
    assert configuration.catalog_url == f"sqlite:///{tmp_path}/catalog.sqlite"


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (
            {"CYGNO_S3_PART_SIZE_MIB": "4"},
            r"part_size_mib is '4' in the environment, CYGNO_S3_PA.*"
            r"allowed: greater than or equal to 5",
        ),
        ({"CYGNO_S3_TAG": "../x"}, "tag is '../x' in the environment"),
        ({"CYGNO_STAGER_KINDS": "raw cooked"}, "kinds has 'cooked'.*allowed: raw reco"),
        ({"CYGNO_STAGER_CATALOG": "daq:secret"}, "no SQLAlchemy URL"),
        ({"CYGNO_STAGER_CONFIG": "/nowhere.toml"}, "/nowhere.toml cannot be read"),
    ],
)
def test_bad_values_are_named_with_their_source(
    folder: Folder, environment: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        configure({}, folder.path, None, environment=environment)
    assert "secret" not in str(caught.value)


def test_an_unknown_key_in_the_toml_file_is_refused(folder: Folder) -> None:
    (folder.path / "stager.toml").write_text('buckett = "x"\n')
    with pytest.raises(ConfigurationError, match="no setting 'buckett'; known: endpoint, region"):
        configure({}, folder.path, None, environment={})


def test_a_password_in_the_odb_is_refused(folder: Folder) -> None:
    odb: Any = Odb({"Catalog": "mysql+mysqldb://daq:hunter2@db/cygno_db"})
    with pytest.raises(ConfigurationError, match="Catalog holds a password") as caught:
        configure({}, folder.path, odb, environment={})
    assert "hunter2" not in str(caught.value)


def test_nothing_known_says_what_to_give() -> None:
    with pytest.raises(ConfigurationError, match="no data folder: give --data-dir"):
        configure({}, None, None, environment={})


def test_a_data_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"there is no data folder {tmp_path}/gone"):
        configure({"data_dir": f"{tmp_path}/gone"}, None, None, environment={})


def test_no_setting_is_a_secret() -> None:
    names = " ".join(name for name in StagerSettings.model_fields if not name.endswith("_file"))
    assert "secret" not in names and "password" not in names and "key" not in names
    assert StagerSettings.defaults().kinds == KINDS


def test_keys_come_from_the_environment_first(folder: Folder) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE000", "AWS_SECRET_ACCESS_KEY": "s3cr3t-s3cr3t"}
    found = find_credentials(keys, "", folder.path)
    assert (found.access_key, found.secret_key) == ("AKIAEXAMPLE000", "s3cr3t-s3cr3t")
    assert find_credentials({}, "", folder.path).access_key == folder.access["access_key"]


def test_keys_from_a_file_in_awss_format(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("[default]\naws_access_key_id = AKIAEXAMPLE000\naws_secret_access_key = 100%\n")
    path.chmod(0o600)
    found = find_credentials({}, str(path), None)
    assert (found.access_key, found.secret_key) == ("AKIAEXAMPLE000", "100%")


@pytest.mark.parametrize("content", ["", "{}", "{broken", "[other]\nx = 1", '{"access_key": ""}'])
def test_files_without_keys_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(CredentialsError, match="holds no keys: wanted JSON"):
        find_credentials({}, str(path), None)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_files_that_others_can_read_are_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys"
    path.write_text('{"access_key": "a", "secret_key": "s"}')
    path.chmod(mode)
    with pytest.raises(CredentialsError, match=f"mode {mode:04o}, allowed 0600"):
        find_credentials({}, str(path), None)


def test_no_keys_says_where_to_put_them() -> None:
    with pytest.raises(CredentialsError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        find_credentials({}, "", None)


def test_keys_are_masked_wherever_they_are_printed() -> None:
    keys = Credentials("AKIAEXAMPLE000", "s3cr3t-s3cr3t", "a test")
    for text in (repr(keys), str(keys), f"{keys}"):
        assert "s3cr3t" not in text and "EXAMPLE" not in text
