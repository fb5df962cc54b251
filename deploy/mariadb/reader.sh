#!/bin/sh
# Make the user that dashboards and notebooks read with: it may SELECT, and nothing else. The image
# of MariaDB runs this at its first start. On a server of your own, as its root:
#
#   CYGNO_DB_NAME=cygno_db CYGNO_DB_READER=reader CYGNO_DB_READER_PASSWORD=... sh reader.sh
#
# CYGNO_DB_OPTIONS are further options of the mariadb client, such as --host=127.0.0.1.
quoted() { printf %s "$1" | sed "s/[\\\\']/\\\\&/g"; }
( # the image reads this into its own shell
    set -eu
    MYSQL_PWD=${MARIADB_ROOT_PASSWORD:-}
    export MYSQL_PWD
    user=$(quoted "$CYGNO_DB_READER")
    password=$(quoted "$CYGNO_DB_READER_PASSWORD")
    # shellcheck disable=SC2086
    mariadb -uroot ${CYGNO_DB_OPTIONS:-} <<SQL
CREATE USER IF NOT EXISTS '$user'@'%';
ALTER USER '$user'@'%' IDENTIFIED BY '$password';
GRANT SELECT ON \`${MARIADB_DATABASE:-$CYGNO_DB_NAME}\`.* TO '$user'@'%';
SQL
)
