"""The blanks before a version are named, as in devices/versions.py: \\s depends on a locale."""

from django.db import migrations

CREATE = r"""
CREATE OR REPLACE FUNCTION pack_version(version text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce((
        SELECT (least(left(m[1], 9)::bigint, 32767) << 48)
             | (least(left(coalesce(m[2], '0'), 9)::bigint, 65535) << 32)
             | (least(left(coalesce(m[3], '0'), 9)::bigint, 65535) << 16)
             | (least(left(coalesce(m[4], '0'), 9)::bigint, 32767) << 1)
             | (m[5] !~ '^([-_. ]?[A-Za-z]|-)')::int
        FROM regexp_match(
            version,
            '^[ \t\n\v\f\r]*[vV]?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:\.([0-9]+))?(.*)$'
        ) m
        WHERE m IS NOT NULL
    ), 0)
$$
"""


class Migration(migrations.Migration):
    dependencies = [("devices", "0004_token_tail")]

    operations = [migrations.RunSQL(CREATE, migrations.RunSQL.noop)]
