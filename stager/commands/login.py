"""Log in at the OIDC issuer: ``login``."""

from typing import Annotated

import typer

from stager.attach import Attached, connect_if_up, find_folder
from stager.commands.shared import Config, Experiment
from stager.configuration import settings_of
from stager.credentials.choose import client_of, issuer_of, refresh_file
from stager.credentials.login import Invitation, log_in


def login(
    experiment: Experiment = None,
    config: Config = None,
    issuer: Annotated[str | None, typer.Option(help="URL of the OIDC issuer.")] = None,
    client_id: Annotated[str | None, typer.Option(help="Who we are to the issuer.")] = None,
    audience: Annotated[str | None, typer.Option(help="For whom tokens are asked.")] = None,
    refresh_token_file: Annotated[
        str | None, typer.Option(help="Where the refresh token is kept, mode 0600.")
    ] = None,
) -> None:
    """Log in as a person, once, with a browser anywhere: the daemon then goes on in your name.

    Shows an address and a code, waits until you have agreed there, and keeps the refresh token in
    a file that only you may read. Set Credentials to refresh-token for the daemon.

    Examples:

      cygno-stager login --issuer https://iam.example.org --client-id daq

      CYGNO_OIDC_ISSUER=https://iam.example.org CYGNO_OIDC_CLIENT_ID=daq cygno-stager login
    """
    options = {
        "issuer": issuer,
        "client_id": client_id,
        "audience": audience,
        "refresh_token_file": refresh_token_file,
    }
    folder = find_folder(experiment)
    attached = Attached(connect_if_up("cygno-stager-login", experiment, folder))
    try:
        settings, environment = settings_of(options, folder, attached.client, config)
    finally:
        attached.close()
    # Whatever the settings say now: this is what logging in is for.
    settings = settings.model_copy(update={"credentials": "refresh-token"})
    file = refresh_file(settings, environment)
    who, client = issuer_of(settings), client_of(settings, environment)
    log_in(who, client, settings.scopes, settings.audience, file, _invite)
    typer.echo(f"logged in at {who.url}; the refresh token is in {file.path} (mode 0600)")


def _invite(invitation: Invitation) -> None:
    typer.echo(f"Open   {invitation.url}\nEnter  {invitation.code}")
    if invitation.complete_url:
        typer.echo(f"or open {invitation.complete_url}")
    typer.echo(f"The code is good for {invitation.expires_s / 60:.0f} minutes; waiting...")
